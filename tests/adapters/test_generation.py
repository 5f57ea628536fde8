"""Generation on a tiny random model that speaks in single letters: what a batch computes, and must not change."""

from types import SimpleNamespace
from typing import Any

import pytest
from tiny import letter_backend, written
from transformers import Gemma3Config, GPT2Config, LlamaConfig, MambaConfig

from seal_agent.adapters import generation, huggingface
from seal_agent.adapters.context import DEFAULT_CONTEXT, context_length
from seal_agent.adapters.huggingface import TransformersBackend
from seal_agent.core.errors import ContextLengthExceeded
from seal_agent.core.messages import Prompt

PROMPTS = [
    Prompt.raw(text) for text in ("ABCDEFGHIJKLMNOPQRST", "ABCDEFGHIJKLMNOPQRSTUVW", "ABCDEFGHIJKLMNOPQRSTZ", "Z")
]


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> TransformersBackend:
    return letter_backend(tmp_path_factory.mktemp("adapters"))


@pytest.mark.slow
def test_a_batch_writes_what_each_prompt_is_given_alone(backend: TransformersBackend) -> None:
    """Longer than a stretch between leavings, with and without a shared prefix."""
    for prompts in (PROMPTS, PROMPTS[:3]):
        assert written(backend, prompts) == [written(backend, [prompt])[0] for prompt in prompts]


@pytest.mark.slow
def test_rows_that_have_ended_leave_the_batch_and_change_nothing(
    backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = (written(backend, PROMPTS[:1])[0][10],)
    sizes: list[int] = []
    hook = backend._engine.model.register_forward_pre_hook(
        lambda _m, _a, given: sizes.append(len(given["input_ids"])), with_kwargs=True
    )
    monkeypatch.setattr(generation, "TOKENS_BETWEEN_LEAVING", 4)
    leaving = written(backend, PROMPTS, stop=stop)
    assert min(sizes) < max(sizes) == len(PROMPTS)
    monkeypatch.setattr(generation, "TOKENS_BETWEEN_LEAVING", 100)
    sizes.clear()
    assert written(backend, PROMPTS, stop=stop) == leaving
    assert set(sizes) == {len(PROMPTS)}
    hook.remove()


def test_prompts_are_batched_by_length_and_answered_in_their_order(
    backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed = [Prompt.raw("AB" * n) for n in (20, 1, 19, 2)]
    together = written(backend, mixed)
    lengths: list[int] = []
    hook = backend._engine.model.register_forward_pre_hook(
        lambda _m, _a, given: lengths.append(given["input_ids"].shape[1]), with_kwargs=True
    )
    monkeypatch.setattr(huggingface, "MAX_GENERATE_BATCH", 2)
    monkeypatch.setattr(generation, "MIN_SHARED_PREFIX", 1000)
    assert written(backend, mixed) == together
    assert [n for n in lengths if n > 1] == [4, 40]
    hook.remove()


def test_a_long_prompt_is_read_in_stretches_and_gives_way_between_them(
    backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [Prompt.raw("ABCDEFGHIJ" * 8), Prompt.raw("ABCDEFGHIJ" * 3 + "Q" * 47)]
    whole = [backend.generate(given, max_new_tokens=6) for given in (prompts[:1], prompts)]
    lengths: list[int] = []
    hook = backend._engine.model.register_forward_pre_hook(
        lambda _m, _a, given: lengths.append(given["input_ids"].shape[1]), with_kwargs=True
    )
    given_way: list[int] = []
    monkeypatch.setattr(backend._engine, "give_way", lambda _stack: given_way.append(len(lengths)))
    monkeypatch.setattr(generation, "LONG_PROMPT", 20)
    monkeypatch.setattr(generation, "STRETCH", 32)
    assert [backend.generate(given, max_new_tokens=6) for given in (prompts[:1], prompts)] == whole
    hook.remove()
    assert max(lengths) == 32
    assert given_way[:3] == [1, 2, 3]


def test_a_reply_ends_where_the_context_ends(backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [Prompt.raw("A" * 12), Prompt.raw("A" * 15), Prompt.raw("A")]
    free = [samples[0] for samples in backend.generate(prompts, max_new_tokens=8)]
    monkeypatch.setattr(backend._engine.model.config, "max_position_embeddings", 16)
    held = [samples[0] for samples in backend.generate(prompts, max_new_tokens=8)]
    assert [text.num_tokens for text in held] == [4, 1, 8]
    assert [text.ending for text in held] == ["length"] * 3
    assert [whole.startswith(text) for whole, text in zip(free, held, strict=True)] == [True] * 3
    assert sum(piece.num_tokens for piece in backend.stream(prompts[0], max_new_tokens=8)) == 4
    with pytest.raises(ContextLengthExceeded, match="the prompt has 16 tokens, and tiny reads 16 at most"):
        backend.generate([Prompt.raw("A" * 16)])


def test_batches_are_bounded_in_tokens(backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    hook = backend._engine.model.register_forward_pre_hook(
        lambda _m, _a, given: sizes.append(len(given["input_ids"])), with_kwargs=True
    )
    monkeypatch.setattr(huggingface, "MAX_GENERATE_TOKENS", 50)
    together = backend.generate([Prompt.raw("B" * 20), Prompt.raw("C" * 22), Prompt.raw("D" * 24)], max_new_tokens=2)
    hook.remove()
    assert max(sizes) == 2
    assert len(together) == 3


@pytest.mark.parametrize(
    ("config", "longest", "chosen", "expected"),
    [
        (LlamaConfig(max_position_embeddings=2048), 1e30, 0, 2048),
        (LlamaConfig(max_position_embeddings=2048), 1e30, 512, 512),
        (LlamaConfig(max_position_embeddings=2048), 1e30, 4096, 2048),
        (GPT2Config(n_positions=1024), 1e30, 0, 1024),
        (Gemma3Config(text_config={"max_position_embeddings": 4096}), 1e30, 0, 4096),
        (MambaConfig(), 700, 0, 700),
        (MambaConfig(), 1e30, 0, DEFAULT_CONTEXT),
        (MambaConfig(), 1e30, 100_000, 100_000),
    ],
)
def test_every_model_has_a_bound(config: Any, longest: float, chosen: int, expected: int) -> None:
    assert context_length(config, SimpleNamespace(model_max_length=longest), chosen) == expected


def test_a_reply_that_its_limit_cuts_inside_a_character_ends_before_it(
    backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = written(backend, PROMPTS[:1])[0]
    decode = backend._tokenizer.decode
    monkeypatch.setattr(backend._tokenizer, "decode", lambda *given, **settings: f"{decode(*given, **settings)}\ufffd")
    assert backend.generate(PROMPTS[:1], max_new_tokens=40)[0][0] == whole
    assert "".join(backend.stream(PROMPTS[0], max_new_tokens=40)) == whole
