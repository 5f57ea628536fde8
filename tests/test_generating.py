"""Generation on a tiny random model that speaks in single letters: what a batch computes, and must not change."""

from pathlib import Path

import pytest
import torch
from tiny import tiny_model
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import PreTrainedTokenizerFast

from seal_agent.adapters import generating, huggingface
from seal_agent.adapters.engine import Engine
from seal_agent.adapters.huggingface import TransformersBackend
from seal_agent.adapters.loading import LoadedModel
from seal_agent.adapters.registry import AdapterRegistry
from seal_agent.types import Prompt

LETTERS = [chr(ord("0") + number) for number in range(64)]
PROMPTS = [
    Prompt.raw(text) for text in ("ABCDEFGHIJKLMNOPQRST", "ABCDEFGHIJKLMNOPQRSTUVW", "ABCDEFGHIJKLMNOPQRSTZ", "Z")
]


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> TransformersBackend:
    words = Tokenizer(WordLevel({letter: number for number, letter in enumerate(LETTERS)}, unk_token=LETTERS[0]))
    words.pre_tokenizer = Split("", "isolated")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token=LETTERS[0], padding_side="left")
    model = tiny_model()
    model.generation_config.eos_token_id = None
    loaded = LoadedModel("tiny", model, tokenizer, torch.device("cpu"), torch.float32)
    return TransformersBackend(Engine(loaded), AdapterRegistry(Path(tmp_path_factory.mktemp("adapters"))))


def written(backend: TransformersBackend, prompts: list[Prompt], **settings: object) -> list[str]:
    return [samples[0] for samples in backend.generate(prompts, max_new_tokens=40, **settings)]  # type: ignore[arg-type]


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
    monkeypatch.setattr(generating, "TOKENS_BETWEEN_LEAVING", 4)
    leaving = written(backend, PROMPTS, stop=stop)
    assert min(sizes) < max(sizes) == len(PROMPTS)
    monkeypatch.setattr(generating, "TOKENS_BETWEEN_LEAVING", 100)
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
    monkeypatch.setattr(generating, "MIN_SHARED_PREFIX", 1000)
    assert written(backend, mixed) == together
    assert [n for n in lengths if n > 1] == [4, 40]
    hook.remove()
