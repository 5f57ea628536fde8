"""Tests of what a model can do, each taken once for a model: results ship for some models, others are stored."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from importlib import resources
from pathlib import Path

from seal_agent.deciding.classifier import HEADS_FOLDER, file_name
from seal_agent.storage.files import write_whole

log = logging.getLogger(__name__)


def passes(model: str, name: str, cache: Path, take: Callable[[], list[bool]], min_passed: float) -> bool:
    """Whether `model` passes the test `name`; `take` takes it and says for each of its parts whether it was right.

    `min_passed`: the share of right parts that passes. Results ship for the models whose heads do; others are stored
    in the folder `cache`.
    """
    path = cache / f"{file_name(model).removesuffix('.npz')}-{name}.json"
    for known in (resources.files("seal_agent").joinpath("data", HEADS_FOLDER, path.name), path):
        if known.is_file():
            with suppress(ValueError, KeyError, TypeError):  # damaged: tested again
                return bool(json.loads(known.read_text(encoding="utf-8"))["passed"])
    right = take()
    passed = sum(right) >= min_passed * len(right)
    log.info("%s is right about %d of %d in the test %s", model, sum(right), len(right), name)
    write_whole(path, json.dumps({"passed": passed, "right": sum(right), "of": len(right)}).encode())
    return passed
