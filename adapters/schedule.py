"""The layers, batches and learning rates of a training run, without tensors."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import repeat

from seal_agent.adapters.linear import numbers_in
from seal_agent.core.edits import Directives

FINAL_LEARNING_RATE = 0.1  # of the peak


def trained_layers(names: Iterable[str], directives: Directives) -> list[str]:
    """The names of the linear layers that the directives train.

    Backpropagation stops at the lowest of them.
    """
    of = {name: next(iter(numbers_in(name)), -1) for name in names}  # the block of each layer; -1: outside all blocks
    num_blocks = max(of.values(), default=0) + 1
    first = min(round(num_blocks * (1 - directives.top_layers)), num_blocks - 1)
    kinds = directives.layers.split(",")
    return [
        name
        for name, block in of.items()
        if (block >= first or directives.top_layers == 1)
        and (directives.layers == "all-linear" or name.rpartition(".")[2] in kinds)
    ]


def learning_rate_share(step: int, num_steps: int, num_warmup_steps: int) -> float:
    """The share of the peak learning rate at a step: a linear rise, then a linear fall to the final one."""
    warm = min(1.0, (step + 1) / max(num_warmup_steps, 1))
    return warm * (1 - (1 - FINAL_LEARNING_RATE) * step / num_steps)


def batches(num_rows: int, size: int, rng: random.Random) -> Iterator[list[int]]:
    """Endless batches of row numbers in random order; every row is drawn once before any is drawn again.

    A batch that is large enough for all rows holds each of them once, in order.
    """
    if size >= num_rows:
        yield from repeat(list(range(num_rows)))
    queue: list[int] = []
    while True:
        while len(queue) < size:
            queue += rng.sample(range(num_rows), num_rows)
        yield queue[:size]
        queue = queue[size:]
