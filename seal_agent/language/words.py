"""Properties of words that are the same in all alphabetic languages."""

from __future__ import annotations

import re

WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
MAX_OPENING_WORDS = 4
MAX_OPENING_CHARS = 8  # of a sentence without spaces
_MARKS = " .,;:!?\"'“”‘’«»()。，、；：！？「」『』"
QUESTION_MARKS = "?？؟"
_SURROGATE = re.compile("[\ud800-\udfff]")
_NUMBER = re.compile(r"\d[\d.,]*\d|\d")
_WITH_DIGIT = re.compile(r"\b\w*\d\w*")
_CAPITAL_OR_DIGIT = re.compile(r"\d|(?<![.!?:] )(?<!^)\b[A-Z]\w")


def opening(sentence: str) -> str:
    """The first half of a sentence, or the first words of a long one, where its subject usually is."""
    words = sentence.split()
    if len(words) > 1:
        begun = " ".join(words[: min((len(words) + 1) // 2, MAX_OPENING_WORDS)])
    else:
        begun = sentence[: min(len(sentence) // 2, MAX_OPENING_CHARS)]
    return begun.strip(_MARKS)


def asks(text: str) -> bool:
    """Whether a message has a question mark, so that it asks something whatever kind it is taken for."""
    return any(mark in text for mark in QUESTION_MARKS)


def encodable(text: str) -> str:
    """`text` with a letter in place of every lone surrogate, which UTF-8 cannot encode."""
    return _SURROGATE.sub("x", text)


def numbers_in(text: str) -> set[str]:
    """The numbers of `text` as they are written."""
    return set(_NUMBER.findall(text))


def words_with_digits(text: str) -> list[str]:
    """The words of `text` that contain a digit: numbers, codes, times."""
    return _WITH_DIGIT.findall(text)


def has_name_or_number(text: str) -> bool:
    """Whether `text` has a digit, or a capital inside a sentence, as names have in most languages."""
    return bool(_CAPITAL_OR_DIGIT.search(text))
