"""Words by their form, the same in every language that writes with letters."""

from __future__ import annotations

import re

WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_NUMBER = re.compile(r"\d[\d.,]*\d|\d")
_WITH_DIGIT = re.compile(r"\b\w*\d\w*")
_CAPITAL_OR_DIGIT = re.compile(r"\d|(?<![.!?:] )(?<!^)\b[A-Z]\w")


def numbers_in(text: str) -> set[str]:
    """The numbers of `text` as they are written."""
    return set(_NUMBER.findall(text))


def words_with_digits(text: str) -> list[str]:
    """The words of `text` that hold a digit: numbers, codes, times."""
    return _WITH_DIGIT.findall(text)


def has_name_or_number(text: str) -> bool:
    """Whether a digit stands in `text`, or a capital inside a sentence, which a name has in most languages."""
    return bool(_CAPITAL_OR_DIGIT.search(text))
