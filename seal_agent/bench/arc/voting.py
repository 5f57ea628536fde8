"""Prediction by vote: the task is answered under several transforms, and the answers are transformed back and counted.

ARC allows two guesses (pass@2): the two answers with the most votes; ties go to the earlier one, the untransformed task
first (after Akyürek et al., arXiv 2411.07279, section 4.2, with one sample per transform).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from seal_agent.bench.arc.grids import END, Grid, grammar, parse
from seal_agent.bench.arc.tasks import Task, largest_answer, question
from seal_agent.bench.arc.transforms import ISOMETRIES, Transform
from seal_agent.core.backend import Backend

VOTERS = ISOMETRIES[:4]
NUM_GUESSES = 2


def answers(view: Backend, task: Task, grid: Grid, voters: Sequence[Transform] = VOTERS) -> list[Grid]:
    """The greedy answers of `view` for `grid` under every transform, transformed back, without incomplete ones."""
    laid = [(task.through(t), t.apply(grid)) for t in voters]
    sides = [largest_answer(*each) for each in laid]
    written = view.generate(
        [question(*each) for each in laid],
        max_new_tokens=max(tall * (wide + 1) for tall, wide in sides) + len(END) + 1,
        grammars=[grammar(*side) for side in sides],
    )
    grids = [parse(samples[0]) for samples in written]
    return [t.undo(found) for t, found in zip(voters, grids, strict=True) if found]


def guesses(answered: Sequence[Grid]) -> tuple[Grid, ...]:
    """The `NUM_GUESSES` answers with the most votes, most votes first; ties go to the earlier answer."""
    return tuple(grid for grid, _ in Counter(answered).most_common(NUM_GUESSES))
