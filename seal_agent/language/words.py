"""Words by their form, the same in every language that writes with letters."""

from __future__ import annotations

import re

WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
MAX_OPENING_WORDS = 4
MAX_OPENING_CHARS = 8  # of a sentence without spaces
_MARKS = " .,;:!?\"'“”‘’«»()。，、；：！？「」『』"
_SURROGATE = re.compile("[\ud800-\udfff]")
_NUMBER = re.compile(r"\d[\d.,]*\d|\d")
_WITH_DIGIT = re.compile(r"\b\w*\d\w*")
_CAPITAL_OR_DIGIT = re.compile(r"\d|(?<![.!?:] )(?<!^)\b[A-Z]\w")


def opening(sentence: str) -> str:
    """The first half of a sentence, of a long one its first words; what most sentences are about stands there."""
    words = sentence.split()
    if len(words) > 1:
        begun = " ".join(words[: min((len(words) + 1) // 2, MAX_OPENING_WORDS)])
    else:
        begun = sentence[: min(len(sentence) // 2, MAX_OPENING_CHARS)]
    return begun.strip(_MARKS)


def encodable(text: str) -> str:
    """`text` with a letter in the place of every surrogate that stands alone, which has no place in UTF-8."""
    return _SURROGATE.sub("x", text)


def numbers_in(text: str) -> set[str]:
    """The numbers of `text` as they are written."""
    return set(_NUMBER.findall(text))


def words_with_digits(text: str) -> list[str]:
    """The words of `text` that hold a digit: numbers, codes, times."""
    return _WITH_DIGIT.findall(text)


def has_name_or_number(text: str) -> bool:
    """Whether a digit stands in `text`, or a capital inside a sentence, which a name has in most languages."""
    return bool(_CAPITAL_OR_DIGIT.search(text))
