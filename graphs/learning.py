"""The learning loop as graph nodes: decide, write, approve, train, probe, judge; accept, reject or close.

One step of `Learner` per node; the edges are those of docs/from-message-to-adapter.md. `add_learning` puts the loop
into any `StateGraph` whose state extends `LearnState`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from langgraph.config import get_config, get_stream_writer
from langgraph.graph import END, START, StateGraph

from seal_agent.core import interruption
from seal_agent.core.codec import from_json, to_json
from seal_agent.core.documents import Passage
from seal_agent.core.episodes import Episode
from seal_agent.core.errors import ContextLengthExceeded, InputError, StackChanged
from seal_agent.graphs import approval
from seal_agent.graphs.namespaces import AnyLearner, LearnContext, current, speaking
from seal_agent.graphs.state import LearnState
from seal_agent.learning import loop
from seal_agent.learning.learner import Learner
from seal_agent.storage.documents import digests_of
from seal_agent.storage.jobs import Job, LearningQueue
from seal_agent.unlearning.forget import replace_version

log = logging.getLogger(__name__)
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
    "decide": ("write", "close"),
    "write": ("approve", "train", "write", "close"),
    "approve": ("train", "close", ASK_AGAIN, "decide", END),
    ASK_AGAIN: ("approve",),
    "train": ("probe", "close"),
    "probe": ("judge",),
    "judge": ("accept", "apply_remedy", "reject", "probe"),
    "apply_remedy": ("probe",),
    "accept": ("consolidate", "decide", END),
    "reject": ("decide", END),
    "close": ("decide", END),
    "consolidate": ("decide", END),
}
"""The possible successors of each step; `loop.after` chooses one."""


ENTRIES = ("write", "approve", "decide", END)
_NONE: Mapping[str, Sequence[str]] = MappingProxyType({})
MAX_BEGUN = 3  # begins of a passage before it is given up or the error is raised


def as_pending(
    passages: Sequence[Passage],
    speaker: str = "",
    replaced: Mapping[str, Sequence[str]] = _NONE,
    *,
    outcomes: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """The state update that gives passages to the loop.

    `speaker`: the namespace they are learned in; runs of other users are refused meanwhile. `replaced`: documents read
    before, with the digests of the passages they hold now; their other passages are unlearned first.
    """
    return {
        "pending": [asdict(p) for p in passages],
        "num_passages": len(passages),
        "outcomes": list(outcomes),
        "episode": {},
        "speaker": speaker,
        "replaced": {source: list(keep) for source, keep in replaced.items()},
        "num_begun": 0,
        "held": 0,
    }


def carried(
    learner: Learner,
    state: Mapping[str, Any],
    passages: Sequence[Passage],
    versions: Mapping[str, Sequence[str]] = _NONE,
    *,
    changed: Collection[str] = (),
    outcomes: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """As `as_pending`, after the passages that an earlier run of this thread left unfinished, so that no text is lost.

    `versions`: the documents of the passages, with the digests of all passages that each holds now; `changed`: those
    that held others before. An edit that waits for a person is asked about again if nothing changed below it. The
    candidate of any other unfinished episode is discarded and its passage begun anew. A passage is given up, with the
    reason in the ledger, if it was begun `MAX_BEGUN` times without waiting for a person, or if its document does not
    hold it any more. Raises `InputError` if the unfinished passages belong to another user.
    """
    left = [from_json(Passage, each) for each in state.get("pending", ())]
    replaced = {**state.get("replaced", {}), **{source: versions[source] for source in changed}}
    check_speaker(learner.namespace, state, left or state.get("replaced"))
    episode = from_json(Episode, state["episode"]) if left and state.get("episode") else None
    decided = approval.decided_in_queue(learner.home, state.get("held", 0)) if episode else None
    ended = _ended(learner, episode, decided) if episode else []
    taken = [told(*approval.taken_over(left[0].topic, decided))] if decided and not ended else []
    waits = learner.config.approval and (episode is None or approval.is_waiting(episode))
    num_begun = 0 if ended or taken or waits or not left else state.get("num_begun", 0) + 1
    kept = left[len(ended) + len(taken) :]
    if num_begun >= MAX_BEGUN:
        ended.append(learner.give_up(kept.pop(0), f"it was begun {num_begun} times", thread=thread_of_run()))
        num_begun = 0
    for passage in [each for each in kept if _is_outdated(each, versions)]:
        kept.remove(passage)
        ended.append(learner.give_up(passage, "its document was changed before it was learned", thread=thread_of_run()))
        replaced[passage.source] = versions[passage.source]
    for episode_ended in ended:
        approval.let_go(learner.home, episode_ended)
    goes_on = bool(kept) and kept[0] == left[0] and not replaced and approval.can_go_on(learner, episode)
    if not goes_on:
        abandon(learner, state)
    known = {(passage.text, passage.source) for passage in kept}
    fresh = [passage for passage in passages if (passage.text, passage.source) not in known]
    reports = [*map(report, ended), *taken, *outcomes]
    update = as_pending([*kept, *fresh], learner.namespace, replaced, outcomes=reports)
    going_on = {"episode": state["episode"], "held": state.get("held", 0)} if goes_on else {}
    return {**update, **going_on, "num_begun": num_begun}


def _ended(learner: Learner, episode: Episode, decided: Job | None) -> list[Episode]:
    """The closed episode of the first unfinished passage, if only closing it was missing; else an empty list.

    `decided`: its job, if it was approved or cancelled in the queue. An episode that is closed in the ledger and in the
    state belongs to an earlier passage.
    """
    closed = learner.closed(episode)
    if decided and decided.state == "cancelled" and not closed:
        return [learner.close(approval.overruled(episode, decided))]
    if episode.outcome == "open":
        return [closed] if closed else []  # the process was killed after the transaction
    return [] if closed else [learner.close(episode)]  # a person declined, and the process ended before that was stored


def _is_outdated(passage: Passage, versions: Mapping[str, Sequence[str]]) -> bool:
    """Whether a newer version of the passage's document does not hold it any more."""
    digests = versions.get(passage.source)
    return digests is not None and digests_of([passage])[0] not in digests


