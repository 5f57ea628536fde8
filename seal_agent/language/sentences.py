"""Sentence splitting by sentencex, which knows the abbreviations and full stops of about 300 languages.

Quotation marks and brackets are hidden from it, because it never splits between two of them, and so are some English
words that it takes for abbreviations (`english.abbreviations`). The text is passed in windows, because its time is
quadratic for a text without spaces. No sentence begins with a small letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from seal_agent.core.documents import MAX_PASSAGE_CHARS
from seal_agent.language.detection import ENGLISH, language_code
from seal_agent.language.english.abbreviations import ABBREVIATION, WHOLE_WORD
from seal_agent.language.words import encodable

ENDS = ".!?:;。！？"
WINDOW, OVERLAP = 1000, 100  # characters passed to sentencex at once; overlap of two windows in one sentence
_WITHOUT_SPACE = "。！？｡"  # full stops that no space follows
_HIDDEN = re.compile("[\"'“”‘’«»„()]+|[.!?]+[\"'“”’»)]*(?=[.!?])")  # what sentencex must not see
_ASCII_NEXT = re.compile(rf"(?<=[{_WITHOUT_SPACE}])[a-z0-9]")  # sentencex does not split before these
_OPENING, _CLOSING = "\"'“‘«„(", "\"'”’»“)"


def split_sentences(text: str, code: str = "") -> list[str]:
    """The sentences of `text` in order, white space collapsed; `code` is its language, detected by default."""
    line = " ".join(text.split())
    code = code or language_code(line)
    cuts = [0, *_boundaries(line, code), len(line)]
    sentences: list[str] = []
    for start, end in pairwise(cuts):
        piece = line[start:end].strip()
        if not piece:
            continue
        is_open = bool(sentences) and ABBREVIATION.search(sentences[-1][-8:])
        if is_open and len(sentences[-1]) < MAX_PASSAGE_CHARS:
            sentences[-1] += " " + piece
        else:
            sentences.append(piece)
    return sentences


def full_stop(said: str) -> str:
    """The full stop that a line of a list or table lacks, which makes it a sentence instead of a heading."""
    return "" if not said.strip() or said.rstrip()[-1] in ENDS else "."


def _boundaries(line: str, code: str) -> Iterator[int]:
    """The positions at which sentences begin in `line`, without the first."""
    for place in _found_by_sentencex(line, code):
        end = place
        while end < len(line) and line[end] in _CLOSING and not line[end - 1].isspace():
            end += 1
        if _can_begin(line, end):
            yield end


def _can_begin(line: str, place: int) -> bool:
    """Whether a sentence can begin at `place`: after a space or a CJK full stop, and not with a small letter."""
    first = line[place : place + 3].lstrip(" ")[:2].lstrip(_OPENING)[:1]
    if line[place - 1] in _WITHOUT_SPACE:
        return first.isalnum()
    return " " in line[place - 1 : place + 1] and first.isalnum() and not first.islower()


def _found_by_sentencex(line: str, code: str) -> Iterator[int]:
    """The positions in `line` at which sentencex ends a sentence."""
    from sentencex import segment

    bare = _ASCII_NEXT.sub("A", encodable(_HIDDEN.sub("", line)))
    if code == ENGLISH:
        bare = WHOLE_WORD.sub(lambda word: "x" * len(word[0]) if len(word[0]) > 1 else "0", bare)
    hidden = {number for match in _HIDDEN.finditer(line) for number in range(*match.span())}
    places = [number for number in range(len(line)) if number not in hidden]
    start = 0
    while start < len(bare):
        pieces = segment(code, bare[start : start + WINDOW])
        is_last = start + WINDOW >= len(bare)
        for piece in pieces if is_last else pieces[:-1]:
            start += len(piece)
            yield places[start - 1] + 1
        if is_last:
            return
        if len(pieces) == 1:
            start += WINDOW - OVERLAP
