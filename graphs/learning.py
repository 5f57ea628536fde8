"""The learning loop as graph nodes: decide, write, train, probe, judge, amend, then accept, rollback or ignore.

One verb of `Learner` per node; the edges are the arrows of ARCHITECTURE.md. `add_learning` puts the loop
into any `StateGraph` whose state extends `LearnState`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from langgraph.config import get_config, get_stream_writer
from langgraph.graph import END, StateGraph

from seal_agent.graphs.state import LearnState
from seal_agent.learner import Learner, Verb
from seal_agent.passages import Passage
from seal_agent.queue import LearningQueue
from seal_agent.types import Episode, from_json, to_json

Node = Any  # a function of the state; langgraph's own node type takes no state that extends another


@dataclass(frozen=True)
class StepEvent:
    """A custom stream event: one step has begun, moved on or (`seconds` given) ended."""

    step: str
    what: str = ""
    done: int = 0
    total: int = 0
    seconds: float | None = None
    passage: int = 0
    num_passages: int = 0


def as_pending(passages: list[Passage]) -> dict[str, Any]:
    """The state update that gives the loop its passages."""
    return {"pending": [asdict(p) for p in passages], "num_passages": len(passages), "outcomes": [], "episode": {}}


def add_learning(builder: StateGraph[Any, Any, Any, Any], learner: Learner) -> None:
    """Add the loop to `builder`; enter it with an edge to "decide" after `as_pending`, it leaves to END."""
    for name, verb in (
        ("write", learner.write),
        ("train", learner.train),
        ("probe", learner.probe),
        ("judge", learner.judge),
        ("amend", learner.amend),
    ):
        builder.add_node(name, _step(name, verb))
    builder.add_node("decide", _opening(learner))
    for name, verb in (("accept", learner.accept), ("rollback", learner.rollback), ("ignore", learner.ignore)):
        builder.add_node(name, _closing(name, verb))
    builder.add_node("consolidate", _consolidating(learner))
    builder.add_conditional_edges("accept", _after_accept(learner), ["consolidate", "decide", END])
    for name in ("rollback", "ignore", "consolidate"):
        builder.add_conditional_edges(name, _more, ["decide", END])
    builder.add_conditional_edges("decide", _after_decide, ["write", "ignore"])
    builder.add_conditional_edges("write", _after_write(learner), ["train", "write", "ignore"])
    builder.add_conditional_edges("train", _after_train, ["probe", "ignore"])
    builder.add_edge("probe", "judge")
    builder.add_edge("amend", "probe")
    builder.add_conditional_edges("judge", _after_judge(learner), ["accept", "amend", "rollback", "probe"])


def enqueuing(learner: Learner, queue: LearningQueue) -> Node:
    """A node that leaves the pending passages to a worker; what is queued already is not queued again."""

    def enqueue(state: LearnState) -> dict[str, Any]:
        passages = [from_json(Passage, pending) for pending in state["pending"]]
        jobs = queue.submit(passages, learner.namespace, thread=_thread(), model=learner.backend.model)
        outcomes = [
            {
                "topic": passage.topic,
                "outcome": "queued",
                "reason": f"job {job}",
                "adapter": "",
                "seconds": 0.0,
                "job": job,
            }
            for passage, job in zip(passages, jobs, strict=True)
        ]
        return {"pending": [], "outcomes": outcomes}

    return enqueue


def _thread() -> str:
    return str(get_config().get("configurable", {}).get("thread_id", ""))


def _run(name: str, verb: Verb, episode: Episode, state: LearnState) -> Episode:
    """Run one verb, timed, with its progress on the custom stream."""
    number = state["num_passages"] - len(state["pending"]) + 1
    writer = get_stream_writer()

    def emit(what: str = "", done: int = 0, total: int = 0, seconds: float | None = None) -> None:
        writer(asdict(StepEvent(name, what, done, total, seconds, number, state["num_passages"])))

    emit()
    start = time.perf_counter()
    episode = verb(episode, emit)
    seconds = time.perf_counter() - start
    emit(seconds=round(seconds, 3))
    return episode.timed(name, seconds)


def _step(name: str, verb: Verb) -> Node:
    def node(state: LearnState) -> dict[str, Any]:
        return {"episode": to_json(_run(name, verb, from_json(Episode, state["episode"]), state))}

    return node


def _opening(learner: Learner) -> Node:
    def decide(state: LearnState) -> dict[str, Any]:
        episode = learner.begin(from_json(Passage, state["pending"][0]), thread=_thread())
        return {"episode": to_json(_run("decide", learner.decide, episode, state))}

    return decide


def _closing(name: str, verb: Verb) -> Node:
    def node(state: LearnState) -> dict[str, Any]:
        episode = _run(name, verb, from_json(Episode, state["episode"]), state)
        return {
            "episode": to_json(episode),
            "pending": state["pending"][1:],
            "outcomes": [*state["outcomes"], report(episode)],
        }

    return node


def report(episode: Episode) -> dict[str, Any]:
    """What became of one passage, in a line of JSON."""
    reason = episode.fault
    if episode.verdict:
        reason = episode.verdict.reason
    elif not reason and episode.decision:
        reason = episode.decision.reason
    return {
        "topic": episode.topic,
        "outcome": episode.outcome,
        "reason": reason,
        "adapter": episode.adapter.id if episode.adapter and episode.outcome == "accepted" else "",
        "seconds": round(sum(episode.seconds.values()), 2),
    }


def _after_decide(state: LearnState) -> str:
    decision = from_json(Episode, state["episode"]).decision
    return "write" if decision and decision.learn else "ignore"


def _after_write(learner: Learner) -> Callable[[Any], str]:
    def route(state: LearnState) -> str:
        episode = from_json(Episode, state["episode"])
        if episode.edit:
            return "train"
        return "write" if learner.can_retry(episode) else "ignore"

    return route


def _after_train(state: LearnState) -> str:
    return "probe" if state["episode"]["adapter"] else "ignore"


def _after_judge(learner: Learner) -> Callable[[Any], str]:
    def route(state: LearnState) -> str:
        episode = from_json(Episode, state["episode"])
        outcome = episode.verdict.outcome if episode.verdict else "rollback"
        if outcome in ("accept", "undecided"):
            return "accept" if outcome == "accept" else "probe"
        return "amend" if learner.can_amend(episode) else "rollback"

    return route


def _after_accept(learner: Learner) -> Callable[[Any], str]:
    def route(state: LearnState) -> str:
        return "consolidate" if learner.can_consolidate() else _more(state)

    return route


def _consolidating(learner: Learner) -> Node:
    def node(_state: LearnState) -> dict[str, Any]:
        writer = get_stream_writer()

        def emit(what: str = "", done: int = 0, total: int = 0, seconds: float | None = None) -> None:
            writer(asdict(StepEvent("consolidate", what, done, total, seconds)))

        emit()
        start = time.perf_counter()
        learner.consolidate(emit)
        emit(seconds=round(time.perf_counter() - start, 3))
        return {}

    return node


def _more(state: LearnState) -> str:
    return "decide" if state["pending"] else END
