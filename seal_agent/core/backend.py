"""The `Backend` protocol: all that the rest of the package asks of a model.

Importing it loads no model library. Implementations: `huggingface.TransformersBackend` (real weights),
`vllm.backend.VLLMBackend` (a vLLM server) and `scripted.ScriptedBackend` (fast tests); one test class runs over
all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from seal_agent.core.edits import SelfEdit
from seal_agent.core.episodes import Progress, Score
from seal_agent.core.errors import AdapterError, ContextLengthExceeded, EditFault, InputError
from seal_agent.core.messages import Generated, Grammar, Prompt
from seal_agent.core.numbers import check_number, check_seed, check_whole
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.core.tool_format import ToolFormat

TOP_P = 0.95  # nucleus sampling, the same on every backend


def silent(what: str, done: int, total: int) -> None:
    """A progress callback that does nothing."""


def check_grammars(prompts: Sequence[Prompt], grammars: Sequence[Grammar]) -> None:
    """Raise `InputError` unless there is one grammar for each prompt, or none."""
    if grammars and len(grammars) != len(prompts):
        raise InputError(f"{len(grammars)} grammars for {len(prompts)} prompts; give one for each, or none")


def check_sampling(
    max_new_tokens: int, num_samples: int = 1, temperature: float = 0.0, stop: Sequence[str] = (), seed: int = 0
) -> None:
    """Raise `InputError` for settings of `generate` or `stream` that are out of range."""
    check_whole("max_new_tokens", max_new_tokens, 1)
    check_whole("num_samples", num_samples, 1)
    check_number("temperature", temperature, 0)
    check_seed(seed)
    if isinstance(stop, str) or not all(isinstance(text, str) and text for text in stop):
        raise InputError(f"stop={stop!r} does not fit; give a list of texts, none of them empty")


def check_fits(ref: AdapterRef, model: str) -> None:
    """Raise `AdapterError` for an adapter that was trained on another model than `model`."""
    if ref.model != model:
        raise AdapterError(
            f"adapter {ref.short} was trained on {ref.model}, not on {model}; use that model or another namespace"
        )


def check_foldable(stack: AdapterStack, max_rank: int) -> None:
    """Raise `InputError` for an empty stack or a rank below 1."""
    if not stack.entries or max_rank < 1:
        raise InputError(f"{len(stack)} adapters cannot be folded to rank {max_rank}; give adapters and a rank from 1")


def folded_facts(stack: AdapterStack) -> dict[str, Any]:
    """The manifest entries of a folded stack, without its error."""
    topic = f"{len(stack)} adapters folded into one"
    return {"folded": list(stack.ids), "parents": [], "topic": topic, "num_rows": 0, "num_tokens": 0}


def check_rows(edit: SelfEdit) -> None:
    """Raise `EditFault` for an edit that has nothing to train on."""
    if not edit.rows:
        raise EditFault("the self-edit has no training rows; write at least one")


def seeds_of(edits: Sequence[SelfEdit], seed: int, seeds: Sequence[int]) -> list[int]:
    """One seed for each edit of `train_many`; raises `InputError` unless `seeds` has one for each edit, or none."""
    if seeds and len(seeds) != len(edits):
        raise InputError(f"{len(seeds)} seeds for {len(edits)} edits; give one for each, or none")
    return list(seeds) or [seed + number for number in range(len(edits))]


@dataclass(frozen=True)
class Reading:
    """A text as the base model reads it: a hidden state (d,), and the surprisal of every token in nats."""

    state: NDArray[np.float32]
    surprise: tuple[float, ...]


@runtime_checkable
class Backend(Protocol):
    """A causal language model seen through one adapter stack. Every method but `stream` takes batches."""

    @property
    def model(self) -> str:
        """The identity of the base model; an adapter fits only the model it was trained on."""

    @property
    def stack(self) -> AdapterStack:
        """The stack that this view answers with."""

    @property
    def tool_format(self) -> ToolFormat:
        """The format in which this model writes tool calls."""

    @property
    def learning_rate(self) -> float:
        """The learning rate that suits this model; used for edits that name none."""

    @property
    def context_length(self) -> int:
        """The maximum number of tokens of a prompt and its reply together.

        `generate` and `stream` raise `ContextLengthExceeded` for a prompt that leaves no room for a reply, and end a
        reply where the context ends; `score` and `read` raise it for a text that is longer.
        """

    def with_stack(self, stack: AdapterStack) -> Backend:
        """A view on the same weights that answers with `stack`; raises `AdapterError` if one does not fit."""

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int = 64,
        num_samples: int = 1,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        grammars: Sequence[Grammar] = (),
        seed: int = 0,
        progress: Progress = silent,
    ) -> list[list[Generated]]:
        """`num_samples` continuations of every prompt, cut before the first `stop` text.

        With `grammars`, one for each prompt, every continuation matches its grammar, or is a prefix of a match where
        `max_new_tokens` ends it; raises `InputError` for a grammar that cannot be used. Temperature 0 is greedy and
        returns one sample; otherwise `seed` decides the draw.
        """

    def stream(
        self,
        prompt: Prompt,
        *,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        grammar: Grammar | None = None,
        seed: int = 0,
    ) -> Iterator[Generated]:
        """The reply that `generate` gives for `prompt` alone, in pieces; only the last piece has an `ending`.

        Closing the iterator ends the generation. A slow reader does not keep other callers from the model.
        """

    def encode(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Token ids of every prompt, chat template and tools included."""

    def score(self, prompts: Sequence[Prompt], answers: Sequence[str], *, progress: Progress = silent) -> list[Score]:
        """Teacher-forced log-probability of `answers[i]` after `prompts[i]`, without generating."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors (len(texts), d) from the base model; texts on the same subject lie close together."""

    def read(self, texts: Sequence[str], earlier: Sequence[str] = ()) -> list[Reading]:
        """One reading of every text by this view, with `earlier[i]`, the conversation before it, as context.

        For a model with d hidden units the state has the shape (2d,): the mean of the middle layer over the text,
        followed by the last layer's state at the last token. Raises `InputError` for an empty text.
        """

    def train(self, edit: SelfEdit, *, seed: int = 0, progress: Progress = silent) -> AdapterRef:
        """Train a new adapter on top of this view's frozen stack and store it; the candidate is not served.

        Raises `TrainingFault` for a row that is longer than the model's context, before anything is trained.
        """

    def train_many(
        self, edits: Sequence[SelfEdit], *, seed: int = 0, seeds: Sequence[int] = (), progress: Progress = silent
    ) -> list[AdapterRef]:
        """One independent candidate per edit, each on top of this view's stack.

        `seeds` has one seed per edit; equal seeds give common random numbers. By default `seed`, `seed` + 1, ...
        """

    def fold(self, *, max_rank: int) -> AdapterRef:
        """Store this view's stack as one new adapter of rank `max_rank` or lower; the folded adapters stay on disk.

        The manifest holds `folded`, the ids, and `error`, ‖difference‖ / ‖update‖ over all layers; it is 0 if the rank
        sufficed. Raises `InputError` for an empty stack.
        """

    def unload(self, ref: AdapterRef) -> None:
        """Free the memory of an adapter; it is loaded again when a stack names it."""


def room_for_reply(num_tokens: int, wanted: int, context: int, model: str) -> int:
    """How many of the `wanted` tokens fit behind a prompt of `num_tokens`, at least one.

    Raises `ContextLengthExceeded` if none fits.
    """
    if num_tokens >= context:
        raise ContextLengthExceeded(
            f"the prompt has {num_tokens} tokens, and {model} reads {context} at most, its reply included; "
            "shorten the conversation or its tools, or use a model with a longer context"
        )
    return min(wanted, context - num_tokens)
