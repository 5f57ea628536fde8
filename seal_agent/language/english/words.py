"""Content words and function words. English.

It uses lists of function words, no tagger and no model. A text in another language has no function words here, so its
noun phrases are its capitalised words and numbers.
"""

from __future__ import annotations

from seal_agent.core.function_words import DETERMINERS, FUNCTION, PREPOSITIONS
from seal_agent.language.words import WORD

__all__ = ["ARTICLES", "DETERMINERS", "FUNCTION", "PREPOSITIONS", "content"]

ARTICLES = frozenset({"a", "an", "the"})


def content(text: str) -> set[str]:
    """The content words of `text`, in lower case."""
    return {word.lower() for word in WORD.findall(text)} - FUNCTION
