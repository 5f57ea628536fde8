"""The words of a text as the router compares them, and how often they occur in everyday messages."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import lru_cache
from importlib import resources
from itertools import pairwise

STEM = 5  # letters of a word that are compared, so that "developed" matches "development"
BACKGROUND = "decide_train.json"  # everyday messages, for word frequencies
WORD = re.compile(r"\w+")
_WITHOUT_SPACES = re.compile("[\u3040-\u30ff\u3400-\u9fff]")


def terms(text: str) -> Counter[str]:
    """The words of `text` as they are compared, with counts: the first letters, in lower case.

    In text without spaces (Chinese, Japanese) every pair of neighbouring characters is a word.
    """
    return Counter(term for word in WORD.findall(text.lower()) for term in _terms_of(word))


def _terms_of(word: str) -> list[str]:
    if _WITHOUT_SPACES.search(word):
        return ["".join(pair) for pair in pairwise(word)] or [word]
    return [word[:STEM]]


def frequency(word: str) -> float:
    """The expected frequency of `word` at any position of a text, from everyday messages."""
    total, counts = _background()
    return (counts[word] + 0.5) / total


@lru_cache(maxsize=1)
def _background() -> tuple[int, Counter[str]]:
    text = resources.files("seal_agent").joinpath("data", BACKGROUND).read_text(encoding="utf-8")
    counts = terms("\n".join(turn["text"] for turn in json.loads(text)))
    return counts.total(), counts