def abandon(learner: Learner, state: Mapping[str, Any]) -> None:
    """Discard the candidate of an unfinished episode, whose passage is begun anew or given up."""
    if not state.get("episode"):
        return
    episode = from_json(Episode, state["episode"])
    if episode.adapter and episode.outcome == "open" and not learner.closed(episode):
        learner.state.discard(episode.adapter)


def _is_speaker(namespace: str, state: Mapping[str, Any]) -> bool:
    """Whether the passages in the state belong to the user of this run."""
    return state.get("speaker", "") in ("", namespace)


def check_speaker(namespace: str, state: Mapping[str, Any], left: object = True) -> None:
    """Raise `InputError` if what is `left` in the state belongs to another user than that of this run."""
    if left and not _is_speaker(namespace, state):
        raise _of_another(state["speaker"], namespace)


def _of_another(owner: str, namespace: str) -> InputError:
    """The error for a run that would learn another user's text; only the log names that user."""
    log.warning("a thread that is learning for %r was refused for a run of %r", owner, namespace)
    return InputError(
        "this thread still learns the text of another user; continue as that user, or begin a thread of your own"
    )


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


def add_learning(builder: StateGraph[Any, Any, Any, Any], learner: AnyLearner) -> None:
    """Add the loop to `builder`. Enter it by `entry` after `as_pending` or `carried`; it leaves to END."""
    builder.add_node("unlearn", _unlearning(learner))
    builder.add_conditional_edges("unlearn", entry, list(ENTRIES))
    for name in ("write", "train", "probe", "judge", "apply_remedy"):
        builder.add_node(name, _step(name, learner))
    builder.add_node("decide", _opening(learner))
    builder.add_node("approve", _approving(learner))
    builder.add_node(ASK_AGAIN, _asking_again(learner))
    for name in ("accept", "reject", "close"):
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
        return {"pending": [], "replaced": {}, "outcomes": [*state.get("outcomes", []), *outcomes]}

    return enqueue


def thread_of_run() -> str:
    """The id of the running thread; "" outside a run."""
    return str(get_config().get("configurable", {}).get("thread_id", ""))


def _run(name: str, learner: Learner, episode: Episode, state: LearnState) -> Episode:
    """Run a step with its duration and its progress on the custom stream."""
    if episode.namespace != learner.namespace:
        raise _of_another(episode.namespace, learner.namespace)
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
        elif not _is_speaker(speaking(learner), state):
            return {}
        elif decided.state == "cancelled":
            answered = approval.overruled(episode, decided)
        else:
            report_of_job = told(*approval.taken_over(episode.topic, decided))
            outcomes = [*state["outcomes"], report_of_job]
            return {"episode": {}, "held": 0, "pending": state["pending"][1:], "outcomes": outcomes, "num_begun": 0}
        if not _is_speaker(speaking(learner), state):
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
        if chosen.config.approval:
            approval.let_go(chosen.home, episode)
        return {
            "episode": to_json(episode),
            "pending": state["pending"][1:],
            "outcomes": [*state["outcomes"], report(episode)],
            "num_begun": 0,
            "held": 0,
        }

    return node


def report(episode: Episode) -> dict[str, Any]:
    """The result of one passage as JSON; of a dry run also the rows that would be learned."""
    rows = {"rows": approval.shown(episode.edit)} if episode.outcome == "dry run" and episode.edit else {}
    return rows | {
        "topic": episode.topic,
        "outcome": episode.outcome,
        "reason": episode.reason,
        "adapter": episode.adapter.id if episode.adapter and episode.outcome == "accepted" else "",
        "seconds": round(sum(episode.seconds.values()), 2),
    }


def _after(step: str, learner: AnyLearner) -> Callable[[Any], str]:
    """The edge out of a step: to the next step of the loop, or to the next passage."""

    def route(state: LearnState) -> str:
        if not state["episode"]:
            return more(state)
        if step == "approve" and not _is_speaker(speaking(learner), state):
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
                became = ("dry run", "what is no longer in the document would be forgotten")
            else:
                became = replace_version(chosen.state, source, keep)
            reports.append(told(source, *became))
        return {"outcomes": [*state["outcomes"], *reports], "replaced": {}}

    return unlearn


def _consolidating(learner: AnyLearner) -> Node:
    def node(state: LearnState) -> dict[str, Any]:
        _shown("consolidate", current(learner), from_json(Episode, state["episode"]))
        return {}

    return node


def told(topic: str, outcome: str, reason: str) -> dict[str, Any]:
    """A report in the form of `report` for something without an episode."""
    return {"topic": topic, "outcome": outcome, "reason": reason, "adapter": "", "seconds": 0.0}


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
