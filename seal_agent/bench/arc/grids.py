"""Grids as text with one token per cell, and the grammar of a valid grid.

A row is its digits and a line break; a grid ends with "#", because SmolLM2 reads two line breaks as one token or two,
depending on what follows. Tokenizers that split digits (SmolLM2, Qwen2.5) use one token per cell and one per row end;
spaces between cells would double that. Llama 3 joins up to three digits: the texts work, but a column of cells is not a
column of tokens.
"""

from __future__ import annotations

import re

from seal_agent.core.messages import Grammar

Grid = tuple[tuple[int, ...], ...]
"""Rows of equal length with colours 0 to 9, at most 30 by 30."""
MAX_SIDE = 30
END = "#"
_TEXT = re.compile(r"(?:[0-9]+\n)+")


def as_text(grid: Grid) -> str:
    """A line of digits for every row."""
    return "".join("".join(map(str, row)) + "\n" for row in grid)


def as_answer(grid: Grid) -> str:
    """The expected answer: the grid and its end mark."""
    return as_text(grid) + END


def parse(text: str) -> Grid | None:
    """The grid in an answer; None if it is incomplete or its rows differ in length."""
    body, end, _ = text.strip(" ").partition(END)
    if not end or not _TEXT.fullmatch(body):
        return None
    rows = tuple(tuple(map(int, line)) for line in body.splitlines())
    return rows if len({len(row) for row in rows}) == 1 else None


def num_symbols(grid: Grid) -> int:
    """The number of cells and row ends of a grid: its tokens, if a cell is one token."""
    return len(grid) * (len(grid[0]) + 1)


def grammar(max_height: int = MAX_SIDE, max_width: int = MAX_SIDE) -> Grammar:
    """The grammar of a grid of at most that size with its end mark."""
    widths = range(1, max_width + 1)
    grids = " | ".join(f"row{width}{{1,{max_height}}}" for width in widths)
    rows = "".join(f"row{width}: /[0-9]{{{width}}}\\n/\n" for width in widths)
    return Grammar(f'start: ({grids}) "{END}"\n{rows}')
