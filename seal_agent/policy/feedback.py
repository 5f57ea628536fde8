"""Matches feedback to texts, and derives feedback from corrections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from seal_agent.core.episodes import Episode
from seal_agent.language.base import for_text
from seal_agent.storage import feedback as storage
from seal_agent.storage.connection import Transaction
from seal_agent.storage.feedback import Feedback, numbered

MIN_SHARED = 0.6  # share of a question's and answer's content words that a text must hold


def remove(tx: Transaction, namespace: str, texts: Iterable[str]) -> None:
    """Delete, inside the transaction, the feedback about any of those texts."""
    by_number = numbered(tx, namespace)
    gone = {each for text in texts for each in about(text, list(by_number.values()))}
    storage.remove(tx, [number for number, each in by_number.items() if each in gone])


def corrections_of(episode: Episode) -> list[Feedback]:
    """Feedback implied by a correction: the old answers are wrong, the new ones right."""
    return [
        each
        for c in episode.corrections
        for each in (Feedback(c.question, c.old, -1.0), Feedback(c.question, c.new, 1.0))
    ]


def about(text: str, given: Sequence[Feedback]) -> tuple[Feedback, ...]:
    """The feedback whose question and answer are about `text`, by shared words."""
    content = for_text(text).content
    known = content(text)
    found = []
    for each in given:
        words = content(f"{each.question} {each.answer}")
        if words and len(words & known) >= MIN_SHARED * len(words):
            found.append(each)
    return tuple(found)
