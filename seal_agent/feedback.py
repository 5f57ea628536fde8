"""What a user made of an answer: a thumb up or down, or a correction; kept per namespace.

It is read when candidates of edits are rewarded (`rewards.Approval`); nothing is learned from it by itself.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from seal_agent.errors import InputError
from seal_agent.home import Home, check_namespace
from seal_agent.types import Episode
from seal_agent.words import content

MIN_SHARED = 0.6  # of the content words of a question and its answer that a text must hold to be what they are about


@dataclass(frozen=True)
class Feedback:
    """An answer to a question and what the user thought of it: from -1, wrong, to 1, right."""

    question: str
    answer: str
    value: float = 1.0

    def __post_init__(self) -> None:
        if not self.question.strip() or not self.answer.strip() or not -1 <= self.value <= 1:
            raise InputError(
                f"feedback of {self.value} on {self.question[:40]!r} does not fit; "
                "give a question, an answer and a value from -1 to 1"
            )


def record(home: Home, namespace: str, given: Feedback) -> None:
    """Keep one piece of feedback."""
    with home.connect() as db:
        db.execute(
            "INSERT INTO feedback (namespace, question, answer, value, created) VALUES (?, ?, ?, ?, ?)",
            (check_namespace(namespace), given.question, given.answer, given.value, time.time()),
        )


def recorded(home: Home, namespace: str) -> list[Feedback]:
    """All feedback of a namespace, oldest first."""
    with home.connect() as db:
        rows = db.execute(
            "SELECT question, answer, value FROM feedback WHERE namespace = ? ORDER BY id", (namespace,)
        ).fetchall()
    return [Feedback(*row) for row in rows]


def corrections_of(episode: Episode) -> list[Feedback]:
    """What a correcting text says about answers: the old ones are wrong, the new ones right."""
    return [
        each
        for c in episode.corrections
        for each in (Feedback(c.question, c.old, -1.0), Feedback(c.question, c.new, 1.0))
    ]


def about(text: str, given: Sequence[Feedback]) -> tuple[Feedback, ...]:
    """Those pieces of feedback whose question and answer are about `text`, by the words they share."""
    known = content(text)
    found = []
    for each in given:
        words = content(f"{each.question} {each.answer}")
        if words and len(words & known) >= MIN_SHARED * len(words):
            found.append(each)
    return tuple(found)
