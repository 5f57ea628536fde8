"""The data directory `$SEAL_HOME`: SQLite is authoritative, index files are caches.

Accepting an edit writes a new stack version, its ledger line and its replay items in one transaction, so a crash leaves
the old state or the new one. Other rooms open a `Home`; the tables belong to the other files of this room (see
`schema`).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from platformdirs import user_data_path

from seal_agent.core.episodes import Episode
from seal_agent.core.facts import Fact
from seal_agent.core.stacks import AdapterStack
from seal_agent.storage import job_rows, ledger, namespaces, routes, schema, stacks
from seal_agent.storage.connection import ADAPTERS as ADAPTERS
from seal_agent.storage.connection import DATABASE as DATABASE
from seal_agent.storage.connection import REPAIR as REPAIR
from seal_agent.storage.connection import Database, Transaction
from seal_agent.storage.documents import digest_of as digest_of
from seal_agent.storage.namespaces import check_namespace as check_namespace
from seal_agent.storage.schema import SCHEMA_VERSION as SCHEMA_VERSION
from seal_agent.storage.stacks import StackVersion as StackVersion

QUARANTINE = "quarantine"


def default_home() -> Path:
    """`$SEAL_HOME`, else the platform's user data folder."""
    chosen = os.environ.get("SEAL_HOME")
    return Path(chosen).expanduser() if chosen else user_data_path("seal-agent")


class Home(Database):
    """The data directory and its database, at the newest schema. Thread-safe and process-safe."""

    def __init__(self, root: Path | None = None) -> None:
        super().__init__(root or default_home())
        schema.bring_up_to_date(self)

    def stack(self, namespace: str) -> AdapterStack:
        """The stack served in `namespace` now."""
        return stacks.served(self, namespace)

    def versions(self, namespace: str) -> list[StackVersion]:
        """All versions of the stack of `namespace`, oldest first."""
        return stacks.versions(self, namespace)

    def all_versions(self) -> list[StackVersion]:
        """All stack versions of all namespaces."""
        return stacks.all_versions(self)

    def set_stack(
        self, tx: Transaction, namespace: str, stack: AdapterStack, *, expected: AdapterStack, reason: str
    ) -> None:
        """Append a version; raises `StackChanged` if another process appended one first."""
        stacks.append(self, tx, namespace, stack, expected=expected, reason=reason)

    def rollback(self, namespace: str, adapter_id: str, reason: str = "rolled back by hand") -> AdapterStack:
        """Remove an accepted adapter from the stack by the beginning of its id; its folder stays on disk."""
        return stacks.rollback(self, namespace, adapter_id, reason)

    def route_keys(self, namespace: str) -> dict[str, str]:
        """The routing keys of all adapters that were accepted as routed, by adapter id."""
        return routes.keys(self, namespace)

    def set_route_keys(self, tx: Transaction, namespace: str, keys: Mapping[str, str]) -> None:
        """Store routing keys."""
        routes.set_keys(tx, namespace, keys)

    def namespace_generation(self, namespace: str) -> str:
        """Random id of this incarnation of the namespace; it changes when the user is erased."""
        return namespaces.generation(self, namespace)

    def append_episode(self, tx: Transaction, episode: Episode, *, is_trial: bool = False) -> int:
        """Append a ledger line and return its number; raises `Erased` if the namespace was erased meanwhile."""
        return ledger.append(tx, episode, is_trial=is_trial)

    def num_episodes(self, namespace: str) -> int:
        """The number of ledger lines of `namespace`."""
        return ledger.num_episodes(self, namespace)

    def episode(self, namespace: str, episode_id: str) -> Episode | None:
        """The ledger line of the episode with that id; None if there is none."""
        return ledger.episode(self, namespace, episode_id)

    def episodes(self, namespace: str, outcomes: Sequence[str] = ()) -> list[Episode]:
        """The ledger of `namespace`, oldest first; with `outcomes` only those."""
        return ledger.episodes(self, namespace, outcomes)

    def facts(self, namespace: str, adapters: Collection[str]) -> list[Fact]:
        """The texts that the given adapters were learned from, oldest first."""
        return ledger.facts(self, namespace, adapters)

    def last_activity(self) -> float:
        """Time of the last submission or completion in any namespace; 0 if there was none."""
        with self.reading() as db:
            return max(ledger.last_created(db), job_rows.last_activity(db))

    def damage(self, limit: int = 1) -> list[str]:
        """The errors SQLite finds in its file; raises `StorageError` if it cannot be read."""
        with self.reading() as db:
            answers = db.exec_driver_sql(f"PRAGMA integrity_check({int(limit)})").scalars().all()
        return [str(answer) for answer in answers if answer != "ok"]
