"""Data sets of passages with questions, in the format of SQuAD and of SEAL's release."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seal_agent.core.errors import InputError
from seal_agent.language.source import Source


@dataclass(frozen=True)
class Question:
    """One question with its gold answer."""

    question: str
    answer: str


@dataclass(frozen=True)
class Item:
    """One passage with its questions, and published self-edits for it."""

    number: int
    title: str
    passage: str
    questions: tuple[Question, ...]
    self_edits: dict[str, list[str]] = field(default_factory=dict)

    @property
    def source(self) -> Source:
        """The source that an edit is written from."""
        return Source(self.title, self.passage, heading=self.title)


def read_items(path: Path, *, limit: int = 0, offset: int = 0) -> list[Item]:
    """The passages of a JSON file in SEAL's format: title, context, questions, and optionally self_edits."""
    try:
        data: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        items = [
            Item(
                number,
                entry["title"],
                entry["context"],
                tuple(Question(q["question"], q["answer"]) for q in entry["questions"]),
                entry.get("self_edits", {}),
            )
            for number, entry in enumerate(data)
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"cannot use {path} ({error!r}); give a JSON list of title, context and questions (question, answer)"
        ) from error
    return items[offset : offset + limit if limit else None]
