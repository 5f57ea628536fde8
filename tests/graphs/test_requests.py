"""Requests about what is remembered, in the chat graph and in an agent, and the line that says what was learned."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from chatting import BRIDGE, outcomes, say
from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.checkpoint.memory import InMemorySaver
from threads import QUESTION, TOWER, thread

from seal_agent import SelfAdaptation
from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.background.worker import Budget, Worker
from seal_agent.core.errors import InputError
from seal_agent.core.redaction import NOTHING_LEFT
from seal_agent.graphs import create_chat_graph
from seal_agent.graphs.announcements import announcement, is_announcement
from seal_agent.language import confirmations
from seal_agent.learning.config import LearnerConfig
from seal_agent.learning.learner import Learner
from seal_agent.learning.learners import Learners
from seal_agent.storage.database import Home

KNOWN, WHY, UNDO = "What do you know about me?", "Why do you think that?", "Undo that."
FORGET = "Please forget what I said about the Tower of Karlov and its bells."
TEXT = LearnerConfig(recall="text")
DOG = "Remember that my dog Biscuit is allergic to chicken."


@pytest.fixture
def learner(tmp_path: Path) -> Learner:
    home = Home(tmp_path)
    return Learner(ScriptedBackend(home.root), home, config=TEXT)


def chat_of(learner: Any, **options: Any) -> Any:
    return create_chat_graph(learner, **options).compile(checkpointer=InMemorySaver())


class Echo(BaseChatModel):
    """Somebody else's model: it answers with what it read."""

    @property
    def _llm_type(self) -> str:
        return "echo"

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(" | ".join(str(m.text) for m in messages)))])


def agent_of(learner: Learner, **options: Any) -> Any:
    middleware: Any = [SelfAdaptation(learner, **options)]
    return create_agent(Echo(), tools=[], middleware=middleware, checkpointer=InMemorySaver())


def reply(state: dict[str, Any]) -> str:
    return str(state["messages"][-1].text)


BUILDERS = pytest.mark.parametrize("build", [chat_of, agent_of])


@BUILDERS
def test_what_is_known_is_listed_from_what_is_stored(learner: Learner, build: Any) -> None:
    graph = build(learner)
    assert reply(say(graph, KNOWN)) == confirmations.KNOWN_NOTHING
    message = HumanMessage(TOWER, additional_kwargs={"timestamp": "2026-03-02"})
    graph.invoke({"messages": [message]}, thread("two"))
    say(graph, DOG, "two")
    state = say(graph, KNOWN, "three")
    assert reply(state).splitlines()[0] == confirmations.KNOWN
    assert DOG in reply(state).splitlines()[1]
    assert reply(state).splitlines()[2] == f'- 2026-03-02: "{TOWER}"'
    assert outcomes(state) == ["ignored"]
    assert len(learner.stack) == 2


