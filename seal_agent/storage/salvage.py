"""Checks a SQLite file for damage, and copies readable rows into a new database.

This is the only place that uses SQLite without SQLAlchemy, because the old file may have any schema and damaged pages.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from sqlalchemy import Table
from sqlalchemy.exc import DBAPIError

from seal_agent.storage.connection import Database, Transaction
from seal_agent.storage.schema import ALEMBIC_VERSION, METADATA

FORMER_TABLES: Mapping[str, str] = {
    "checksums": "seals",
    "pending_deletions": "doomed",
    "namespace_generations": "lives",
}
FORMER_COLUMNS: Mapping[str, str] = {"generation": "life"}


def is_sound(path: Path) -> bool:
    """Whether SQLite can read the whole file and finds no error."""
    try:
        with closing(sqlite3.connect(path)) as db:
            return bool(db.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",))
    except sqlite3.DatabaseError:
        return False


def copy_readable(damaged: Path, database: Database) -> Iterator[str]:
    """Copy every readable row, of this schema or an older one; yields a line for each table with unreadable rows."""
    with closing(sqlite3.connect(damaged)) as old, database.transaction() as tx:
        for table in METADATA.sorted_tables:
            if table is ALEMBIC_VERSION:
                continue
            num_rows, error = _copy_table(old, tx, table)
            if error:
                yield f"of table {table.name} {num_rows} rows could be read: {error}"


def _copy_table(old: sqlite3.Connection, tx: Transaction, table: Table) -> tuple[int, str]:
    num_rows = 0
    try:
        name, there = _former(old, table)
        columns = {own: former for own, former in there.items() if own in table.c}
        if not columns:
            return 0, ""
        marks = ", ".join("?" * len(columns))
        insert = f"INSERT OR IGNORE INTO {table.name} ({', '.join(columns)}) VALUES ({marks})"
        for row in old.execute(f"SELECT {', '.join(columns.values())} FROM {name} NOT INDEXED"):
            tx.exec_driver_sql(insert, row)  # with any value types: damaged values need not match the column
            num_rows += 1
    except (sqlite3.DatabaseError, DBAPIError) as error:
        return num_rows, str(error)
    return num_rows, ""


def _former(old: sqlite3.Connection, table: Table) -> tuple[str, dict[str, str]]:
    """The table's name in the old file, and its columns there by current name."""
    own = {former: name for name, former in FORMER_COLUMNS.items()}
    for name in (table.name, FORMER_TABLES.get(table.name, table.name)):
        columns = [str(row[1]) for row in old.execute(f"PRAGMA table_info({name})")]
        if columns:
            return name, {own.get(column, column): column for column in columns}
    return table.name, {}
