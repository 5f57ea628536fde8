"""A run that was ended: what it left is learned first in the next, and given up when it ends every run."""

from typing import Any

import pytest
from chatting import BRIDGE, DOCUMENT, say
from langgraph.checkpoint.memory import InMemorySaver
from threads import GREETING, TOWER, thread

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.episodes import Episode
from seal_agent.graphs import create_chat_graph, create_ingest_graph
from seal_agent.learning.learner import Learner
from seal_agent.storage.database import Home
from seal_agent.storage.jobs import LearningQueue


class Ended(Learner):
    """Is ended in the step that is named; `num_ended` times."""

    step = ""
    num_ended = 0

    def _run(self, step: str, episode: Episode, *rest: Any) -> Episode:
        done: Episode = getattr(Learner, step)(self, episode, *rest)
        if step == self.step and self.num_ended:
            self.num_ended -= 1
            raise KeyboardInterrupt
        return done

    def decide(self, *given: Any) -> Episode:
        return self._run("decide", *given)

    def probe(self, *given: Any) -> Episode:
        return self._run("probe", *given)

    def accept(self, *given: Any, **options: Any) -> Episode:
        return self._run("accept", *given)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["decide", "probe", "accept"])
def test_what_a_run_that_was_ended_has_left_is_learned_first_in_the_next(
    backend: ScriptedBackend, home: Home, step: str
) -> None:
    learner = Ended(backend, home)
    learner.step, learner.num_ended = step, 1
    chat = create_chat_graph(learner).compile(checkpointer=InMemorySaver())
    with pytest.raises(KeyboardInterrupt):
        say(chat, TOWER)
    outcomes = say(chat, BRIDGE)["outcomes"]
    assert [o["outcome"] for o in outcomes] == ["accepted", "accepted"]
    ledger = home.episodes("default")
    assert [e.text for e in ledger] == [TOWER, BRIDGE]
    kept = [e.adapter.id for e in ledger if e.adapter]
    assert sorted(path.name for path in learner.state.registry.root.iterdir()) == sorted(kept)


@pytest.mark.slow
def test_a_run_that_is_ended_between_two_passages_loses_neither(learner: Learner) -> None:
    given = {"document": "\n\n".join(DOCUMENT.split("\n\n")[:4]), "source": "one"}
    whole = create_ingest_graph(learner).compile(checkpointer=InMemorySaver(), interrupt_after=["accept"])
    whole.invoke(given, thread("one"))
    state = whole.invoke({"document": BRIDGE, "source": "two"}, thread("one"))
    while whole.get_state(thread("one")).next:
        state = whole.invoke(None, thread("one"))
    assert [o["outcome"] for o in state["outcomes"]] == ["accepted", "accepted"]
    ledger = learner.home.episodes("default")
    assert [(e.source, e.text[:12]) for e in ledger] == [
        ("one", "The Tower 10"),
        ("one", "The Tower 11"),
        ("two", "The Amber Br"),
    ]


@pytest.mark.slow
def test_what_was_ended_three_times_is_given_up_and_the_thread_goes_on(backend: ScriptedBackend, home: Home) -> None:
    learner = Ended(backend, home)
    learner.step, learner.num_ended = "probe", 3
    chat = create_chat_graph(learner).compile(checkpointer=InMemorySaver())
    for text in (TOWER, GREETING, GREETING):
        with pytest.raises(KeyboardInterrupt):
            say(chat, text)
    first = say(chat, BRIDGE)["outcomes"][0]
    assert (first["outcome"], first["reason"]) == ("rejected", "given up: it was begun 3 times")
    assert [e.text for e in home.episodes("default")] == [TOWER, GREETING, BRIDGE]
    assert [e.outcome for e in home.episodes("default")] == ["rejected", "ignored", "accepted"]


def test_what_was_not_queued_when_the_run_ended_is_queued_with_the_next(learner: Learner) -> None:
    queue = LearningQueue(learner.home)
    chat = create_chat_graph(learner, queue).compile(checkpointer=InMemorySaver(), interrupt_before=["enqueue"])
    say(chat, TOWER)
    say(chat, BRIDGE)
    chat.invoke(None, thread("one"))
    assert [job.passage.text for job in queue.jobs()] == [TOWER, BRIDGE]
