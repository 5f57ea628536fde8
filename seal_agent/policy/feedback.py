"""Which feedback is about a text, and what a correcting text says about earlier answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from seal_agent.core.episodes import Episode
from seal_agent.language.base import for_text
from seal_agent.storage import feedback as storage
from seal_agent.storage.connection import Transaction
from seal_agent.storage.feedback import Feedback, numbered

MIN_SHARED = 0.6  # of the content words of a question and its answer that a text must hold to be what they are about


def remove(tx: Transaction, namespace: str, texts: Iterable[str]) -> None:
    """Take out, inside the transaction, the feedback that is about any of those texts."""
    by_number = numbered(tx, namespace)
    gone = {each for text in texts for each in about(text, list(by_number.values()))}
    storage.remove(tx, [number for number, each in by_number.items() if each in gone])


def corrections_of(episode: Episode) -> list[Feedback]:
    """What a correcting text says about answers: the old ones are wrong, the new ones right."""
    return [
        each
        for c in episode.corrections
        for each in (Feedback(c.question, c.old, -1.0), Feedback(c.question, c.new, 1.0))
    ]


def about(text: str, given: Sequence[Feedback]) -> tuple[Feedback, ...]:
    """Those pieces of feedback whose question and answer are about `text`, by the words they share."""
    content = for_text(text).content
    known = content(text)
    found = []
    for each in given:
        words = content(f"{each.question} {each.answer}")
        if words and len(words & known) >= MIN_SHARED * len(words):
            found.append(each)
    return tuple(found)
