"""Grids as text a model reads and writes, one token a cell, and the grammar that holds what it writes to a grid.

A row is its digits and a line break; a grid ends with "#", because SmolLM2 reads two line breaks as one token or two,
as what follows them will have it. Tokenizers that split digits (SmolLM2, Qwen2.5) take one token a cell and one a row
end; with a space between cells they take two. Llama 3 joins up to three digits: the texts are valid there too, but a
column is no longer a column of tokens.
"""

from __future__ import annotations

import re

from seal_agent.core.messages import Grammar

Grid = tuple[tuple[int, ...], ...]
"""Rows of colours 0 to 9, at most 30 by 30, all rows as long."""
MAX_SIDE = 30
END = "#"
_TEXT = re.compile(r"(?:[0-9]+\n)+")


def as_text(grid: Grid) -> str:
    """A line of digits for every row."""
    return "".join("".join(map(str, row)) + "\n" for row in grid)


def as_answer(grid: Grid) -> str:
    """The text a model is to write: the grid, and that it ends there."""
    return as_text(grid) + END


def parse(text: str) -> Grid | None:
    """The grid in an answer, or None where it is cut off or its rows differ in length."""
    body, end, _ = text.strip(" ").partition(END)
    if not end or not _TEXT.fullmatch(body):
        return None
    rows = tuple(tuple(map(int, line)) for line in body.splitlines())
    return rows if len({len(row) for row in rows}) == 1 else None


def num_symbols(grid: Grid) -> int:
    """How many cells and row ends the text of a grid has: its tokens, where a cell is one."""
    return len(grid) * (len(grid[0]) + 1)


def grammar(max_height: int = MAX_SIDE, max_width: int = MAX_SIDE) -> Grammar:
    """Every grid of at most that size, with its end, and nothing else."""
    widths = range(1, max_width + 1)
    grids = " | ".join(f"row{width}{{1,{max_height}}}" for width in widths)
    rows = "".join(f"row{width}: /[0-9]{{{width}}}\\n/\n" for width in widths)
    return Grammar(f'start: ({grids}) "{END}"\n{rows}')
