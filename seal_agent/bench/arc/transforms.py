"""Transformations of all grids of a task that keep the puzzle: pure functions with inverses.

Rotations, flips, transposition, translation, scaling, repetition, recolouring, and chains of them, after
the augmentations of test-time training for ARC (Akyürek et al., arXiv 2411.07279, appendix A).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

from seal_agent.bench.arc.grids import Grid

Map = Callable[[Grid], Grid]


@dataclass(frozen=True)
class Transform:
    """A function of grids; `undo(apply(grid)) == grid` for every grid."""

    name: str
    apply: Map
    undo: Map


def _same(grid: Grid) -> Grid:
    return grid


def _flipped(grid: Grid) -> Grid:
    return tuple(row[::-1] for row in grid)


def _upside_down(grid: Grid) -> Grid:
    return grid[::-1]


def _transposed(grid: Grid) -> Grid:
    return tuple(zip(*grid, strict=True))


def _turned_right(grid: Grid) -> Grid:
    return _transposed(_upside_down(grid))


def _turned_left(grid: Grid) -> Grid:
    return _upside_down(_transposed(grid))


def _turned_round(grid: Grid) -> Grid:
    return _upside_down(_flipped(grid))


def _transposed_round(grid: Grid) -> Grid:
    return _turned_round(_transposed(grid))


IDENTITY = Transform("identity", _same, _same)
ISOMETRIES = (
    IDENTITY,
    Transform("transpose", _transposed, _transposed),
    Transform("flip", _flipped, _flipped),
    Transform("upside down", _upside_down, _upside_down),
    Transform("turn right", _turned_right, _turned_left),
    Transform("turn left", _turned_left, _turned_right),
    Transform("turn round", _turned_round, _turned_round),
    Transform("transpose round", _transposed_round, _transposed_round),
)
"""The eight symmetries of the square; answers are voted on over them."""


def translate(down: int, right: int) -> Transform:
    """Shift every cell cyclically."""
    return Transform(
        f"translate {down},{right}", lambda grid: _rolled(grid, down, right), lambda grid: _rolled(grid, -down, -right)
    )


def enlarge(tall: int, wide: int) -> Transform:
    """Scale every cell to `tall` by `wide` cells."""

    def apply(grid: Grid) -> Grid:
        return tuple(tuple(cell for cell in row for _ in range(wide)) for row in grid for _ in range(tall))

    return Transform(f"enlarge {tall}x{wide}", apply, lambda grid: tuple(row[::wide] for row in grid[::tall]))


def repeat(down: int, right: int) -> Transform:
    """Tile the grid, `down` by `right` times."""

    def undo(grid: Grid) -> Grid:
        return tuple(row[: len(row) // right] for row in grid[: len(grid) // down])

    return Transform(f"repeat {down}x{right}", lambda grid: tuple(row * right for row in grid) * down, undo)


def recolour(colours: Sequence[int]) -> Transform:
    """Replace colour c by `colours[c]`, a permutation of 0 to 9."""
    back = [colours.index(colour) for colour in range(10)]

    def painted(grid: Grid, by: Sequence[int]) -> Grid:
        return tuple(tuple(by[cell] for cell in row) for row in grid)

    name = f"recolour {''.join(map(str, colours))}"
    return Transform(name, lambda grid: painted(grid, colours), lambda grid: painted(grid, back))


def chain(*transforms: Transform) -> Transform:
    """Apply the transforms in order, from the left."""

    def apply(grid: Grid) -> Grid:
        return reduce(lambda g, t: t.apply(g), transforms, grid)

    def undo(grid: Grid) -> Grid:
        return reduce(lambda g, t: t.undo(g), reversed(transforms), grid)

    return Transform(", ".join(t.name for t in transforms), apply, undo)


def _rolled(grid: Grid, down: int, right: int) -> Grid:
    tall, wide = len(grid), len(grid[0])
    return tuple(tuple(grid[(y - down) % tall][(x - right) % wide] for x in range(wide)) for y in range(tall))
