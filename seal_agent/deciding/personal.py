"""Whether a message asks for something personal, which a model cannot know unless it was told.

The base model compares two words after a few examples. Not every model can: a test of twelve messages says so.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from seal_agent.core.backend import Backend
from seal_agent.core.messages import Message, Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.deciding.classifier import HEADS_FOLDER, file_name
from seal_agent.storage.files import write_whole

log = logging.getLogger(__name__)
PROMPT_FILE = "personal.json"
PERSONAL, GENERAL = "personal", "general"
MIN_MARGIN = 0.9  # nats between the two words, on the development weeks: 1 of 22 other requests lies above 0.5
MIN_PASSED = 0.8
MAX_CHARS = 300


def margins(backend: Backend, messages: Sequence[str]) -> list[float]:
    """For each message the nats by which "personal" is likelier than "general" to the base model."""
    data = _data()
    shown = [m for text, word in data["examples"] for m in (Message("user", text), Message("assistant", word))]
    opening = (Message("system", data["instruction"]), *shown)
    prompts = [Prompt((*opening, Message("user", " ".join(text.split())[:MAX_CHARS]))) for text in messages]
    words = [PERSONAL] * len(prompts) + [GENERAL] * len(prompts)
    scores = [s.logprob for s in backend.with_stack(AdapterStack()).score(prompts * 2, words)]
    return [personal - general for personal, general in zip(scores, scores[len(prompts) :], strict=False)]


def can_tell(backend: Backend, cache: Path) -> bool:
    """Whether the model passes the test, which is taken once for a model.

    Results ship for the models whose heads do; others are stored in `cache`.
    """
    path = cache / f"{file_name(backend.model).removesuffix('.npz')}-personal.json"
    for known in (resources.files("seal_agent").joinpath("data", HEADS_FOLDER, path.name), path):
        if known.is_file():
            with suppress(ValueError, KeyError, TypeError):  # damaged: tested again
                return bool(json.loads(known.read_text(encoding="utf-8"))["passed"])
    test = _data()["test"]
    found = margins(backend, [text for text, _ in test])
    num_right = sum((margin > 0) == (word == PERSONAL) for margin, (_, word) in zip(found, test, strict=True))
    passed = bool(num_right >= MIN_PASSED * len(test))
    log.info("%s tells %d of %d personal from general requests", backend.model, num_right, len(test))
    write_whole(path, json.dumps({"passed": passed, "right": num_right, "of": len(test)}).encode())
    return passed


@lru_cache(maxsize=1)
def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(
        resources.files("seal_agent").joinpath("data", PROMPT_FILE).read_text(encoding="utf-8")
    )
    return data
