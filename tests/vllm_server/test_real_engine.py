"""The backend on a vLLM engine in this process: the contract of every backend, in a Python that has vLLM.

`make test-vllm` runs it there; it trains in another process, as it would on a GPU. What holds in which precision: see
`agreement`.
"""

import importlib.util
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from agreement import ANSWERS, PROMPTS, Gaps, assert_same_or_tied
from backend_contract import FIRST, PARIS, SECOND, BackendContract

from seal_agent.adapters.huggingface import TransformersBackend
from seal_agent.adapters.subprocess_backend import ProcessBackend
from seal_agent.adapters.vllm.backend import VLLMBackend
from seal_agent.core.errors import AdapterError, InputError, ServerError
from seal_agent.core.messages import Grammar, Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.factory import open_backend
from seal_agent.storage.database import Home
from seal_agent.writing.formats.chat_qa import pair_grammar

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="needs vLLM in this Python: `make test-vllm`"),
    pytest.mark.filterwarnings("ignore"),  # vLLM's own
]


@pytest.fixture(scope="module")
def trainer(home: Home, root: Path) -> Iterator[ProcessBackend]:
    process = ProcessBackend(partial(open_backend, home, adapters=root))
    yield process
    process.stop()


@pytest.fixture(scope="module")
def engine_backend(home: Home, root: Path, dtype: str, trainer: ProcessBackend) -> Iterator[VLLMBackend]:
    backend = VLLMBackend.in_process(
        root, trainer=lambda: trainer, cache=home.root / "models", dtype=dtype, max_lora_rank=32, max_tokens=2048
    )
    yield backend
    backend._served.client.close()  # type: ignore[attr-defined]
    with pytest.raises(ServerError, match="has ended"):
        backend.generate([PARIS])


class TestVLLMEngine(BackendContract):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, engine_backend: VLLMBackend, rounding: Gaps) -> VLLMBackend:
        cls.score_tolerance = rounding.allowed.largest
        return engine_backend


def test_it_scores_and_writes_as_transformers_does(
    engine_backend: VLLMBackend, real_backend: TransformersBackend, exact_backend: TransformersBackend
) -> None:
    """Several stacks in one batch of the engine, one of them folded."""
    lower = AdapterStack().push(real_backend.train(FIRST, seed=3), 0.8)
    both = lower.push(real_backend.with_stack(lower).train(SECOND, seed=4))
    for stack in (AdapterStack(), lower, both):
        exact, ours, theirs = (b.with_stack(stack) for b in (exact_backend, real_backend, engine_backend))
        whole = exact.score(PROMPTS, ANSWERS)
        allowed = Gaps.between(ours.score(PROMPTS, ANSWERS), whole).allowed
        seen = Gaps.between(theirs.score(PROMPTS, ANSWERS), whole)
        assert seen.largest <= allowed.largest
        assert seen.mean <= allowed.mean
        expected, written = (
            [text for (text,) in backend.generate(PROMPTS, max_new_tokens=8)] for backend in (ours, theirs)
        )
        assert_same_or_tied(written, expected, PROMPTS, ours, exact)


def test_a_grammar_holds_every_sample_to_its_form(engine_backend: VLLMBackend) -> None:
    sentence = "The dome is painted green in memory of Odrine."
    settings, pairs = engine_backend.generate(
        [Prompt.raw("Settings as JSON: "), Prompt.raw(f"Text: {sentence}\nQuestion: What colour")],
        grammars=[
            Grammar.json({"type": "object", "properties": {"n": {"enum": [4, 8]}}, "required": ["n"]}),
            pair_grammar(sentence),
        ],
        max_new_tokens=60,
        num_samples=2,
        temperature=1.0,
        seed=1,
    )
    assert all(json.loads(text)["n"] in {4, 8} for text in settings)
    assert all(text.split("\nAnswer: ")[1].strip() in sentence for text in pairs)


def test_what_vllm_refuses_is_told_in_plain_words_and_the_engine_goes_on(
    engine_backend: VLLMBackend, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="the grammar cannot be used"):
        engine_backend.generate([Prompt.raw("x")], grammars=[Grammar("start: nothing")])
    with pytest.raises(InputError, match="the prompt has 3001 tokens"):
        engine_backend.generate([Prompt.raw("sea " * 3000)])
    with pytest.raises(AdapterError, match="cannot load the adapter at"):
        engine_backend._served.client.load("nothing", str(tmp_path))
    assert engine_backend.generate([PARIS], max_new_tokens=2)


def test_a_batch_of_the_engine_is_what_each_prompt_is_given_alone(engine_backend: VLLMBackend) -> None:
    prompts = [Prompt.user(f"Name {number} colours.") for number in range(40)]
    together = engine_backend.generate(prompts, max_new_tokens=6)
    assert together[::8] == [engine_backend.generate([prompt], max_new_tokens=6)[0] for prompt in prompts[::8]]


def test_an_engine_that_dies_says_so_to_whoever_waits(
    engine_backend: VLLMBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test of this file: nothing answers after it."""

    def step() -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(engine_backend._served.client._engine, "step", step)  # type: ignore[attr-defined]
    with pytest.raises(ServerError, match="died: out of memory; open the backend again"):
        engine_backend.generate([PARIS] * 3)
