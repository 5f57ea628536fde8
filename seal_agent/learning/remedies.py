"""Remedies for an edit that forgets: a smaller weight, retraining with rehearsal, routing.

Pure functions that choose the next remedy; the learner applies it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from seal_agent.core.errors import InputError
from seal_agent.core.stacks import AdapterRef, AdapterStack

SCALE, REPAIR, ROUTE = "scale", "repair", "route"


@dataclass(frozen=True)
class Remedy:
    """One remedy: `kind` is "scale" (to `weight`), "repair" or "route"."""

    kind: str
    weight: float = 1.0

    @property
    def name(self) -> str:
        """The remedy's name in settings and in the ledger."""
        return f"{self.kind} {self.weight:g}" if self.kind == SCALE else self.kind


def parse_remedies(names: Sequence[str]) -> tuple[Remedy, ...]:
    """Parse remedies such as "scale 0.7", "repair" and "route"; raises `InputError` for others."""
    found = []
    for name in names:
        kind, _, number = name.partition(" ")
        try:
            weight = float(number) if kind == SCALE else 1.0
        except ValueError:
            weight = 0.0
        if kind not in (SCALE, REPAIR, ROUTE) or (kind != SCALE and number) or not 0 < weight <= 1:
            raise InputError(f'there is no remedy {name!r}; choose "scale 0.7" (any share), "repair" or "route"')
        found.append(Remedy(kind, weight))
    return tuple(found)


def next_remedy(remedies: Sequence[Remedy], tried: Sequence[str], *, is_routed: bool) -> Remedy | None:
    """The first remedy that was not tried and would change something; None if there is none."""
    for remedy in remedies:
        if remedy.name not in tried and not (remedy.kind == ROUTE and is_routed):
            return remedy
    return None


def with_entry_changed(stack: AdapterStack, ref: AdapterRef, **changes: Any) -> AdapterStack:
    """`stack` with changed fields (`weight`, `is_routed`, `consolidates`) of the entry of `ref`."""
    return AdapterStack(tuple(replace(y, **changes) if y.ref.id == ref.id else y for y in stack.entries))
