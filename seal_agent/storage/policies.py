"""The versions of the editing policy: adapters that are active only while an edit is written.

Version 0 is the base model. Every version that was ever trained is kept and can be chosen; which one is in use is an
append-only list of choices. Nothing here trains or judges (`seal_agent.policy.rest_em`).
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from seal_agent.core.codec import to_json
from seal_agent.core.errors import InputError, StorageError
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.storage.adapter_store import AdapterRegistry
from seal_agent.storage.database import REPAIR, Home, check_namespace

KNOWLEDGE = "knowledge"


@dataclass(frozen=True)
class Policy:
    """One version of the policy: the adapter it is (None: the base model), whom it learned from, and what was said."""

    version: int = 0
    adapter: AdapterRef | None = None
    parent: int = 0
    reason: str = "the base model"

    @property
    def stack(self) -> AdapterStack:
        """What the model is seen through while an edit is written."""
        return AdapterStack().push(self.adapter) if self.adapter else AdapterStack()


@dataclass(frozen=True)
class PolicyStore:
    """The policies of one namespace, base model and domain."""

    home: Home
    namespace: str
    model: str
    domain: str = KNOWLEDGE

    def __post_init__(self) -> None:
        check_namespace(self.namespace)

    @property
    def _key(self) -> tuple[str, str, str]:
        return self.namespace, self.model, self.domain

    def versions(self) -> list[Policy]:
        """Every version, the base model first."""
        with self.home.connect() as db:
            rows = db.execute(
                "SELECT version, adapter, parent, reason FROM policies "
                "WHERE namespace = ? AND model = ? AND domain = ? ORDER BY version",
                self._key,
            ).fetchall()
        return [
            Policy(),
            *(Policy(v, ref_of(self.home, adapter), parent, reason) for v, adapter, parent, reason in rows),
        ]

    def uses(self) -> list[int]:
        """The numbers of the versions that were in use, one after the other; the last one is."""
        with self.home.connect() as db:
            rows = db.execute(
                "SELECT version FROM policy_uses WHERE namespace = ? AND model = ? AND domain = ? ORDER BY id",
                self._key,
            ).fetchall()
        return [0, *(int(row[0]) for row in rows)]

    def current(self) -> Policy:
        """The version in use; the base model where none was ever chosen."""
        return self.version(self.uses()[-1])

    def version(self, number: int) -> Policy:
        """The policy of that number; raises `InputError` where there is none."""
        for policy in self.versions():
            if policy.version == number:
                return policy
        raise InputError(f"there is no policy {number}; see `seal-agent improve list`")

    def add(self, adapter: AdapterRef, *, parent: int, reason: str) -> Policy:
        """Keep a trained policy, without using it; one adapter is one version."""
        for policy in self.versions():
            if policy.adapter == adapter:
                return policy
        with self.home.connect() as db:
            db.execute("BEGIN IMMEDIATE")
            number = db.execute(
                "SELECT COALESCE(MAX(version), 0) + 1 FROM policies WHERE namespace = ? AND model = ? AND domain = ?",
                self._key,
            ).fetchone()[0]
            body = json.dumps(to_json(adapter))
            db.execute(
                "INSERT INTO policies VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*self._key, number, body, parent, reason, time.time()),
            )
        return Policy(number, adapter, parent, reason)

    def use(self, number: int, reason: str = "chosen by hand") -> Policy:
        """Write edits with that version from now on; a choice that holds already is not written again.

        Raises `AdapterError` where its adapter is missing or damaged.
        """
        policy = self.version(number)
        if policy.adapter:
            AdapterRegistry(self.home.root / "adapters").verify(policy.adapter)
        if self.uses()[-1] != number:
            with self.home.connect() as db:
                db.execute(
                    "INSERT INTO policy_uses (namespace, model, domain, version, reason, created) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    (*self._key, number, reason, time.time()),
                )
        return policy


def ref_of(home: Home, adapter: str) -> AdapterRef:
    """The adapter of a line of the table; raises `StorageError` where that is damaged."""
    try:
        return home.read(AdapterRef, adapter)
    except (ValueError, InputError) as error:
        raise StorageError(f"the adapter of a policy cannot be read ({error}); {REPAIR}") from error


def every_store(home: Home) -> list[PolicyStore]:
    """The policies of every namespace, base model and domain that has any."""
    with home.connect() as db:
        keys = db.execute(
            "SELECT namespace, model, domain FROM policies UNION SELECT namespace, model, domain FROM policy_uses"
        ).fetchall()
    return [PolicyStore(home, *key) for key in keys]
