"""A chat model that writes edits during a run of a graph: its replies are no part of the run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from chat_writers import WRITER, Author
from langgraph.checkpoint.memory import InMemorySaver
from threads import TOWER, thread

from seal_agent.adapters.scripted import UNKNOWN, ScriptedBackend
from seal_agent.graphs import create_chat_graph
from seal_agent.graphs.chat_model import ChatSeal
from seal_agent.learning.config import LearnerConfig
from seal_agent.learning.learner import Learner
from seal_agent.learning.learners import Learners
from seal_agent.storage.database import Home
from seal_agent.writing import writer

TOLD = {"messages": [("user", TOWER)]}
BUILT, HOLDS = "Anna Reel built it in 1911.", "It holds nine brass bells."
AUTHOR = Author(question="Who built the Tower of Karlov?", answer=BUILT, other="What does the tower hold?", aside=HOLDS)


@pytest.fixture(autouse=True)
def _examined(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = {("scripted", "phrase-qa"): False, (WRITER, "phrase-qa"): True, ("ChatSeal larger@v0", "phrase-qa"): True}
    monkeypatch.setattr(writer, "_passed", passed)


def writers(home: Home, namespace: str = "default") -> list[str]:
    return [episode.edit.writer for episode in home.episodes(namespace) if episode.edit]


def test_what_the_writer_says_is_not_streamed_to_the_user(home: Home) -> None:
    learner = Learner(ScriptedBackend(home.root), home, config=LearnerConfig(writer=AUTHOR))
    graph = create_chat_graph(learner).compile()
    pieces = [str(chunk.text) for chunk, about in graph.stream(TOLD, thread("one"), stream_mode="messages")]
    assert "".join(pieces).strip() == UNKNOWN
    assert writers(home) == [WRITER]


def test_the_writer_is_no_event_of_an_asynchronous_run(home: Home) -> None:
    learner = Learner(ScriptedBackend(home.root), home, config=LearnerConfig(writer=AUTHOR))
    graph = create_chat_graph(learner).compile()

    async def models() -> set[str]:
        events = graph.astream_events(TOLD, thread("one"), version="v2")
        return {event["name"] async for event in events if event["event"] == "on_chat_model_end"}

    assert asyncio.run(models()) == {"ChatSeal"}
    assert writers(home) == [WRITER]


def test_a_local_writer_is_asked_as_nobody_whoever_the_user_is(home: Home) -> None:
    replies = {BUILT: "Who built the tower?", HOLDS: "What does the tower hold?"}
    replies |= {f"Message: {TOWER}\nQuestion:": "yes", "Message:": f"{BUILT}\n{HOLDS}"}
    larger = Learner(ScriptedBackend(home.root, replies=replies, model="larger"), home, "writer")
    config = LearnerConfig(writer=ChatSeal(learner=larger, model="larger@v0"))
    graph = create_chat_graph(Learners(ScriptedBackend(home.root), home, config)).compile()
    state = graph.invoke(TOLD, {"configurable": {"user": "ada"}})
    assert [outcome["outcome"] for outcome in state["outcomes"]] == ["accepted"]
    assert writers(home, "ada") == ["ChatSeal larger@v0"]


def test_a_person_who_approves_is_told_who_wrote(home: Home) -> None:
    config = LearnerConfig(writer=AUTHOR, approval=True)
    graph: Any = create_chat_graph(Learner(ScriptedBackend(home.root), home, config=config))
    state = graph.compile(checkpointer=InMemorySaver()).invoke(TOLD, thread("one"))
    (interrupt,) = state["__interrupt__"]
    assert interrupt.value["writer"] == WRITER
