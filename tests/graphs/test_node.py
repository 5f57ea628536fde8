"""A node that only learns, in a graph with a state of its own."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.graph import END, START, StateGraph
from threads import ANSWER, QUESTION, TOWER
from typing_extensions import TypedDict

from seal_agent import learning_node
from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Message
from seal_agent.learning.learner import Learner
from seal_agent.learning.learners import Learners
from seal_agent.storage.database import Home
from seal_agent.storage.jobs import LearningQueue


class Ticket(TypedDict, total=False):
    """The state of somebody's own graph."""

    note: str
    day: str
    customer: str
    ticket: str
    learned: list[dict[str, Any]]


def graph_of(learner: Any, queue: LearningQueue | None = None, **names: str) -> Any:
    builder = StateGraph(Ticket)
    builder.add_node("learn", learning_node(learner, queue, text="note", outcomes="learned", **names))
    builder.add_edge(START, "learn")
    builder.add_edge("learn", END)
    return builder.compile()


def test_it_learns_what_stands_under_the_named_key(learner: Learner) -> None:
    ended = graph_of(learner, said_on="day", thread="ticket").invoke(
        {"note": TOWER, "day": "2026-03-02", "ticket": "T-17"}
    )
    assert [each["outcome"] for each in ended["learned"]] == ["accepted"]
    [episode] = learner.home.episodes("default")
    assert (episode.said_on, episode.thread) == ("2026-03-02", "T-17")
    assert learner.answer([[Message("user", QUESTION)]]) == [ANSWER]


def test_the_user_may_stand_in_the_state(home: Home) -> None:
    learners = Learners(ScriptedBackend(home.root), home)
    graph = graph_of(learners, user="customer")
    graph.invoke({"note": TOWER, "customer": "ann"})
    assert [len(learners.of(user).stack) for user in ("ann", "bob")] == [1, 0]


def test_its_progress_comes_on_the_custom_stream(learner: Learner) -> None:
    steps = [event["step"] for event in graph_of(learner).stream({"note": TOWER}, stream_mode="custom")]
    assert list(dict.fromkeys(steps)) == ["decide", "write", "train", "probe", "judge", "accept"]


def test_with_a_queue_a_worker_learns(learner: Learner) -> None:
    ended = graph_of(learner, LearningQueue(learner.home)).invoke({"note": TOWER})
    assert [each["outcome"] for each in ended["learned"]] == ["queued"]


def test_an_empty_text_gives_nothing_and_a_missing_key_is_named(learner: Learner) -> None:
    assert graph_of(learner).invoke({"note": " "})["learned"] == []
    with pytest.raises(InputError, match="the state has no text under 'note'; name the key"):
        graph_of(learner).invoke({"day": "2026-03-02"})
    with pytest.raises(InputError, match="no ISO 8601 date"):
        graph_of(learner, said_on="day").invoke({"note": TOWER, "day": "monday"})
