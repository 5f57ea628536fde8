"""The learning loop as graph nodes: decide, write, approve, train, probe, judge, amend; accept, rollback or ignore.

One verb of `Learner` per node; the edges are the arrows of ARCHITECTURE.md. `add_learning` puts the loop
into any `StateGraph` whose state extends `LearnState`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from langgraph.config import get_config, get_stream_writer
from langgraph.graph import END, START, StateGraph

from seal_agent import loop, stopping
from seal_agent.errors import InputError
from seal_agent.graphs import approval
from seal_agent.graphs.namespaces import AnyLearner, LearnContext, current
from seal_agent.graphs.state import LearnState
from seal_agent.learner import Learner
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


EDGES: dict[str, tuple[str, ...]] = {
    "decide": ("write", "ignore"),
    "write": ("approve", "train", "write", "ignore"),
    "approve": ("train", "ignore"),
    "train": ("probe", "ignore"),
    "probe": ("judge",),
    "judge": ("accept", "amend", "rollback", "probe"),
    "amend": ("probe",),
    "accept": ("consolidate", "decide", END),
    "rollback": ("decide", END),
    "ignore": ("decide", END),
    "consolidate": ("decide", END),
}
"""Where each step may lead; `loop.after` says where it does."""


def as_pending(passages: list[Passage]) -> dict[str, Any]:
    """The state update that gives the loop its passages."""
    return {"pending": [asdict(p) for p in passages], "num_passages": len(passages), "outcomes": [], "episode": {}}


def add_learning(builder: StateGraph[Any, Any, Any, Any], learner: AnyLearner) -> None:
    """Add the loop to `builder`; enter it with an edge to "decide" after `as_pending`, it leaves to END."""
    for name in ("write", "train", "probe", "judge", "amend"):
        builder.add_node(name, _step(name, learner))
    builder.add_node("decide", _opening(learner))
    builder.add_node("approve", _approve)
    for name in ("accept", "rollback", "ignore"):
        builder.add_node(name, _closing(name, learner))
    builder.add_node("consolidate", _consolidating(learner))
    for step, following in EDGES.items():
        if len(following) == 1:
            builder.add_edge(step, following[0])
        else:
            builder.add_conditional_edges(step, _after(step, learner), list(following))


def create_learning_graph(
    learner: AnyLearner, queue: LearningQueue | None = None
) -> StateGraph[LearnState, LearnContext, LearnState, LearnState]:
    """The loop alone, uncompiled: it learns what `as_pending` gives it, or leaves it to the worker of a `queue`.

    An "episode" that is begun already goes on with "write": somebody else has decided.
    """
    builder = StateGraph(LearnState, context_schema=LearnContext)
    if queue is not None:
        builder.add_node("enqueue", enqueuing(learner, queue))
        builder.add_edge(START, "enqueue")
        return builder
    add_learning(builder, learner)
    builder.add_conditional_edges(
        START, lambda state: "write" if state["episode"] else more(state), ["write", "decide", END]
    )
    return builder


def enqueuing(learner: AnyLearner, queue: LearningQueue) -> Node:
    """A node that leaves the pending passages to a worker; what is queued already is not queued again."""
    if learner.config.approval:
        raise InputError("a worker cannot ask a person; leave out the queue, or set approval=False")

    def enqueue(state: LearnState) -> dict[str, Any]:
        chosen = current(learner)
        passages = [from_json(Passage, pending) for pending in state["pending"]]
        jobs = queue.submit(passages, chosen.namespace, thread=_thread(), model=chosen.backend.model)
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


def _run(name: str, learner: Learner, episode: Episode, state: LearnState) -> Episode:
    """Run the verb of that name, timed, with its progress on the custom stream."""
    if episode.namespace != learner.namespace:
        raise InputError(f"this thread is learning for {episode.namespace!r} and was resumed for {learner.namespace!r}")
    number = state["num_passages"] - len(state["pending"]) + 1
    return _shown(name, learner, episode, number, state["num_passages"])


def _shown(name: str, learner: Learner, episode: Episode, number: int = 0, num_passages: int = 0) -> Episode:
    writer = get_stream_writer()

    def emit(what: str = "", done: int = 0, total: int = 0, seconds: float | None = None) -> None:
        stopping.check()
        writer(asdict(StepEvent(name, what, done, total, seconds, number, num_passages)))

    emit()
    ended = loop.timed(loop.verbs(learner)[name], name, episode, emit)
    emit(seconds=round(ended.seconds[name] - episode.seconds.get(name, 0.0), 3))
    return ended


def _step(name: str, learner: AnyLearner) -> Node:
    def node(state: LearnState) -> dict[str, Any]:
        return {"episode": to_json(_run(name, current(learner), from_json(Episode, state["episode"]), state))}

    return node


def _opening(learner: AnyLearner) -> Node:
    def decide(state: LearnState) -> dict[str, Any]:
        chosen = current(learner)
        episode = chosen.begin(from_json(Passage, state["pending"][0]), thread=_thread())
        return {"episode": to_json(_run("decide", chosen, episode, state))}

    return decide


def _approve(state: LearnState) -> dict[str, Any]:
    return {"episode": to_json(approval.ask(from_json(Episode, state["episode"])))}


def _closing(name: str, learner: AnyLearner) -> Node:
    def node(state: LearnState) -> dict[str, Any]:
        chosen, episode = current(learner), from_json(Episode, state["episode"])
        # A process that is killed between the verb's transaction and the checkpoint runs this node once more.
        episode = chosen.closed(episode) or _run(name, chosen, episode, state)
        return {
            "episode": to_json(episode),
            "pending": state["pending"][1:],
            "outcomes": [*state["outcomes"], report(episode)],
        }

    return node


def report(episode: Episode) -> dict[str, Any]:
    """What became of one passage, in a line of JSON; of a dry run with the rows that would be learned."""
    rows = {"rows": approval.shown(episode.edit)} if episode.outcome == "dry run" and episode.edit else {}
    return rows | {
        "topic": episode.topic,
        "outcome": episode.outcome,
        "reason": episode.reason,
        "adapter": episode.adapter.id if episode.adapter and episode.outcome == "accepted" else "",
        "seconds": round(sum(episode.seconds.values()), 2),
    }


def _after(step: str, learner: AnyLearner) -> Callable[[Any], str]:
    """The edge out of a step: where the loop goes on, or to the next passage."""

    def route(state: LearnState) -> str:
        return loop.after(current(learner), step, from_json(Episode, state["episode"])) or more(state)

    return route


def _consolidating(learner: AnyLearner) -> Node:
    def node(state: LearnState) -> dict[str, Any]:
        _shown("consolidate", current(learner), from_json(Episode, state["episode"]))
        return {}

    return node


def more(state: LearnState) -> str:
    """The edge to the next passage, or to the end where none is left."""
    return "decide" if state["pending"] else END
