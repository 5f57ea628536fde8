"""Removing content from disk so that none of it is left: rows, adapter folders, index files.

SQLite overwrites what is deleted (`Home.connect`), and files that must go are written down in the transaction
that makes them superfluous: `sweep` removes them, also after a crash in between. It knows nothing of how an edit is
unlearned (`unlearning`). What a checkpointer, a backup or the file system's own history holds is out of its reach.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from seal_agent.core.errors import StorageError
from seal_agent.core.stacks import AdapterRef
from seal_agent.storage.database import Home

LEFT_OUT = ("vector",)  # of an export: numbers made from the question and answer beside them


@contextmanager
def erasing(home: Home) -> Iterator[sqlite3.Connection]:
    """A transaction after which the write-ahead log is emptied too: it holds pages as they were."""
    with home.connect() as db:
        db.execute("BEGIN IMMEDIATE")
        yield db
    with suppress(StorageError), home.connect() as db:  # a reader in another process keeps the log until it ends
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def doom(db: sqlite3.Connection, paths: Collection[Path]) -> None:
    """Write down, inside the transaction of `db`, files that are to be removed once it is committed."""
    db.executemany("INSERT OR IGNORE INTO doomed VALUES (?)", [(str(path),) for path in paths])


def sweep(home: Home) -> int:
    """Remove the files that were doomed, but for adapters that a stack names; returns how many were removed."""
    with home.connect() as db:
        paths = [Path(row[0]) for row in db.execute("SELECT path FROM doomed").fetchall()]
    if not paths:
        return 0
    used = {adapter for version in home.all_versions() for adapter in version.stack.ids}
    gone = [path for path in paths if path.name not in used]
    for path in gone:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    with home.connect() as db:
        db.executemany("DELETE FROM doomed WHERE path = ?", [(str(path),) for path in paths])
    return len(gone)


def remove_adapter(db: sqlite3.Connection, namespace: str, adapter: str) -> list[int]:
    """Remove what is kept for an adapter beside its folder and its ledger line; returns the ids of its replay items."""
    rows = db.execute("SELECT id FROM replay WHERE namespace = ? AND adapter = ?", (namespace, adapter)).fetchall()
    for table, column in (("replay", "id"), ("scores", "item"), ("superseded", "item")):
        db.executemany(f"DELETE FROM {table} WHERE {column} = ?", rows)
    db.execute("DELETE FROM routes WHERE namespace = ? AND adapter = ?", (namespace, adapter))
    if not _is_elsewhere(db, namespace, adapter):
        db.execute("DELETE FROM superseded WHERE adapter = ?", (adapter,))
    return [row[0] for row in rows]


def remove_jobs(
    home: Home, db: sqlite3.Connection, namespace: str, texts: Collection[str], topics: Collection[str]
) -> set[Path]:
    """Take texts out of the queue; one being learned is cancelled. Of what is over, the topic told something.

    What open jobs of other texts had reached goes too: it holds questions and rows of what is forgotten, and the stack
    has changed under them. Returns the folders of candidates that nobody goes on with.
    """
    values = {"n": namespace, "texts": json.dumps(sorted(texts)), "topics": json.dumps(sorted(topics))}
    is_text = "json_extract(passage, '$.text') IN (SELECT value FROM json_each(:texts))"
    is_over = "ended > 0 AND json_extract(passage, '$.topic') IN (SELECT value FROM json_each(:topics))"
    left = candidate_folders(home, db, f"namespace = :n AND (state IN ('held', 'waiting') OR {is_text})", values)
    db.execute(f"DELETE FROM jobs WHERE namespace = :n AND state <> 'running' AND ({is_text} OR ({is_over}))", values)
    db.execute(
        "UPDATE jobs SET is_cancelled = 1, passage = json_set(passage, '$.topic', '', '$.text', '',"
        " '$.earlier', '', '$.heading', '')"
        f" WHERE namespace = :n AND state = 'running' AND {is_text}",
        values,
    )
    db.execute("UPDATE jobs SET step = 'decide', episode = NULL WHERE namespace = :n AND ended = 0", values)
    return left


def candidate_folders(home: Home, db: sqlite3.Connection, which: str, values: Mapping[str, str]) -> set[Path]:
    """The folders of adapters that the jobs of an SQL condition go on with."""
    refs = db.execute(f"SELECT json_extract(episode, '$.adapter') FROM jobs WHERE ended = 0 AND {which}", values)
    return {Path(home.read(AdapterRef, row[0]).path) for row in refs.fetchall() if row[0]}


def rename_adapter(db: sqlite3.Connection, namespace: str, old: str, new: str) -> None:
    """Let an adapter that was trained anew take over what is kept for the old one."""
    items = "item IN (SELECT id FROM replay WHERE namespace = ?)"
    db.execute(f"UPDATE scores SET adapter = ? WHERE adapter = ? AND {items}", (new, old, namespace))
    db.execute(f"UPDATE superseded SET adapter = ? WHERE adapter = ? AND {items}", (new, old, namespace))
    for table in ("replay", "passages"):
        db.execute(f"UPDATE {table} SET adapter = ? WHERE namespace = ? AND adapter = ?", (new, namespace, old))
    db.execute("DELETE FROM routes WHERE namespace = ? AND adapter = ?", (namespace, old))


def _is_elsewhere(db: sqlite3.Connection, namespace: str, adapter: str) -> bool:
    """Whether another namespace learned the very same adapter."""
    sql = "SELECT 1 FROM episodes WHERE namespace <> ? AND adapter = ? LIMIT 1"
    return db.execute(sql, (namespace, adapter)).fetchone() is not None


def adapter_folders_of(home: Home, db: sqlite3.Connection, namespace: str) -> set[Path]:
    """The adapter folders that any stack or ledger line of the namespace names."""
    refs = db.execute(
        "SELECT json_extract(y.value, '$.ref') FROM stacks, json_each(stacks.layers, '$.layers') AS y "
        "WHERE namespace = :n UNION SELECT json_extract(body, '$.adapter') FROM episodes "
        "WHERE namespace = :n AND adapter <> ''",
        {"n": namespace},
    )
    return {Path(home.read(AdapterRef, row[0]).path) for row in refs if row[0]}


def namespaced(db: sqlite3.Connection) -> list[str]:
    """The tables that hold rows of namespaces, whichever part of the package made them."""
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return [t for t in tables if any(column[1] == "namespace" for column in db.execute(f"PRAGMA table_info({t})"))]


def export(home: Home, namespace: str) -> dict[str, list[dict[str, Any]]]:
    """Everything that is kept of one user, by table; what adapters weigh lies in the folders that `stacks` names."""
    with home.connect() as db:
        db.row_factory = sqlite3.Row
        found = {}
        for table in namespaced(db):
            rows = db.execute(f"SELECT * FROM {table} WHERE namespace = ?", (namespace,)).fetchall()
            found[table] = [_plain(row) for row in rows]
    return {table: rows for table, rows in found.items() if rows}


def _plain(row: sqlite3.Row) -> dict[str, Any]:
    return {name: row[name] for name in row.keys() if name not in LEFT_OUT}  # noqa: SIM118  # a row is no mapping
