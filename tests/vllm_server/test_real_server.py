"""The backend on a real vLLM server: the contract of every backend, and that it scores as transformers does.

What holds in which precision: see `agreement`.
"""

import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from agreement import ANSWERS, PROMPTS, Gaps, assert_same_or_tied
from backend_contract import FIRST, PARIS, SECOND, BackendContract, make_edit

from seal_agent.adapters.huggingface import TransformersBackend
from seal_agent.adapters.vllm.backend import VLLMBackend
from seal_agent.adapters.vllm.server import Server
from seal_agent.bench.demo import run_demo
from seal_agent.core.errors import AdapterError, InputError
from seal_agent.core.messages import Grammar, Prompt
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.writing.formats.chat_qa import pair_grammar

log = logging.getLogger(__name__)
pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif("SEAL_VLLM_PYTHON" not in os.environ, reason="needs a Python that has vLLM: `make test-vllm`"),
]

RANK_LOSS = 0.1  # nats a token that the update lost by serving 40 ranks as 32 may cost


class TestVLLMBackend(BackendContract):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, served_backend: VLLMBackend, rounding: Gaps) -> VLLMBackend:
        cls.score_tolerance = rounding.allowed.largest
        return served_backend


@pytest.fixture(scope="module")
def stack(real_backend: TransformersBackend) -> AdapterStack:
    """Two adapters on each other, one of them weighted."""
    first = AdapterStack().push(real_backend.train(FIRST, seed=3), 0.8)
    return first.push(real_backend.with_stack(first).train(SECOND, seed=4))


@pytest.mark.parametrize("num_layers", [0, 1, 2])
def test_it_scores_as_transformers_does(
    real_backend: TransformersBackend,
    exact_backend: TransformersBackend,
    served_backend: VLLMBackend,
    stack: AdapterStack,
    num_layers: int,
) -> None:
    """As near to float32 as transformers is in the same precision, and as good as equal where that is float32."""
    part = AdapterStack(stack.entries[:num_layers])
    exact, ours, theirs = (
        backend.with_stack(part).score(PROMPTS, ANSWERS) for backend in (exact_backend, real_backend, served_backend)
    )
    assert [s.num_tokens for s in theirs] == [s.num_tokens for s in exact]
    rounding, seen = Gaps.between(ours, exact), Gaps.between(theirs, exact)
    log.info("%d adapters, from float32: vLLM %s, transformers %s", num_layers, seen, rounding)
    assert seen.largest <= rounding.allowed.largest
    assert seen.mean <= rounding.allowed.mean


def test_the_base_model_answers_as_ever_beside_adapters(
    served_backend: VLLMBackend, stack: AdapterStack, rounding: Gaps
) -> None:
    told = served_backend.with_stack(stack)
    prompts = [Prompt.raw(f"{number}. The capital of France is") for number in range(8)]
    alone = served_backend.score(prompts, [" Paris"] * 8)
    fresh = [Prompt.raw(f"{prompt.text} named") for prompt in prompts]  # nothing of them is in the prefix cache
    with ThreadPoolExecutor(2) as pool:
        beside = pool.submit(told.score, [*prompts, *fresh] * 2, [" Paris"] * 32)
        again = [served_backend.score([prompt], [" Paris"])[0] for prompt in fresh]
        assert len(beside.result()) == 32
    after = served_backend.score([*prompts, *fresh], [" Paris"] * 16)
    gaps = [abs(a.logprob - b.logprob) for a, b in zip([*alone, *again], after, strict=True)]
    log.info("beside adapters the base model differs by %.5f nats a token at most", max(gaps))
    assert max(gaps) <= rounding.allowed.largest


def test_it_writes_what_transformers_writes(
    real_backend: TransformersBackend,
    exact_backend: TransformersBackend,
    served_backend: VLLMBackend,
    stack: AdapterStack,
) -> None:
    """Another word only where the precision cannot tell which of two is likelier."""
    ours, theirs = (
        [text for (text,) in backend.with_stack(stack).generate(PROMPTS, max_new_tokens=8)]
        for backend in (real_backend, served_backend)
    )
    log.info("%d of %d replies differ", sum(a != b for a, b in zip(ours, theirs, strict=True)), len(ours))
    assert_same_or_tied(theirs, ours, PROMPTS, real_backend.with_stack(stack), exact_backend.with_stack(stack))


