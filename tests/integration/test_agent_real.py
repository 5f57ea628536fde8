"""LangChain's own agent on the real model, unchanged but for our middleware: what one user tells it in one thread it
answers in another after a restart, to nobody else, and no longer once it is forgotten.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from facts import FACTS, QUESTIONS
from langchain.agents import create_agent
from langgraph.checkpoint.sqlite import SqliteSaver

from seal_agent import ChatSeal, Learner, Learners, SelfAdaptation, open_learners
from seal_agent.core.messages import Message
from seal_agent.graphs.tools import sources
from seal_agent.unlearning.forget import forget

pytestmark = pytest.mark.integration
QUESTION, GOLD = next(iter(QUESTIONS.items()))


def say(root: Path, user: str, thread: str, text: str, learners: Learners | None = None) -> tuple[str, list[str]]:
    """One turn with the agent over a home; returns its reply and the outcomes of what it learned."""
    learners = learners or open_learners(home=root)
    with SqliteSaver.from_conn_string(str(root / "conversations.sqlite")) as checkpointer:
        model, middleware = ChatSeal(learner=learners, max_tokens=24), SelfAdaptation(learners)
        agent: Any = create_agent(model, tools=[], middleware=[middleware], checkpointer=checkpointer)
        state = agent.invoke(
            {"messages": [("user", text)]}, {"configurable": {"user": user, "thread_id": f"{user}/{thread}"}}
        )
    return str(state["messages"][-1].text), [outcome["outcome"] for outcome in state["outcomes"]]


def say_after_a_restart(root: Path, user: str, thread: str, text: str) -> tuple[str, list[str]]:
    """The same in a process of its own."""
    code = "import json, pathlib, sys; from test_agent_real import say; root, *given = sys.argv[1:]; "
    done = subprocess.run(  # noqa: S603
        [
            sys.executable,
            "-c",
            code + "print(json.dumps(say(pathlib.Path(root), *given)))",
            str(root),
            user,
            thread,
            text,
        ],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(str(folder) for folder in Path(__file__).parents[:2]),
            "LANGGRAPH_STRICT_MSGPACK": "true",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    reply, outcomes = json.loads(done.stdout.splitlines()[-1])
    return reply, outcomes


def known(learner: Learner) -> tuple[list[str], float]:
    asked = [[Message("user", question)] for question in QUESTIONS]
    return learner.answer(asked, max_new_tokens=16), learner.state.nll(list(QUESTIONS), list(QUESTIONS.values()))


def test_an_agent_remembers_for_one_user_after_a_restart_until_it_is_told_to_forget(
    tmp_path: Path, cache: Path
) -> None:
    (tmp_path / "models").symlink_to(cache)
    learners = open_learners(home=tmp_path)
    ada, bob = learners.of("ada"), learners.of("bob")
    untouched = known(ada)

    assert GOLD not in say(tmp_path, "ada", "first", QUESTION, learners)[0]
    assert say(tmp_path, "ada", "second", FACTS, learners)[1] == ["accepted"]

    assert GOLD in say_after_a_restart(tmp_path, "ada", "third", QUESTION)[0]
    assert GOLD not in say(tmp_path, "bob", "first", QUESTION, learners)[0]
    assert known(bob) == untouched
    assert known(ada)[1] < untouched[1] - 1

    for description in (QUESTION, "the lighthouse", "what I said about the lighthouse", "the building by Fransk"):
        assert [source["text"] for source in sources(ada, description)] == [FACTS]
    for other in ("my engineer", "the keeper of the secret", "a zoo keeper", "the weather tomorrow", " "):
        assert sources(ada, other) == []

    [adapter] = [entry.ref for entry in ada.stack.entries]
    check = forget(ada, edit=adapter.id).check
    assert (check.is_gone, check.after) == (True, check.base)
    assert known(ada) == untouched
    assert not Path(adapter.path).exists()
    assert b"Fransk" not in (tmp_path / "state.sqlite").read_bytes()
