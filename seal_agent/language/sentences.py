"""Text into sentences."""

from __future__ import annotations

import re

from seal_agent.core.documents import MAX_PASSAGE_CHARS

_SENTENCE_END = re.compile(r"(?<=[.!?。！？])([\"'”’)]*)\s+(?=[\"'“‘(]?[A-Z0-9À-ÞΑ-ΩА-Я\u3040-\u9fff])|(?<=[。！？])")
ENDS = ".!?:;。！？"
_UNIT = r"(?<=[\d°])[A-Z]|(?<=\d )[CFJKLNVW]"  # "It takes 16 V." ends there, "In 1850 A. Smith came." does not
_ABBREVIATION = re.compile(rf"\b(?:Dr|Mr|Mrs|Ms|Prof|St|vs|etc|e\.g|i\.e|No|(?!{_UNIT})[A-Z])\.$")


def split_sentences(text: str) -> list[str]:
    """The sentences of `text` in order, white space collapsed."""
    sentences: list[str] = []
    for part in _SENTENCE_END.sub(r"\1\n", " ".join(text.split())).split("\n"):
        piece = part.strip()
        if not piece:
            continue
        if sentences and len(sentences[-1]) < MAX_PASSAGE_CHARS and _ABBREVIATION.search(sentences[-1][-8:]):
            sentences[-1] += " " + piece
        else:
            sentences.append(piece)
    return sentences


def full_stop(said: str) -> str:
    """The full stop that a line of a list or a table lacks: it is a sentence, and no heading."""
    return "" if not said.strip() or said.rstrip()[-1] in ENDS else "."