def test_a_stream_is_the_reply_in_pieces(served_backend: VLLMBackend, stack: AdapterStack) -> None:
    for view in (served_backend, served_backend.with_stack(stack)):
        pieces = list(view.stream(PARIS, max_new_tokens=8))
        assert len(pieces) > 2
        assert ["".join(pieces)] == view.generate([PARIS], max_new_tokens=8)[0]


def test_a_grammar_holds_every_sample_to_its_form(served_backend: VLLMBackend) -> None:
    schema = {
        "type": "object",
        "properties": {"epochs": {"type": "integer", "enum": [4, 8]}, "tool": {"type": "string", "enum": ["a", "b"]}},
        "required": ["epochs", "tool"],
        "additionalProperties": False,
    }
    sentence = "The dome is painted green in memory of Odrine."
    settings, pairs = served_backend.generate(
        [Prompt.raw("Settings as JSON: "), Prompt.raw(f"Text: {sentence}\nQuestion: What colour")],
        grammars=[Grammar.json(schema), pair_grammar(sentence)],
        max_new_tokens=60,
        num_samples=2,
        temperature=1.0,
        seed=1,
    )
    assert all(json.loads(text)["epochs"] in {4, 8} for text in settings)
    assert all(text.split("\nAnswer: ")[1].strip() in sentence for text in pairs)


def test_a_grammar_that_cannot_be_used_is_an_error(served_backend: VLLMBackend) -> None:
    with pytest.raises(InputError, match="the grammar cannot be used"):
        served_backend.generate([Prompt.raw("x")], grammars=[Grammar("start: nothing")])


def test_a_prompt_beyond_the_context_is_an_error(served_backend: VLLMBackend) -> None:
    with pytest.raises(InputError, match="the prompt has"):
        served_backend.generate([Prompt.raw("sea " * 3000)])


def test_an_adapter_the_server_forgot_is_loaded_again(served_backend: VLLMBackend, stack: AdapterStack) -> None:
    view = served_backend.with_stack(stack)
    before = view.generate([PARIS], max_new_tokens=8)
    for name in served_backend._served.adapters.loaded:
        served_backend._served.client.unload(name)  # as a restart would, or another process
    assert view.generate([PARIS], max_new_tokens=8) == before
    assert list(view.stream(PARIS, max_new_tokens=2))


def test_a_folder_that_is_no_adapter_is_refused_in_plain_words(served_backend: VLLMBackend, server: Server) -> None:
    with pytest.raises(AdapterError, match="cannot load the adapter at /nowhere"):
        served_backend._served.client.load("nothing", "/nowhere")


def test_a_stack_of_more_ranks_than_the_server_takes_is_served_nearly(
    real_backend: TransformersBackend,
    exact_backend: TransformersBackend,
    served_backend: VLLMBackend,
    server: Server,
    rounding: Gaps,
) -> None:
    edits = [make_edit(f"Lamp {n}", hold=f"the number {n}", face="north") for n in range(5)]
    refs: list[AdapterRef] = real_backend.train_many(edits, seed=2)
    stack = AdapterStack()
    for ref in refs:
        stack = stack.push(ref)
    assert sum(ref.rank for ref in refs) > server.options.max_lora_rank
    whole = exact_backend.with_stack(stack).score([PARIS], ["Paris"])
    nearly = served_backend.with_stack(stack).score([PARIS], ["Paris"])
    assert Gaps.between(nearly, whole).largest <= RANK_LOSS + rounding.allowed.largest


def test_the_main_job_is_done_behind_the_server(server: Server) -> None:
    result = run_demo(seed=0, server=server.options.url, on_event=lambda *_: None)
    log.info(
        "demo: %d right before, %d after, NLL %.2f to %.2f, %s, as before after rolling back: %s, %.0f s",
        result.num_correct_before,
        result.num_correct_after,
        result.nll_before,
        result.nll_after,
        result.verdict,
        result.restored,
        result.seconds,
    )
    assert result.verdict == "accepted"
    assert result.num_correct_after > result.num_correct_before
    assert result.nll_after < result.nll_before - 1
