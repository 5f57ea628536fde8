"""The state machine of an episode: the next step for each step and result. Graphs and workers use it.

   decide ─► write ─► (approve) ─► train ─► probe ─► judge ─► accept ─► consolidate
                                              ▲        │
                                              └────────┴─ apply_remedy: an edit that forgets

   close:    after decide, write, approve or train, if nothing is learned
   reject:   after judge, if the candidate is not accepted and no remedy is left
   remember: the text itself is served; after decide with recall="text", else in place of close and reject
             with recall="both"

It knows no graph and no queue; `run` executes the loop without either.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from seal_agent.core.backend import silent
from seal_agent.core.episodes import Episode, Progress
from seal_agent.core.errors import InputError

if TYPE_CHECKING:
    from seal_agent.learning.learner import Learner, Verb

FIRST = "decide"
REFUSED = "refused:"  # the beginning of the fault of an edit that `before_learn` refused
OnStep = Callable[[str, Episode], None]
"""Called with the next step and the episode before that step."""


def unseen(_step: str, _episode: Episode) -> None:
    """An `OnStep` that does nothing."""


FORMER_STEPS = {"amend": "apply_remedy", "rollback": "reject", "ignore": "close"}
"""Former names of steps, as stored by jobs of older versions."""


def verbs(learner: Learner) -> dict[str, Verb]:
    """Every step by its name."""
    return {
        "decide": learner.decide,
        "write": learner.write,
        "approve": _approve,
        "train": learner.train,
        "probe": learner.probe,
        "judge": learner.judge,
        "apply_remedy": learner.apply_remedy,
        "accept": learner.accept,
        "remember": learner.remember,
        "reject": learner.reject,
        "close": learner.close,
        "consolidate": lambda episode, progress: _consolidated(learner, episode, progress),
    }


def after(learner: Learner, step: str, episode: Episode) -> str:
    """The step that follows `step`; "" after the last one."""
    ending = "remember" if learner.config.recall == "both" and not episode.fault.startswith(REFUSED) else ""
    if step == "decide":
        wanted = "remember" if learner.config.recall == "text" and not learner.config.dry_run else "write"
        return wanted if episode.decision and episode.decision.learn else "close"
    if step == "write":
        if episode.edit and learner.config.dry_run:
            return "close"
        if episode.edit:
            return "approve" if learner.config.approval else "train"
        return "write" if learner.can_retry(episode) else ending or "close"
    if step == "approve":
        return "train" if episode.outcome == "open" else "close"
    if step == "train":
        return "probe" if episode.adapter else ending or "close"
    if step == "judge":
        outcome = episode.verdict.outcome if episode.verdict else "reject"
        if outcome in ("accept", "undecided"):
            return "accept" if outcome == "accept" else "probe"
        return "apply_remedy" if learner.has_remedy(episode) else ending or "reject"
    if step == "accept":
        return "consolidate" if learner.can_consolidate() else ""
    return {"probe": "judge", "apply_remedy": "probe"}.get(step, "")


def timed(verb: Verb, step: str, episode: Episode, progress: Progress = silent) -> Episode:
    """Run one step and add its duration to the episode."""
    start = time.perf_counter()
    done = verb(episode, progress)
    return done.timed(step, time.perf_counter() - start)


def run(
    learner: Learner,
    episode: Episode,
    *,
    step: str = FIRST,
    on_step: OnStep = unseen,
    progress: Progress = silent,
) -> Episode:
    """Run from `step` to the end; `on_step` is called before every step and may raise to stop there."""
    every = verbs(learner)
    step = FORMER_STEPS.get(step, step)
    while step:
        on_step(step, episode)
        episode = timed(every[step], step, episode, progress)
        step = after(learner, step, episode)
    return episode


def _approve(_episode: Episode, _progress: Progress) -> Episode:
    raise InputError("a person must approve this edit; use a graph with a checkpointer, or set approval=False")


def _consolidated(learner: Learner, episode: Episode, progress: Progress) -> Episode:
    """The episode unchanged: a consolidation has its own line in the ledger."""
    learner.consolidate(progress)
    return episode
