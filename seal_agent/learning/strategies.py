"""How a stack grows: the same edits can be stacked, routed, merged or refitted, and nobody agrees which is right.

A strategy says on what the next candidate is trained, how it is served, and when the stack is to be made smaller. It
is a pure function of stacks: one of your own is a class with three methods (`examples/forgetting_experiment.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from seal_agent.core.errors import InputError
from seal_agent.core.numbers import check_whole
from seal_agent.core.stacks import AdapterRef, AdapterStack

Consolidation = Literal["", "fold", "refit"]
"""Nothing; the stack folded into one adapter; one adapter trained anew on all accepted rows."""


class Strategy(Protocol):
    """How a stack grows."""

    @property
    def name(self) -> str:
        """What it is called in settings and reports."""

    def parent(self, stack: AdapterStack) -> AdapterStack:
        """What the next candidate is trained on top of."""

    def pushed(self, stack: AdapterStack, ref: AdapterRef, weight: float) -> AdapterStack:
        """`stack` with `ref` as it would be served."""

    def consolidation(self, stack: AdapterStack) -> Consolidation:
        """What is to become of `stack` after an edit was accepted."""


@dataclass(frozen=True)
class Stack:
    """Every adapter is always active, each trained on top of all before it."""

    name: str = "stack"

    def parent(self, stack: AdapterStack) -> AdapterStack:
        """All of it."""
        return stack

    def pushed(self, stack: AdapterStack, ref: AdapterRef, weight: float) -> AdapterStack:
        """One more on top."""
        return stack.push(ref, weight)

    def consolidation(self, stack: AdapterStack) -> Consolidation:
        """Never."""
        return ""


@dataclass(frozen=True)
class Route:
    """Every adapter is trained on what is always active and answers only where its key matches (MEGa, 2504.21239)."""

    name: str = "route"

    def parent(self, stack: AdapterStack) -> AdapterStack:
        """What no route guards."""
        return AdapterStack(tuple(entry for entry in stack.entries if not entry.is_routed))

    def pushed(self, stack: AdapterStack, ref: AdapterRef, weight: float) -> AdapterStack:
        """One more that is routed."""
        return stack.push(ref, weight, is_routed=True)

    def consolidation(self, stack: AdapterStack) -> Consolidation:
        """Never."""
        return ""


@dataclass(frozen=True)
class Merge(Stack):
    """One adapter that every edit is added to, of bounded rank: SEAL's sequential merge, as far as a stack can."""

    name: str = "merge"

    def consolidation(self, stack: AdapterStack) -> Consolidation:
        """At once."""
        return "fold" if len(stack) > 1 else ""


@dataclass(frozen=True)
class Rebuild(Stack):
    """Stacked, and after `every` edits one adapter is refitted on all that was ever accepted."""

    name: str = "rebuild"
    every: int = 8

    def __post_init__(self) -> None:
        check_whole("every", self.every, 2)

    def consolidation(self, stack: AdapterStack) -> Consolidation:
        """When so many lie on the last refitted one."""
        num_since = sum(not entry.consolidates for entry in stack.entries)
        return "refit" if num_since >= self.every else ""


STRATEGIES: Mapping[str, Strategy] = {s.name: s for s in (Stack(), Route(), Merge(), Rebuild())}


def strategy(name: str) -> Strategy:
    """The strategy of that name; raises `InputError` for one that does not exist."""
    if name not in STRATEGIES:
        raise InputError(f"there is no strategy called {name!r}; choose {', '.join(STRATEGIES)}")
    return STRATEGIES[name]
