"""Trains an edit for the duration of a measurement, and deletes it afterwards.

The caller decides what to measure; nothing here judges the edit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from seal_agent.core.backend import Backend
from seal_agent.core.edits import SelfEdit
from seal_agent.core.stacks import AdapterStack
from seal_agent.storage.adapter_store import AdapterRegistry


@dataclass(frozen=True)
class Learned:
    """The model with one edit, and the cost of its training."""

    view: Backend
    num_steps: int
    num_tokens: int
    seconds: float


@contextmanager
def learned(base: Backend, registry: AdapterRegistry, edit: SelfEdit, seed: int) -> Iterator[Learned]:
    """`base` after learning `edit` alone; `registry` is the store of its adapters."""
    start = time.perf_counter()
    adapter = base.train(edit, seed=seed)
    seconds = round(time.perf_counter() - start, 2)
    try:
        facts = registry.manifest(adapter.id)
        view = base.with_stack(AdapterStack().push(adapter, edit.directives.weight))
        yield Learned(view, int(facts.get("num_steps", 0)), int(facts["num_tokens"]), seconds)
    finally:
        base.unload(adapter)
        registry.discard(adapter)
