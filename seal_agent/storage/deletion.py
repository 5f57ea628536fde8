"""Complete removal of content from disk: rows, adapter folders, index files.

SQLite overwrites deleted content (`connection`). Files to be removed are recorded in the transaction that makes them
obsolete; `delete_marked` removes them, also after a crash in between. `unlearning` decides what to remove. Copies held
by a checkpointer, a backup or the file system are out of reach.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, column, delete, inspect, literal_column, select, table

from seal_agent.core.errors import StorageError
from seal_agent.storage import documents, job_rows, ledger, replay_items, routes, stacks
from seal_agent.storage.connection import Database, Transaction
from seal_agent.storage.expressions import add_missing, is_one_of
from seal_agent.storage.schema import PENDING_DELETIONS

LEFT_OUT = ("vector",)  # of an export: derived from the question and answer in the same row


@contextmanager
def erasing(database: Database) -> Iterator[Transaction]:
    """A transaction after which the write-ahead log, which holds old pages, is emptied."""
    with database.transaction() as tx:
        yield tx
    with suppress(StorageError), database.reading() as db:  # a reader in another process keeps the log alive
        db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def mark_for_deletion(tx: Transaction, paths: Collection[Path]) -> None:
    """Record files that are to be deleted once the transaction is committed."""
    add_missing(tx, PENDING_DELETIONS, [{"path": str(path)} for path in paths])


def delete_marked(database: Database) -> int:
    """Delete the recorded files, except adapters in a stack; returns how many were deleted."""
    with database.reading() as db:
        paths = [Path(path) for path in db.execute(select(PENDING_DELETIONS.c.path)).scalars()]
    if not paths:
        return 0
    used = {adapter for version in stacks.all_versions(database) for adapter in version.stack.ids}
    gone = [path for path in paths if path.name not in used]
    for path in gone:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    with database.transaction() as tx:
        tx.execute(delete(PENDING_DELETIONS).where(is_one_of(PENDING_DELETIONS.c.path, [str(path) for path in paths])))
    return len(gone)


def remove_adapter(tx: Transaction, namespace: str, adapter: str) -> list[int]:
    """Delete all rows of an adapter but its ledger line; returns the ids of its replay items."""
    items = replay_items.remove_adapter(tx, namespace, adapter)
    routes.remove(tx, namespace, adapter)
    if not ledger.is_learned_elsewhere(tx, namespace, adapter):
        replay_items.remove_corrections_by(tx, adapter)
    return items


def rename_adapter(tx: Transaction, namespace: str, old: str, new: str) -> None:
    """Transfer the rows of an adapter to the one that was trained anew in its place."""
    replay_items.rename_adapter(tx, namespace, old, new)
    documents.rename_adapter(tx, namespace, old, new)
    routes.remove(tx, namespace, old)


def adapter_folders_of(database: Database, db: Connection, namespace: str) -> set[Path]:
    """The adapter folders of the namespace in any stack, ledger line or open job."""
    return (
        stacks.folders(database, db, namespace)
        | ledger.folders(database, db, namespace)
        | job_rows.candidate_folders(database, db, namespace)
    )


def remove_namespace(tx: Transaction, namespace: str) -> dict[str, int]:
    """Delete every row of a namespace from every table; returns how many rows each table lost."""
    counts = replay_items.remove_namespace(tx, namespace)
    for name in _namespaced(tx):
        of_namespace = delete(table(name)).where(column("namespace") == namespace)
        counts[name] = tx.execute(of_namespace).rowcount
    return counts


def export(database: Database, namespace: str) -> dict[str, list[dict[str, Any]]]:
    """All rows of one user, by table; the weights of adapters are in the folders that `stacks` names."""
    found = {}
    with database.reading() as db:
        for name in _namespaced(db):
            everything: Select[Any] = (
                select(literal_column("*")).select_from(table(name)).where(column("namespace") == namespace)
            )
            rows = db.execute(everything).mappings().all()
            found[name] = [{key: value for key, value in row.items() if key not in LEFT_OUT} for row in rows]
    return {name: rows for name, rows in found.items() if rows}


def _namespaced(db: Connection) -> list[str]:
    """The tables with a namespace column."""
    found = inspect(db)
    tables = sorted(found.get_table_names())
    return [name for name in tables if any(column["name"] == "namespace" for column in found.get_columns(name))]
