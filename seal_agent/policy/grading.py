"""The grader of the benchmarks, without a remote model: is an answer right?

Gold-token recall of at least 0.6 on the first line agrees with GPT-4.1 on at least 86% of 2,924 real answers (κ 0.72;
docs/log/index.md). It ignores the rest of an answer, so report the answers' lengths beside it.
"""

from __future__ import annotations

import re
from collections import Counter

from seal_agent.language.base import english

MIN_RECALL = 0.6
NAME = "gold-token recall >= 0.6 on the first line"
_WORD = re.compile(r"[^\W_]+")


def gold_token_recall(gold: str, answer: str) -> float:
    """The share of the gold answer's words in the first line of `answer`, 0 to 1; articles are ignored."""
    wanted = Counter(_words(gold))
    said = Counter(_words(answer.strip().split("\n")[0]))
    return sum((wanted & said).values()) / max(sum(wanted.values()), 1)


def is_right(gold: str, answer: str) -> bool:
    """Whether `answer` counts as right."""
    return gold_token_recall(gold, answer) >= MIN_RECALL


def num_words(answer: str) -> int:
    """The number of words in the answer's first line."""
    return len(_WORD.findall(answer.strip().split("\n")[0]))


def _words(text: str) -> list[str]:
    words = [word.lower() for word in _WORD.findall(text)]
    return [word for word in words if word not in english().articles] or words
