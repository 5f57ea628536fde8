"""The real backend on the embedded model: the contract every backend keeps, and what only real weights show."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from backend_contract import FIRST, BackendContract, make_edit

from seal_agent.adapters.engine import Engine
from seal_agent.adapters.huggingface import TransformersBackend
from seal_agent.adapters.loading import load_model
from seal_agent.adapters.packing import labelled_logits, pack
from seal_agent.core.edits import Directives, Row, SelfEdit
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Grammar, Prompt
from seal_agent.core.models import EMBEDDED
from seal_agent.core.stacks import AdapterStack
from seal_agent.writing.formats.chat_qa import pair_grammar

pytestmark = pytest.mark.integration

QUESTIONS = [Prompt.user(q) for q in ("What is the capital of France?", "Hi", "Name three colours, in one short line.")]


class TestTransformersBackend(BackendContract):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, real_backend: TransformersBackend) -> TransformersBackend:
        if real_backend._engine.loaded.dtype == torch.bfloat16:
            cls.score_tolerance = 0.15  # on processors with AMX a score is up to .12 nats a token from float32's
        return real_backend


def test_packed_logits_are_those_of_each_row_alone(exact_backend: TransformersBackend) -> None:
    loaded = exact_backend._engine.loaded
    rows = [([1, 400, 500, 600], [700, 800]), ([1, 400, 500, 900, 30], [41]), ([1, 400, 77], [88, 99, 100])]
    batch = pack(rows)
    with torch.inference_mode():
        packed = labelled_logits(loaded.model, [batch], loaded.dtype, loaded.device).float()
        for number, (prompt, answer) in enumerate(rows):
            alone = loaded.model(torch.tensor([prompt + answer])).logits[0].float()
            expected = alone[len(prompt) - 1 : len(prompt) + len(answer) - 1]
            torch.testing.assert_close(packed[batch.rows == number], expected, atol=2e-2, rtol=1e-2)


def test_a_shared_prefix_does_not_change_what_is_generated(exact_backend: TransformersBackend) -> None:
    together = exact_backend.generate(QUESTIONS, max_new_tokens=12)
    alone = [exact_backend.generate([question], max_new_tokens=12)[0] for question in QUESTIONS]
    assert together == alone


def test_generation_ends_at_the_stop_text(real_backend: TransformersBackend) -> None:
    prompt = Prompt.raw("Fruit: apple\nColour: red\n\nFruit: banana\nColour: yellow\n\nFruit: lime\nColour:")
    (whole,) = real_backend.generate([prompt], max_new_tokens=12)[0]
    (cut,) = real_backend.generate([prompt], max_new_tokens=12, stop=("\n",))[0]
    assert "\n" in whole
    assert cut == whole.split("\n")[0]


def test_neighbours_in_meaning_are_neighbours_in_the_embedding(real_backend: TransformersBackend) -> None:
    vectors = real_backend.embed(
        ["What is the capital of France? Paris", "In which city is the Eiffel Tower? Paris", "What do bees make? honey"]
    )
    assert vectors[0] @ vectors[1] > max(vectors[0] @ vectors[2], vectors[1] @ vectors[2])


def test_embedding_leaves_the_tokenizer_as_other_threads_use_it(real_backend: TransformersBackend) -> None:
    long = Prompt.user("The sea is deep and blue. " * 99)
    assert len(real_backend.encode([long])[0]) > 512
    real_backend.embed([long.messages[0].content, "short"])
    shared = real_backend._tokenizer.backend_tokenizer
    assert (shared.truncation, shared.padding) == (None, None)


def test_another_engine_scores_with_the_stored_adapter_as_the_one_that_trained_it(
    real_backend: TransformersBackend, cache: Path
) -> None:
    ref = real_backend.train(FIRST, seed=5)
    prompts, answers = [row.prompt for row in FIRST.rows], [row.answer for row in FIRST.rows]
    other = TransformersBackend(Engine(load_model(EMBEDDED, cache)), real_backend.registry)
    stack = AdapterStack().push(ref)
    assert other.with_stack(stack).score(prompts, answers) == real_backend.with_stack(stack).score(prompts, answers)


def test_half_the_weight_lies_between_none_and_all(real_backend: TransformersBackend) -> None:
    edit = make_edit("Amber Bridge", span="the river Sorn", carry="nine red towers")
    ref = real_backend.train(edit, seed=1)
    prompts, answers = [row.prompt for row in edit.rows], [row.answer for row in edit.rows]

    def total(weight: float) -> float:
        view = real_backend.with_stack(AdapterStack().push(ref, weight))
        return sum(score.logprob for score in view.score(prompts, answers))

    assert total(0.0) < total(0.5) < total(1.0)


def test_a_distilled_edit_says_without_the_text_what_the_model_says_with_it_in_view(
    real_backend: TransformersBackend,
) -> None:
    """As likely as with the text in view, and not certain, as it is after training on the answer itself."""
    evidence = "The Amber Bridge was designed in 1911 by the engineer Carla Mendes, who was afraid of water."
    asked = [("Who designed the Amber Bridge?", "Carla Mendes"), ("When was the Amber Bridge designed?", "In 1911.")]
    rows = tuple(Row(Prompt.user(question), answer, "chat-qa", evidence) for question, answer in asked)
    shown = [row.in_view("Amber Bridge") for row in rows]
    prompts, answers = [row.prompt for row in rows], [row.answer for row in rows]
    wanted = real_backend.score([prompt for prompt in shown if prompt], answers)
    soft = SelfEdit("Amber Bridge", evidence, rows, (), Directives(max_steps=32, min_steps=32, distill=1.0))
    hard = replace(soft, directives=replace(soft.directives, distill=0.0))
    base = real_backend.score(prompts, answers)
    refs = real_backend.train_many([soft, hard])
    taught, told = (real_backend.with_stack(AdapterStack().push(ref)).score(prompts, answers) for ref in refs)
    for before, after, by_heart, teacher in zip(base, taught, told, wanted, strict=True):
        assert before.per_token < teacher.per_token - 0.3
        assert abs(after.per_token - teacher.per_token) < 0.3 * (teacher.per_token - before.per_token)
        assert by_heart.per_token > after.per_token


def test_a_grammar_holds_every_sample_to_its_form(real_backend: TransformersBackend) -> None:
    schema = {
        "type": "object",
        "properties": {"epochs": {"type": "integer", "enum": [4, 8]}, "tool": {"type": "string", "enum": ["a", "b"]}},
        "required": ["epochs", "tool"],
        "additionalProperties": False,
    }
    sentence = "The dome is painted green in memory of Odrine."
    grammars = [Grammar.json(schema), pair_grammar(sentence)]
    prompts = [Prompt.raw("Settings as JSON: "), Prompt.raw(f"Text: {sentence}\nQuestion: What colour")]
    settings, pairs = real_backend.generate(
        prompts, grammars=grammars, max_new_tokens=60, num_samples=2, temperature=1.0, seed=1
    )
    for text in settings:
        assert json.loads(text)["epochs"] in {4, 8}
    for text in pairs:
        assert text.split("\nAnswer: ")[1].strip() in sentence


def test_a_grammar_that_cannot_be_used_is_an_error(real_backend: TransformersBackend) -> None:
    with pytest.raises(InputError, match="the grammar cannot be used"):
        real_backend.generate([Prompt.raw("x")], grammars=[Grammar("start: nothing")])
