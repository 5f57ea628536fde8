"""Forgets and undoes what a user asks in the conversation: "please forget what I said about the rent", "undo that".

A request to forget is matched with what was learned like any message: by its words, then by the base model. Only the
best match is forgotten, with everything that the same message told and the earlier messages that it changes. To undo
takes what was learned last in the thread off the stack; its record stays.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from seal_agent.core.backend import silent
from seal_agent.core.episodes import ASKS_TO_FORGET, ASKS_TO_UNDO, Episode, Progress
from seal_agent.core.errors import SealError
from seal_agent.core.facts import last_said
from seal_agent.core.messages import Prompt
from seal_agent.core.outcomes import Outcome
from seal_agent.core.stacks import AdapterStack
from seal_agent.learning.namespace import Namespace
from seal_agent.serving.router import Router
from seal_agent.unlearning.forget import forget_texts

log = logging.getLogger(__name__)
FORGOTTEN, NOTHING_FOUND = "forgotten as you asked", "nothing that was learned fits; name it in other words, or its id"
UNDONE, NOTHING_TO_UNDO = "taken back as you asked", "nothing that was learned in this thread is served"
NOT_DONE = "nothing is forgotten or taken back in a dry run"
REQUEST = "(a request to forget)"


def asks_for_change(episode: Episode) -> bool:
    """Whether the message was taken for a request to forget or to undo something."""
    return episode.decision is not None and episode.decision.reason in (ASKS_TO_FORGET, ASKS_TO_UNDO)


def carry_out(state: Namespace, episode: Episode, progress: Progress = silent) -> Outcome:
    """Do what the message of a closed `episode` asks; the outcome says what that was.

    If the reply named what the request is about, that is forgotten or undone, and nothing else. A dry run changes
    nothing. If it fails, the outcome is "failed" with the reason.
    """
    if state.config.dry_run:
        return Outcome(REQUEST, "dry run", NOT_DONE)
    is_undo = episode.decision is not None and episode.decision.reason == ASKS_TO_UNDO
    try:
        return _undo(state, episode) if is_undo else _forget(state, episode, progress)
    except SealError as error:
        log.warning("a request was not carried out: %s", error)
        return Outcome(REQUEST, "failed", f"nothing was changed: {error}")


def to_forget(state: Namespace, text: str) -> Episode | None:
    """What a request to forget is about: the text that it matches best; None if nothing fits.

    What is served goes before what was undone, of which the record is left.
    """
    [match] = state.view(state.stack).matches([Prompt.user(text)], recalls_text=True)
    if not match.recalled:
        return _undone(state, text)
    found = _told(state, *match.recalled[:1])
    if found is None or not (before := last_said(found.earlier)):
        return found
    answered = [e for e in state.accepted(match.recalled) if e.text == before and e is not found]
    return _nearest(text, [found, *answered])


def _undone(state: Namespace, text: str) -> Episode | None:
    """What was learned and taken off the stack again, if `text` is about it."""
    served = set(state.stack.learned)
    taken_back = {
        str(number): episode
        for number, episode in enumerate(state.home.episodes(state.name, ("accepted",)))
        if episode.adapter and episode.text and episode.adapter.id not in served
    }
    if not taken_back:
        return None
    router = Router({i: f"{each.topic}\n{each.text}" for i, each in taken_back.items()}, state.config.routes)
    base = state.backend.with_stack(AdapterStack())
    [match] = router.matches([Prompt.user(text)], base.score, recalls_text=True)
    return taken_back[match.recalled[0]] if match.recalled else None


def _nearest(text: str, told: Sequence[Episode]) -> Episode:
    """Of a message and the one that it answers, the one that `text` is about by its words.

    A recalled message is found by the words before it too, so that the wrong one of the two may be the better match.
    """
    words = Router({str(number): f"{each.topic}\n{each.text}" for number, each in enumerate(told)})
    return told[int(words.scores(text)[0][0])]


def to_undo(state: Namespace, thread: str) -> Episode | None:
    """The message that was learned last in a thread and is served in an adapter of its own; None if nothing is."""
    served = state.accepted(state.stack.ids)
    told = [episode for episode in served if episode.thread == thread and episode.text and not episode.source]
    return told[-1] if told else None


def _told(state: Namespace, *adapters: str) -> Episode | None:
    """The last message or passage that one of `adapters` was learned from, and that was not forgotten since."""
    told = [episode for episode in state.accepted(adapters) if episode.text]
    return told[-1] if told else None


def _forget(state: Namespace, episode: Episode, progress: Progress) -> Outcome:
    """Forget what a request is about; its words leave the ledger too, because they name what was forgotten."""
    found = _told(state, episode.about) if episode.about else to_forget(state, episode.text)
    forgotten = forget_texts(state, {episode.text, *(_with_changed(state, found) if found else ())}, progress)
    if found is None:
        return Outcome(REQUEST, "ignored", NOTHING_FOUND)
    log.info("forgot %d adapters as the user asked", len(forgotten.adapters))
    return Outcome(found.topic, "forgotten", FORGOTTEN)  # without the text: a graph's state would keep it


def _with_changed(state: Namespace, episode: Episode) -> set[str]:
    """The text of an episode and of those that it corrects or ends: they would be told again without it."""
    texts, earlier = {episode.text}, set(episode.changes)
    while earlier:
        changed = state.accepted(earlier)
        earlier = {i for each in changed for i in each.changes if each.text not in texts}
        texts |= {each.text for each in changed}
    return texts


def _undo(state: Namespace, episode: Episode) -> Outcome:
    found = _told(state, episode.about) if episode.about else to_undo(state, episode.thread)
    if found is None or found.adapter is None or found.adapter.id not in state.stack.ids:
        return Outcome(episode.topic, "ignored", NOTHING_TO_UNDO)
    state.rollback(found.adapter.id)
    return Outcome(found.topic, "undone", UNDONE, text=found.text)
