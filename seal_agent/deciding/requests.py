"""Which request about what is remembered a message is: to forget, undo or remember, or to say what is known and why.

Clear forms are recognised by the rules of the message's language. Other requests to forget, to undo or to remember are
recognised by the model: by the kind that it gives the message, and for those that delete something by a second question
too. The kind alone is not enough: a model of 1.5B parameters names "I forgot my keys" a request to forget. Which
messages ask what is known, and why, it does not tell at all (docs/log/deciding.md), so the rules alone decide on these.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from seal_agent.core.backend import Backend
from seal_agent.core.episodes import ASKS_ABOUT_MEMORY, ASKS_TO_FORGET, ASKS_TO_UNDO
from seal_agent.core.messages import Grammar, Message, Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.deciding.capability import passes
from seal_agent.language.base import for_text
from seal_agent.language.values import UserRequest

PROMPT_FILE = "requests.json"
REMEMBERED = "reminder"
"""The kind of a message that asks to remember something; it needs no confirmation, because nothing is lost by it."""
REASONS = MappingProxyType(
    {"forget": ASKS_TO_FORGET, "undo": ASKS_TO_UNDO, "known": ASKS_ABOUT_MEMORY, "why": ASKS_ABOUT_MEMORY}
)
"""Why a request is not learned itself."""
MAX_CHARS = 300  # a longer message tells something besides
MAX_ORDER_TOKENS = 6
MIN_PASSED = 0.8


def clear_request(text: str) -> UserRequest:
    """The request that a message is by the rules of its language; "" for any other message."""
    return for_text(text).request_in(text) if len(text) <= MAX_CHARS else ""


def order_in(backend: Backend, text: str) -> UserRequest:
    """Whether the base model takes a message for an order to forget or to undo something; "" if for neither."""
    order = _orders(backend, [text])[0]
    return "forget" if order == "forget" else "undo" if order == "undo" else ""


def can_tell_requests(backend: Backend, cache: Path) -> bool:
    """Whether the model passes the test in telling orders to forget from other messages (`capability.passes`)."""

    def take() -> list[bool]:
        test = _data()["test"]
        found = _orders(backend, [text for text, _ in test])
        return [named == order for named, (_, order) in zip(found, test, strict=True)]

    return passes(backend.model, "requests", cache, take, MIN_PASSED)


def _orders(backend: Backend, messages: Sequence[str]) -> list[str]:
    data = _data()
    lines = [f"{name}: {meaning}" for name, meaning in data["orders"].items()]
    shown = [m for text, order in data["examples"] for m in (Message("user", text), Message("assistant", order))]
    opening = (Message("system", "\n".join([data["instruction"], *lines])), *shown)
    prompts = [Prompt((*opening, Message("user", " ".join(text.split())))) for text in messages]
    words = " | ".join(json.dumps(name) for name in data["orders"])
    base = backend.with_stack(AdapterStack())
    grammars = [Grammar(f"start: {words}\n")] * len(prompts)
    return [s[0].strip() for s in base.generate(prompts, max_new_tokens=MAX_ORDER_TOKENS, grammars=grammars)]


@lru_cache(maxsize=1)
def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(
        resources.files("seal_agent").joinpath("data", PROMPT_FILE).read_text(encoding="utf-8")
    )
    return data
