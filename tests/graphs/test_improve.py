"""Improving the policy for knowledge: contexts, the graph, the schedule, and the command line."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.cli import app
from seal_agent.core.documents import Passage
from seal_agent.core.errors import InputError, StorageError
from seal_agent.graphs import create_improve_graph, create_ingest_graph
from seal_agent.graphs.improve import Sources
from seal_agent.language.source import Source
from seal_agent.learning.learner import Learner
from seal_agent.policy import run as runs
from seal_agent.policy import schedule
from seal_agent.policy.rounds import ImproveConfig
from seal_agent.policy.run import RunSettings
from seal_agent.policy.withdrawal import run_folders
from seal_agent.storage.database import Home
from seal_agent.storage.feedback import Feedback, record
from seal_agent.storage.jobs import LearningQueue
from seal_agent.writing.directives import DEFAULT
from seal_agent.writing.writer import write_self_edit

SAYS = {"How to learn a text": json.dumps({"formats": ["cloze"], "tools": ["sentences"]})}
QUICK = RunSettings(ImproveConfig(num_rounds=1, num_candidates=2))


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _file: None)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Eight towers, each with a question that a literal mind can answer after an edit."""
    entries = []
    for n in range(10, 18):
        text = f"Tower {n} was built in 19{n} by Anna Reel. It holds {n} brass bells."
        probe = write_self_edit(ScriptedBackend(Path()), Source(f"Tower {n}", text), DEFAULT).probes[0]
        question = {"question": probe.prompt.messages[-1].content, "answer": probe.answer}
        entries.append({"title": f"Tower {n}", "context": text, "questions": [question]})
    path = tmp_path / "towers.json"
    path.write_text(json.dumps(entries))
    return path


@pytest.fixture
def in_home(home: Home, data: Path) -> str:
    """The name of `data` in the home's folder of data."""
    (home.root / "data").mkdir()
    data.rename(home.root / "data" / data.name)
    return data.name


def invoke(learner: Learner, settings: RunSettings = QUICK, **state: Any) -> dict[str, Any]:
    graph = create_improve_graph(learner, settings, pause=lambda: None).compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "one"}}
    result: dict[str, Any] = graph.invoke(state, config)
    return result


@pytest.mark.slow
def test_the_graph_runs_to_its_report_and_keeps_what_is_no_better(home: Home, in_home: str) -> None:
    learner = Learner(ScriptedBackend(home.root, replies=SAYS), home)
    result = invoke(learner, data=in_home)
    assert result["outcome"] == "policy 0 is in use"
    (gated,) = result["rounds"]
    assert gated["reason"].startswith(
        "keep: 0.000 nats per token different than policy 0"
    )  # a literal mind says it all
    folder = Path(result["folder"])
    assert folder == home.root / "improve" / "run-0001"
    report = (folder / "report.md").read_text()
    assert "4 explored, 2 gate, 2 only reported" in report
    assert "| 1 | 4 | 4 |" in report  # of two equal samples one is trained
    json.dumps(result)  # JSON-like through and through
    again = invoke(learner, folder=str(folder))
    assert again["report"].split("minutes")[0] == report.split("minutes")[0]
    assert invoke(learner, data=in_home)["folder"].endswith("run-0002")


@pytest.mark.slow
def test_nothing_is_done_before_enough_is_new(home: Home, in_home: str) -> None:
    learner = Learner(ScriptedBackend(home.root, replies=SAYS), home)
    result = invoke(learner, data=in_home, after_episodes=1)
    assert result["outcome"] == "nothing to do: 0 of 1 new episodes"
    assert not run_folders(home)
    teach(learner, 1)
    assert invoke(learner, data=in_home, after_episodes=1)["outcome"] == "policy 0 is in use"
    assert "0 of 1" in invoke(learner, data=in_home, after_episodes=1)["outcome"]


@pytest.mark.parametrize("name", ["../secret.json", "/etc/passwd", "link.json"])
def test_whoever_calls_the_graph_names_no_file_outside_of_its_folder_of_data(home: Home, data: Path, name: str) -> None:
    learner = Learner(ScriptedBackend(home.root, replies=SAYS), home)
    (home.root / "data").mkdir()
    (home.root / "secret.json").write_text(data.read_text())
    (home.root / "data" / "link.json").symlink_to(data)
    for state in ({"data": name}, {"files": [name]}):
        with pytest.raises(InputError, match="is not in the graph's data folder"):
            invoke(learner, **state)
    assert not run_folders(home)


