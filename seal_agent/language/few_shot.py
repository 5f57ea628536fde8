"""Examples in a text: inputs with their outputs."""

from __future__ import annotations

import re

from seal_agent.core.documents import MAX_PASSAGE_CHARS

_EXAMPLE = re.compile(
    r"\bInput:\s*(?P<input>.+?)\s*\bOutput:\s*(?P<output>.+?)\s*(?=\bInput:|\n\s*\n|\Z)", re.IGNORECASE | re.DOTALL
)
MIN_EXAMPLES, MIN_EXAMPLE_SHARE = 2, 0.5  # of the text; a page that merely contains examples does not count


def examples_in(text: str) -> list[tuple[str, str]]:
    """The examples of a short text, as (input, output): "Input: ... Output: ..." at least twice.

    Empty for a text longer than a passage, or one that is mostly something else.
    """
    found = list(_EXAMPLE.finditer(text)) if len(text) <= MAX_PASSAGE_CHARS else []
    if len(found) < MIN_EXAMPLES or sum(len(match[0]) for match in found) < MIN_EXAMPLE_SHARE * len(text):
        return []
    return [(match["input"], match["output"]) for match in found]
