"""Tables as sentences: every row with column names, caption and the text of merged cells.

A sentence is read without its table, so it must contain what distinguishes its row. A cell for which that is
impossible, such as one of two columns with the same name, is left out with the reason. Time and memory are linear in
the number of cells; the text that merged cells add is limited.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from seal_agent.language.base import Language, for_text
from seal_agent.language.sentences import full_stop
from seal_agent.language.values import LeftOut

MAX_SPAN = 1000  # columns of a merged cell, as in browsers
MAX_FILLED = 4  # characters that merged cells may add, per character of the table
MIN_FILLED = 20_000
MAX_REPEATED = 100  # characters of a name, caption or cell that is repeated with other cells
MAX_KEY_COLUMNS = 3  # first columns that may be needed to distinguish rows
NO_VALUE = ("", "n/a", "-", "–", "—")
DITTO = ("〃", '"', "''", "″", "“", "”", "„", ",,")
_PARTED = re.compile(r"^([^,()]+), ([^,()]+)$")


@dataclass(frozen=True)
class Cell:
    """A table cell; `columns` and `rows` are its spans, `is_name` marks a head cell."""

    text: str
    columns: int = 1
    rows: int = 1
    is_name: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells. `num_names`: head rows at the top. `about`: the caption or heading above the rows."""

    rows: Sequence[Sequence[Cell]]
    num_names: int = 0
    about: str = ""


@dataclass(frozen=True)
class Told:
    """The sentences of a table, one for each value, and the parts left out."""

    lines: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def told(table: Table) -> Told:
    """A table as sentences: the subject of a row, with each other cell and the name of its column.

    The subject of a row is its first cell, or its first two or three if one does not distinguish rows. A first row of
    one cell is a caption, and a row of one cell over all columns names the rows below it. In a table of two columns the
    second may be called just "value"; then the first cell is a name, also one in two parts like "Range, indoors".
    """
    rows = [list(row) for row in table.rows if any(cell.text for cell in row)]
    num_empty = sum(not any(cell.text for cell in row) for row in table.rows[: table.num_names])
    num_names = max(table.num_names - num_empty, 0)
    result = Told()
    about = _short(table.about, result)
    while rows and len(rows[0]) == 1 and len(rows) > 1 and len(rows[1]) > 1:
        about = _joined(about, _short(rows.pop(0)[0].text, result))
        num_names = max(num_names - 1, 0)
    filled = _filled(rows)
    head, body, titles = filled[:num_names], filled[num_names:], _row_titles(rows[num_names:])
    if not body:  # a head alone is a row
        head, body, titles = [], head, [False] * len(head)
    names = _names(head)
    spread = _spread(head[-1]) if head and len(body) > 1 and not body[0][0] else []
    if spread and _is_second_head(spread[1:], body):
        names, body, titles = _names([*head[:-1], spread, body[0]]), body[1:], titles[1:]
    elif names and _is_second_head(names, body):
        names, body, titles = _names([*head, body[0]]), body[1:], titles[1:]
    names = [_short(name, result) for name in names]
    language = for_text("\n".join(" ".join(row) for row in filled))
    _tell(_without_ditto(body, result, language), titles, _Columns(names, language), about, result)
    return result


def _short(text: str, result: Told) -> str:
    """A text that is repeated with every row, or "" for a long one, which is stated once."""
    if len(text) > MAX_REPEATED:
        result.lines.append(f"{text}{full_stop(text)}")
        return ""
    return text


