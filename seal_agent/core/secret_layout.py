"""The layout of a text that holds a secret: disguised letters, spaced letters, table columns.

`Reading` is the text as a person reads it, with a map of every character to its place in the original. `table_cells`
finds the cells under a heading such as "Password", and `bare_seed_phrases` the recovery phrases of wallets.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cached_property

Span = tuple[int, int]

_APART = re.compile(  # "P A S S", "p.a.s.s", "9 9 1 2"
    r"(?<![\w.])(?:[^\W\d_](?P<sign>[.*_-])(?:[^\W\d_](?P=sign)){2,}[^\W\d_]|[^\W_] (?:[^\W_] ){2,}[^\W_])(?!\w)"
)
_WORD = re.compile(r"\w{2,40}")
_TWO_ALPHABETS = re.compile(r"[a-zA-Z][\u0400-\u04ff]|[\u0400-\u04ff][a-zA-Z]")
_LOOKALIKES = str.maketrans("аеорсухіѕԁАЕОРСУХІЅ", "aeopcyxisdAEOPCYXIS")  # Cyrillic letters that look like Latin ones
_BLANK = re.compile(r"[ .*_-]")


class Reading:
    """A text as a person reads it: no invisible characters, plain letters, and spaced-out words joined."""

    def __init__(self, original: str) -> None:
        self._pieces: list[str] = []  # the reading of each character; empty if the text is read as written
        self.text = original
        if not original.isascii():
            self._read(original)
        if apart := [match.span() for match in _APART.finditer(self.text)]:
            self._join(apart)

    def _read(self, original: str) -> None:
        """Replace disguised letters by plain ones."""
        plain = {character: _plain(character) for character in set(original)}
        is_mixed = bool(_TWO_ALPHABETS.search(original))
        if not is_mixed and all(character == shown for character, shown in plain.items()):
            return
        self._pieces = [plain[character] for character in original]
        for word in _WORD.finditer(original) if is_mixed else ():
            if _TWO_ALPHABETS.search(word[0]):
                start, end = word.span()
                self._pieces[start:end] = [piece.translate(_LOOKALIKES) for piece in self._pieces[start:end]]
        self.text = "".join(self._pieces)

    def _join(self, apart: list[Span]) -> None:
        """Drop the separators inside the words at the spans `apart`."""
        self._pieces = self._pieces or list(self.text)
        places = self._places
        for start, end in apart:
            for blank in _BLANK.finditer(self.text, start, end):
                self._pieces[places[blank.start()]] = ""
        del self._places
        self.text = "".join(self._pieces)

    @cached_property
    def _places(self) -> list[int]:
        """Index in the original of each character of the reading."""
        return [place for place, piece in enumerate(self._pieces) for _ in piece]

    def original_span(self, span: Span) -> Span:
        """The span of the original that corresponds to a span of the reading."""
        if not self._pieces or span[0] == span[1]:
            return span if not self._pieces else (0, 0)
        return self._places[span[0]], self._places[span[1] - 1] + 1


def _plain(character: str) -> str:
    """The plain letter for a character ("ｐ", "𝗽": "p"); "" for an invisible one."""
    if unicodedata.category(character) == "Cf":
        return ""
    plain = unicodedata.normalize("NFKC", character)
    return plain if len(plain) == 1 else character


# --- tables -----------------------------------------------------------------------------------------------------------

_SIGNS = "|\t;,"
_RULE = re.compile(r"[\s|:+=-]+$")  # the line under the heading of a table
_AROUND_CELLS = " \t\r\n\"'*`"
MAX_CELL_WORDS = 4  # of a column name
MAX_ROW = 2000  # characters


def table_cells(text: str, names: re.Pattern[str]) -> Iterator[tuple[str, Span]]:
    """Yield the cells below a heading that `names` matches, each with its heading.

    Columns are separated by "|", a tab, ";" or ","; every row has as many cells as the heading. A row of two cells
    separated by "|" or a tab, the first of them a name, counts as a heading and its cell.
    """
    sign, width, columns, place = "", 0, dict[int, str](), 0
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        cells = _cells(line, sign) if columns and len(line) <= MAX_ROW else []
        if cells and len(cells) == width:
            found = [(heading, cells[column]) for column, heading in columns.items()]
        else:
            sign, cells, columns = _heading(line, names)
            width = len(cells)
            is_row = width == 2 and [*columns] == [0] and sign in ("|", "\t")
            if is_row and not any(_RULE.match(below) for below in lines[number + 1 : number + 2]):
                found, columns = [(columns[0], cells[1])], {}
            else:
                found = []
        for heading, (start, end) in found:
            if start < end and not _RULE.match(line[start:end]):
                yield heading, (place + start, place + end)
        place += len(line)


def _heading(line: str, names: re.Pattern[str]) -> tuple[str, list[Span], dict[int, str]]:
    """The separator of a heading line, the spans of its cells, and the cells that are names of secrets."""
    sign = next((sign for sign in _SIGNS if sign in line), "") if len(line) <= MAX_ROW else ""
    cells = _cells(line, sign) if sign else []
    said = [line[start:end] for start, end in cells]
    if len(cells) < 2 or any(len(cell.split()) > MAX_CELL_WORDS or cell[-1:] in (".", ":", "?", "!") for cell in said):
        return "", [], {}
    return sign, cells, {number: cell for number, cell in enumerate(said) if names.fullmatch(cell)}


def _cells(line: str, sign: str) -> list[Span]:
    """Spans of a line's cells, without blanks, quotation marks and emphasis."""
    cells, start = list[Span](), 0
    for inner in line.split(sign):
        first = start + len(inner) - len(inner.lstrip(_AROUND_CELLS))
        cells.append((first, max(first, start + len(inner.rstrip(_AROUND_CELLS)))))
        start += len(inner) + 1
    if sign == "|":  # the cells at the edges are empty
        cells = [cell for n, cell in enumerate(cells) if cell[0] < cell[1] or n not in (0, len(cells) - 1)]
    return cells


# --- seed phrases -----------------------------------------------------------------------------------------------------

_PARAGRAPH = re.compile(r"\S[^\n]*(?:\n[ \t]*\S[^\n]*)*")
_SEED_WORDS = re.compile(r"[a-z]{3,8}(?:\s+[a-z]{3,8}){11,23}\s*")
MAX_SEED = 400  # characters
SEED_LENGTHS = (12, 15, 18, 21, 24)
# Frequent words that are not in the word list of BIP-39; any sentence of twelve words holds one of them.
NOT_IN_SEEDS = frozenset(
    """the and for are was were his her him she our out not but has had have been from than which its who how did does
    said says these those went came got their there went made may might were would could should your""".split()
)


def bare_seed_phrases(text: str) -> Iterator[Span]:
    """Recovery phrases of wallets that are a paragraph of their own: 12 to 24 short words and no function word."""
    for match in _PARAGRAPH.finditer(text):
        start, end = match.span()
        if end - start > MAX_SEED or not _SEED_WORDS.fullmatch(text, start, end):
            continue
        words = match[0].split()
        if len(words) in SEED_LENGTHS and not NOT_IN_SEEDS & set(words):
            yield start, start + len(match[0].rstrip())
