"""Adapters, and the stack of adapters that is served."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated

from seal_agent.core.renames import formerly, takes_former_names


@dataclass(frozen=True)
class AdapterRef:
    """An immutable adapter on disk; `id` is the SHA-256 of its content (64 hex digits).

    `rank` 0: it has no weights. It stands for a text that is only recalled into the prompt.
    """

    id: str
    path: str
    model: str
    rank: int

    @property
    def has_weights(self) -> bool:
        """Whether a model can run with it."""
        return self.rank > 0

    @property
    def short(self) -> str:
        """The first 12 digits, for display."""
        return self.id[:12]


@dataclass(frozen=True)
class StackEntry:
    """One adapter of a stack with its weight λ.

    A routed adapter is active only for messages that match its key. `consolidates`: ids of the adapters that this one
    was made from.
    """

    ref: AdapterRef
    weight: float = 1.0
    is_routed: bool = False
    consolidates: Annotated[tuple[str, ...], formerly("consolidates", "stands_for")] = ()


@takes_former_names(layers="entries")
@dataclass(frozen=True)
class AdapterStack:
    """The ordered adapters of a model. Adapters that are not routed are always active."""

    entries: Annotated[tuple[StackEntry, ...], formerly("entries", "layers")] = ()

    def push(self, ref: AdapterRef, weight: float = 1.0, *, is_routed: bool = False) -> AdapterStack:
        """This stack with one more adapter on top."""
        return AdapterStack((*self.entries, StackEntry(ref, weight, is_routed)))

    def without(self, adapter_id: str) -> AdapterStack:
        """This stack without the adapter of that id."""
        return AdapterStack(tuple(entry for entry in self.entries if entry.ref.id != adapter_id))

    def origins(self, ids: Collection[str]) -> tuple[str, ...]:
        """Those of the adapters `ids` that the stack holds, each after the adapters that it was made from."""
        return tuple(i for entry in self.entries if entry.ref.id in ids for i in (*entry.consolidates, entry.ref.id))

    @property
    def ids(self) -> tuple[str, ...]:
        """The adapters' ids, oldest first."""
        return tuple(entry.ref.id for entry in self.entries)

    @property
    def learned(self) -> tuple[str, ...]:
        """The ids of all adapters whose edits the stack holds, those inside consolidated adapters included."""
        return tuple(i for entry in self.entries for i in (entry.ref.id, *entry.consolidates))

    def __len__(self) -> int:
        return len(self.entries)
