"""The stack versions of all namespaces: append-only, each with a checksum and a reason."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, Text, cast, select, update

from seal_agent.core.codec import to_json
from seal_agent.core.errors import AdapterError, StackChanged, StorageError
from seal_agent.core.stacks import AdapterStack
from seal_agent.storage import checksums
from seal_agent.storage.connection import REPAIR, Database, Transaction
from seal_agent.storage.expressions import put
from seal_agent.storage.schema import CHECKSUMS, STACKS

_NUMBER = cast(STACKS.c.version, Text)
_VERSIONS = (
    select(STACKS, CHECKSUMS.c.digest)
    .outerjoin_from(STACKS, CHECKSUMS, checksums.belongs_to("stack", STACKS.c.namespace, _NUMBER))
    .order_by(STACKS.c.namespace, STACKS.c.version)
)


@dataclass(frozen=True)
class StackVersion:
    """One stack version of a namespace and the reason for it."""

    version: int
    stack: AdapterStack
    reason: str
    created: float


def versions(database: Database, namespace: str) -> list[StackVersion]:
    """All versions of the stack of `namespace`, oldest first; raises `StorageError` for a damaged one."""
    return [_version(database, row) for row in _checked_rows(database, namespace)]


def served(database: Database, namespace: str) -> AdapterStack:
    """The stack served in `namespace` now; raises `StorageError` if any version is damaged."""
    rows = _checked_rows(database, namespace)
    return _version(database, rows[-1]).stack if rows else AdapterStack()


def all_versions(database: Database) -> list[StackVersion]:
    """All stack versions of all namespaces."""
    with database.reading() as db:
        rows = [_Row(*row) for row in db.execute(_VERSIONS)]
    return [_version(database, _checked(row)) for row in rows]


class _Row(NamedTuple):
    """A version as stored; `digest`: its checksum, if it has one."""

    namespace: str
    number: int
    layers: str
    reason: str
    created: float
    digest: str | None


def _checked_rows(database: Database, namespace: str) -> list[_Row]:
    with database.reading() as db:
        rows = [_Row(*row) for row in db.execute(_VERSIONS.where(STACKS.c.namespace == namespace))]
        newest = checksums.highest(db, "stack", namespace)
    if newest > max((row.number for row in rows), default=0):
        raise StorageError(f"version {newest} of the stack of namespace {namespace!r} is lost; {REPAIR}")
    return [_checked(row) for row in rows]


def _checked(row: _Row) -> _Row:
    if row.digest is not None and row.digest != checksums.checksum(row.namespace, row.number, row.layers):
        raise StorageError(f"version {row.number} of the stack of namespace {row.namespace!r} is damaged; {REPAIR}")
    return row


def _version(database: Database, row: _Row) -> StackVersion:
    return StackVersion(row.number, database.read(AdapterStack, row.layers), row.reason, row.created)


def append(
    database: Database, tx: Transaction, namespace: str, stack: AdapterStack, *, expected: AdapterStack, reason: str
) -> None:
    """Append a version; raises `StackChanged` unless the newest one is `expected`."""
    newest = (
        select(STACKS.c.version, STACKS.c.layers)
        .where(STACKS.c.namespace == namespace)
        .order_by(STACKS.c.version.desc())
        .limit(1)
    )
    row = tx.execute(newest).first()
    number, current = (row[0], database.read(AdapterStack, row[1])) if row else (0, AdapterStack())
    if current != expected:
        raise StackChanged(
            f"the stack of namespace {namespace!r} was changed by another process; nothing was lost, run the edit again"
        )
    _write(tx, namespace, number + 1, stack, reason, time.time())


def rollback(database: Database, namespace: str, adapter_id: str, reason: str) -> AdapterStack:
    """Remove an accepted adapter from the stack by the beginning of its id; its folder stays on disk.

    A consolidated adapter is replaced by the adapters it was made from.
    """
    stack = served(database, namespace)
    matches = [i for i in stack.ids if i.startswith(adapter_id)] if adapter_id else []
    if len(matches) != 1:
        raise AdapterError(
            f"{len(matches)} adapters of the stack begin with {adapter_id!r}; see `seal-agent adapters list`"
        )
    taken = next(entry for entry in stack.entries if entry.ref.id == matches[0])
    known = {entry.ref.id: entry for version in versions(database, namespace) for entry in version.stack.entries}
    hidden = {i for i in taken.consolidates if i in known} - {
        j for i in taken.consolidates for j in known[i].consolidates
    }
    back = [known[i] for i in taken.consolidates if i in hidden]
    entries = [part for entry in stack.entries for part in (back if entry is taken else [entry])]
    reduced = AdapterStack(tuple(entries))
    with database.transaction() as tx:
        append(database, tx, namespace, reduced, expected=stack, reason=f"{reason}: {matches[0][:12]}")
    return reduced


def rewrite(tx: Transaction, namespace: str, number: int, stack: AdapterStack, reason: str) -> None:
    """Replace an older version, because some of its adapters no longer exist."""
    which = (STACKS.c.namespace == namespace, STACKS.c.version == number)
    tx.execute(update(STACKS).where(*which).values(layers=json.dumps(to_json(stack)), reason=reason))


def damaged_versions(database: Database, namespace: str) -> dict[int, AdapterStack | None]:
    """All versions up to the newest one ever written; None for one that is damaged or lost."""
    with database.reading() as db:
        rows = select(STACKS.c.version, STACKS.c.layers).where(STACKS.c.namespace == namespace)
        written = {number: layers for number, layers in db.execute(rows)}  # noqa: C416
        noted = {int(name): digest for name, digest in checksums.recorded(db, "stack", namespace).items()}
    found: dict[int, AdapterStack | None] = {}
    for number in range(1, max([*written, *noted], default=0) + 1):
        layers = written.get(number)
        is_whole = layers is not None and noted.get(number) in (None, checksums.checksum(namespace, number, layers))
        found[number] = database.read(AdapterStack, layers) if is_whole and layers is not None else None
    return found


def rebuild(tx: Transaction, namespace: str, number: int, stack: AdapterStack, reason: str) -> None:
    """Rewrite a version that was damaged or lost."""
    which = (STACKS.c.namespace == namespace, STACKS.c.version == number)
    created = tx.execute(select(STACKS.c.created).where(*which)).scalar()
    _write(tx, namespace, number, stack, reason, created or 0.0)


def _write(tx: Transaction, namespace: str, number: int, stack: AdapterStack, reason: str, created: float) -> None:
    layers = json.dumps(to_json(stack))
    row = {"namespace": namespace, "version": number, "layers": layers, "reason": reason, "created": created}
    put(tx, STACKS, [row])
    checksums.record(tx, "stack", namespace, str(number), checksums.checksum(namespace, number, layers))


def referenced_adapters(db: Connection) -> set[str]:
    """The ids of all adapters in any version, those inside consolidated adapters included."""
    named: set[str] = set()
    for layers in db.execute(select(STACKS.c.layers)).scalars():
        stack = json.loads(layers)
        for entry in stack["entries"] if "entries" in stack else stack["layers"]:
            named |= {entry["ref"]["id"], *entry.get("consolidates", entry.get("stands_for", ()))}
    return named


def folders(database: Database, db: Connection, namespace: str) -> set[Path]:
    """The adapter folders in all versions of the namespace."""
    rows = db.execute(select(STACKS.c.layers).where(STACKS.c.namespace == namespace)).scalars()
    return {Path(entry.ref.path) for layers in rows for entry in database.read(AdapterStack, layers).entries}
