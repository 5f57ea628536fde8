"""What a user made of an answer: a thumb up or down, or a correction; kept per namespace.

It is read when candidates of edits are rewarded (`rewards.Approval`); nothing is learned from it by itself.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from seal_agent.errors import InputError
from seal_agent.home import Home, check_namespace
from seal_agent.numbers import check_number
from seal_agent.secrets import redacted
from seal_agent.types import Episode, Message
from seal_agent.words import content

MIN_SHARED = 0.6  # of the content words of a question and its answer that a text must hold to be what they are about


@dataclass(frozen=True)
class Feedback:
    """An answer to a question and what the user thought of it: from -1, wrong, to 1, right."""

    question: str
    answer: str
    value: float = 1.0

    def __post_init__(self) -> None:
        check_number("value", self.value, -1, 1)
        if not self.question.strip() or not self.answer.strip():
            raise InputError(
                f"feedback of {self.value} on {self.question[:40]!r} does not fit; "
                "give a question, an answer and a value from -1 to 1"
            )


def of_user(question: str, answer: str, value: float, correction: str = "") -> list[Feedback]:
    """What a user made of an answer; one who says what is right has called that right."""
    right = [Feedback(question, correction)] if correction.strip() else []
    return [Feedback(question, answer, value), *right]


def on_reply(messages: Sequence[Message], value: float, correction: str = "") -> list[Feedback]:
    """What the user made of the last reply in a conversation; raises `InputError` where there is none."""
    said = [message for message in messages if message.role in ("user", "assistant") and message.content.strip()]
    replied = [n for n, message in enumerate(said) if message.role == "assistant"]
    asked = [message for message in said[: replied[-1]] if message.role == "user"] if replied else []
    if not asked:
        raise InputError("there is no reply yet to think anything of; ask something first")
    return of_user(asked[-1].content, said[replied[-1]].content, value, correction)


def record(home: Home, namespace: str, *given: Feedback) -> None:
    """Keep feedback, without what looks like a secret."""
    check_namespace(namespace)
    rows = [
        (namespace, redacted(each.question), redacted(each.answer, each.question), each.value, time.time())
        for each in given
    ]
    with home.connect() as db:
        db.executemany(
            "INSERT INTO feedback (namespace, question, answer, value, created) VALUES (?, ?, ?, ?, ?)", rows
        )


def recorded(home: Home, namespace: str) -> list[Feedback]:
    """All feedback of a namespace, oldest first."""
    with home.connect() as db:
        rows = db.execute(
            "SELECT question, answer, value FROM feedback WHERE namespace = ? ORDER BY id", (namespace,)
        ).fetchall()
    return [Feedback(*row) for row in rows]


def remove(db: sqlite3.Connection, namespace: str, texts: Iterable[str]) -> None:
    """Take out, inside the transaction of `db`, the feedback that is about any of those texts."""
    rows = db.execute("SELECT id, question, answer, value FROM feedback WHERE namespace = ?", (namespace,)).fetchall()
    by_number = {number: Feedback(*fields) for number, *fields in rows}
    gone = {each for text in texts for each in about(text, list(by_number.values()))}
    numbers = [(number,) for number, each in by_number.items() if each in gone]
    db.executemany("DELETE FROM feedback WHERE id = ?", numbers)


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
