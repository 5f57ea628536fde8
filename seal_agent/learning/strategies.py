"""How a stack grows: edits can be stacked, routed, merged or retrained together.

A strategy chooses the base of the next candidate, how the candidate is served, and when the stack is consolidated. It
is a pure function of stacks; an own one is a class with three methods and a name (`examples/forgetting_experiment.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from seal_agent.core.errors import InputError
from seal_agent.core.numbers import check_whole
from seal_agent.core.stacks import AdapterRef, AdapterStack

Consolidation = Literal["", "fold", "refit"]
""""": nothing; "fold": the stack as one adapter; "refit": one adapter trained anew on all accepted rows."""


class Strategy(Protocol):
    """How a stack grows."""

    @property
    def name(self) -> str:
        """The name in settings and reports."""

    def parent(self, stack: AdapterStack) -> AdapterStack:
        """The stack that the next candidate is trained on top of."""

    def pushed(self, stack: AdapterStack, ref: AdapterRef, weight: float) -> AdapterStack:
        """`stack` as it would be served with the candidate `ref`."""

    def consolidation(self, stack: AdapterStack) -> Consolidation:
        """How to consolidate `stack` after an edit was accepted."""


@dataclass(frozen=True)
class Stack:
    """Every adapter is always active, each trained on top of all before it."""

    name: str = "stack"

    def parent(self, stack: AdapterStack) -> AdapterStack:
        """The whole stack."""
        return stack

    def pushed(self, stack: AdapterStack, ref: AdapterRef, weight: float) -> AdapterStack:
        """One more adapter on top."""
        return stack.push(ref, weight)

    def consolidation(self, stack: AdapterStack) -> Consolidation:
        """Never."""
        return ""


@dataclass(frozen=True)
class Route:
    """Each adapter is trained on the unrouted stack and active only where its key matches (MEGa, arXiv 2504.21239)."""

    name: str = "route"

    def parent(self, stack: AdapterStack) -> AdapterStack:
        """The adapters that are always active."""
        return AdapterStack(tuple(entry for entry in stack.entries if not entry.is_routed))

    def pushed(self, stack: AdapterStack, ref: AdapterRef, weight: float) -> AdapterStack:
        """One more routed adapter."""
        return stack.push(ref, weight, is_routed=True)

    def consolidation(self, stack: AdapterStack) -> Consolidation:
        """Never."""
        return ""


@dataclass(frozen=True)
class Merge(Stack):
    """One adapter of bounded rank that every edit is folded into, like SEAL's sequential merge."""

    name: str = "merge"

    def consolidation(self, stack: AdapterStack) -> Consolidation:
        """After every edit."""
        return "fold" if len(stack) > 1 else ""


@dataclass(frozen=True)
class Rebuild(Stack):
    """Adapters are stacked; after `every` edits one adapter is trained anew on everything accepted."""

    name: str = "rebuild"
    every: int = 8

    def __post_init__(self) -> None:
        check_whole("every", self.every, 2)

    def consolidation(self, stack: AdapterStack) -> Consolidation:
        """When `every` adapters lie on the last refitted one."""
        num_since = sum(not entry.consolidates for entry in stack.entries)
        return "refit" if num_since >= self.every else ""


STRATEGIES: Mapping[str, Strategy] = {s.name: s for s in (Stack(), Route(), Merge(), Rebuild())}


def strategy(name: str) -> Strategy:
    """The strategy of that name; raises `InputError` for one that does not exist."""
    if name not in STRATEGIES:
        raise InputError(f"there is no strategy called {name!r}; choose {', '.join(STRATEGIES)}")
    return STRATEGIES[name]
