"""The passages that a run gives to the learning loop, and those that an earlier run of the thread left unfinished.

An unfinished passage belongs to the user who sent it; a run of another user does not learn it.
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
MAX_BEGUN = 3  # how often a passage is begun before it is given up, or the error is raised


def as_pending(
    passages: Sequence[Passage],
    speaker: str = "",
    replaced: Mapping[str, Sequence[str]] = _NONE,
    *,
    outcomes: Sequence[Outcome] = (),
) -> dict[str, Any]:
    """The state update that gives passages to the loop.

    `speaker`: the namespace in which they are learned; runs of other users are refused until that is done. `replaced`:
    changed documents, each with the digests of the passages that it contains now; its other passages are unlearned
    first. `outcomes`: the reports so far.
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
    """As `as_pending`, with the passages that an earlier run of this thread left unfinished before the new ones.

    `versions`: the documents of the passages, with the digests of all passages that each contains now; `changed`: the
    documents that contained other passages before. If an edit waits for a person, the question is asked again, unless
    the stack changed since. The candidate of any other unfinished episode is discarded, and its passage begins again. A
    passage is given up, with the reason in the ledger, after `MAX_BEGUN` attempts without waiting for a person, or if
    its document does not contain it any more. Raises `InputError` if the unfinished passages belong to another user.
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
        approval.withdraw(learner.home, episode_ended)
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
    """The closed episode of the first unfinished passage, if nothing but closing it was left to do; else an empty list.

    `decided`: the passage's job, if it was approved or cancelled in the queue. An episode that is closed both in the
    ledger and in the state belongs to an earlier passage.
    """
    closed = learner.closed(episode)
    if decided and decided.state == "cancelled" and not closed:
        return [learner.close(approval.overruled(episode, decided))]
    if episode.outcome == "open":
        return [closed] if closed else []  # the process was killed after the transaction
    return [] if closed else [learner.close(episode)]  # a person declined, and the process ended before that was stored


def _is_outdated(passage: Passage, versions: Mapping[str, Sequence[str]]) -> bool:
    """Whether the passage's document has a newer version that does not contain the passage."""
    digests = versions.get(passage.source)
    return digests is not None and digests_of([passage])[0] not in digests


def abandon(learner: Learner, state: Mapping[str, Any]) -> None:
    """Discard the candidate of an unfinished episode, because its passage begins again or is given up."""
    if not state.get("episode"):
        return
    episode = from_json(Episode, state["episode"])
    if episode.adapter and episode.outcome == "open" and not learner.closed(episode):
        learner.state.discard(episode.adapter)


def is_speaker(namespace: str, state: Mapping[str, Any]) -> bool:
    """Whether the passages in the state belong to the user of this run."""
    return state.get("speaker", "") in ("", namespace)


def check_speaker(namespace: str, state: Mapping[str, Any], left: object = True) -> None:
    """Raise `InputError` if the state has something `left` to do that belongs to another user than this run."""
    if left and not is_speaker(namespace, state):
        raise of_another(state["speaker"], namespace)


def of_another(owner: str, namespace: str) -> InputError:
    """The error for a run that would learn another user's text; only the log names that user."""
    log.warning("a thread that is learning for %r was refused for a run of %r", owner, namespace)
    return InputError(
        "this thread still learns the text of another user; continue as that user, or begin a thread of your own"
    )


def thread_of_run() -> str:
    """The id of the running thread; "" outside a run."""
    return str(get_config().get("configurable", {}).get("thread_id", ""))


def report(episode: Episode) -> Outcome:
    """The report of one passage, from its closed episode; of a dry run also the rows that would be learned."""
    rows = tuple(approval.shown(episode.edit)) if episode.outcome == "dry run" and episode.edit else ()
    return outcome_of(episode, rows)
