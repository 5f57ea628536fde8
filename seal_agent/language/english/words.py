"""Words and what they are for: which carry content, which only hold a sentence together. English.

No tagger and no model: lists of function words. A text in another language has no function words here, so
its noun phrases are its capitalised words and numbers.
"""

from __future__ import annotations

import re

from seal_agent.core.function_words import DETERMINERS, FUNCTION, PREPOSITIONS
from seal_agent.language.words import WORD

__all__ = ["DETERMINERS", "FUNCTION", "PREPOSITIONS", "WORD", "content"]


def content(text: str) -> set[str]:
    """The words of `text` that carry content, in lower case."""
    return {word.lower() for word in WORD.findall(text)} - FUNCTION


ARTICLES = frozenset({"a", "an", "the"})
MIN_SHARE = 1 / 16  # of the words of a text in English
_ONLY_ENGLISH = re.compile(
    r"(?:^|[.!?:] )(?:The|My|Your|Our|Their|His|This|That|These|It|It['’]s|They|She|You|What|Where|When|Which|Who|How"
    r"|Why|There|Please|Here['’]s|We['’]re|We (?:moved|live|have|are|had|will|can)|Don['’]t|Let['’]s)\b"
    r"|\b(?:the|and|my|your|his|their|this|with|from|would|should|could|been|were|they|she|which|who|where"
    r"|when|because|you|what|how|does|isn['’]t|wasn['’]t|don['’]t|doesn['’]t|didn['’]t|can['’]t|won['’]t|there['’]s"
    r"|it['’]s|that['’]s|not|now|year|years|old|ready|dont|cant|ive|thats|saw|visit|visited|up|of the|is an?)\b"
    r"|\bI(?:['’](?:m|ve|ll|d)| (?:am|was|have|had|can|will|would|do|don['’]t|did|didn['’]t|love|like|live|work|want"
    r"|need|hate|prefer|take|use|speak|think|know|moved|went|got|bought|play|eat|drink|drive|study))\b"
)
"""Words that are common in English and hardly occur in other languages that use Latin letters; not "in", "is", "so"."""


def reads_as_english(text: str) -> bool:
    """Whether some words of `text` are such that hardly any other language has: one in 16, at least one.

    A capital inside a sentence is a name's, so that "Die Band heißt The Cure" has none.
    """
    return len(_ONLY_ENGLISH.findall(text)) >= max(MIN_SHARE * len(text.split()), 1)
