"""Training rows from a task's demonstrations: leave-out formats, and transformations of grids (tools).

Colours and the order of examples are permuted in every row but the original ones (black stays black), as in
SEAL's recipe (arXiv 2506.10943, section 4.2). The test grids are never used.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from seal_agent.bench.arc.grids import as_answer
from seal_agent.bench.arc.tasks import Task, demonstrated, question
from seal_agent.bench.arc.transforms import IDENTITY, ISOMETRIES, Transform, chain, enlarge, recolour, repeat, translate
from seal_agent.core.edits import Directives, Row, SelfEdit
from seal_agent.core.errors import EditFault
from seal_agent.writing.assembly import assemble
from seal_agent.writing.directives import Menu

FORMATS: Mapping[str, int] = {"leave-one-out": 1, "leave-two-out": 2}
"""The number of demonstrations that a row asks for instead of showing."""
_SHIFTS = (translate(1, 0), translate(0, 1), translate(-1, 0), translate(0, -1))
_SIZES = (enlarge(2, 2), enlarge(2, 1), enlarge(1, 2))
_REPEATS = (repeat(2, 1), repeat(1, 2), repeat(2, 2))
AUGMENTATIONS: Mapping[str, Sequence[Transform]] = {
    "basic": (*ISOMETRIES[1:], *_SHIFTS),
    "size": _SIZES,
    "chain": tuple(chain(turn, then) for turn in ISOMETRIES[1:5] for then in (*_SIZES, *_SHIFTS[:2])),
    "repeat": _REPEATS,
}
MENU = Menu(
    formats=tuple(FORMATS),
    augmentations=tuple(AUGMENTATIONS),
    choices={
        "learning_rate": (0.04, 0.12, 0.4, 1.2),
        "num_epochs": (1, 2, 3),
        "loss_on": ("answers", "all"),
    },
    max_augmentations=len(AUGMENTATIONS),
)
"""The choices of a policy for a task: SEAL's switches and directives, in ranges that suit a LoRA of rank 16."""
MAX_SYMBOLS = 2048  # of a row; larger grids, made by size, chain and repeat, are dropped
NUM_PASSES = 64  # over all combinations: the most colourings in which a small task is seen


def edit_of(task: Task, directives: Directives, seed: int = 0) -> SelfEdit:
    """The self-edit of `directives` for the demonstrations of `task`: `num_rows` distinct rows.

    Raises `EditFault` if the task has too few demonstrations for the formats.
    """
    rows = list(islice(_rows(task, directives, random.Random(seed)), directives.num_rows))
    if not rows:
        raise EditFault(
            f"{len(task.demonstrations)} demonstrations of {task.id} are too few or too large for "
            f"{', '.join(directives.formats)}; choose leave-one-out"
        )
    return assemble(rows, topic=f"task {task.id}", passage=demonstrated(task), directives=directives, seed=seed)


def _rows(task: Task, directives: Directives, rng: random.Random) -> Iterator[Row]:
    """The task's own leave-out rows, then transformed ones; all combinations once before any is repeated."""
    tasks = [(name, left) for name in directives.formats for left in task.without(FORMATS[name])]
    varied = [
        (augmentation, transform)
        for augmentation in directives.augmentations
        for transform in AUGMENTATIONS[augmentation]
    ]
    plain = [(name, left, "", IDENTITY) for name, left in tasks]
    combinations = [(name, left, *each) for name, left in tasks for each in [("", IDENTITY), *varied]]
    seen: set[Row] = set()
    for number in range(NUM_PASSES):
        for name, left, augmentation, transform in rng.sample(combinations, len(combinations)) if number else plain:
            changed = left.through(chain(transform, recolour(_colours(rng)))).shuffled(rng) if number else left
            if changed.num_symbols > MAX_SYMBOLS:
                continue
            for row in _asked(changed, "+".join(filter(None, (name, augmentation)))):
                if row not in seen:
                    seen.add(row)
                    yield row


def _asked(task: Task, source: str) -> list[Row]:
    return [Row(question(task, pair.input), as_answer(pair.output), source) for pair in task.tests]


def _colours(rng: random.Random) -> tuple[int, ...]:
    return (0, *rng.sample(range(1, 10), 9))
