"""Judgements of the base model about a message, or about an earlier and a later one: a comparison of two words.

The model finds one of two words likelier after a few examples, in any language that it reads. Not every model can
judge: a test of a dozen cases says so. It counts in how many pairs of cases, one for each word, the margins have the
right order (the area under the ROC curve), because no threshold suits every model.
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

PERSONAL = "personal"
"""Whether a message asks for something that only the user can know, so that a model must have been told it."""
NOTEWORTHY = "noteworthy"
"""Whether a message tells something true and lasting."""
CHANGES = "changes"
"""Whether the later of two messages makes something in the earlier one wrong or out of date."""
REPEATS = "repeats"
"""Whether the later of two messages says nothing that the earlier one does not say."""
MIN_PASSED = 0.8  # of the pairs of cases
MAX_CHARS = 600  # of a message


def margins(backend: Backend, judgement: str, cases: Sequence[tuple[str, ...]]) -> list[float]:
    """For each case, a message or an earlier and a later one, the nats by which the first word is likelier."""
    data = _data(judgement)
    examples = [(_asked(data, texts), word) for *texts, word in data["examples"]]
    asked = [_asked(data, texts) for texts in cases]
    return word_margins(backend, prompts_after(data["instruction"], examples, asked), *data["words"])


def can_judge(backend: Backend, judgement: str, cache: Path) -> bool:
    """Whether the model passes the test of a judgement (`capability.passes`)."""

    def take() -> list[bool]:
        data = _data(judgement)
        found = margins(backend, judgement, [tuple(texts) for *texts, _ in data["test"]])
        words = [word for *_, word in data["test"]]
        first, second = ([m for m, word in zip(found, words, strict=True) if word == each] for each in data["words"])
        return [more > less for more in first for less in second]

    return passes(backend.model, judgement, cache, take, MIN_PASSED)


def _asked(data: dict[str, Any], texts: Sequence[str]) -> str:
    asked: str = data["asked"]
    return asked.format(*(text[:MAX_CHARS] for text in texts))


@lru_cache(maxsize=4)
def _data(judgement: str) -> dict[str, Any]:
    file = resources.files("seal_agent").joinpath("data", f"{judgement}.json")
    data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return data
