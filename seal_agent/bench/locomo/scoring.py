"""LoCoMo's scores of a short answer: F1 over stemmed words, and exact match. Pure but for nltk's stemmer.

As `task_eval/evaluation.py` of https://github.com/snap-research/locomo computes them: commas, punctuation, case and the
words "a", "an", "the" and "and" do not count. Only the first line of a reply is scored. One thing is ours: a date in
ISO 8601 in a reply is written out as the answers have it, because every arm shows dates in ISO 8601.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from datetime import date
from functools import lru_cache
from statistics import fmean
from typing import Protocol

from seal_agent.core.errors import MissingExtra

SEVERAL_FACTS, OPEN = 1, 3
NOT_COUNTED = frozenset({"a", "an", "the", "and"})  # part of the measure: LoCoMo is in English
_ISO_DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


class Stemmer(Protocol):
    """What finds the stem of a word."""

    def stem(self, word: str) -> str:
        """The stem of a word."""
        ...


@lru_cache(maxsize=1)
def stemmer() -> Stemmer:
    """Porter's stemmer as LoCoMo uses it; raises `MissingExtra` without nltk."""
    try:
        from nltk.stem.porter import PorterStemmer
    except ImportError as error:
        raise MissingExtra("LoCoMo's F1 stems words with nltk; pip install 'seal-agent[bench]'") from error
    found: Stemmer = PorterStemmer()
    return found


def scored(reply: str) -> str:
    """What is scored of a reply: its first line that is not empty, with dates such as "5 June 2024"."""
    line = next((line.strip() for line in reply.splitlines() if line.strip()), "")
    return _ISO_DATE.sub(_written_out, line)


def _written_out(found: re.Match[str]) -> str:
    try:
        day = date.fromisoformat(found[0])
    except ValueError:
        return found[0]
    return f"{day.day} {day:%B %Y}"


def f1(category: int, reply: str, answer: str) -> float:
    """The F1 of a reply to a question of category 1 to 4.

    In category 1 the answer and the reply are cut at commas; every part of the answer counts with the best part of the
    reply. In category 3 the answer ends at the first semicolon.
    """
    said, gold = scored(reply), _gold(category, answer)
    if category != SEVERAL_FACTS:
        return _f1(said, gold)
    return fmean(max(_f1(part, wanted) for part in said.split(",")) for wanted in gold.split(","))


def is_exact(category: int, reply: str, answer: str) -> bool:
    """Whether a reply has the words of the answer and no others, in any order."""
    return set(words(scored(reply))) == set(words(_gold(category, answer)))


def words(text: str) -> list[str]:
    """The words that count."""
    return [word for word in text.lower().translate(_WITHOUT_PUNCTUATION).split() if word not in NOT_COUNTED]


def _gold(category: int, answer: str) -> str:
    return answer.partition(";")[0].strip() if category == OPEN else answer


def _f1(said: str, gold: str) -> float:
    given, wanted = ([stemmer().stem(word) for word in words(text)] for text in (said, gold))
    num_same = sum((Counter(given) & Counter(wanted)).values())
    return 2 * num_same / (len(given) + len(wanted)) if num_same else 0.0