def test_a_long_list_ends_with_the_number_of_the_others(learner: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seal_agent.graphs.requests.MAX_LISTED", 1)
    graph = chat_of(learner)
    for text in (TOWER, DOG):
        say(graph, text)
    assert reply(say(graph, KNOWN)).splitlines()[-1] == confirmations.MORE.format(num=1)


@BUILDERS
def test_why_without_a_reply_to_explain_is_answered_by_the_model(learner: Learner, build: Any) -> None:
    state = say(build(learner), WHY)
    assert reply(state)
    assert "request" not in state["messages"][-1].response_metadata
    assert outcomes(state) == ["ignored"]


@pytest.mark.slow
@BUILDERS
def test_why_names_what_the_last_reply_used(learner: Learner, build: Any) -> None:
    graph = build(learner)
    say(graph, QUESTION)
    assert reply(say(graph, WHY)) == confirmations.WHY_NOTHING
    say(graph, TOWER)
    say(graph, QUESTION, "two")
    assert TOWER in reply(say(graph, WHY, "two"))


@BUILDERS
def test_what_the_reply_says_is_forgotten_is_forgotten(learner: Learner, build: Any) -> None:
    graph = build(learner)
    say(graph, TOWER)
    say(graph, BRIDGE)
    state = say(graph, FORGET, "two")
    assert confirmations.FORGET in reply(state)
    assert TOWER in reply(state)
    assert outcomes(state) == ["forgotten"]
    assert [fact.text for fact in learner.state.facts()] == [BRIDGE]
    assert "bells" not in str(learner.home.episodes("default"))
    state = say(graph, "Forget my phone number.", "three")
    assert reply(state) == confirmations.FORGET_NOTHING
    assert outcomes(state) == ["ignored"]


@BUILDERS
def test_what_was_forgotten_is_not_stored_again_as_the_context_of_the_next_message(
    learner: Learner, build: Any
) -> None:
    graph = build(learner)
    say(graph, TOWER)
    say(graph, FORGET, "two")
    say(graph, DOG, "two")
    assert [fact.text for fact in learner.state.facts()] == [DOG]
    assert "Karlov" not in str(learner.home.episodes("default"))


@BUILDERS
def test_undo_takes_back_the_last_thing_learned_in_the_thread(learner: Learner, build: Any) -> None:
    graph = build(learner)
    say(graph, TOWER)
    say(graph, DOG, "two")
    state = say(graph, UNDO)
    assert TOWER in reply(state)
    assert outcomes(state) == ["undone"]
    assert [fact.text for fact in learner.state.facts()] == [DOG]
    assert reply(say(graph, UNDO)) == confirmations.UNDO_NOTHING


def test_an_undo_waits_for_what_is_still_learned(learner: Learner) -> None:
    with Worker(learner, Budget(quiet_seconds=60)) as worker:
        graph = create_chat_graph(learner, worker.queue).compile(checkpointer=InMemorySaver())
        say(graph, TOWER)
        state = say(graph, UNDO)
        assert reply(state) == confirmations.UNDO_WAITING
        assert state["outcomes"] == []


def test_nothing_of_another_user_is_listed_or_forgotten(tmp_path: Path) -> None:
    home = Home(tmp_path)
    learners = Learners(ScriptedBackend(home.root), home, config=TEXT)
    graph = create_chat_graph(learners).compile(checkpointer=InMemorySaver())

    def say_as(user: str, text: str) -> str:
        config: Any = {"configurable": {"thread_id": user, "user_id": user}}
        return reply(graph.invoke({"messages": [("user", text)]}, config))

    say_as("ann", TOWER)
    assert say_as("ben", KNOWN) == confirmations.KNOWN_NOTHING
    assert say_as("ben", FORGET) == confirmations.FORGET_NOTHING
    assert say_as("ben", UNDO) == confirmations.UNDO_NOTHING
    assert TOWER in say_as("ann", KNOWN)


def test_the_reply_to_a_request_comes_on_the_message_stream(learner: Learner) -> None:
    graph = chat_of(learner)
    pieces = graph.stream({"messages": [("user", KNOWN)]}, thread("one"), stream_mode="messages")
    assert (
        "".join(str(piece.text) for piece, _ in pieces if isinstance(piece, AIMessage)) == confirmations.KNOWN_NOTHING
    )


def test_an_agent_replies_to_a_request_in_an_event_loop(learner: Learner) -> None:
    state = asyncio.run(agent_of(learner).ainvoke({"messages": [("user", KNOWN)]}, thread("one")))
    assert reply(state) == confirmations.KNOWN_NOTHING


@BUILDERS
def test_an_announcement_says_what_was_learned_and_no_model_reads_it(learner: Learner, build: Any) -> None:
    graph = build(learner, announce=True)
    told = say(graph, TOWER)["messages"][-1]
    assert is_announcement(told)
    assert told.text == f'Learned: "{TOWER}".'
    state = say(graph, "Hello there, nice to see you!")
    assert not is_announcement(state["messages"][-1])
    assert told.text not in reply(state)
    assert told.text not in str(learner.home.episodes("default"))
    assert say(graph, UNDO)["messages"][-1].text == f'Taken back: "{TOWER}".'


@BUILDERS
def test_a_message_of_which_only_a_secret_was_to_be_learned_is_announced_as_not_learned(
    learner: Learner, build: Any
) -> None:
    told = say(build(learner, announce=True), "sk-abcdefghijklmnopqrstuvwxyz123456")["messages"][-1]
    assert is_announcement(told)
    assert told.text == f"Not learned: {NOTHING_LEFT}."


def test_an_announcement_says_what_a_correction_replaced() -> None:
    corrected = [{"question": "When is the review?", "old": "Monday", "new": "Tuesday"}]
    told = announcement([{"topic": "review", "outcome": "accepted", "corrected": corrected}])
    assert told is not None
    assert told.text == "Corrected: review (Monday -> Tuesday)."
    assert announcement([{"topic": "review", "outcome": "ignored"}]) is None
    failed = announcement([{"topic": "review", "outcome": "failed", "reason": "nothing was changed: the disk is full"}])
    assert failed is not None
    assert failed.text == "That could not be done: nothing was changed: the disk is full."


def test_a_graph_with_a_queue_cannot_announce(learner: Learner) -> None:
    with Worker(learner) as worker:
        with pytest.raises(InputError, match="announce=True with a queue"):
            create_chat_graph(learner, worker.queue, announce=True)
        with pytest.raises(InputError, match="announce=True with a queue"):
            SelfAdaptation(learner, worker.queue, announce=True)