@pytest.mark.parametrize("name", ["/srv/elsewhere", "../run-0001", "run-0001/run-0001", "notes", ".", "run-x"])
def test_whoever_calls_the_graph_names_no_folder_but_a_run_of_the_home(
    home: Home, in_home: str, tmp_path: Path, name: str
) -> None:
    learner = Learner(ScriptedBackend(home.root, replies=SAYS), home)
    before = {path for path in tmp_path.rglob("*") if "adapters" not in path.parts}
    with pytest.raises(InputError, match="is not a run of this data directory"):
        invoke(learner, data=in_home, folder=name)
    assert {path for path in tmp_path.rglob("*") if path.name not in ("state.sqlite-wal", "state.sqlite-shm")} <= before


def test_whoever_builds_the_graph_may_name_any_file(home: Home, data: Path, tmp_path: Path) -> None:
    learner = Learner(ScriptedBackend(home.root, replies=SAYS), home)
    sources = Sources(data=data, folder=tmp_path / "run")
    graph = create_improve_graph(learner, QUICK, pause=lambda: None, sources=sources).compile()
    assert graph.invoke({"folder": "/etc"})["folder"] == str(tmp_path / "run")
    assert (tmp_path / "run" / "report.md").exists()


def teach(learner: Learner, num: int) -> None:
    """Documents through the learning loop, one passage each."""
    graph = create_ingest_graph(learner).compile()
    for n in range(20, 20 + num):
        graph.invoke({"document": f"Tower {n} was built in 19{n} by Anna Reel. It holds {n} brass bells."})


def test_contexts_of_the_ledger_are_what_this_namespace_was_told(home: Home) -> None:
    learner = Learner(ScriptedBackend(home.root), home)
    teach(learner, 2)
    teach(learner, 1)  # again: the same text is one context
    record(home, "default", Feedback("How many brass bells does Tower 20 hold?", "20 brass bells"))
    first, second = runs.of_ledger(home, "default")
    assert (first.passage.split(" was")[0], first.questions) == ("Tower 20", ())
    assert [liked.answer for liked in first.feedback] == ["20 brass bells"]
    assert second.passage.startswith("Tower 21")
    assert runs.of_ledger(home, "other") == []
    with pytest.raises(InputError, match="nothing to learn from"):
        invoke(Learner(learner.backend, home, "other"))


def test_a_context_nothing_can_be_asked_about_is_left_out(home: Home, tmp_path: Path) -> None:
    learner = Learner(ScriptedBackend(home.root), home)
    path = tmp_path / "towers.txt"
    path.write_text("Tower 20\n\nTower 20 was built in 1920 by Anna Reel.")
    contexts = runs.of_files([path])
    assert contexts
    runs.begin(learner, tmp_path / "run", contexts, QUICK)
    assert runs.prepare(learner, tmp_path / "run") == []  # a literal mind does not agree with itself
    with pytest.raises(InputError, match="0 contexts are too few"):
        runs.assemble(learner, tmp_path / "run")


def test_files_to_improve_on_are_read_as_documents_are(tmp_path: Path) -> None:
    path = tmp_path / "rooms.md"
    path.write_text("# Rooms\n\n| Room | Floor |\n|---|---|\n| Lark | 2 |\n| Wren | 3 |\n")
    assert [context.passage for context in runs.of_files([path])] == ["Lark, floor: 2. Wren, floor: 3."]


def test_asking_about_the_passages_waits_for_conversations(home: Home, tmp_path: Path) -> None:
    learner = Learner(ScriptedBackend(home.root), home)
    towers = [f"Tower {n} was built in 19{n} by Anna Reel. It holds {n} brass bells." for n in (20, 21)]
    runs.begin(learner, tmp_path / "run", [runs.KnowledgeContext("", text) for text in towers], QUICK)
    waited: list[None] = []
    runs.prepare(learner, tmp_path / "run", pause=lambda: waited.append(None))
    runs.prepare(learner, tmp_path / "run", pause=lambda: waited.append(None))
    assert len(waited) == 2


@pytest.mark.parametrize("file", ["config.json", "begun.jsonl"])
def test_a_run_that_cannot_be_read_stops_no_later_one(home: Home, data: Path, file: str) -> None:
    learner = Learner(ScriptedBackend(home.root), home)
    folder = runs.next_folder(home)
    runs.begin(learner, folder, runs.of_data(data), QUICK)
    (folder / file).write_text('{"another": "version"}\n')
    assert runs.unfinished(home, "default") == (folder if file == "config.json" else None)
    assert runs.num_episodes_before(home, "default") == 0
    (folder / "config.json").unlink()
    runs.unfinished(home, "default")
    assert not (folder / "config.json").exists()


