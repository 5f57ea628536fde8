"""Lists of statements as models write them: one row a line, without numbers and bullets."""

from __future__ import annotations

import re

from seal_agent.core.edits import Row
from seal_agent.language.source import Source
from seal_agent.writing.formats.base import Ask, Format, plain_row, study

_BULLET = re.compile(r"^\s*(?:[-*•–]|\(?\d{1,2}[.):])\s*")
_MARKUP = re.compile(r"\*\*|__|^#+\s*")
MIN_WORDS = 3


def lines_of(text: str) -> list[str]:
    """The lines that hold a statement: no headings, no bullets, no duplicates."""
    lines = [_MARKUP.sub("", _BULLET.sub("", line)).strip() for line in text.splitlines()]
    return list(dict.fromkeys(line for line in lines if len(line.split()) >= MIN_WORDS and not line.endswith(":")))


def whole_lines_of(text: str) -> list[str]:
    """`lines_of` without a last line that was cut off by the token limit."""
    lines = lines_of(text)
    return lines if not lines or lines[-1].rstrip("\"'”’)")[-1:] in ".!?。！？" else lines[:-1]


def list_format(name: str, says: str, instruction: str, example: str, max_new_tokens: int, begins: str = "") -> Format:
    """A format with one request for a list of statements; each line becomes a row of plain text."""

    def ask(source: Source) -> list[Ask]:
        return [study(instruction, source, example, max_new_tokens, begins)]

    def parse(source: Source, asked: Ask, text: str) -> list[Row]:
        return [plain_row(line, name, asked.evidence) for line in whole_lines_of(begins + text)]

    return Format(name, says, ask, parse)
