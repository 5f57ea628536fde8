"""Fields that a step requires of its episode; the error names the step that is missing."""

from __future__ import annotations

from seal_agent.core.edits import SelfEdit
from seal_agent.core.episodes import Episode
from seal_agent.core.errors import InputError
from seal_agent.core.stacks import AdapterRef


def required_edit(episode: Episode) -> SelfEdit:
    """The edit of an episode; raises `InputError` before one is written."""
    if episode.edit is None:
        raise InputError("this episode has no self-edit yet; write one before training or probing")
    return episode.edit


def required_adapter(episode: Episode) -> AdapterRef:
    """The candidate adapter of an episode; raises `InputError` before one is trained."""
    if episode.adapter is None:
        raise InputError("this episode has no candidate adapter yet; train before probing or judging")
    return episode.adapter
