"""A request to forget in the chat, with a model that names the kinds of messages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from chatting import outcomes, say
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from threads import QUESTION, TOWER, thread

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.background.worker import Budget, Worker
from seal_agent.core.episodes import Score
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Generated, Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.deciding.classifier import HEADS_FOLDER, file_name
from seal_agent.graphs import create_chat_graph
from seal_agent.learning.config import LearnerConfig
from seal_agent.learning.learner import Learner
from seal_agent.storage.database import Home

FORGET = "Please forget what I said about the Tower of Karlov and its bells."


def kind_of(text: str) -> str:
    if text.startswith(("Please forget", "I forgot")):
        return "forget"
    return "question" if text.endswith("?") else "fact"


class Naming(ScriptedBackend):
    """Names the kinds of messages."""

    def generate(self, prompts: Sequence[Prompt], **options: Any) -> list[list[Generated]]:
        if options.get("grammars"):
            return [[Generated(kind_of(prompt.asked))] for prompt in prompts]
        return super().generate(prompts, **options)

    def score(self, prompts: Sequence[Prompt], answers: Sequence[str], **options: Any) -> list[Score]:
        if {*answers} != {"yes", "no"}:
            return super().score(prompts, answers, **options)
        return [
            Score(3.0 if (a == "yes") == (TOWER in p.asked) else 0.0, 1) for p, a in zip(prompts, answers, strict=True)
        ]

    def with_stack(self, stack: AdapterStack) -> ScriptedBackend:
        view = super().with_stack(stack)
        view.__class__ = Naming
        return view


@pytest.fixture
def learner(tmp_path: Path) -> Learner:
    home = Home(tmp_path)
    (home.root / HEADS_FOLDER).mkdir()
    for test in ("kinds", "noteworthy"):
        file = f"{file_name('naming').removesuffix('.npz')}-{test}.json"
        (home.root / HEADS_FOLDER / file).write_text('{"passed": true}')
    return Learner(Naming(home.root, model="naming"), home, config=LearnerConfig(recall="both"))


@pytest.mark.slow
def test_a_request_in_the_chat_is_obeyed_and_reported(learner: Learner) -> None:
    graph = create_chat_graph(learner).compile(checkpointer=InMemorySaver())
    assert outcomes(say(graph, TOWER)) == ["accepted"]
    recalled = say(graph, QUESTION, "two")["messages"][-1].response_metadata["recalled"]
    assert [TOWER in statement for statement in recalled] == [True]
    state = say(graph, FORGET, "three")
    assert outcomes(state) == ["forgotten"]
    assert not learner.stack.entries
    assert say(graph, QUESTION, "four")["messages"][-1].response_metadata["recalled"] == []
    assert "bells" not in str(learner.home.episodes("default"))


def test_a_message_wrongly_named_a_request_to_forget_deletes_nothing_and_is_answered(learner: Learner) -> None:
    graph = create_chat_graph(learner).compile(checkpointer=InMemorySaver())
    say(graph, TOWER)
    state = say(graph, "I forgot my keys.", "two")
    assert "request" not in state["messages"][-1].response_metadata
    assert outcomes(state) == ["ignored"]
    assert [fact.text for fact in learner.state.facts()] == [TOWER]


@pytest.mark.slow
def test_a_request_in_the_queue_is_obeyed(learner: Learner) -> None:
    with Worker(learner, Budget(quiet_seconds=0)) as worker:
        graph = create_chat_graph(learner, worker.queue).compile(checkpointer=InMemorySaver())
        say(graph, TOWER)
        assert worker.wait(20)
        say(graph, FORGET, "two")
        assert worker.wait(20)
        assert [job.outcome for job in worker.queue.jobs()][-1:] == ["forgotten"]
    assert not learner.stack.entries


def test_the_day_of_a_message_is_that_of_its_timestamp(learner: Learner) -> None:
    graph = create_chat_graph(learner).compile(checkpointer=InMemorySaver())
    message = HumanMessage(TOWER, additional_kwargs={"timestamp": "2026-03-02T10:00:00"})
    graph.invoke({"messages": [message]}, thread("one"))
    assert [episode.said_on for episode in learner.home.episodes("default")] == ["2026-03-02"]
    wrong = HumanMessage(TOWER, additional_kwargs={"timestamp": "yesterday"})
    with pytest.raises(InputError, match="timestamp='yesterday' of a message is no ISO 8601 date"):
        graph.invoke({"messages": [wrong]}, thread("two"))
    state = graph.invoke({"messages": [("user", QUESTION)]}, thread("two"))  # the thread goes on
    assert [message.text for message in state["messages"]][:1] == [QUESTION]
