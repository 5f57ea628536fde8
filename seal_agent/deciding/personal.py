"""Whether a message asks for something personal, which a model cannot know unless it was told.

The base model compares two words after a few examples. Not every model can: a test of twelve messages says so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from seal_agent.core.backend import Backend
from seal_agent.core.word_choice import prompts_after, word_margins
from seal_agent.deciding.capability import passes

PROMPT_FILE = "personal.json"
PERSONAL, GENERAL = "personal", "general"
MIN_MARGIN = 0.9  # nats between the two words, on the development weeks: 1 of 22 other requests lies above 0.5
MIN_PASSED = 0.8
MAX_CHARS = 300


def margins(backend: Backend, messages: Sequence[str]) -> list[float]:
    """For each message the nats by which "personal" is likelier than "general" to the base model."""
    data = _data()
    asked = [" ".join(text.split())[:MAX_CHARS] for text in messages]
    return word_margins(backend, prompts_after(data["instruction"], data["examples"], asked), PERSONAL, GENERAL)


def can_tell(backend: Backend, cache: Path) -> bool:
    """Whether the model passes the test in telling personal from general requests (`capability.passes`)."""

    def take() -> list[bool]:
        test = _data()["test"]
        found = margins(backend, [text for text, _ in test])
        return [(margin > 0) == (word == PERSONAL) for margin, (_, word) in zip(found, test, strict=True)]

    return passes(backend.model, "personal", cache, take, MIN_PASSED)


@lru_cache(maxsize=1)
def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(
        resources.files("seal_agent").joinpath("data", PROMPT_FILE).read_text(encoding="utf-8")
    )
    return data
