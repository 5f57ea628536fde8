"""SQLAlchemy connections, transactions and errors for the database of one data directory.

Every call opens and closes a connection: several processes use a data directory, some of which fork, and its file may
be moved or replaced between two calls. Nothing here knows a table (`schema`).
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy import Connection as Connection
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool
from sqlalchemy.sql.selectable import FromClause

from seal_agent.core.codec import from_json
from seal_agent.core.errors import StorageError
from seal_agent.core.stacks import AdapterRef
from seal_agent.storage.files import writable

T = TypeVar("T")
Transaction = Connection
"""The type that `Database.transaction` yields; functions that change tables take one. It is committed as a whole."""

DATABASE, ADAPTERS = "state.sqlite", "adapters"
BUSY_SECONDS = 30.0
REPAIR = "run `seal-agent doctor --repair`"
NUM_ENGINES = 64  # cached engines: each caches compiled statements and holds no connection
_BEGIN = "seal_begin"  # execution option: the statement that begins a transaction
_REF = {field.name for field in fields(AdapterRef)}
_ID = re.compile("[0-9a-f]{64}")


class Database:
    """A data directory and its database. Thread-safe and process-safe."""

    def __init__(self, root: Path) -> None:
        self.root = writable(root.expanduser().resolve())

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.root / DATABASE

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for queries; each query sees what is committed when it runs."""
        with self._connection() as connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction: committed if the block succeeds, rolled back if it raises.

        It holds the write lock from its beginning, so that what it reads is still valid when it writes. Transactions
        must not be nested: the inner one would wait for the outer one.
        """
        with self._connection() as connection:
            writer = connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
            with writer.begin():
                yield writer

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        try:
            with _engine(self.database).connect() as connection:
                yield connection
        except (DBAPIError, sqlite3.DatabaseError) as error:
            cause = getattr(error, "orig", error)
            if "unable to open" in str(cause):
                raise StorageError(f"cannot open {self.database}: {cause}; check the folder's permissions") from error
            raise StorageError(
                f"{self.database}: {cause}; free space, or restore the file from a copy if it is damaged"
            ) from error

    def read(self, kind: type[T], text: str) -> T:
        """Parse a value stored as JSON; adapters get their paths in this data directory, which may have moved.

        Raises `ValueError` for text that is not JSON and `InputError` for JSON that does not fit.
        """
        return from_json(kind, json.loads(text, object_hook=self._with_own_path))

    def _with_own_path(self, data: dict[str, Any]) -> dict[str, Any]:
        """Point an adapter's reference to the folder in this data directory, if it exists."""
        if data.keys() == _REF and _ID.fullmatch(data["id"]):
            own = self.root / ADAPTERS / data["id"]
            return {**data, "path": str(own)} if own.is_dir() else data
        return data


class _Compiler(SQLiteCompiler):
    """Adds `INDEXED BY` for SQLite, which SQLAlchemy does not write: `Select.with_hint` follows the table's name."""

    def get_from_hint_text(self, table: FromClause, text: str | None) -> str | None:
        return text


@lru_cache(maxsize=NUM_ENGINES)
def _engine(path: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)), poolclass=NullPool, connect_args={"timeout": BUSY_SECONDS}
    )
    engine.dialect.statement_compiler = _Compiler
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _set_up(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    """Leave `BEGIN` to `_begin`: `sqlite3` would begin a transaction only at the first statement that writes."""
    connection.isolation_level = None
    with suppress(sqlite3.OperationalError):  # another process is switching the mode
        connection.execute("PRAGMA journal_mode = WAL").close()
    connection.execute("PRAGMA secure_delete = ON").close()  # overwrite deleted content, which may have to be forgotten


def _begin(connection: Connection) -> None:
    """Begin a transaction for writers, with the lock; queries alone need none."""
    statement = connection.get_execution_options().get(_BEGIN)
    if statement:
        connection.exec_driver_sql(statement)
