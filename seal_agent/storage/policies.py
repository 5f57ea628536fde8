"""The versions of the policy: adapters that are active only while an edit is written.

Version 0 is the base model. All trained versions are kept and can be chosen; the version in use is the last entry of an
append-only list of choices. Nothing here trains or judges (`seal_agent.policy.rest_em`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, insert, select, union

from seal_agent.core.codec import to_json
from seal_agent.core.errors import InputError, StorageError
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.storage.adapter_store import AdapterRegistry
from seal_agent.storage.connection import ADAPTERS, REPAIR, Database, Transaction
from seal_agent.storage.expressions import json_text
from seal_agent.storage.namespaces import check_namespace
from seal_agent.storage.schema import POLICIES, POLICY_USES

KNOWLEDGE = "knowledge"


@dataclass(frozen=True)
class Policy:
    """One version of the policy: its adapter (None: the base model), its parent version, and the reason."""

    version: int = 0
    adapter: AdapterRef | None = None
    parent: int = 0
    reason: str = "the base model"

    @property
    def stack(self) -> AdapterStack:
        """The stack that is active while an edit is written."""
        return AdapterStack().push(self.adapter) if self.adapter else AdapterStack()


@dataclass(frozen=True)
class PolicyStore:
    """The policies of one namespace, base model and domain."""

    home: Database
    namespace: str
    model: str
    domain: str = KNOWLEDGE

    def __post_init__(self) -> None:
        check_namespace(self.namespace)

    def _of(self, table: Table) -> ColumnElement[bool]:
        """The rows of a table that belong to these policies."""
        return and_(table.c.namespace == self.namespace, table.c.model == self.model, table.c.domain == self.domain)

    @property
    def _key(self) -> dict[str, str]:
        return {"namespace": self.namespace, "model": self.model, "domain": self.domain}

    def versions(self) -> list[Policy]:
        """All versions, the base model first."""
        columns = (POLICIES.c.version, POLICIES.c.adapter, POLICIES.c.parent, POLICIES.c.reason)
        with self.home.reading() as db:
            rows = db.execute(select(*columns).where(self._of(POLICIES)).order_by(POLICIES.c.version)).all()
        return [
            Policy(),
            *(Policy(v, ref_of(self.home, adapter), parent, reason) for v, adapter, parent, reason in rows),
        ]

    def uses(self) -> list[int]:
        """The version numbers that were in use, in order; the last one is current."""
        wanted = select(POLICY_USES.c.version).where(self._of(POLICY_USES)).order_by(POLICY_USES.c.id)
        with self.home.reading() as db:
            return [0, *db.execute(wanted).scalars()]

    def current(self) -> Policy:
        """The version in use; the base model if none was chosen."""
        return self.version(self.uses()[-1])

    def version(self, number: int) -> Policy:
        """The policy with that number; raises `InputError` if there is none."""
        for policy in self.versions():
            if policy.version == number:
                return policy
        raise InputError(f"there is no policy {number}; see `seal-agent improve list`")

    def add(self, adapter: AdapterRef, *, parent: int, reason: str) -> Policy:
        """Store a trained policy without using it; an adapter that is stored already keeps its version."""
        for policy in self.versions():
            if policy.adapter == adapter:
                return policy
        newest = select(func.max(POLICIES.c.version)).where(self._of(POLICIES))
        body = json.dumps(to_json(adapter))
        with self.home.transaction() as tx:
            number = 1 + (tx.execute(newest).scalar() or 0)
            row = {"version": number, "adapter": body, "parent": parent, "reason": reason, "created": time.time()}
            tx.execute(insert(POLICIES), {**self._key, **row})
        return Policy(number, adapter, parent, reason)

    def use(self, number: int, reason: str = "chosen by hand") -> Policy:
        """Use that version from now on; choosing the current one again has no effect.

        Raises `AdapterError` if its adapter is missing or damaged.
        """
        policy = self.version(number)
        if policy.adapter:
            AdapterRegistry(self.home.root / ADAPTERS).verify(policy.adapter)
        if self.uses()[-1] != number:
            row = {"version": number, "reason": reason, "created": time.time()}
            with self.home.transaction() as tx:
                tx.execute(insert(POLICY_USES), {**self._key, **row})
        return policy


def ref_of(database: Database, adapter: str) -> AdapterRef:
    """The adapter of a stored policy; raises `StorageError` if the row is damaged."""
    try:
        return database.read(AdapterRef, adapter)
    except (ValueError, InputError) as error:
        raise StorageError(f"the adapter of a policy cannot be read ({error}); {REPAIR}") from error


def every_store(database: Database) -> list[PolicyStore]:
    """The stores of all namespaces, base models and domains that have policies."""
    keys = [select(table.c.namespace, table.c.model, table.c.domain) for table in (POLICIES, POLICY_USES)]
    with database.reading() as db:
        return [PolicyStore(database, *key) for key in db.execute(union(*keys))]


@dataclass(frozen=True)
class Trained:
    """A trained policy version with its model, domain, parent version and adapter id."""

    model: str
    domain: str
    version: int
    parent: int
    adapter: str


def trained_policies(db: Connection, namespace: str) -> list[Trained]:
    """All policy versions of a namespace, lowest numbers first."""
    c = POLICIES.c
    wanted = select(c.model, c.domain, c.version, c.parent, json_text(c.adapter, "id"))
    return [Trained(*row) for row in db.execute(wanted.where(c.namespace == namespace).order_by(c.version))]


def remove_policies(tx: Transaction, namespace: str, policies: Collection[Trained]) -> None:
    """Delete versions and all choices of them."""
    keys = [(policy.model, policy.domain, policy.version) for policy in policies]
    for table in (POLICIES, POLICY_USES):
        for model, domain, version in keys:
            key = and_(table.c.model == model, table.c.domain == domain, table.c.version == version)
            tx.execute(delete(table).where(table.c.namespace == namespace, key))


def adapter_ids(db: Connection) -> set[str]:
    """The adapter ids of all policies."""
    return {i for i in db.execute(select(json_text(POLICIES.c.adapter, "id"))).scalars() if i}


@dataclass(frozen=True)
class UnreadablePolicy:
    """A stored policy whose adapter cannot be read."""

    namespace: str
    model: str
    domain: str
    version: int
    adapter: str
    reason: str


def unreadable_policies(database: Database) -> list[UnreadablePolicy]:
    """The stored policies whose adapter cannot be read."""
    columns = [POLICIES.c[name] for name in ("namespace", "model", "domain", "version", "adapter", "reason")]
    with database.reading() as db:
        lines = [UnreadablePolicy(*row) for row in db.execute(select(*columns))]
    return [line for line in lines if not _is_readable(database, line.adapter)]


def _is_readable(database: Database, adapter: str) -> bool:
    try:
        ref_of(database, adapter)
    except StorageError:
        return False
    return True


def remove_line(tx: Transaction, line: UnreadablePolicy) -> None:
    """Delete a stored policy; choices of it stay."""
    names = ("namespace", "model", "domain", "version")
    tx.execute(delete(POLICIES).where(*(POLICIES.c[name] == getattr(line, name) for name in names)))
