"""The graphs that langgraph.json names, as LangGraph's server runs them."""

import asyncio
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from langgraph_cli.config import validate_config_file
from threads import ANSWER, QUESTION, TOWER

from seal_agent.adapters.scripted import UNKNOWN
from seal_agent.core.errors import InputError
from seal_agent.graphs import studio

ROOT = Path(__file__).resolve().parents[2]


def served_graphs() -> dict[str, Any]:
    """The graphs that `langgraph.json` names, as a server builds them."""
    targets = json.loads((ROOT / "langgraph.json").read_text())["graphs"]
    builders = {}
    for name, target in targets.items():
        file, function = target.split(":")
        module = import_module(f"seal_agent.{Path(file).with_suffix('').as_posix().replace('/', '.')}")
        builders[name] = asyncio.run(getattr(module, function)())
    return {name: builder.compile() for name, builder in builders.items()}


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, Any]]:
    monkeypatch.setenv("SEAL_MODEL", "scripted")
    monkeypatch.setenv("SEAL_HOME", str(tmp_path))
    monkeypatch.delenv("SEAL_NAMESPACE", raising=False)
    studio._opened.cache_clear()
    yield served_graphs()
    studio._opened.cache_clear()


def test_the_shipped_server_serves_many_users_and_pools_nobody(served: dict[str, Any]) -> None:
    def said(text: str, **configurable: Any) -> str:
        asked: Any = {"configurable": configurable}
        return str(served["chat"].invoke({"messages": [("user", text)]}, asked)["messages"][-1].text)

    said(TOWER, user="ann")
    assert said(QUESTION, langgraph_auth_user=SimpleNamespace(identity="ann"), langgraph_auth_user_id="ann") == ANSWER
    assert said(QUESTION, user_id="bob") == UNKNOWN
    with pytest.raises(InputError, match="or set SEAL_NAMESPACE where the server has one user"):
        said(QUESTION, langgraph_auth_user=SimpleNamespace(identity=""), langgraph_auth_user_id="")
    with pytest.raises(InputError, match="names none"):
        served["improve"].invoke({})
    assert (
        "nothing to do" in served["improve"].invoke({"after_episodes": 9}, {"configurable": {"user": "ann"}})["outcome"]
    )


def test_a_server_of_one_user_takes_runs_that_name_nobody_as_that_users(
    monkeypatch: pytest.MonkeyPatch, served: dict[str, Any]
) -> None:
    studio._opened.cache_clear()
    monkeypatch.setenv("SEAL_NAMESPACE", "ann")
    chat = served_graphs()["chat"]
    chat.invoke({"messages": [("user", TOWER)]})
    asked = {"messages": [("user", QUESTION)]}
    assert chat.invoke(asked, {"configurable": {"user": "ann"}})["messages"][-1].text == ANSWER
    with pytest.raises(InputError, match="this run names another user"):
        chat.invoke(asked, {"configurable": {"user": "bob"}})


def test_langgraph_json_names_builders_that_build_with_schemas(served: dict[str, Any]) -> None:
    first = {"chat": "respond", "ingest": "split", "improve": "explore"}
    for name, graph in served.items():
        assert first[name] in graph.get_graph().nodes
        assert graph.get_input_jsonschema()["properties"]
        assert graph.get_output_jsonschema()["properties"]


def test_langgraph_json_is_valid_for_langgraphs_own_command_line() -> None:
    config = validate_config_file(ROOT / "langgraph.json")
    assert set(config["graphs"]) == {"chat", "ingest", "improve"}


def test_the_pictures_in_the_docs_are_of_these_graphs(served: dict[str, Any]) -> None:
    for name, graph in served.items():
        drawn = graph.get_graph().draw_mermaid()
        assert (ROOT / "docs" / f"{name}.mmd").read_text() == drawn, "draw it again: python docs/draw.py"
