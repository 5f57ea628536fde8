"""Training K candidates at once on a real, tiny model: each becomes what it becomes alone."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny import DIRECTIVES, ROWS, logits, stored, tiny_engine, train
from transformers import GPT2Config, GPT2LMHeadModel

from seal_agent.adapters.engine import Engine
from seal_agent.adapters.folding import LowRank
from seal_agent.adapters.loading import LoadedModel
from seal_agent.adapters.packing import TokenRow
from seal_agent.adapters.schedule import trained_layers
from seal_agent.adapters.training import Anchor, Job
from seal_agent.core.errors import TrainingFault
from seal_agent.core.stacks import AdapterStack

JOBS = [
    Job(ROWS, DIRECTIVES, 1),
    Job(ROWS[:3], replace(DIRECTIVES, learning_rate=3e-3, max_grad_norm=0.1), 2),
    Job(ROWS, replace(DIRECTIVES, max_steps=3, min_steps=3, batch_size=4, num_warmup_steps=2), 3),
    Job(ROWS, replace(DIRECTIVES, rank=2, loss_on="all"), 4),
    Job(ROWS[1:], replace(DIRECTIVES, layers="q_proj,v_proj"), 5),
    Job(ROWS[1:], replace(DIRECTIVES, top_layers=0.5), 6),
]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return tiny_engine()


@pytest.fixture(scope="module")
def together(engine: Engine) -> list:
    return train(engine, *JOBS)


@pytest.mark.parametrize("number", range(len(JOBS)))
def test_a_candidate_becomes_together_what_it_becomes_alone(engine: Engine, together: list, number: int) -> None:
    (alone,) = train(engine, JOBS[number])
    for name, (a, b) in alone.update.pairs.items():
        torch.testing.assert_close(together[number].update.pairs[name][0], a, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(together[number].update.pairs[name][1], b, atol=1e-5, rtol=1e-4)
    assert together[number].last_loss == pytest.approx(alone.last_loss, abs=1e-5)
    assert (together[number].num_tokens, together[number].num_steps) == (alone.num_tokens, alone.num_steps)


def test_a_candidate_alone_computes_no_padding(engine: Engine, together: list) -> None:
    assert train(engine, JOBS[0])[0].num_padding == 0
    assert any(run.num_padding for run in together)


def test_training_lowers_the_loss_and_leaves_the_model_as_it_was(engine: Engine) -> None:
    before = logits(engine)
    (run,) = train(engine, JOBS[0])
    assert run.last_loss < run.first_loss
    assert torch.equal(logits(engine), before)


def test_what_was_trained_on_a_stack_is_what_is_served_on_it(engine: Engine, tmp_path: object) -> None:
    """The last loss, before its update, and the loss of the served stack differ by one small step."""
    from pathlib import Path

    root = Path(str(tmp_path))
    parent = AdapterStack().push(stored(train(engine, JOBS[0])[0], root, "a"))
    again = replace(DIRECTIVES, learning_rate=1e-6, batch_size=4)
    (run,) = train(engine, Job(ROWS, again, 9), stack=parent)
    (first,) = train(engine, Job(ROWS, again, 9), stack=parent.push(stored(run, root, "b")))
    assert first.first_loss == pytest.approx(run.last_loss, abs=1e-3)


def test_adamw_is_torchs_adamw(engine: Engine) -> None:
    """One candidate, batch of all rows, against torch.optim on the same initial values."""
    directives = replace(DIRECTIVES, batch_size=4, max_grad_norm=1e3)
    (run,) = train(engine, Job(ROWS, directives, 1))
    expected = reference(engine, directives, seed=1)
    for name, (a, b) in run.update.pairs.items():
        torch.testing.assert_close(a, expected[name][0], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(b, expected[name][1] * 2.0, atol=1e-5, rtol=1e-4)


def reference(engine: Engine, directives: object, seed: int) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    from seal_agent.adapters.packing import labelled_logits, pack
    from seal_agent.adapters.schedule import learning_rate_share
    from seal_agent.adapters.training import _Together

    fresh = _Together(
        engine.model,
        engine._layers,
        [Job(ROWS, directives, seed)],
        torch.float32,
        torch.device("cpu"),  # type: ignore[arg-type]
    )
    fresh._bind()
    fresh._attach()
    pairs = {n: layer.candidates[:2] for n, layer in engine._layers.items() if layer.candidates}
    leaves = [leaf.detach().clone().requires_grad_() for pair in pairs.values() for leaf in pair]
    for number, layer in enumerate(engine._layers.values()):
        layer.candidates = (leaves[2 * number], leaves[2 * number + 1], 2.0)
    optimizer = torch.optim.AdamW(leaves, weight_decay=0.0)
    batch = pack(ROWS)
    for step in range(6):
        optimizer.param_groups[0]["lr"] = 1e-2 * learning_rate_share(step, 6, 0)
        out = labelled_logits(engine.model, [batch], torch.float32, torch.device("cpu"))
        each = torch.nn.functional.cross_entropy(out, batch.targets, reduction="none")
        optimizer.zero_grad()
        (each * batch.weights).sum().backward()
        optimizer.step()
    for layer in engine._layers.values():
        layer.candidates = None
    return {n: (leaves[2 * k][0].detach(), leaves[2 * k + 1][0].detach()) for k, n in enumerate(pairs)}


def test_a_loss_that_is_not_finite_is_a_fault_and_nothing_is_left_on_the_model(engine: Engine) -> None:
    before = logits(engine)
    wild = replace(DIRECTIVES, learning_rate=1e-1, max_grad_norm=1e3, alpha=1024, rank=1, max_steps=60, min_steps=60)
    poisoned = next(iter(engine._layers.values()))
    poisoned.folded = torch.full(poisoned.shape, float("nan"))
    try:
        with pytest.raises(TrainingFault, match=r"the loss became \[nan\] in step 1"):
            train(engine, Job(ROWS, wild, 1))
    finally:
        poisoned.folded = None
    assert torch.equal(logits(engine), before)


def test_layers_the_model_does_not_have_are_a_fault(engine: Engine) -> None:
    strange = replace(DIRECTIVES, layers="c_attn")  # type: ignore[arg-type]
    with pytest.raises(TrainingFault, match="no layers called c_attn"):
        train(engine, Job(ROWS, strange, 1))


def said(engine: Engine, row: TokenRow, update: LowRank | None = None) -> torch.Tensor:
    """The log-probabilities at the answer of `row`, with `update` on the model: (N, V)."""
    prompt, answer = row
    for name, pair in (update.pairs if update else {}).items():
        engine._layers[name].beside = pair
    with torch.no_grad():
        out: torch.Tensor = engine.model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    for layer in engine._layers.values():
        layer.beside = None
    return out.log_softmax(-1)


def divergence(wanted: torch.Tensor, found: torch.Tensor) -> float:
    return float((wanted.exp() * (wanted - found)).sum(-1).mean())


def test_an_anchor_holds_a_row_to_what_the_model_said_before(engine: Engine) -> None:
    """The divergence on an anchored row is smaller with the anchor, and none of the other candidate's business."""
    free = Job(ROWS, replace(DIRECTIVES, learning_rate=3e-2), 1)
    held = Job(ROWS, replace(DIRECTIVES, learning_rate=3e-2, kl_weight=50.0), 1, anchored=frozenset({2}))
    runs = train(engine, free, held)
    moved = [divergence(said(engine, ROWS[2]), said(engine, ROWS[2], run.update)) for run in runs]
    assert moved[1] < 0.5 * moved[0]
    (alone,) = train(engine, free)
    torch.testing.assert_close(runs[0].last_loss, alone.last_loss, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("loss_on", ["answers", "all"])
def test_a_row_that_is_distilled_comes_to_say_what_the_model_says_with_the_text_in_view(loss_on: str) -> None:
    """What the teacher says after its own, longer prompt is what is learned, not the answer that stands in the row."""
    engine = tiny_engine()
    for weight in engine.model.parameters():
        weight.mul_(10 if weight.ndim > 1 else 1)  # so that what stands before counts
    (prompt, answer), other = ROWS[0], ROWS[1]
    teacher: TokenRow = ([33, 34, 35, *prompt], answer)
    directives = replace(DIRECTIVES, max_steps=40, min_steps=40, stop_loss=0.0, loss_on=loss_on)  # type: ignore[arg-type]
    hard = Job(ROWS[:2], directives, 1)
    soft = Job(ROWS[:2], replace(directives, distill=1.0), 1, taught={0: teacher})
    runs = train(engine, hard, soft)
    wanted = said(engine, teacher)
    before, *after = (divergence(wanted, said(engine, ROWS[0], u)) for u in (None, runs[0].update, runs[1].update))
    assert after[1] < 0.2 * before < before < after[0]
    assert said(engine, other, runs[1].update)[0, other[1][0]] > -0.7, "a row without a teacher learns its answer"
    (alone,) = train(engine, soft)
    assert alone.last_loss == pytest.approx(runs[1].last_loss, abs=1e-5)


def test_the_divergence_of_a_model_from_itself_is_zero() -> None:
    logprobs = torch.randn(3, 200, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    top = logprobs.exp().topk(64)
    rest = 1 - top.values.sum(1, keepdim=True)
    anchor = Anchor(top.indices, torch.cat([top.values, rest], 1))
    torch.testing.assert_close(anchor.divergence(logprobs), torch.zeros(3), atol=1e-5, rtol=0)


@pytest.mark.slow
def test_training_ends_when_the_rows_are_learned_and_not_before_all_were_seen(engine: Engine) -> None:
    long = replace(DIRECTIVES, max_steps=60, min_steps=60)
    (run,) = train(engine, Job(ROWS, replace(long, stop_loss=3.7), 1))
    (never,) = train(engine, Job(ROWS, replace(long, stop_loss=0.0), 1))
    assert 2 < run.num_steps < 60
    assert never.num_steps == 60
    (at_once,) = train(engine, Job(ROWS, replace(long, stop_loss=10.0), 1))
    assert at_once.num_steps == 2  # two batches of two: every row once


def test_only_the_upper_layers_are_trained(engine: Engine) -> None:
    (upper,) = train(engine, Job(ROWS, replace(DIRECTIVES, top_layers=0.5), 1))
    (whole,) = train(engine, Job(ROWS, replace(DIRECTIVES, top_layers=1.0), 1))
    assert {name.split(".")[2] for name in upper.update.pairs} == {"1"}
    assert {name.split(".")[2] for name in whole.update.pairs} == {"0", "1"}
    assert upper.last_loss < upper.first_loss


@pytest.mark.parametrize(
    ("share", "kinds", "wanted"),
    [
        (1.0, "all-linear", ["proj_in", "h.0.q_proj", "h.0.up", "h.1.q_proj", "h.1.up", "h.2.q_proj", "h.2.up"]),
        (0.5, "all-linear", ["h.2.q_proj", "h.2.up"]),
        (0.67, "q_proj,v_proj", ["h.1.q_proj", "h.2.q_proj"]),
        (0.01, "all-linear", ["h.2.q_proj", "h.2.up"]),
    ],
)
def test_the_layers_an_update_is_put_on(share: float, kinds: Any, wanted: list[str]) -> None:
    names = ["proj_in", *(f"h.{block}.{kind}" for block in range(3) for kind in ("q_proj", "up"))]
    assert trained_layers(names, replace(DIRECTIVES, top_layers=share, layers=kinds)) == wanted


def test_a_base_in_bfloat16_is_trained_like_one_in_float32(engine: Engine) -> None:
    """The products are rounded, what is learned is not: A, B and their moments stay float32."""
    (rounded,), (exact,) = train(tiny_engine(torch.bfloat16), JOBS[0]), train(engine, JOBS[0])
    assert rounded.last_loss == pytest.approx(exact.last_loss, rel=0.02)
    assert all(a.dtype == b.dtype == torch.float32 for a, b in rounded.update.pairs.values())


def test_in_16_bits_sequences_are_filled_up_to_what_products_like(engine: Engine) -> None:
    half = tiny_engine(torch.bfloat16)
    (rounded,), (exact,) = train(half, JOBS[0]), train(engine, JOBS[0])
    assert exact.num_padding == 0 < rounded.num_padding
    assert (rounded.num_tokens + rounded.num_padding) % 8 == 0
    assert half.model.config._attn_implementation == "sdpa"  # as it was


def test_the_vocabulary_sees_the_last_states_of_many_sequences_in_one_piece() -> None:
    """Or torch multiplies them by a copy of its weights each."""
    model, seen = tiny_engine().model, list[bool]()
    model.get_output_embeddings().register_forward_hook(lambda _m, given, _out: seen.append(given[0].is_contiguous()))
    model(input_ids=torch.tensor([[1, 2, 3], [4, 5, 6]]), logits_to_keep=1)
    assert seen == [True]


def test_the_last_state_of_one_sequence_is_no_view_of_all_its_states() -> None:
    """A view with the stride of the whole sequence counts as contiguous, and is multiplied by a copy all the same."""
    model, strides = tiny_engine().model, list[int]()
    model.get_output_embeddings().register_forward_hook(lambda _m, given, _out: strides.append(given[0].stride(0)))
    model(input_ids=torch.tensor([[1, 2, 3]]), logits_to_keep=1)
    assert strides == [model.config.hidden_size]


def test_a_model_whose_layers_are_conv1d_is_trained_too() -> None:
    """GPT-2 stores its weights transposed and returns views."""
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=64, n_positions=32, n_embd=32, n_layer=2, n_head=4)
    model = GPT2LMHeadModel(config).eval().requires_grad_(False)
    loaded = LoadedModel("gpt2", model, None, torch.device("cpu"), torch.float32)  # type: ignore[arg-type]
    (run,) = train(Engine(loaded), Job(ROWS, replace(DIRECTIVES, max_steps=20, min_steps=20), 1))
    assert run.last_loss < 0.9 * run.first_loss