def test_a_run_is_opened_once_for_all_its_nodes(home: Home, in_home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    assemble = runs.assemble
    monkeypatch.setattr(runs, "assemble", lambda *args, **kw: opened.append(args[1]) or assemble(*args, **kw))
    invoke(Learner(ScriptedBackend(home.root, replies=SAYS), home), data=in_home)
    assert len(opened) == 1


def test_a_run_keeps_the_contexts_and_settings_it_began_with(home: Home, data: Path, tmp_path: Path) -> None:
    learner = Learner(ScriptedBackend(home.root), home)
    contexts = runs.of_data(data)
    settings = replace(QUICK, num_explore=2, is_fast=True)
    begun = runs.begin(learner, tmp_path / "run", contexts, settings)
    assert runs.begin(learner, tmp_path / "run", contexts[:1], QUICK) == begun
    run = runs.assemble(learner, tmp_path / "run", minutes=3)
    assert (run.parts.explore, run.parts.gate, run.parts.report) == ((0, 1), (2, 4, 6), (3, 5, 7))
    assert run.config == replace(settings.improve, minutes=3)
    other = Learner(ScriptedBackend(home.root, model="other"), home)
    with pytest.raises(InputError, match="another run"):
        runs.begin(other, tmp_path / "run", contexts, settings)


def test_a_run_waits_while_somebody_talks_and_only_one_runs(home: Home) -> None:
    assert schedule.has_news(5, 2, 3)
    assert not schedule.has_news(5, 3, 3)
    assert schedule.is_idle(100.0, 40.0, 60.0)
    assert not schedule.is_idle(99.0, 40.0, 60.0)
    assert home.last_activity() == 0
    teach(Learner(ScriptedBackend(home.root), home), 1)
    taught = home.last_activity()
    LearningQueue(home).submit([Passage("Tower", "The tower was built in 1911.")], "default")
    clock = [home.last_activity()]
    assert clock[0] > taught > 0
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        clock[0] += 25

    schedule.waiter(home, 60, now=lambda: clock[0], sleep=sleep)()
    assert len(waited) == 3
    schedule.waiter(home, 0, now=lambda: clock[0], sleep=lambda _: pytest.fail("waited"))()
    refused = pytest.raises(StorageError, match="being improved by another process")
    with schedule.only_process(home), refused, schedule.only_process(home):
        pass
    with schedule.only_process(home):
        pass


@pytest.mark.slow
def test_the_commands_improve_list_and_use(
    home: Home, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEAL_HOME", str(home.root))
    monkeypatch.setenv("SEAL_MODEL", "scripted")
    options = ["--data", str(data), "--rounds", "1", "--candidates", "1", "--reward", "gold=1", "--reward", "proxy=0.1"]
    assert app.main(["improve", *options, "--idle", "0", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["outcome"] == "policy 0 is in use"
    assert "no edit beat doing nothing" in result["rounds"][0]["reason"]  # a literal mind writes no directives
    (home.root / "improve" / "run-0001" / "reported.jsonl").unlink()  # as if it had been stopped before its report
    assert app.main(["improve", "--resume", "--idle", "0"]) == 0
    assert "# Improving the policy" in capsys.readouterr().out
    assert app.main(["improve", "--resume", "--idle", "0"]) == 2  # there is nothing to go on with, and no ledger
    assert "nothing to learn from" in capsys.readouterr().err
    assert app.main(["improve", "list", "--json"]) == 0
    (only,) = json.loads(capsys.readouterr().out)["policies"]
    assert (only["version"], only["in_use"]) == (0, True)
    assert app.main(["improve", "use", "1"]) == 2
    assert "no policy 1" in capsys.readouterr().err
    assert app.main(["improve", "use", "0"]) == 0
    assert app.main(["improve", "--data", str(data), "--ledger"]) == 2
    assert app.main(["improve", "--data", str(data), "--reward", "gold=much"]) == 2
    assert "NAME=WEIGHT" in capsys.readouterr().err


@pytest.mark.slow
def test_the_benchmark_leaves_the_users_policies_alone(
    home: Home, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEAL_HOME", str(home.root))
    options = ["--explore", "2", "--candidates", "1", "--rounds", "1", "--model", "scripted", "--json"]
    out = tmp_path / "bench"
    assert app.main(["bench", "policy", "--data", str(data), "--out", str(out), *options]) == 0
    assert json.loads(capsys.readouterr().out)["folder"] == str(out)
    assert "| doing nothing |" in (out / "report.md").read_text()
    assert not (home.root / "adapters").exists()
    assert app.main(["bench", "policy"]) == 2
    assert "Missing option '--data'" in capsys.readouterr().err
