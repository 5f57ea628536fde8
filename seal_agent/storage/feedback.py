"""What a user made of an answer: a thumb up or down, or a correction; kept per namespace.

Nothing is learned from it by itself: `policy.rewards` reads it when candidates of edits are rewarded.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from seal_agent.core.errors import InputError
from seal_agent.core.messages import Message
from seal_agent.core.numbers import check_number
from seal_agent.core.redaction import redacted
from seal_agent.storage.database import Home, check_namespace


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
