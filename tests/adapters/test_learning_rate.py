"""The learning rate that fits a model: measured on its weights, and taken by whatever names none."""

from dataclasses import replace

import pytest
import torch
from tiny import DIRECTIVES, ROWS, tiny_engine, tiny_model, train

from seal_agent.adapters.engine import Engine
from seal_agent.adapters.learning_rate import POWER, RATE, gain_of
from seal_agent.adapters.loading import LoadedModel
from seal_agent.adapters.training import Job
from seal_agent.core.edits import Directives
from seal_agent.writing.directives import MENU, SEAL_PAPER, listed, schema


def engine_of(factor: float, dtype: torch.dtype = torch.float32) -> Engine:
    """The tiny model with its linear weights made larger."""
    model = tiny_model().to(dtype)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("proj.weight"):
                weight.mul_(factor)
    return Engine(LoadedModel("tiny", model, None, torch.device("cpu"), dtype))  # type: ignore[arg-type]


def test_the_gain_of_a_layer_is_how_much_longer_it_makes_a_vector() -> None:
    engine = tiny_engine()
    layer = engine.layers["model.layers.0.mlp.up_proj"]
    expected = layer.weight.norm().item() / layer.shape[0] ** 0.5
    assert gain_of(layer, torch.float32, torch.device("cpu")) == pytest.approx(expected, rel=0.2)  # 32 random vectors


def test_larger_weights_take_a_larger_rate() -> None:
    rates = [engine_of(factor).learning_rate for factor in (1.0, 16.0)]
    assert rates[1] / rates[0] == pytest.approx(16**POWER, rel=0.1)  # of two digits each
    assert engine_of(16.0, torch.bfloat16).learning_rate == pytest.approx(rates[1], rel=0.1)


def test_layers_of_zeros_say_nothing() -> None:
    assert engine_of(0.0).learning_rate == float(f"{RATE:.2g}")


def test_an_edit_that_names_no_rate_is_trained_with_the_fitting_one() -> None:
    engine = tiny_engine()
    named = replace(DIRECTIVES, learning_rate=engine.learning_rate)
    jobs = [Job(ROWS, directives, 1) for directives in (replace(DIRECTIVES, learning_rate=0.0), named)]
    fitted, same = (train(tiny_engine(), job)[0].update.pairs for job in jobs)
    for name, (a, b) in fitted.items():
        assert torch.equal(a, same[name][0])
        assert torch.equal(b, same[name][1])


def test_a_rate_that_is_named_is_taken_as_it_is() -> None:
    assert tiny_engine().fitted(SEAL_PAPER) is SEAL_PAPER
    assert not Directives().learning_rate


def test_the_model_chooses_among_rates_around_its_own() -> None:
    assert schema(2.5e-3)["properties"]["learning_rate"]["enum"] == [1e-3, 2.5e-3, 4e-3]
    assert schema(4.9e-4)["properties"]["learning_rate"]["enum"] == [2e-4, 4.9e-4, 7.8e-4]
    assert "- learning_rate: 0.0002, 0.00049, 0.00078" in listed(MENU, 4.9e-4)
