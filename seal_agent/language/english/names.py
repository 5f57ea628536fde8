"""Names and numbers, told by their capitals and digits; words that stand in for a cell of a table."""

from __future__ import annotations

import re

_NAMES = re.compile(r"\b(?:\d[\d.,]*\d|\d|[A-ZÀ-Þ][\w'’-]{2,})")
_TELLING = re.compile(r"\b(?:\w*\d\w*|(?<!^)(?<![.!?]\s)[A-ZÀ-Þ][\w'’-]+)")
_VALUES = frozenset({"value", "values", "description", "details", "information", "answer"})
_DITTO = frozenset({"do.", "ditto", "same as above", "as above", "idem", "id."})


def names_in(text: str) -> list[str]:
    """The names and numbers of `text`; the first word of a sentence may be any word."""
    return _TELLING.findall(text)


def new_names(text: str, known: str) -> set[str]:
    """Names and numbers of `text` that `known` does not hold; the first word of a sentence may be any word."""
    said = {
        match.group()
        for match in _NAMES.finditer(text)
        if match.group()[0].isdigit()
        or (match.start() > 0 and text[: match.start()].rstrip(" \"'“(")[-1:] not in ".:!?\n")
    }
    lowered = known.lower()
    return {name for name in said if name.lower().removesuffix("'s").removesuffix("’s") not in lowered}


def is_yes_or_no(answer: str) -> bool:
    """Whether `answer` is nothing but "yes" or "no"."""
    return answer.rstrip(".!").lower() in ("yes", "no")


def is_value_column(name: str) -> bool:
    """Whether the name of a table's column says nothing of its cells: "Value"."""
    return name.lower() in _VALUES


def is_ditto(cell: str) -> bool:
    """Whether the words of a table's cell stand for the cell above: "as above"."""
    return cell.strip().lower() in _DITTO
