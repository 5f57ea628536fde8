"""States of the beginnings of prompts are read once and used again; what the model writes does not change by it."""

from pathlib import Path

import pytest
import torch
from tiny import BASE, DIRECTIVES, ROWS, letter_backend, stored, tiny_model, train, written
from transformers import DynamicCache, Gemma3TextConfig

from seal_agent.adapters import generation, huggingface
from seal_agent.adapters.huggingface import TransformersBackend
from seal_agent.adapters.prefixes import BLOCK, Prefixes
from seal_agent.adapters.training import Job
from seal_agent.core.messages import Prompt

OPENING = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" * 8  # 208 tokens: one whole block
FIRST, SECOND = Prompt.raw(OPENING + "QQ"), Prompt.raw(OPENING + "ZAZ")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> TransformersBackend:
    return letter_backend(tmp_path_factory.mktemp("adapters"))


@pytest.fixture
def backend(loaded: TransformersBackend) -> TransformersBackend:
    """A model that has read nothing yet."""
    loaded._engine.prefixes = Prefixes()
    return loaded


def tokens_read(backend: TransformersBackend, prompts: list[Prompt]) -> int:
    """The tokens that the model reads in order to write one."""
    read: list[int] = []
    hook = backend._engine.model.register_forward_pre_hook(
        lambda _m, _a, given: read.append(given["input_ids"].numel()), with_kwargs=True
    )
    backend.generate(prompts, max_new_tokens=1)
    hook.remove()
    return sum(read)


def test_the_next_prompt_with_the_same_beginning_reads_the_rest_only(backend: TransformersBackend) -> None:
    assert tokens_read(backend, [FIRST]) == 210
    assert tokens_read(backend, [SECOND]) == 211 - BLOCK


def test_a_kept_beginning_does_not_change_what_is_written(backend: TransformersBackend) -> None:
    fresh = written(backend, [SECOND])
    backend._engine.prefixes = Prefixes()
    written(backend, [FIRST])
    assert written(backend, [SECOND]) == fresh


def test_a_batch_uses_and_keeps_the_beginning_that_its_prompts_share(backend: TransformersBackend) -> None:
    fresh = written(backend, [FIRST, SECOND])
    assert tokens_read(backend, [FIRST, SECOND]) == 208 - BLOCK + 2 + 3 + 1  # the shorter row is padded
    assert written(backend, [FIRST, SECOND]) == fresh
    assert tokens_read(backend, [FIRST]) == 210 - BLOCK


def test_blocks_of_another_stack_are_not_used(backend: TransformersBackend, tmp_path: Path) -> None:
    (run,) = train(backend._engine, Job(ROWS, DIRECTIVES, 1))
    adapted = backend._engine
    stack = BASE.push(stored(run, tmp_path, "a"))
    cache = DynamicCache(config=tiny_model().config)
    written(backend, [FIRST])
    row = backend.encode([FIRST])[0]
    assert adapted.prefixes.fill(cache, stack, row) == 0
    assert adapted.prefixes.fill(cache, BASE, row) == BLOCK


def test_the_blocks_used_longest_ago_go_first(backend: TransformersBackend) -> None:
    backend._engine.prefixes = Prefixes(max_blocks=2)
    others = [Prompt.raw(letter + OPENING) for letter in "QZ"]
    written(backend, [FIRST, others[0]][:1])
    written(backend, others[:1])
    written(backend, [FIRST])
    written(backend, others[1:])
    assert tokens_read(backend, [FIRST]) == 210 - BLOCK
    assert tokens_read(backend, others[:1]) == 209


def test_a_model_with_a_sliding_window_keeps_nothing() -> None:
    config = Gemma3TextConfig(num_hidden_layers=2, layer_types=["sliding_attention", "full_attention"])
    cache, prefixes = DynamicCache(config=config), Prefixes()
    for layer in cache.layers:
        layer.update(torch.zeros(1, 1, BLOCK, 4), torch.zeros(1, 1, BLOCK, 4))
    prefixes.keep(cache, BASE, list(range(BLOCK)))
    assert prefixes.fill(DynamicCache(config=config), BASE, list(range(BLOCK))) == 0


def test_short_prompts_are_read_whole(backend: TransformersBackend) -> None:
    assert tokens_read(backend, [Prompt.raw("A" * 20)]) == 20
    assert tokens_read(backend, [Prompt.raw("A" * 20)]) == 20
    assert generation.MIN_SHARED_PREFIX < BLOCK


def test_states_of_prompts_are_dropped_when_an_adapter_is_forgotten(
    backend: TransformersBackend, tmp_path: Path
) -> None:
    (run,) = train(backend._engine, Job(ROWS, DIRECTIVES, 1))
    written(backend, [FIRST])
    assert len(backend._engine.prefixes) == 1
    backend.unload(stored(run, tmp_path, "a"))
    assert len(backend._engine.prefixes) == 0


def test_scores_after_a_kept_beginning_equal_those_of_whole_prompts(
    backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts, answers = [FIRST, SECOND, FIRST], ["AB", "AB", "Z"]
    quick = backend.score(prompts, answers)
    assert len(backend._engine.prefixes) == 1
    monkeypatch.setattr(huggingface, "_opening", lambda _rows: [])
    whole = backend.score(prompts, answers)
    assert [score.logprob for score in quick] == pytest.approx([score.logprob for score in whole], abs=1e-4)
