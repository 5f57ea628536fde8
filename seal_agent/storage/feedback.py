"""User feedback on answers, a rating or a correction, stored per namespace.

Feedback is not learned directly: `policy.rewards` uses it to reward candidate edits.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from seal_agent.core.errors import InputError
from seal_agent.core.messages import Message
from seal_agent.core.numbers import check_number
from seal_agent.core.redaction import redacted
from seal_agent.storage.connection import Database, Transaction
from seal_agent.storage.expressions import is_one_of
from seal_agent.storage.namespaces import check_namespace
from seal_agent.storage.schema import FEEDBACK


@dataclass(frozen=True)
class Feedback:
    """An answer to a question and its rating, from -1 (wrong) to 1 (right)."""

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
    """A rating of an answer; a correction is stored as positive feedback on the corrected answer."""
    right = [Feedback(question, correction)] if correction.strip() else []
    return [Feedback(question, answer, value), *right]


def on_reply(messages: Sequence[Message], value: float, correction: str = "") -> list[Feedback]:
    """Feedback on the last reply of a conversation; raises `InputError` if there is none."""
    said = [message for message in messages if message.role in ("user", "assistant") and message.content.strip()]
    replied = [n for n, message in enumerate(said) if message.role == "assistant"]
    asked = [message for message in said[: replied[-1]] if message.role == "user"] if replied else []
    if not asked:
        raise InputError("there is no reply to rate; ask something first")
    return of_user(asked[-1].content, said[replied[-1]].content, value, correction)


def record(database: Database, namespace: str, *given: Feedback) -> None:
    """Store feedback, without secrets."""
    check_namespace(namespace)
    now = time.time()
    rows = [
        {
            "namespace": namespace,
            "question": redacted(each.question),
            "answer": redacted(each.answer, each.question),
            "value": each.value,
            "created": now,
        }
        for each in given
    ]
    with database.transaction() as tx:
        if rows:
            tx.execute(insert(FEEDBACK), rows)


def recorded(database: Database, namespace: str) -> list[Feedback]:
    """All feedback of a namespace, oldest first."""
    with database.reading() as db:
        return list(numbered(db, namespace).values())


def numbered(db: Connection, namespace: str) -> dict[int, Feedback]:
    """All feedback of a namespace by its id, oldest first."""
    columns = (FEEDBACK.c.id, FEEDBACK.c.question, FEEDBACK.c.answer, FEEDBACK.c.value)
    rows = db.execute(select(*columns).where(FEEDBACK.c.namespace == namespace).order_by(FEEDBACK.c.id))
    return {number: Feedback(*fields) for number, *fields in rows}


def remove(tx: Transaction, numbers: Collection[int]) -> None:
    """Delete feedback."""
    tx.execute(delete(FEEDBACK).where(is_one_of(FEEDBACK.c.id, numbers)))
