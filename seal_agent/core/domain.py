"""What a domain of self-edits is: the plug through which knowledge, puzzles or anything else is learned.

A policy (a model seen through an adapter that is active only while an edit is written) is shown a context and says
something; the domain makes a self-edit of what it said, and grades a model that was trained on it. Training, the
choice among candidates and the improvement of the policy (`seal_agent.policy.rest_em`) are the same for every domain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

from seal_agent.core.backend import Backend
from seal_agent.core.edits import Row, SelfEdit

C = TypeVar("C", contravariant=True)


@dataclass(frozen=True)
class Proposal:
    """An edit, and what the policy said to write it: prompts with its answers, which the next policy may learn."""

    edit: SelfEdit
    said: tuple[Row, ...]


@dataclass(frozen=True)
class Grade:
    """How well a model does on a context's held-out part: share right, and mean NLL in nats per token.

    `right` is None where nothing was generated, because the NLL alone had decided.
    """

    nll: float
    right: float | None = None


class Domain(Protocol[C]):
    """What a context is, what an edit may hold, how it becomes rows, how it is rewarded."""

    @property
    def name(self) -> str:
        """What the domain is called in records and on the command line."""

    def propose(self, writer: Backend, context: C, *, seed: int = 0, temperature: float = 0.0) -> Proposal:
        """An edit for `context` by the policy `writer`; raises `EditFault` where nothing usable comes out."""

    def grade(self, view: Backend, context: C, *, generates: bool = True) -> Grade:
        """How `view` does on what is held out of `context`; without `generates` by likelihood alone."""
