"""Whether a message changes what was told before: corrects it, ends it, or says the opposite.

The base model compares the two messages after a few examples, in any language that it reads. Not every model can: a
test of twelve pairs says so.
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

PROMPT_FILE = "changes.json"
ASKED = (
    'Earlier: "{earlier}"\nNow: "{now}"\nDoes what I say now make something that I said earlier wrong or out of date?'
)
YES, NO = "yes", "no"
MIN_MARGIN = 1.3  # nats between "yes" and "no", on the development weeks: 5 of 16 changed facts, 0 of 34 others
MIN_PASSED = 0.75
MAX_CHARS = 400


def margins(backend: Backend, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """For each pair of an earlier and a later message the nats by which the base model says that the later changes it.

    Of two messages of a thread the later one should hold what it leans on.
    """
    data = _data()
    examples = [(ASKED.format(earlier=earlier, now=now), word) for earlier, now, word in data["examples"]]
    asked = [ASKED.format(earlier=_cut(earlier), now=_cut(now)) for earlier, now in pairs]
    return word_margins(backend, prompts_after(data["instruction"], examples, asked), YES, NO)


def can_compare(backend: Backend, cache: Path) -> bool:
    """Whether the model passes the test in comparing messages (`capability.passes`)."""

    def take() -> list[bool]:
        test = _data()["test"]
        found = margins(backend, [(earlier, now) for earlier, now, _ in test])
        return [(margin >= MIN_MARGIN) == (word == YES) for margin, (*_, word) in zip(found, test, strict=True)]

    return passes(backend.model, "changes", cache, take, MIN_PASSED)


def _cut(text: str) -> str:
    return " ".join(text.split())[:MAX_CHARS]


@lru_cache(maxsize=1)
def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(
        resources.files("seal_agent").joinpath("data", PROMPT_FILE).read_text(encoding="utf-8")
    )
    return data
