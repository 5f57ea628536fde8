"""Lists of statements as models write them: numbers and bullets off, a line a row."""

from __future__ import annotations

import re

_BULLET = re.compile(r"^\s*(?:[-*•–]|\(?\d{1,2}[.):])\s*")
_MARKUP = re.compile(r"\*\*|__|^#+\s*")
MIN_WORDS = 3


def lines_of(text: str) -> list[str]:
    """The lines that say something: no headings, no bullets, no repetition of a line."""
    lines = [_MARKUP.sub("", _BULLET.sub("", line)).strip() for line in text.splitlines()]
    return list(dict.fromkeys(line for line in lines if len(line.split()) >= MIN_WORDS and not line.endswith(":")))


def whole_lines_of(text: str) -> list[str]:
    """The same, without a last line that broke off where the tokens ended."""
    lines = lines_of(text)
    return lines if not lines or lines[-1].rstrip("\"'”’)")[-1:] in ".!?。！？" else lines[:-1]
