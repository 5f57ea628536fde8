"""The learning loop as graph nodes: decide, write, approve, train, probe, judge; accept, reject or close.

One step of `Learner` per node; the edges are those of docs/from-message-to-adapter.md. `add_learning` puts the loop
into any `StateGraph` whose state extends `LearnState`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph

from seal_agent.core import interruption
from seal_agent.core.codec import from_json, to_json
from seal_agent.core.documents import Passage
from seal_agent.core.episodes import Episode
from seal_agent.core.errors import ContextLengthExceeded, InputError, StackChanged
from seal_agent.core.outcomes import Outcome
from seal_agent.graphs import approval
from seal_agent.graphs.namespaces import AnyLearner, LearnContext, current, speaking
from seal_agent.graphs.pending import (
    MAX_BEGUN,
    carried,
    check_speaker,
    is_speaker,
    of_another,
    report,
    thread_of_run,
)
from seal_agent.graphs.pending import as_pending as as_pending  # where it is documented
from seal_agent.graphs.state import LearnState
from seal_agent.learning import loop
from seal_agent.learning.learner import Learner
from seal_agent.storage.jobs import LearningQueue
from seal_agent.unlearning.asked import asks_for_change, carry_out
from seal_agent.unlearning.forget import replace_version

Node = Any  # LangGraph's own node type refuses functions of an extended state


@dataclass(frozen=True)
class StepEvent:
    """A custom stream event: a step has begun, progressed or (if `seconds` is set) ended."""

    step: str
    what: str = ""
    done: int = 0
    total: int = 0
    seconds: float | None = None
    passage: int = 0
    num_passages: int = 0


ASK_AGAIN = "ask again"
"""Target for the answer of another user: the answer is refused, and the question is asked again."""
REFUSE = "refuse"
"""Target for a run that is refused, after its input was removed from the state."""
EDGES: dict[str, tuple[str, ...]] = {
    "decide": ("write", "remember", "close"),
    "write": ("approve", "train", "write", "remember", "close"),
    "approve": ("train", "close", ASK_AGAIN, "decide", END),
    ASK_AGAIN: ("approve",),
    "train": ("probe", "remember", "close"),
    "probe": ("judge",),
    "judge": ("accept", "apply_remedy", "remember", "reject", "probe"),
    "apply_remedy": ("probe",),
    "accept": ("consolidate", "decide", END),
    "remember": ("decide", END),
    "reject": ("decide", END),
    "close": ("decide", END),
    "consolidate": ("decide", END),
}
"""The possible successors of each step; `loop.after` chooses one."""


ENTRIES = ("write", "approve", "decide", END)


def refusal(error: InputError) -> list[str]:
    """An error as it is stored in the state until the node that raises it runs."""
    return [type(error).__name__, str(error)]


def refusing(learner: AnyLearner) -> Node:
    """A node that raises the stored `InputError` of a refused run; unfinished passages stay in the state."""

    def refuse(state: LearnState) -> dict[str, Any]:
        chosen = current(learner)
        check_speaker(chosen.namespace, state, state.get("pending") or state.get("replaced"))
        if state.get("refused"):
            kind, said = state["refused"]
            raise ContextLengthExceeded(said) if kind == ContextLengthExceeded.__name__ else InputError(said)
        return carried(chosen, state, ())

    return refuse


def add_learning(builder: StateGraph[Any, Any, Any, Any], learner: AnyLearner, leaves_to: str = END) -> None:
    """Add the loop to `builder`. Enter it by `entry` after `as_pending` or `carried`; it leaves to `leaves_to`."""
    builder.add_node("unlearn", _unlearning(learner))
    builder.add_conditional_edges("unlearn", entry, targets(ENTRIES, leaves_to))
    for name in ("write", "train", "probe", "judge", "apply_remedy"):
        builder.add_node(name, _step(name, learner))
    builder.add_node("decide", _opening(learner))
    builder.add_node("approve", _approving(learner))
    builder.add_node(ASK_AGAIN, _asking_again(learner))
    for name in ("accept", "remember", "reject", "close"):
        builder.add_node(name, _closing(name, learner))
    builder.add_node("consolidate", _consolidating(learner))
    for step, following in EDGES.items():
        if len(following) == 1:
            builder.add_edge(step, following[0])
        else:
            builder.add_conditional_edges(step, _after(step, learner), targets(following, leaves_to))


def targets(names: Sequence[str], leaves_to: str = END) -> dict[Hashable, str]:
    """The targets of an edge of the loop, with the node to which the loop leaves for END."""
    return {name: leaves_to if name == END else name for name in names}


def create_learning_graph(
    learner: AnyLearner, queue: LearningQueue | None = None
) -> StateGraph[LearnState, LearnContext, LearnState, LearnState]:
    """The loop alone, uncompiled: it learns the passages of `as_pending`, or gives them to the worker of a `queue`.

    An "episode" in the input continues with "write", or with "approve" if its edit is written.
    """
    builder = StateGraph(LearnState, context_schema=LearnContext)
    if queue is not None:
        builder.add_node("enqueue", enqueuing(learner, queue))
        builder.add_edge(START, "enqueue")
        return builder
    add_learning(builder, learner)
    builder.add_conditional_edges(START, entry, ["unlearn", *ENTRIES])
    return builder


def enqueuing(learner: AnyLearner, queue: LearningQueue) -> Node:
    """A node that queues the pending passages for a worker; those already in the queue are skipped."""
    if learner.config.approval:
        raise InputError("a worker cannot ask a person; build the graph without a queue, or set approval=False")

    def enqueue(state: LearnState) -> dict[str, Any]:
        chosen = current(learner)
        check_speaker(chosen.namespace, state)
        passages = [from_json(Passage, pending) for pending in state["pending"]]
        jobs = queue.submit(
            passages,
            chosen.namespace,
            thread=thread_of_run(),
            model=chosen.backend.model,
            versions=state.get("replaced", {}),
        )
        outcomes = [
            Outcome(passage.topic, "queued", f"job {job}", job=job).to_json()
            for passage, job in zip(passages, jobs, strict=True)
        ]
        return {"pending": [], "replaced": {}, "outcomes": [*state.get("outcomes", []), *outcomes]}

    return enqueue


def _run(name: str, learner: Learner, episode: Episode, state: LearnState) -> Episode:
    """Run a step with its duration and its progress on the custom stream."""
    if episode.namespace != learner.namespace:
        raise of_another(episode.namespace, learner.namespace)
    number = state["num_passages"] - len(state["pending"]) + 1
    return _shown(name, learner, episode, number, state["num_passages"])


def _shown(name: str, learner: Learner, episode: Episode, number: int = 0, num_passages: int = 0) -> Episode:
    writer = get_stream_writer()

    def emit(what: str = "", done: int = 0, total: int = 0, seconds: float | None = None) -> None:
        interruption.check()
        writer(asdict(StepEvent(name, what, done, total, seconds, number, num_passages)))

    emit()
    ended = loop.timed(loop.verbs(learner)[name], name, episode, emit)
    emit(seconds=round(ended.seconds[name] - episode.seconds.get(name, 0.0), 3))
    return ended


def _step(name: str, learner: AnyLearner) -> Node:
    def node(state: LearnState) -> dict[str, Any]:
        chosen = current(learner)
        episode = _run(name, chosen, from_json(Episode, state["episode"]), state)
        update = {"episode": to_json(episode)}
        if loop.after(chosen, name, episode) == "approve":
            return {**update, "held": approval.hold(chosen.home, chosen.backend.model, episode)}
        return update

    return node


def _opening(learner: AnyLearner) -> Node:
    def decide(state: LearnState) -> dict[str, Any]:
        chosen = current(learner)
        check_speaker(chosen.namespace, state)
        episode = chosen.begin(from_json(Passage, state["pending"][0]), thread=thread_of_run())
        return {"episode": to_json(_run("decide", chosen, episode, state))}

    return decide


def _approving(learner: AnyLearner) -> Node:
    def approve(state: LearnState) -> dict[str, Any]:
        episode = from_json(Episode, state["episode"])
        decided = approval.decided_in_queue(learner.home, state.get("held", 0))
        if decided is None:
            answered = approval.ask(episode)
        elif not is_speaker(speaking(learner), state):
            return {}
        elif decided.state == "cancelled":
            answered = approval.overruled(episode, decided)
        else:
            outcomes = [*state["outcomes"], approval.taken_over(episode.topic, decided).to_json()]
            return {"episode": {}, "held": 0, "pending": state["pending"][1:], "outcomes": outcomes, "num_begun": 0}
        if not is_speaker(speaking(learner), state):
            return {}  # use the answer up: it must not count for a later run of the thread
        return {"episode": to_json(answered)}

    return approve


def _asking_again(learner: AnyLearner) -> Node:
    def ask_again(state: LearnState) -> dict[str, Any]:
        check_speaker(speaking(learner), state)
        return {}

    return ask_again


def _closing(name: str, learner: AnyLearner) -> Node:
    def node(state: LearnState) -> dict[str, Any]:
        chosen, episode = current(learner), from_json(Episode, state["episode"])
        # A process killed between the step's transaction and the checkpoint runs this node again.
        try:
            episode = chosen.closed(episode) or _run(name, chosen, episode, state)
        except StackChanged:
            if state.get("num_begun", 0) + 1 >= MAX_BEGUN:
                raise
            return {"episode": {}, "num_begun": state.get("num_begun", 0) + 1}  # decide anew
        is_request = name == "close" and asks_for_change(episode)
        outcome = carry_out(chosen.state, episode) if is_request else report(episode)
        if chosen.config.approval:
            approval.withdraw(chosen.home, episode)
        return {
            "episode": to_json(episode),
            "pending": state["pending"][1:],
            "outcomes": [*state["outcomes"], outcome.to_json()],
            "num_begun": 0,
            "held": 0,
        }

    return node


def _after(step: str, learner: AnyLearner) -> Callable[[Any], str]:
    """The edge out of a step: to the next step of the loop, or to the next passage."""

    def route(state: LearnState) -> str:
        if not state["episode"]:
            return more(state)
        if step == "approve" and not is_speaker(speaking(learner), state):
            return ASK_AGAIN
        return loop.after(current(learner), step, from_json(Episode, state["episode"])) or more(state)

    return route


def _unlearning(learner: AnyLearner) -> Node:
    """A node that unlearns passages that changed documents do not hold any more."""

    def unlearn(state: LearnState) -> dict[str, Any]:
        chosen = current(learner)
        check_speaker(chosen.namespace, state)
        reports = []
        for source, keep in state["replaced"].items():
            if chosen.config.dry_run:
                became = ("dry run", "passages that the document does not contain any more would be forgotten")
            else:
                became = replace_version(chosen.state, source, keep)
            reports.append(Outcome(source, *became).to_json())
        return {"outcomes": [*state["outcomes"], *reports], "replaced": {}}

    return unlearn


def _consolidating(learner: AnyLearner) -> Node:
    def node(state: LearnState) -> dict[str, Any]:
        _shown("consolidate", current(learner), from_json(Episode, state["episode"]))
        return {}

    return node


def entry(state: LearnState) -> str:
    """The edge into the loop: unlearn outdated passages first, then continue an unfinished episode."""
    if state.get("replaced"):
        return "unlearn"
    if state["episode"]:
        return "approve" if state["episode"].get("edit") else "write"
    return more(state)


def more(state: LearnState) -> str:
    """The edge to the next passage, or to the end if there is none."""
    return "decide" if state["pending"] else END
