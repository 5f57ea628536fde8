"""Forgets what a user asks to forget in the conversation: "please forget what I said about the rent".

The request is matched with what was learned like any message: by its words, then by the base model. Only the best
match is forgotten, and with it everything that the same message told.
"""

from __future__ import annotations

import logging

from seal_agent.core.backend import silent
from seal_agent.core.episodes import ASKS_TO_FORGET, Episode, Progress
from seal_agent.core.messages import Prompt
from seal_agent.core.outcomes import Outcome
from seal_agent.learning.namespace import Namespace
from seal_agent.unlearning.forget import forget_texts

log = logging.getLogger(__name__)
FORGOTTEN, NOTHING_FOUND = "forgotten as you asked", "nothing that was learned fits; name it in other words, or its id"
REQUEST = "(a request to forget)"


def asks_to_forget(episode: Episode) -> bool:
    """Whether the model took the message for a request to forget something."""
    return episode.decision is not None and episode.decision.reason == ASKS_TO_FORGET


def forget_asked(state: Namespace, episode: Episode, progress: Progress = silent) -> Outcome:
    """Forget what the message of a closed `episode` asks to forget; the outcome says what that was.

    The words of the request are removed from the ledger too, because they name what was forgotten.
    """
    view = state.view(state.stack)
    [match] = view.matches([Prompt.user(episode.text)], recalls_text=True)
    found = state.accepted(match.recalled[:1])
    forgotten = forget_texts(state, {episode.text, *(each.text for each in found)}, progress)
    if not found:
        return Outcome(REQUEST, "ignored", NOTHING_FOUND)
    log.info("forgot %d adapters as the user asked", len(forgotten.adapters))
    return Outcome("; ".join(each.topic for each in found), "forgotten", FORGOTTEN)
