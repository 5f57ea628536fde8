"""Pure scoring of replies: right, wrong or declined; the same first sentence; whether a reply recites a fact.

Answers are compared as words without regard to case, so that "no" is not found in "know" nor "5" in "15:00".
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from typing import Literal

from seal_agent.bench.week.data import Fact, Question
from seal_agent.language.sentences import split_sentences

Grade = Literal["right", "wrong", "declined"]
NOTHING_TOLD = ("forgotten", "hypothetical_trap")
"""Kinds of questions that are right unless something of `must_not` is told."""
DECLINING = "declining.json"
MIN_RECITED = 0.6  # of the telling words of a fact that a reply must hold
MIN_WORDS, MIN_LETTERS = 2, 4
_WORD = re.compile(r"\w+")
_ENDS_OPEN = re.compile(r"[^\W\d_]{4}$")


def holds(text: str, phrase: str) -> bool:
    """Whether `phrase` stands in `text`; case and typographic apostrophes do not matter.

    It begins and ends with a word, but one that ends in four letters may go on ("tile" in "tiles", "pregnan" in
    "pregnant"). A number is not found in a longer one ("5" in "15:00" or "5.2").
    """
    given = _plain(phrase)
    before = r"(?<!\w)(?<!\d[.,:])" if given[:1].isdigit() else r"(?<!\w)"
    after = r"(?!\w)(?![.,:]\d)" if given[-1:].isdigit() else "" if _ENDS_OPEN.search(given) else r"(?!\w)"
    return re.search(before + re.escape(given) + after, _plain(text)) is not None


def _plain(text: str) -> str:
    return " ".join(text.replace("’", "'").replace("‑", "-").casefold().split())


def grade(question: Question, reply: str) -> Grade:
    """How `reply` answers `question`; an answer to something absent is right where it declines."""
    wrong = any(holds(reply, phrase) for phrase in question.must_not)
    if question.kind in NOTHING_TOLD:
        return "wrong" if wrong else "right"
    if question.kind == "absent":
        return "wrong" if wrong or not declines(reply) else "right"
    if any(holds(reply, phrase) for phrase in question.gold) and not wrong:
        return "right"
    return "declined" if declines(reply) and not wrong else "wrong"


def declines(reply: str) -> bool:
    """Whether a reply says that it does not know, by the listed phrases of a few languages; others count as told."""
    return any(phrase in _plain(reply) for phrase in _declining())


@lru_cache(maxsize=1)
def _declining() -> tuple[str, ...]:
    text = resources.files("seal_agent").joinpath("data", DECLINING).read_text(encoding="utf-8")
    return tuple(_plain(phrase) for phrases in json.loads(text).values() for phrase in phrases)


def is_same_beginning(reply: str, untouched: str) -> bool:
    """Whether both replies have the same first sentence."""
    return _first(reply) == _first(untouched)


def _first(text: str) -> str:
    sentences = split_sentences(text.strip())
    return _plain(sentences[0]) if sentences else ""


def recites(reply: str, request: str, untouched: str, facts: Sequence[Fact], said: Sequence[str]) -> bool:
    """Whether `reply` tells a fact that neither the request nor the untouched model's reply speaks of.

    A fact counts by its words of at least four letters, capitalised ones of any length, and numbers; `said` are the
    user's turns, which are looked for in the same way. Sixty percent of them, at least two, must stand in the reply.
    """
    spoken = _words(f"{request} {untouched}")
    here = _words(reply) - spoken
    told = [_telling(text) for text in [*(fact.says for fact in facts), *said]]
    return any(
        len(words & here) >= max(MIN_WORDS, MIN_RECITED * len(words)) for words in told if len(words) >= MIN_WORDS
    )


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.casefold()))


def _telling(text: str) -> frozenset[str]:
    return frozenset(
        word.casefold()
        for word in _WORD.findall(text)
        if len(word) >= MIN_LETTERS or word[0].isupper() or word[0].isdigit()
    )
