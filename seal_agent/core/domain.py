"""The protocol of a domain of self-edits, such as knowledge or puzzles.

A policy is a model with an adapter that is active only while an edit is written. The policy is shown a context and
writes a text; the domain turns the text into a self-edit, and grades a model that was trained on that edit. Training,
the choice among candidates and the improvement of the policy (`seal_agent.policy.rest_em`) are the same for every
domain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

from seal_agent.core.backend import Backend
from seal_agent.core.edits import Row, SelfEdit
from seal_agent.core.renames import takes_former_names

C = TypeVar("C", contravariant=True)


@takes_former_names(said="exchanges")
@dataclass(frozen=True)
class Proposal:
    """An edit, and `exchanges`: the prompts and replies that wrote the edit, training rows for the next policy."""

    edit: SelfEdit
    exchanges: tuple[Row, ...]


@dataclass(frozen=True)
class Grade:
    """How well a model does on the held-out part of a context: share correct, and mean NLL in nats per token.

    `right` is None if nothing was generated because the NLL alone decided.
    """

    nll: float
    right: float | None = None


class Domain(Protocol[C]):
    """A domain: its contexts, the edits that a policy may propose for them, and the grading of a trained model."""

    @property
    def name(self) -> str:
        """The name of the domain in records and on the command line."""

    def propose(self, writer: Backend, context: C, *, seed: int = 0, temperature: float = 0.0) -> Proposal:
        """An edit for `context` by the policy `writer`; raises `EditFault` if the reply holds no usable edit."""

    def grade(self, view: Backend, context: C, *, generates: bool = True) -> Grade:
        """The grade of `view` on the held-out part of `context`; with `generates=False` only the NLL is measured."""