def _about(first: str, *others: str) -> str:
    """The subject of a row with its context: "Lark (Rooms, 2024)"."""
    other = _joined(*others)
    return f"{first} ({other})" if first and other else first or other


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _filled(rows: Sequence[Sequence[Cell]]) -> list[list[str]]:
    """The text of every cell; that of a merged cell in each place it covers, within the limit."""
    left = MIN_FILLED + MAX_FILLED * sum(len(cell.text) + 1 for row in rows for cell in row)
    width = sum(min(cell.columns, MAX_SPAN) for cell in max(rows, key=len)) if rows else 0
    carried: dict[int, tuple[int, str]] = {}  # column: rows still to fill, and the text
    filled: list[list[str]] = []
    for row in rows:
        line: list[str] = []
        new: dict[int, tuple[int, str]] = {}
        for cell in row:
            left -= _carry(line, carried, new)
            room = 1 + max(left, 0) // (len(cell.text) + 1)
            num = max(min(cell.columns, MAX_SPAN, width - len(line), room), 1)
            if cell.rows > 1:
                new.update((at, (cell.rows - 1, cell.text)) for at in range(len(line), len(line) + num))
            line += [cell.text] * num
            left -= (num - 1) * (len(cell.text) + 1)
        left -= _carry(line, carried, new)
        carried = {**carried, **new} if left > 0 else {}
        filled.append(line)
    return filled


def _carry(line: list[str], carried: dict[int, tuple[int, str]], new: dict[int, tuple[int, str]]) -> int:
    """Put merged cells of rows above into `line`; returns the number of characters added."""
    num = 0
    while len(line) in carried:
        rows, text = carried.pop(len(line))
        if rows > 1:
            new[len(line)] = (rows - 1, text)
        line.append(text)
        num += len(text) + 1
    return num


def _names(head: Sequence[Sequence[str]]) -> list[str]:
    """The names of the columns after the first; several head rows are joined: "Q1" above "Jan" is "Q1 Jan"."""
    width = max(map(len, head), default=0)
    names = []
    for column in range(1, width):
        parts = dict.fromkeys(row[column] for row in head if column < len(row) and row[column])
        names.append(" ".join(parts))
    return [name[:1].lower() + name[1:] if name[1:].islower() else name for name in names]


