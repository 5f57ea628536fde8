"""A puzzle of ARC's kind."""

import random

from seal_agent.bench.arc import Pair, Task
from seal_agent.bench.arc.grids import Grid
from seal_agent.bench.arc.transforms import ISOMETRIES

FLIP = {t.name: t for t in ISOMETRIES}["flip"]


def flip_task(num: int = 3, seed: int = 0) -> Task:
    """Every grid is flipped; the grids are drawn by `seed`."""
    rng = random.Random(seed)
    pairs = []
    for _ in range(num + 1):
        grid = random_grid(rng, 3, 2)
        pairs.append(Pair(grid, FLIP.apply(grid)))
    return Task(f"flip{seed}", tuple(pairs[:-1]), tuple(pairs[-1:]))


def random_grid(rng: random.Random, tall: int = 0, wide: int = 0) -> Grid:
    height, width = tall or rng.randint(1, 6), wide or rng.randint(1, 6)
    return tuple(tuple(rng.randrange(10) for _ in range(width)) for _ in range(height))
