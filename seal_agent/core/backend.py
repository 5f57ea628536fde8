"""The `Backend` protocol: all that the rest of the package asks of a model.

It loads nothing heavy. Implementations: `huggingface.TransformersBackend` (real weights),
`vllm_server.VLLMBackend` (the same on vLLM) and `scripted.ScriptedBackend` (fast tests); one test class runs over all
of them.
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

TOP_P = 0.95  # of sampling, whoever samples


def silent(what: str, done: int, total: int) -> None:
    """The progress callback that says nothing."""


def check_grammars(prompts: Sequence[Prompt], grammars: Sequence[Grammar]) -> None:
    """Raise `InputError` unless there is one grammar for each prompt, or none."""
    if grammars and len(grammars) != len(prompts):
        raise InputError(f"{len(grammars)} grammars for {len(prompts)} prompts; give one for each, or none")


def check_sampling(
    max_new_tokens: int, num_samples: int = 1, temperature: float = 0.0, stop: Sequence[str] = (), seed: int = 0
) -> None:
    """Raise `InputError` for settings of `generate` or `stream` that no reply can be written with."""
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
        raise InputError(f"{len(stack)} adapters cannot be folded to rank {max_rank}; give one or more, and a rank")


def folded_facts(stack: AdapterStack) -> dict[str, Any]:
    """What the manifest of a folded stack says beside its error."""
    topic = f"{len(stack)} adapters folded into one"
    return {"folded": list(stack.ids), "parents": [], "topic": topic, "num_rows": 0, "num_tokens": 0}


def check_rows(edit: SelfEdit) -> None:
    """Raise `EditFault` for an edit that has nothing to train on."""
    if not edit.rows:
        raise EditFault("the self-edit has no training rows; write at least one")


def seeds_of(edits: Sequence[SelfEdit], seed: int, seeds: Sequence[int]) -> list[int]:
    """A seed for every edit of `train_many`; raises `InputError` unless there is one for each, or none."""
    if seeds and len(seeds) != len(edits):
        raise InputError(f"{len(seeds)} seeds for {len(edits)} edits; give one for each, or none")
    return list(seeds) or [seed + number for number in range(len(edits))]


@dataclass(frozen=True)
class Reading:
    """What a model makes of a text: a state (d,) of the base model's own, and the surprise of every token in nats."""

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
        """The stack this view answers with."""

    @property
    def tool_format(self) -> ToolFormat:
        """How this model writes a call of a tool."""

    @property
    def learning_rate(self) -> float:
        """What fits this model: edits that name none are trained with it."""

    @property
    def context_length(self) -> int:
        """How many tokens this model reads at once, a prompt and its reply together.

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

        With `grammars`, one for each prompt, every continuation fits its grammar or breaks off where
        `max_new_tokens` ends it; raises `InputError` for a grammar that cannot be used. Temperature 0 is
        greedy and takes one sample; otherwise the seed decides the draw.
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
        """What `generate` would give for `prompt` alone, piece by piece; the last piece, and only it, has an ending.

        Closing the iterator ends the generation. A slow reader does not keep others from the model.
        """

    def encode(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """The ids of every prompt's tokens as the model sees them, chat template and tools included."""

    def score(self, prompts: Sequence[Prompt], answers: Sequence[str], *, progress: Progress = silent) -> list[Score]:
        """Teacher-forced log-probability of `answers[i]` after `prompts[i]`, without generating."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors (len(texts), d) of the base model; texts about the same things lie close."""

    def read(self, texts: Sequence[str], earlier: Sequence[str] = ()) -> list[Reading]:
        """This view's reading of every text, after what `earlier` says came before it.

        The state of a model with d hidden units: the mean of the middle layer over the text, then the last token's
        of the last layer, (2d,). Raises `InputError` for an empty text.
        """

    def train(self, edit: SelfEdit, *, seed: int = 0, progress: Progress = silent) -> AdapterRef:
        """Train a new adapter on top of this view's frozen stack and store it; the candidate is not served.

        Raises `TrainingFault` for a row that is longer than the model's context, before anything is trained.
        """

    def train_many(
        self, edits: Sequence[SelfEdit], *, seed: int = 0, seeds: Sequence[int] = (), progress: Progress = silent
    ) -> list[AdapterRef]:
        """One independent candidate per edit, each on top of this view's stack.

        `seeds` gives one for each, equal ones for common random numbers; without it they are `seed`, `seed` + 1, ...
        """

    def fold(self, *, max_rank: int) -> AdapterRef:
        """Store this view's stack as one adapter of rank `max_rank` at most, next to what it folds.

        The manifest holds `folded`, the ids, and `error`, ‖difference‖ / ‖update‖ over all layers: 0 where the rank
        sufficed. Raises `InputError` for an empty stack.
        """

    def unload(self, ref: AdapterRef) -> None:
        """Free the memory an adapter takes; a stack that names it loads it again."""


def room_for_reply(num_tokens: int, wanted: int, context: int, model: str) -> int:
    """How many of the `wanted` tokens a prompt of `num_tokens` leaves room for, one at least.

    Raises `ContextLengthExceeded` where it leaves none.
    """
    if num_tokens >= context:
        raise ContextLengthExceeded(
            f"the prompt has {num_tokens} tokens, and {model} reads {context} at most, its reply included; "
            "shorten the conversation or its tools, or use a model with a longer context"
        )
    return min(wanted, context - num_tokens)
