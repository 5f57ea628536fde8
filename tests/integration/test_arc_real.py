"""ARC on the embedded model: a token a cell, answers that are grids, settings that parse, and training that helps."""

import random
from dataclasses import replace

import pytest

from seal_agent.adapters.huggingface import TransformersBackend
from seal_agent.adapters.loading import LoadedModel
from seal_agent.bench.arc import ARC, ArcDomain, Grid, Pair, Task, edit_of
from seal_agent.bench.arc.grids import as_answer, num_symbols
from seal_agent.bench.arc.transforms import IDENTITY, ISOMETRIES
from seal_agent.bench.arc.voting import answers
from seal_agent.core.stacks import AdapterStack

pytestmark = pytest.mark.integration


def flip_task() -> Task:
    rng = random.Random(0)
    grids: list[Grid] = [((rng.randint(1, 9), rng.randint(1, 9)), (rng.randint(1, 9), 0)) for _ in range(4)]
    flip = {t.name: t for t in ISOMETRIES}["flip"]
    pairs = tuple(Pair(grid, flip.apply(grid)) for grid in grids)
    return Task("flip", pairs[:3], pairs[3:])


def test_a_cell_and_a_row_end_are_one_token_each(loaded: LoadedModel) -> None:
    rng = random.Random(0)
    for side in (1, 3, 30):
        grid: Grid = tuple(tuple(rng.randrange(10) for _ in range(side)) for _ in range(side))
        ids = loaded.tokenizer(as_answer(grid), add_special_tokens=False).input_ids
        assert len(ids) == num_symbols(grid) + 1


def test_every_voter_answers_with_a_whole_grid(real_backend: TransformersBackend) -> None:
    task = flip_task()
    assert len(answers(real_backend, task, task.tests[0].input, (IDENTITY, ISOMETRIES[1]))) == 2


def test_the_model_writes_settings_and_trained_on_the_demonstrations_finds_the_answer_likelier(
    real_backend: TransformersBackend,
) -> None:
    task, domain = flip_task(), ArcDomain()
    proposals = [domain.propose(real_backend, task, seed=seed, temperature=1.0) for seed in range(2)]
    assert all(proposal.edit.rows for proposal in proposals)
    view = real_backend.with_stack(AdapterStack().push(real_backend.train(edit_of(task, replace(ARC, num_rows=32)))))
    before, after = (domain.grade(each, task, generates=False).nll for each in (real_backend, view))
    assert after < before