def _is_second_head(names: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Whether the first body row is a second head row, as in Markdown, which has no merged cells."""
    if len(body) < 2 or len(set(names)) == len(names):
        return False
    second = [cell for cell in body[0][1:] if cell]
    return (
        len(second) == len(names)
        and len(set(zip(names, second, strict=True))) == len(names)
        and not any(character.isdigit() for cell in second for character in cell)
        and any(character.isdigit() for cell in body[1][1:] for character in cell)
    )


def _spread(names: Sequence[str]) -> list[str]:
    """The names of a head row, each extended over the empty cells after it, as in Markdown."""
    spread: list[str] = []
    for name in names:
        spread.append(name or (spread[-1] if len(spread) > 1 else ""))
    return spread


def _row_titles(rows: Sequence[Sequence[Cell]]) -> list[bool]:
    """The rows that are one cell over several columns, and so name the rows below them."""
    return [len(row) == 1 and row[0].columns > 1 for row in rows]


def _without_ditto(body: list[list[str]], result: Told, language: Language) -> list[list[str]]:
    """The rows with ditto marks replaced by the cell above; a row without one above is left out."""
    above: list[str] = []
    for row in body:
        for column, cell in enumerate(row):
            if cell.strip() not in DITTO and not language.is_ditto(cell):
                continue
            if column < len(above) and 0 < len(above[column]) <= MAX_REPEATED:
                row[column] = above[column]
            else:
                result.left_out.append(LeftOut(" | ".join(row), f"{cell} repeats a cell above that is missing or long"))
                row[:] = []
                break
        above = row or above
    return body


@dataclass(frozen=True)
class _Columns:
    """The names of the columns after the first, and the language of the table."""

    names: Sequence[str]
    language: Language

    @property
    def are_values(self) -> bool:
        """Whether there is one column, and its name says nothing about its cells."""
        return len(self.names) == 1 and self.language.is_value_column(self.names[0])


def _tell(body: Sequence[Sequence[str]], titles: Sequence[bool], columns: _Columns, about: str, result: Told) -> None:
    names, of_values = columns.names, columns.are_values
    for title, first, rows in _groups(body, titles, result):
        what = _about(first, title, about)
        num_key = _num_key_columns(rows) if any(names) else 1
        for row in rows:
            if of_values:
                lines = list(_valued(first, row, _joined(title, about)))
            elif num_key > MAX_KEY_COLUMNS or len(first) > MAX_REPEATED:
                lines = [_whole(what, names, row)]
            elif any(names):
                key = _joined(first, *_keys(names, row[: num_key - 1]))
                lines = list(_named(_about(key, title, about), names, row, num_key, result))
            else:
                lines = [": ".join(filter(None, [what, ", ".join(filter(_says, row))]))]
            result.lines.extend(f"{line}{full_stop(line)}" for line in lines)


def _groups(
    body: Sequence[Sequence[str]], titles: Sequence[bool], result: Told
) -> Iterator[tuple[str, str, list[Sequence[str]]]]:
    """The rows with the same title and first cell, without that cell; an empty first cell continues the row above.

    A title without rows below it is a statement of its own.
    """
    groups: dict[tuple[str, str], list[Sequence[str]]] = {}
    title = first = ""
    is_open = False  # whether the title has no row yet
    for row, is_title in zip(body, titles, strict=True):
        if is_title:
            _tell_title(title * is_open, result)
            title, first, is_open = _short("".join(row[:1]), result), "", True
        elif any(row):
            first, is_open = row[0] or first, False
            groups.setdefault((title, first), []).append(row[1:])
    _tell_title(title * is_open, result)
    for (above, about), rows in groups.items():
        yield above, about, rows


def _tell_title(title: str, result: Told) -> None:
    if title:
        result.lines.append(f"{title}{full_stop(title)}")


def _says(cell: str) -> bool:
    return cell.lower() not in NO_VALUE


def _valued(first: str, cells: Sequence[str], about: str) -> Iterator[str]:
    is_question = first.endswith("?")
    named = first if is_question else _PARTED.sub(r"\1 (\2)", first.removesuffix(":"))
    named = named if is_question else f"{_about(named, about)}:"
    yield from (f"{named} {cell}" for cell in cells if _says(cell))


def _keys(names: Sequence[str], cells: Sequence[str]) -> list[str]:
    """Cells with the names of their columns: "day Mon"."""
    return [f"{_name(names, at)} {cell}".strip() for at, cell in enumerate(cells) if _says(cell)]


def _whole(what: str, names: Sequence[str], cells: Sequence[str]) -> str:
    """A row in one sentence, for rows that no cell distinguishes."""
    return ": ".join(filter(None, [what, ", ".join(_keys(names, cells))]))


def _name(names: Sequence[str], at: int) -> str:
    return names[at] if at < len(names) else ""


def _named(what: str, names: Sequence[str], cells: Sequence[str], num_key: int, result: Told) -> Iterator[str]:
    """The cells of a row with the names of their columns; the first `num_key` - 1 of them belong to the subject."""
    values: dict[str, str] = {}
    unclear: set[str] = set()
    places = [at for at in range(num_key - 1, len(cells)) if _says(cells[at])]
    for at in places:
        name = _name(names, at)
        if name and values.setdefault(name, cells[at]) != cells[at]:
            unclear.add(name)
    for at in places:
        name = _name(names, at)
        line = f"{what}, {name}: {cells[at]}" if name else f"{what}: {cells[at]}"
        if name in unclear:
            result.left_out.append(LeftOut(line, f'several columns are called "{name}"'))
        elif not name or values.pop(name, ""):
            yield line


def _num_key_columns(rows: Sequence[Sequence[str]]) -> int:
    """The number of first columns that distinguish rows with the same first cell; above `MAX_KEY_COLUMNS`: impossible.

    A number cannot name a row.
    """
    for num in range(MAX_KEY_COLUMNS):
        keys = [cell for row in rows for cell in row[:num]]
        if (
            any(character.isdigit() for cell in keys for character in cell)
            or max(map(len, keys), default=0) > MAX_REPEATED
        ):
            break
        if _are_told_apart(rows, num):
            return num + 1
    return MAX_KEY_COLUMNS + 1


def _are_told_apart(rows: Sequence[Sequence[str]], num_key: int) -> bool:
    """Whether no two rows with equal first `num_key` cells differ elsewhere."""
    seen: dict[tuple[str, ...], dict[int, str]] = {}
    for row in rows:
        values = seen.setdefault(tuple(row[:num_key]), {})
        for column, cell in enumerate(row[num_key:], num_key):
            if _says(cell) and values.setdefault(column, cell) != cell:
                return False
    return True
