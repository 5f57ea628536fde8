"""The formats of self-edits, by name; one file each."""

from __future__ import annotations

from seal_agent.writing.formats import (
    chat_qa,
    cloze,
    contrast,
    implications,
    long_implications,
    message_qa,
    phrase_qa,
    rewrite,
    self_qa,
    summary,
)
from seal_agent.writing.formats.base import Ask, Format

FORMATS: dict[str, Format] = {
    each.FORMAT.name: each.FORMAT
    for each in (
        implications,
        long_implications,
        rewrite,
        self_qa,
        chat_qa,
        cloze,
        phrase_qa,
        message_qa,
        summary,
        contrast,
    )
}

__all__ = ["FORMATS", "Ask", "Format"]
