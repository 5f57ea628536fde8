"""The passages that a run gives to the learning loop, and those that an earlier run of the thread left unfinished.

What was left belongs to the user who said it: nobody else's run learns it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from langgraph.config import get_config

from seal_agent.core.codec import from_json
from seal_agent.core.documents import Passage
from seal_agent.core.episodes import Episode
from seal_agent.core.errors import InputError
from seal_agent.core.outcomes import Outcome, outcome_of
from seal_agent.graphs import approval
from seal_agent.learning.learner import Learner
from seal_agent.storage.documents import digests_of
from seal_agent.storage.jobs import Job

log = logging.getLogger(__name__)
_NONE: Mapping[str, Sequence[str]] = MappingProxyType({})
MAX_BEGUN = 3  # times that a passage is begun before it is given up, or the error is told


def as_pending(
    passages: Sequence[Passage],
    speaker: str = "",
    replaced: Mapping[str, Sequence[str]] = _NONE,
    *,
    outcomes: Sequence[Outcome] = (),
) -> dict[str, Any]:
    """The state update that gives the loop its passages.

    `speaker`: the namespace they are learned in; another one is refused then. `replaced`: sources that were read
    before, with the digests of the passages that they hold now; what else was learned from them is unlearned first.
    """
    return {
        "pending": [asdict(p) for p in passages],
        "num_passages": len(passages),
        "outcomes": [outcome.to_json() for outcome in outcomes],
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
    outcomes: Sequence[Outcome] = (),
) -> dict[str, Any]:
    """As `as_pending`, after what an earlier run of this thread has left unfinished, so that no text is lost.

    `versions`: the documents that the passages come from, with the digests of all passages each holds now; `changed`:
    those of them that held others before. An edit that waits for a person is asked about again as it is, if nothing
    has changed under it; of any other the candidate is discarded and the passage begun anew. A passage that was begun
    `MAX_BEGUN` times without waiting for a person is given up, and so is one that its document does not hold any more;
    the ledger says why. Raises `InputError` where another user's passages were left: nobody else may learn them.
    """
    left = [from_json(Passage, each) for each in state.get("pending", ())]
    replaced = {**state.get("replaced", {}), **{source: versions[source] for source in changed}}
    check_speaker(learner.namespace, state, left or state.get("replaced"))
    episode = from_json(Episode, state["episode"]) if left and state.get("episode") else None
    decided = approval.decided_in_queue(learner.home, state.get("held", 0)) if episode else None
    ended = _ended(learner, episode, decided) if episode else []
    taken = [approval.taken_over(left[0].topic, decided)] if decided and not ended else []
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
    """The episode of the first passage that was left, if all that was missing is its end; else none.

    `decided`: its job, where somebody decided about it in the queue.

    An episode that has its end in the ledger and in the state is of a passage before those that were left.
    """
    closed = learner.closed(episode)
    if decided and decided.state == "cancelled" and not closed:
        return [learner.close(approval.overruled(episode, decided))]
    if episode.outcome == "open":
        return [closed] if closed else []  # it was killed after the transaction
    return [] if closed else [learner.close(episode)]  # a person said no, and it was ended before that was written


def _is_outdated(passage: Passage, versions: Mapping[str, Sequence[str]]) -> bool:
    """Whether a passage is of a document that is given anew and does not hold it any more."""
    digests = versions.get(passage.source)
    return digests is not None and digests_of([passage])[0] not in digests


def abandon(learner: Learner, state: Mapping[str, Any]) -> None:
    """Let go of the candidate of an episode that was left unfinished and is begun anew, or not at all."""
    if not state.get("episode"):
        return
    episode = from_json(Episode, state["episode"])
    if episode.adapter and episode.outcome == "open" and not learner.closed(episode):
        learner.state.discard(episode.adapter)


def is_speaker(namespace: str, state: Mapping[str, Any]) -> bool:
    """Whether what waits in the state is of the user who is speaking."""
    return state.get("speaker", "") in ("", namespace)


def check_speaker(namespace: str, state: Mapping[str, Any], left: object = True) -> None:
    """Raise `InputError` where what is `left` in the state is of another user than the one who is speaking."""
    if left and not is_speaker(namespace, state):
        raise of_another(state["speaker"], namespace)


def of_another(owner: str, namespace: str) -> InputError:
    """The error for a run that would learn what another user said; only the log names that user."""
    log.warning("a thread that is learning for %r was refused to %r", owner, namespace)
    return InputError(
        "this thread is still learning what another user said in it; go on as that user, or begin a thread of your own"
    )


def thread_of_run() -> str:
    """The id of the thread that runs; empty outside of one."""
    return str(get_config().get("configurable", {}).get("thread_id", ""))


def report(episode: Episode) -> Outcome:
    """What became of one passage; of a dry run with the rows that would be learned."""
    rows = tuple(approval.shown(episode.edit)) if episode.outcome == "dry run" and episode.edit else ()
    return outcome_of(episode, rows)
