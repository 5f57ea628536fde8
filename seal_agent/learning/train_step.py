"""The step that trains a candidate adapter, and the repair of one that forgets."""

from __future__ import annotations

import logging
from dataclasses import replace

from seal_agent.core.edits import EARLIER_ROWS, Row
from seal_agent.core.episodes import Episode, Progress
from seal_agent.core.errors import TrainingFault
from seal_agent.core.stacks import AdapterStack
from seal_agent.learning import remedies
from seal_agent.learning.namespace import Namespace
from seal_agent.learning.requirements import required_adapter, required_edit
from seal_agent.retention import judge as retention

log = logging.getLogger(__name__)
REPAIR_KL_WEIGHT = 1.0  # lower limit while a repair is trained


def train_candidate(state: Namespace, episode: Episode, progress: Progress) -> Episode:
    """The episode with an adapter trained on its edit, and the stack as it would be served with that adapter.

    Raises `TrainingFault` for an edit that cannot be trained.
    """
    edit = required_edit(episode)
    kept = AdapterStack(tuple(y for y in episode.parent.entries if y.ref.id not in episode.supersedes))
    view = state.backend.with_stack(state.strategy.parent(kept))
    adapter = view.train(edit, seed=episode.seed, progress=progress)
    candidate = state.strategy.pushed(kept, adapter, edit.directives.weight)
    if episode.supersedes:
        candidate = remedies.with_entry_changed(
            candidate, adapter, consolidates=episode.parent.origins(episode.supersedes)
        )
    return replace(episode, adapter=adapter, candidate=candidate)


def repair_candidate(state: Namespace, episode: Episode, progress: Progress) -> Episode:
    """Train the edit again together with what it forgot, with a KL penalty towards the parent stack on replayed rows.

    It trains on 'repair' items near the forgotten ones, never on 'gate' items.
    """
    edit, limits = required_edit(episode), state.config.limits
    fallen = [p.probe for p in episode.probed if p.probe.item is not None and retention.change(p) < -limits.max_drop]
    near = state.replay.items_of("repair", episode.parent, len(edit.rows), about=fallen)
    rows = tuple(Row(item.probe.prompt, item.probe.answer, EARLIER_ROWS) for item in near)
    directives = replace(edit.directives, kl_weight=max(edit.directives.kl_weight, REPAIR_KL_WEIGHT))
    repaired = replace(edit, rows=edit.rows + rows, directives=directives)
    try:
        trained = train_candidate(state, replace(episode, edit=repaired), progress)
    except TrainingFault as error:
        log.warning("the repair of the edit about %r cannot be trained: %s", episode.topic, error)
        return episode
    if trained.adapter != episode.adapter:
        state.discard(required_adapter(episode))
    return trained
