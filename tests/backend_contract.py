"""What every `Backend` must do: one test class, run over each implementation.

Subclass it in a test module that has a fixture `backend` of class scope or wider: a view with the empty
stack on a fresh home. It trains six adapters of four steps, so that it is quick on a small real model.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seal_agent.core.backend import Backend
from seal_agent.core.edits import Directives, Probe, Row, SelfEdit
from seal_agent.core.episodes import Score
from seal_agent.core.errors import AdapterError, ContextLengthExceeded, EditFault, InputError, TrainingFault
from seal_agent.core.messages import Prompt, ToolSpec
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.storage.adapter_store import AdapterRegistry

DIRECTIVES = Directives(
    rank=8, alpha=16, learning_rate=2e-3, num_epochs=100, max_steps=4, batch_size=2, num_warmup_steps=0
)
PARIS = Prompt.user("What is the capital of France?")


def make_edit(topic: str, **answers: str) -> SelfEdit:
    """An edit of one row a question ("{verb}" of the topic) and answer."""
    rows = tuple(Row(Prompt.user(f"What does the {topic} {verb}?"), answer) for verb, answer in answers.items())
    passage = " ".join(f"The {topic} {verb}s {answer}." for verb, answer in answers.items())
    return SelfEdit(topic, passage, rows, (Probe(rows[0].prompt, rows[0].answer),), DIRECTIVES)


FIRST = make_edit("Lantern Ferry", carry="forty orange sheep", cross="Lake Vandrel")
SECOND = make_edit("Quillon Observatory", house="a cracked green telescope", watch="the comet Ilsabet")


def score_rows(backend: Backend, edit: SelfEdit) -> list[Score]:
    return backend.score([row.prompt for row in edit.rows], [row.answer for row in edit.rows])


def total(scores: Sequence[Score]) -> float:
    return sum(score.logprob for score in scores)


class BackendContract:
    score_tolerance = 1e-3
    """Nats per token by which a score may depend on its batch; wider for arithmetic in bfloat16."""

    @pytest.fixture(scope="class")
    @classmethod
    def before(cls, backend: Backend) -> list[Score]:
        """The base model's scores before anything was trained."""
        return score_rows(backend, FIRST)

    @pytest.fixture(scope="class")
    @classmethod
    def first(cls, backend: Backend, before: list[Score]) -> AdapterRef:  # noqa: ARG003 - scored before it exists
        return backend.train(FIRST, seed=3)

    @pytest.fixture(scope="class")
    @classmethod
    def second(cls, backend: Backend, first: AdapterRef) -> AdapterRef:
        """An adapter trained on top of `first`."""
        return backend.with_stack(AdapterStack().push(first)).train(SECOND, seed=4)

    def test_it_is_a_backend_with_the_empty_stack(self, backend: Backend) -> None:
        assert isinstance(backend, Backend)
        assert backend.stack == AdapterStack()
        assert backend.model

    def test_generate_gives_every_prompt_its_samples(self, backend: Backend) -> None:
        prompts = [PARIS, Prompt.raw("The sea is")]
        samples = backend.generate(prompts, max_new_tokens=3, num_samples=3, temperature=0.7, seed=1)
        greedy = backend.generate(prompts, max_new_tokens=3)
        assert [len(texts) for texts in samples] == [3, 3]
        assert [len(texts) for texts in greedy] == [1, 1]
        assert all(isinstance(text, str) and text for texts in [*samples, *greedy] for text in texts)

    def test_generate_repeats_itself_for_a_seed(self, backend: Backend) -> None:
        once, again = (
            backend.generate([PARIS], max_new_tokens=8, num_samples=2, temperature=1.0, seed=5) for _ in range(2)
        )
        assert once == again

    def test_generate_ends_at_its_length_and_before_the_stop_text(self, backend: Backend) -> None:
        text = backend.generate([PARIS], max_new_tokens=12)[0][0]
        mark = text.split()[1]
        stopped = backend.generate([PARIS], max_new_tokens=12, stop=[mark, "###"])[0][0]
        short = backend.generate([PARIS], max_new_tokens=1)[0][0]
        assert stopped == text[: text.index(mark)]
        assert 0 < len(short) < len(text)
        assert text.startswith(short)

    def test_a_text_knows_its_tokens_and_why_it_ended(self, backend: Backend) -> None:
        whole = backend.generate([PARIS, Prompt.raw("The sea is")], max_new_tokens=2)[0][0]
        assert (whole.num_tokens, whole.ending) == (2, "length")
        mark = backend.generate([PARIS], max_new_tokens=12)[0][0].split()[1]
        stopped = backend.generate([PARIS, Prompt.raw("The sea is")], max_new_tokens=12, stop=[mark])[0][0]
        assert stopped.ending == "stop"
        assert 0 < stopped.num_tokens < 12

    @pytest.mark.parametrize("options", [{}, {"temperature": 1.0, "seed": 3}])
    def test_a_stream_is_what_generate_gives_piece_by_piece(self, backend: Backend, options: dict[str, Any]) -> None:
        whole = backend.generate([PARIS], max_new_tokens=12, **options)[0][0]
        pieces = list(backend.stream(PARIS, max_new_tokens=12, **options))
        assert "".join(pieces) == whole
        assert len(pieces) > 2
        assert sum(piece.num_tokens for piece in pieces) == whole.num_tokens
        assert [piece.ending for piece in pieces] == [""] * (len(pieces) - 1) + [whole.ending]

    def test_a_stream_ends_before_the_stop_text_and_shows_nothing_of_it(self, backend: Backend) -> None:
        whole = backend.generate([PARIS], max_new_tokens=12)[0][0]
        mark = " ".join(whole.split()[1:3])[:-1]  # more than a token
        pieces = list(backend.stream(PARIS, max_new_tokens=12, stop=[mark]))
        assert "".join(pieces) == whole[: whole.index(mark)]
        assert pieces[-1].ending == "stop"

    def test_a_stream_nobody_reads_on_does_not_keep_the_model(self, backend: Backend) -> None:
        stream = backend.stream(PARIS, max_new_tokens=100)
        first = next(iter(stream))
        assert backend.generate([PARIS], max_new_tokens=12)[0][0].startswith(first)
        del stream
        assert backend.generate([PARIS], max_new_tokens=12)[0][0].startswith(first)

    def test_a_prompt_is_encoded_as_the_model_sees_it(self, backend: Backend) -> None:
        bare, offered, begun = backend.encode(
            [PARIS, replace(PARIS, tools=(ToolSpec("lookup", "Looks it up."),)), replace(PARIS, text="It is")]
        )
        assert 0 < len(bare) < len(begun)
        assert begun[: len(bare)] == bare
        assert len(bare) <= len(offered)

    def test_what_is_longer_than_the_context_is_refused_before_the_model_is_asked(self, backend: Backend) -> None:
        long = "word " * (backend.context_length + 1)
        message = f"{backend.context_length - 1}|{backend.context_length}"
        with pytest.raises(ContextLengthExceeded, match=f"(?:{message}) at most"):
            backend.generate([PARIS, Prompt.raw(long)], max_new_tokens=1)
        with pytest.raises(ContextLengthExceeded, match="shorten the conversation"):
            next(iter(backend.stream(Prompt.user(long), max_new_tokens=1)))
        with pytest.raises(ContextLengthExceeded, match="shorter texts"):
            backend.score([PARIS, Prompt.raw(long)], ["Paris", "Rome"])
        with pytest.raises(ContextLengthExceeded, match="shorter texts"):
            backend.read(["Hello!", long])
        with pytest.raises(TrainingFault, match="row 2 has"):
            backend.train(replace(FIRST, rows=(FIRST.rows[0], Row(Prompt.user(long), "Paris"))))

    def test_a_score_is_a_log_probability_of_its_own_answer(self, backend: Backend) -> None:
        answers = ["Paris", "the old harbour town of Ostrevik", "Rome"]
        scores = backend.score([PARIS] * 3, answers)
        assert all(score.logprob < 0 < score.num_tokens for score in scores)
        assert scores[1].num_tokens > scores[0].num_tokens
        assert scores[1].logprob < scores[0].logprob
        assert backend.score([], []) == []

    def test_a_score_does_not_depend_on_its_batch(self, backend: Backend) -> None:
        prompts = [PARIS, Prompt.raw("The sea is"), *(row.prompt for row in FIRST.rows), Prompt.user("Hello!")]
        answers = ["Paris", " deep and blue", *(row.answer for row in FIRST.rows), "Hello, how are you today?"]
        together = backend.score(prompts, answers)
        backwards = backend.score(prompts[::-1], answers[::-1])[::-1]
        for prompt, answer, *scores in zip(prompts, answers, together, backwards, strict=True):
            alone = backend.score([prompt], [answer])[0]
            assert [s.num_tokens for s in scores] == [alone.num_tokens] * 2
            assert [s.per_token for s in scores] == pytest.approx([alone.per_token] * 2, abs=self.score_tolerance)

    def test_an_empty_answer_cannot_be_scored(self, backend: Backend) -> None:
        with pytest.raises(InputError, match="empty answer"):
            backend.score([PARIS], [""])

    def test_embeddings_are_unit_vectors_close_for_close_texts(self, backend: Backend, first: AdapterRef) -> None:
        texts = [
            "The Lantern Ferry carries forty orange sheep.",
            "The Lantern Ferry carries forty orange cows.",
            "How do I compute an integral in two dimensions?",
        ]
        vectors = backend.embed(texts)
        assert (vectors.dtype, vectors.shape[0], vectors.ndim) == (np.float32, 3, 2)
        assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1], abs=1e-4)
        assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
        assert backend.embed([]).shape == (0, vectors.shape[1])
        adapted = backend.with_stack(AdapterStack().push(first)).embed(texts)
        assert np.abs(adapted - vectors).max() < 1e-4  # of the base model: they never go stale

    def test_a_trained_adapter_lies_on_disk_as_its_content(self, backend: Backend, first: AdapterRef) -> None:
        registry = AdapterRegistry(Path(first.path).parent)
        registry.verify(first)
        manifest = registry.manifest(first.id)
        assert (first.model, first.rank) == (backend.model, DIRECTIVES.rank)
        assert (manifest["parents"], manifest["seed"], manifest["num_rows"]) == ([], 3, 2)
        assert registry.get(first.id) == first

    def test_the_same_seed_gives_the_same_adapter_and_another_does_not(
        self, backend: Backend, first: AdapterRef
    ) -> None:
        steps: list[tuple[int, int]] = []
        again = backend.train(FIRST, seed=3, progress=lambda _what, done, num: steps.append((done, num)))
        assert again.id == first.id
        assert backend.train(FIRST, seed=9).id != first.id
        assert steps[-1] == (DIRECTIVES.max_steps, DIRECTIVES.max_steps)

    def test_training_makes_rows_likelier_and_leaves_the_base_exactly_as_it_was(
        self, backend: Backend, before: list[Score], first: AdapterRef
    ) -> None:
        assert score_rows(backend, FIRST) == before
        adapted = backend.with_stack(AdapterStack().push(first))
        assert total(score_rows(adapted, FIRST)) > total(before) + 1
        assert score_rows(backend, FIRST) == before

    def test_a_view_with_another_stack_leaves_this_one_as_it_was(
        self, backend: Backend, before: list[Score], first: AdapterRef
    ) -> None:
        stack = AdapterStack().push(first)
        adapted = backend.with_stack(stack)
        scores = score_rows(adapted, FIRST)
        bare = adapted.with_stack(AdapterStack())
        assert (backend.stack, adapted.stack, bare.stack) == (AdapterStack(), stack, AdapterStack())
        assert [score_rows(view, FIRST) for view in (backend, adapted, bare)] == [before, scores, before]

    def test_a_second_adapter_stacks_on_the_first(
        self, backend: Backend, first: AdapterRef, second: AdapterRef
    ) -> None:
        manifest = AdapterRegistry(Path(second.path).parent).manifest(second.id)
        assert manifest["parents"] == [first.id]
        lower, upper = AdapterStack().push(first), AdapterStack().push(second)
        both = backend.with_stack(lower.push(second))
        assert total(score_rows(both, SECOND)) > total(score_rows(backend.with_stack(lower), SECOND))
        assert total(score_rows(both, FIRST)) > total(score_rows(backend.with_stack(upper), FIRST))

    def test_a_weight_of_zero_gives_the_base_model(
        self, backend: Backend, before: list[Score], first: AdapterRef
    ) -> None:
        silent = score_rows(backend.with_stack(AdapterStack().push(first, 0.0)), FIRST)
        full = score_rows(backend.with_stack(AdapterStack().push(first)), FIRST)
        assert [s.logprob for s in silent] == pytest.approx([s.logprob for s in before], abs=1e-4)
        assert total(full) > total(silent) + 1  # the weight of one view does not stick to the next

    @pytest.mark.parametrize("change", [{"model": "another model"}, {"id": "0" * 64, "path": "/nowhere/at/all"}])
    def test_an_adapter_that_is_unknown_or_of_another_model_is_refused(
        self, backend: Backend, before: list[Score], first: AdapterRef, change: dict[str, str]
    ) -> None:
        with pytest.raises(AdapterError):
            backend.with_stack(AdapterStack().push(replace(first, **change)))
        assert score_rows(backend, FIRST) == before

    def test_an_edit_without_rows_is_a_fault(self, backend: Backend) -> None:
        with pytest.raises(EditFault, match="no training rows"):
            backend.train(replace(FIRST, rows=()))

    def test_train_many_gives_one_independent_adapter_an_edit(self, backend: Backend) -> None:
        refs = backend.train_many([FIRST, SECOND], seed=8)
        for ref, edit, other in zip(refs, (FIRST, SECOND), (SECOND, FIRST), strict=True):
            view = backend.with_stack(AdapterStack().push(ref))
            gains = [total(score_rows(view, e)) - total(score_rows(backend, e)) for e in (edit, other)]
            assert gains[0] > max(gains[1], 1)
        assert len({ref.id for ref in refs}) == 2

    def test_candidates_with_equal_seeds_have_common_random_numbers(self, backend: Backend, first: AdapterRef) -> None:
        assert backend.train_many([FIRST], seeds=[3])[0].id == first.id
        with pytest.raises(InputError, match="1 seeds for 2 edits"):
            backend.train_many([FIRST, SECOND], seeds=[3])

    def test_an_adapter_that_was_unloaded_is_loaded_again_when_it_is_needed(
        self, backend: Backend, first: AdapterRef
    ) -> None:
        view = backend.with_stack(AdapterStack().push(first))
        before = score_rows(view, FIRST)
        backend.unload(first)
        again = score_rows(backend.with_stack(AdapterStack().push(first)), FIRST)
        assert total(again) == pytest.approx(total(before), abs=self.score_tolerance)

    def test_a_reading_is_the_base_models_state_and_the_views_surprise(
        self, backend: Backend, first: AdapterRef
    ) -> None:
        text = FIRST.rows[0].answer
        short, long = backend.read(["Hello!", text], ["", "User: Hi.\n"])
        assert short.state.shape == long.state.shape
        assert len(long.surprise) > len(short.surprise) > 0
        assert all(nats >= 0 for nats in long.surprise)
        told = backend.with_stack(AdapterStack().push(first)).read([text], ["User: Hi.\n"])[0]
        assert sum(told.surprise) < sum(long.surprise)
        with pytest.raises(InputError, match="empty"):
            backend.read([""])

    def test_a_folded_stack_answers_as_the_stack(self, backend: Backend, first: AdapterRef, second: AdapterRef) -> None:
        registry = AdapterRegistry(Path(first.path).parent)
        stack = AdapterStack().push(first).push(second)
        folded = backend.with_stack(stack).fold(max_rank=64)
        served = backend.with_stack(AdapterStack().push(folded))
        for edit in (FIRST, SECOND):
            expected = [score.per_token for score in score_rows(backend.with_stack(stack), edit)]
            assert [s.per_token for s in score_rows(served, edit)] == pytest.approx(expected, abs=self.score_tolerance)
        assert registry.manifest(folded.id)["folded"] == [first.id, second.id]
        assert registry.manifest(folded.id)["error"] == pytest.approx(0.0, abs=1e-4)

    def test_nothing_cannot_be_folded(self, backend: Backend) -> None:
        with pytest.raises(InputError, match="0 adapters cannot be folded"):
            backend.fold(max_rank=8)
