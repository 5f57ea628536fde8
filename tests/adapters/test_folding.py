"""A stack folded into one update: exact, bounded when compressed, and the same as PEFT's live adapters."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from tiny import DIRECTIVES, ROWS, logits, stored, tiny_engine, tiny_model, train

from seal_agent.adapters.engine import Engine
from seal_agent.adapters.folding import LowRank, compress, fold, read_adapter, write_adapter
from seal_agent.adapters.training import Job
from seal_agent.core.edits import Directives
from seal_agent.core.errors import AdapterError
from seal_agent.core.stacks import AdapterRef, AdapterStack


def update(rank: int, seed: int) -> LowRank:
    generator = torch.Generator().manual_seed(seed)
    return LowRank(
        {"x": (torch.randn(rank, 12, generator=generator), torch.randn(10, rank, generator=generator))},
    )


def product(low: LowRank) -> torch.Tensor:
    a, b = low.pairs["x"]
    return b @ a


@pytest.fixture(scope="module")
def engine() -> Engine:
    return tiny_engine()


@pytest.fixture(scope="module")
def refs(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> list[AdapterRef]:
    root = tmp_path_factory.mktemp("adapters")
    wide = Directives(rank=8, alpha=8, learning_rate=1e-2, max_steps=4, min_steps=4, layers="q_proj,v_proj")
    jobs = [Job(ROWS, DIRECTIVES, 1), Job(ROWS, wide, 2), Job(ROWS[:2], replace(DIRECTIVES, top_layers=0.5), 3)]
    return [stored(run, root, name) for run, name in zip(train(engine, *jobs), "abc", strict=True)]


def test_a_fold_is_the_weighted_sum_of_its_updates() -> None:
    one, two = update(3, 1), update(5, 2)
    folded = fold([one.scaled(0.5), two])
    torch.testing.assert_close(product(folded), 0.5 * product(one) + product(two))
    assert folded.rank == 8


def test_a_served_stack_computes_what_pefts_live_adapters_compute(engine: Engine, refs: list[AdapterRef]) -> None:
    stack = AdapterStack().push(refs[0], 0.7).push(refs[1]).push(refs[2], 1.5)
    served = logits(engine, stack)
    live = PeftModel.from_pretrained(tiny_model(), refs[0].path, adapter_name="a")
    for ref, name in zip(refs[1:], "bc", strict=True):
        live.load_adapter(ref.path, adapter_name=name)
    assert len({name for name, _ in live.named_parameters() if ".c." in name}) == 14  # the upper of two layers
    live.base_model.set_adapter(["a", "b", "c"], inference_mode=True)
    for module in live.modules():
        if hasattr(module, "set_scale"):
            for name, weight in (("a", 0.7), ("c", 1.5)):
                module.set_scale(name, weight)
    with torch.inference_mode():
        expected = live(torch.tensor([[1, 5, 9, 20, 33]])).logits[0]
    torch.testing.assert_close(served, expected, atol=1e-5, rtol=1e-5)


def test_a_stack_beside_the_weights_is_the_stack_in_them(engine: Engine, refs: list[AdapterRef]) -> None:
    beside = tiny_engine()
    stack = AdapterStack().push(refs[0], 0.7).push(refs[1])
    for name, pair in beside.update(stack).pairs.items():
        beside.layers[name].beside = pair
    torch.testing.assert_close(logits(beside), logits(engine, stack), atol=1e-5, rtol=1e-5)


def test_a_stack_is_never_added_to_quantized_weights(refs: list[AdapterRef], monkeypatch: pytest.MonkeyPatch) -> None:
    """8-bit floats are floats too, and mean nothing without their scales."""
    monkeypatch.setattr("seal_agent.adapters.engine.MAX_BESIDE", 0)
    quantized = tiny_engine()
    layer = next(iter(quantized.layers.values()))
    layer.base.weight = torch.nn.Parameter(layer.weight.to(torch.float8_e4m3fn), requires_grad=False)
    quantized.activate(AdapterStack().push(refs[0]))
    assert layer.folded is None
    assert layer.beside is not None


@pytest.mark.parametrize(("most", "is_beside"), [(64, True), (0, False)])
def test_in_16_bits_few_ranks_stay_beside_the_weights_and_many_are_added(
    engine: Engine, refs: list[AdapterRef], monkeypatch: pytest.MonkeyPatch, most: int, is_beside: bool
) -> None:
    monkeypatch.setattr("seal_agent.adapters.engine.MAX_BESIDE", most)
    rounded = tiny_engine(torch.bfloat16)
    stack = AdapterStack().push(refs[0], 0.7).push(refs[1])
    learned = logits(engine, stack) - logits(engine)
    untouched = logits(rounded)
    torch.testing.assert_close(logits(rounded, stack) - untouched, learned, atol=0.03 * float(learned.max()), rtol=0)
    assert [layer.beside is not None for layer in rounded.layers.values()] == [is_beside] * 14
    assert [layer.folded is not None for layer in rounded.layers.values()] == [not is_beside] * 14


def test_the_base_is_bit_for_bit_what_it_was_after_a_stack_was_served(engine: Engine, refs: list[AdapterRef]) -> None:
    before = logits(engine)
    stack = AdapterStack().push(refs[0])
    once = logits(engine, stack)
    assert not torch.equal(once, before)
    assert torch.equal(logits(engine), before)
    logits(engine, AdapterStack().push(refs[1]))
    logits(engine, AdapterStack().push(refs[2]))  # the first is forgotten and folded anew
    assert torch.equal(logits(engine, stack), once)


def test_compressing_loses_what_it_says_and_no_more_than_it_must() -> None:
    whole = update(8, 3)
    near, error = compress(whole, 4)
    exact = torch.linalg.svdvals(product(whole))
    assert near.rank == 4
    assert error == pytest.approx(float(exact[4:].norm() / exact.norm()), rel=1e-4)
    assert error == pytest.approx(float((product(near) - product(whole)).norm() / product(whole).norm()), rel=1e-4)


def test_compressing_to_more_ranks_than_there_are_loses_nothing() -> None:
    near, error = compress(update(3, 4), 6)
    assert (near.rank, error) == (6, 0.0)
    torch.testing.assert_close(product(near), product(update(3, 4)), atol=1e-5, rtol=1e-5)


def test_an_adapter_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_adapter(tmp_path, update(4, 5), model="tiny", alpha=16)
    torch.testing.assert_close(product(read_adapter(tmp_path)), product(update(4, 5)))
    assert json.loads((tmp_path / "adapter_config.json").read_text())["base_model_name_or_path"] == "tiny"


def test_an_update_of_several_ranks_is_not_stored() -> None:
    mixed = LowRank({**update(3, 1).pairs, "y": update(2, 1).pairs["x"]})
    with pytest.raises(AdapterError, match=r"\[2, 3\]; compress it first"):
        write_adapter(Path(), mixed, model="tiny")


@pytest.mark.parametrize(
    ("change", "message"),
    [({"use_dora": True}, "no plain LoRA"), ({"peft_type": "IA3"}, "no plain LoRA"), ({"bias": "all"}, "no plain")],
)
def test_an_adapter_of_another_kind_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    write_adapter(tmp_path, update(4, 5), model="tiny")
    config = tmp_path / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **change}))
    with pytest.raises(AdapterError, match=message):
        read_adapter(tmp_path)


def test_an_adapter_of_another_shape_is_refused(engine: Engine, tmp_path: Path) -> None:
    name = next(iter(engine._layers))
    write_adapter(tmp_path, LowRank({name: update(4, 5).pairs["x"]}), model="tiny")
    with pytest.raises(AdapterError, match="does not fit layer"):
        engine.activate(AdapterStack().push(AdapterRef("f" * 64, str(tmp_path), "tiny", 4)))
