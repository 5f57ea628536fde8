"""The interface to vLLM, over HTTP (`client`) or in this process (`engine`).

It uses token ids, adapter names and folders, and knows no stacks, namespaces or prompts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from seal_agent.core.backend import TOP_P
from seal_agent.core.errors import ContextLengthExceeded, InputError, ServerError
from seal_agent.core.messages import Ending, Generated, Grammar


class UnknownAdapter(ServerError):
    """vLLM does not know this adapter: it was restarted, or another process unloaded it."""


@dataclass(frozen=True)
class Sampling:
    """Sampling settings for one prompt; temperature 0 is greedy."""

    max_new_tokens: int = 64
    num_samples: int = 1
    temperature: float = 0.0
    stop: tuple[str, ...] = ()
    grammar: Grammar | None = None
    seed: int = 0

    def fields(self) -> dict[str, Any]:
        """The fields that vLLM's requests and its `SamplingParams` share, but for the grammar; no default is used."""
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
    """One base model on vLLM and its loaded adapters. Thread-safe."""

    @property
    def max_requests(self) -> int:
        """How many requests of one batch should be in flight at once."""

    def complete(self, model: str, tokens: Sequence[int], sampling: Sampling) -> list[Generated]:
        """`sampling.num_samples` continuations of `tokens`, cut before the first stop text.

        `model` is the base model's name or an adapter's; raises `UnknownAdapter` for one that is not loaded.
        """

    def stream(self, model: str, tokens: Sequence[int], sampling: Sampling) -> Iterator[Generated]:
        """One continuation in pieces."""

    def logprobs(self, model: str, rows: Sequence[Sequence[int]]) -> list[list[float]]:
        """For every row the log-probability (nats) of each token but the first, given those before it."""

    def load(self, name: str, path: str) -> None:
        """Load the adapter folder at `path` under `name`; no effect if it is loaded already."""

    def unload(self, name: str) -> None:
        """Unload an adapter; no error if it is not loaded."""


def generated(text: str, tokens: Sequence[int] | None, reason: str | None) -> Generated:
    """A completion, or a piece of one, from vLLM's fields; `reason` is its finish reason, if it has ended."""
    ending: Ending = "" if reason is None else "length" if reason == "length" else "stop"
    return Generated(text, len(tokens or ()), ending)


def refused(message: str) -> InputError:
    """The error for a request that vLLM refuses as invalid."""
    if "grammar" in message.lower() or "lark" in message.lower():
        return InputError(f"the grammar cannot be used: {message}; fix its Lark text")
    if "context length" in message.lower() or "max_model_len" in message:
        return ContextLengthExceeded(f"vLLM refuses the request: {message}; shorten the prompt")
    return InputError(f"vLLM refuses the request: {message}")


def why_not_loaded(message: str) -> str:
    """The reason why vLLM refuses an adapter, and what to do."""
    if "max_lora_rank" in message:
        return f"{message}; restart it with a larger --max-lora-rank"
    return f"{message}; vLLM must see the same folder, and the adapter must fit its model"
