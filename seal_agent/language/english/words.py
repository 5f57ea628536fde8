"""Words and what they are for: which carry content, which only hold a sentence together. English.

No tagger and no model: lists of function words. A text in another language has no function words here, so
its noun phrases are its capitalised words and numbers.
"""

from __future__ import annotations

import re

from seal_agent.core.function_words import DETERMINERS, FUNCTION, PREPOSITIONS

__all__ = ["DETERMINERS", "FUNCTION", "PREPOSITIONS", "WORD", "content"]

WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def content(text: str) -> set[str]:
    """The words of `text` that carry content, in lower case."""
    return {word.lower() for word in WORD.findall(text)} - FUNCTION
