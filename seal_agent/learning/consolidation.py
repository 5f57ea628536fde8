"""Replace a stack by one adapter, folded or trained anew; the change is judged like an edit."""

from __future__ import annotations

import logging
from dataclasses import replace

from seal_agent.core.backend import silent
from seal_agent.core.edits import REPLAYED, SelfEdit
from seal_agent.core.episodes import Episode, Progress
from seal_agent.core.stacks import AdapterRef, AdapterStack, StackEntry
from seal_agent.learning.namespace import Namespace
from seal_agent.retention import judge
from seal_agent.retention.general_knowledge import with_rehearsal
from seal_agent.serving.served import compared

log = logging.getLogger(__name__)


def consolidate(state: Namespace, progress: Progress = silent, *, is_gated: bool = True) -> Episode | None:
    """Replace the served stack by one adapter if the strategy asks for it; otherwise return None.

    The new adapter is judged on `max_probes` replay probes. The adapters it replaces stay on disk, so the change can be
    rolled back. With `is_gated` False it is accepted whatever the verdict.
    """
    stack = state.stack
    kind = state.strategy.consolidation(stack)
    if not kind:
        return None
    if kind == "fold":
        adapter = state.backend.with_stack(stack).fold(max_rank=state.config.max_rank)
    else:
        adapter = _refitted(state, stack, progress)
    candidate = AdapterStack((StackEntry(adapter, 1.0, False, stack.learned),))
    drawn = state.replay.draw((), stack, state.config.max_probes)
    probed = compared(drawn, state.view(stack), state.view(candidate), progress)
    verdict = judge.judge_consolidation(probed, state.config.limits)
    is_kept = verdict.outcome == "accept" or not is_gated
    done = Episode(
        namespace=state.name,
        text="",
        topic=f"{kind} of {len(stack)} adapters",
        adapter=adapter,
        parent=stack,
        candidate=candidate,
        probed=probed,
        verdict=verdict,
        outcome="accepted" if is_kept else "rejected",
        model=state.backend.model,
    )
    _close(state, done, adapter if is_kept else stack.entries[-1].ref)
    if not is_kept:
        state.discard(adapter)
    log.info("%s: %s", done.topic, verdict.reason)
    return done


def _close(state: Namespace, done: Episode, newest: AdapterRef) -> None:
    """Write stack, scores and ledger line in one transaction."""
    is_kept = done.outcome == "accepted"
    with state.home.transaction() as tx:
        if is_kept:
            reason = f"consolidated: {done.topic}"
            state.home.set_stack(tx, state.name, done.candidate, expected=done.parent, reason=reason)
            state.registry.verify(newest)
        state.replay.record(tx, done.probed, kept=is_kept, adapter=newest.id)
        state.home.append_episode(tx, done)


def _refitted(state: Namespace, stack: AdapterStack, progress: Progress) -> AdapterRef:
    """One adapter trained on the rows of all edits in `stack`, with as many steps as those edits took together."""
    edits = [episode.edit for episode in state.accepted(stack.learned) if episode.edit]
    rows = [row for edit in edits for row in edit.rows if row.source not in REPLAYED]
    num_steps = sum(edit.directives.num_steps(len(edit.rows)) for edit in edits)
    directives = replace(edits[0].directives, max_steps=num_steps, min_steps=num_steps)
    whole = SelfEdit(f"{len(edits)} edits", "", tuple(dict.fromkeys(rows)), (), directives)
    whole = with_rehearsal(whole, state.config.num_rehearsed(directives, len(rows)), state.config.seed)
    return state.backend.with_stack(AdapterStack()).train(whole, seed=state.config.seed, progress=progress)
