"""What is asked of vLLM, wherever it runs: over HTTP (`vllm_client`) or in this process (`vllm_engine`).

It knows token ids, names of adapters and folders; nothing of stacks, namespaces or prompts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from seal_agent.core.backend import TOP_P
from seal_agent.core.errors import ContextLengthExceeded, InputError, ServerError
from seal_agent.core.messages import Ending, Generated, Grammar


class UnknownAdapter(ServerError):
    """vLLM does not know this name: it was restarted, or another process unloaded it."""


@dataclass(frozen=True)
class Sampling:
    """How one prompt is continued; temperature 0 is greedy."""

    max_new_tokens: int = 64
    num_samples: int = 1
    temperature: float = 0.0
    stop: tuple[str, ...] = ()
    grammar: Grammar | None = None
    seed: int = 0

    def fields(self) -> dict[str, Any]:
        """What vLLM's requests and its `SamplingParams` call alike, but for the grammar; no default decides."""
        return {
            "max_tokens": self.max_new_tokens,
            "n": self.num_samples,
            "temperature": self.temperature,
            "top_p": TOP_P if self.temperature > 0 else 1.0,
            "top_k": 0,
            "repetition_penalty": 1.0,
            "seed": self.seed,
            "stop": list(self.stop),
        }


class VLLM(Protocol):
    """One base model on vLLM and the adapters it has loaded. Safe to use from several threads."""

    @property
    def max_requests(self) -> int:
        """How many requests of one batch should be on their way at once."""

    def complete(self, model: str, tokens: Sequence[int], sampling: Sampling) -> list[Generated]:
        """`sampling.num_samples` continuations of `tokens`, cut before the first stop text.

        `model` is the base model's name or an adapter's; raises `UnknownAdapter` for one that is not loaded.
        """

    def stream(self, model: str, tokens: Sequence[int], sampling: Sampling) -> Iterator[Generated]:
        """One continuation, piece by piece."""

    def logprobs(self, model: str, rows: Sequence[Sequence[int]]) -> list[list[float]]:
        """For every row of tokens the log-probability (nats) of each token but the first, given those before it."""

    def load(self, name: str, path: str) -> None:
        """Make the adapter folder at `path` answer as `name`; one that is loaded already stays as it is."""

    def unload(self, name: str) -> None:
        """Take an adapter out; one that is not loaded is no error."""


def generated(text: str, tokens: Sequence[int] | None, reason: str | None) -> Generated:
    """A choice, or a piece of one, from vLLM's fields; `reason` is why it ended, if it did."""
    ending: Ending = "" if reason is None else "length" if reason == "length" else "stop"
    return Generated(text, len(tokens or ()), ending)


def refused(message: str) -> InputError:
    """What a request means that vLLM calls bad."""
    if "grammar" in message.lower() or "lark" in message.lower():
        return InputError(f"the grammar cannot be used: {message}; mend its Lark text")
    if "context length" in message.lower() or "max_model_len" in message:
        return ContextLengthExceeded(f"vLLM refuses the request: {message}; shorten the prompt")
    return InputError(f"vLLM refuses the request: {message}")


def why_not_loaded(message: str) -> str:
    """What to do about an adapter that vLLM does not take."""
    if "max_lora_rank" in message:
        return f"{message}; restart it with a larger --max-lora-rank"
    return f"{message}; it must see the same folder, and the adapter fit its model"
