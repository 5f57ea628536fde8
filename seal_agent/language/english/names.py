"""Names and numbers, recognised by capitals and digits; table cells that stand for the cell above."""

from __future__ import annotations

import re

_NAMES = re.compile(r"\b(?:\d[\d.,]*\d|\d|[A-ZÀ-Þ][\w'’-]{2,})")
_TELLING = re.compile(r"\b(?:\w*\d\w*|(?<!^)(?<![.!?]\s)[A-ZÀ-Þ][\w'’-]+)")
_VALUES = frozenset({"value", "values", "description", "details", "information", "answer"})
_DITTO = frozenset({"do.", "ditto", "same as above", "as above", "idem", "id."})


def names_in(text: str) -> list[str]:
    """The names and numbers in `text`; the first word of a sentence is skipped, because it is always capitalised."""
    return _TELLING.findall(text)


def new_names(text: str, known: str) -> set[str]:
    """Names and numbers in `text` that `known` does not contain; first words of sentences are skipped."""
    said = {
        match.group()
        for match in _NAMES.finditer(text)
        if match.group()[0].isdigit()
        or (match.start() > 0 and text[: match.start()].rstrip(" \"'“(")[-1:] not in ".:!?\n")
    }
    lowered = known.lower()
    return {name for name in said if name.lower().removesuffix("'s").removesuffix("’s") not in lowered}


def is_yes_or_no(answer: str) -> bool:
    """Whether `answer` is just "yes" or "no"."""
    return answer.rstrip(".!").lower() in ("yes", "no")


def is_value_column(name: str) -> bool:
    """Whether a table column's name says nothing about its cells, as "Value" does."""
    return name.lower() in _VALUES


def is_ditto(cell: str) -> bool:
    """Whether a table cell stands for the cell above: "as above"."""
    return cell.strip().lower() in _DITTO
