"""Limits for each key and for all keys together. Callers pass the time; this module reads no clock."""

from __future__ import annotations

from dataclasses import dataclass

from seal_agent.core.documents import MAX_PASSAGES
from seal_agent.core.errors import ContextLengthExceeded
from seal_agent.core.numbers import check_number, check_whole


@dataclass(frozen=True)
class GatewayLimits:
    """`max_body` bytes per request; `per_minute` requests per key, `burst` of them at once; `max_running` in all.

    `max_prompt_tokens` includes tools; `max_reply_tokens` is the most a client may request. `max_waiting` texts may
    wait to be learned, with `max_passages` passages each.
    """

    max_body: int = 1 << 20
    per_minute: float = 120.0
    burst: int = 20
    max_running: int = 64
    max_prompt_tokens: int = 4096
    max_reply_tokens: int = 1024
    max_waiting: int = 1000
    max_passages: int = MAX_PASSAGES

    def __post_init__(self) -> None:
        for name in (
            "max_body",
            "burst",
            "max_running",
            "max_prompt_tokens",
            "max_reply_tokens",
            "max_waiting",
            "max_passages",
        ):
            check_whole(name, getattr(self, name), 1)
        check_number("per_minute", self.per_minute, 0, above=True)


def check_prompt(num_tokens: int, limits: GatewayLimits) -> None:
    """Raise `ContextLengthExceeded` for a prompt with more tokens than a request may have."""
    if num_tokens > limits.max_prompt_tokens:
        raise ContextLengthExceeded(
            f"the prompt has {num_tokens} tokens, and this gateway allows {limits.max_prompt_tokens}; "
            "shorten the conversation or its tools, or raise the gateway's max_prompt_tokens"
        )


class RateLimit:
    """A token bucket for each key, of `burst` requests, refilled at `per_minute`."""

    def __init__(self, limits: GatewayLimits) -> None:
        self._limits = limits
        self._buckets: dict[str, tuple[float, float]] = {}  # key: (requests left, time of the last request)

    def wait(self, key: str, now: float) -> float:
        """0 if the request is admitted, and count it; else the seconds until it would be."""
        per_second = self._limits.per_minute / 60
        left, since = self._buckets.get(key, (float(self._limits.burst), now))
        left = min(left + (now - since) * per_second, self._limits.burst)
        self._buckets[key] = (left - 1 if left >= 1 else left, now)
        return 0.0 if left >= 1 else (1 - left) / per_second
