"""The layers below the trained ones are computed once where every step has the same batch."""

from dataclasses import replace

import pytest
import torch
from tiny import DIRECTIVES, ROWS, tiny_engine, train

from seal_agent.adapters.engine import Engine
from seal_agent.adapters.frozen_layers import blocks_below
from seal_agent.adapters.schedule import trained_layers
from seal_agent.adapters.training import Job

ALL_ROWS = replace(DIRECTIVES, batch_size=len(ROWS) + 1, top_layers=0.5, min_steps=4, max_steps=4, stop_loss=0.0)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return tiny_engine()


def calls_of_the_lowest_block(engine: Engine, *jobs: Job) -> int:
    lowest, calls = engine.model.get_submodule("model.layers")[0], list[int]()
    handle = lowest.mlp.register_forward_hook(lambda *_: calls.append(1))
    train(engine, *jobs)
    handle.remove()
    return len(calls)


def test_a_batch_of_all_rows_passes_the_lower_blocks_once(engine: Engine) -> None:
    assert calls_of_the_lowest_block(engine, Job(ROWS, ALL_ROWS, 1)) == 1


def test_other_batches_pass_them_in_every_step(engine: Engine) -> None:
    some = replace(ALL_ROWS, batch_size=2)
    assert calls_of_the_lowest_block(engine, Job(ROWS, some, 1)) == 4


def test_the_update_is_the_same_as_with_all_blocks_computed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    (quick,) = train(engine, Job(ROWS, ALL_ROWS, 1))
    monkeypatch.setattr("seal_agent.adapters.training.blocks_below", lambda *_: [])
    (whole,) = train(engine, Job(ROWS, ALL_ROWS, 1))
    for name, (a, b) in whole.update.pairs.items():
        torch.testing.assert_close(quick.update.pairs[name][0], a, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(quick.update.pairs[name][1], b, atol=1e-6, rtol=1e-5)


def test_candidates_that_end_early_leave_the_others_their_own_states(engine: Engine) -> None:
    short = Job(ROWS[:3], replace(ALL_ROWS, min_steps=2, max_steps=2), 2)
    together, (alone,) = train(engine, short, Job(ROWS, ALL_ROWS, 1)), train(engine, Job(ROWS, ALL_ROWS, 1))
    assert together[1].last_loss == pytest.approx(alone.last_loss, abs=1e-5)


def test_the_model_is_itself_again_afterwards(engine: Engine) -> None:
    train(engine, Job(ROWS, ALL_ROWS, 1))
    assert all("forward" not in vars(block) for block in engine.model.get_submodule("model.layers"))


def test_without_frozen_blocks_nothing_is_remembered(engine: Engine) -> None:
    everything = trained_layers(engine.layers, replace(ALL_ROWS, top_layers=1.0))
    assert blocks_below(engine.model, engine.layers, everything) == []
