"""Opening the database of one home through SQLAlchemy: connections, transactions and the errors they raise.

Every call opens a connection and closes it: a home is used by several processes, some of which fork, and its file may
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
"""What `Database.transaction` yields and functions take that change tables: all of it is committed, or nothing."""

DATABASE, ADAPTERS = "state.sqlite", "adapters"
BUSY_SECONDS = 30.0
REPAIR = "run `seal-agent doctor --repair`"
NUM_ENGINES = 64  # that are kept: each remembers how its statements were compiled, and holds no connection
_BEGIN = "seal_begin"  # the execution option with the statement that begins a transaction
_REF = {field.name for field in fields(AdapterRef)}
_ID = re.compile("[0-9a-f]{64}")


class Database:
    """The folder of a home and the database in it. Safe to use from several threads and processes."""

    def __init__(self, root: Path) -> None:
        self.root = writable(root.expanduser().resolve())

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.root / DATABASE

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for queries; each of them sees what is committed when it runs."""
        with self._connection() as connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction that is committed when the block succeeds and rolled back when it does not.

        Nobody else can write until it ends, so what it reads first still holds when it writes. It must not be opened
        inside another one: that would wait for itself.
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
        """A value stored as JSON; its adapters are found where this home has them, wherever it lay when it was written.

        Raises `ValueError` where the text is no JSON and `InputError` where it does not fit.
        """
        return from_json(kind, json.loads(text, object_hook=self._with_own_path))

    def _with_own_path(self, data: dict[str, Any]) -> dict[str, Any]:
        """An adapter's reference points to the folder in this home, if there is one."""
        if data.keys() == _REF and _ID.fullmatch(data["id"]):
            own = self.root / ADAPTERS / data["id"]
            return {**data, "path": str(own)} if own.is_dir() else data
        return data


class _Compiler(SQLiteCompiler):
    """SQLAlchemy writes no `INDEXED BY` for SQLite by itself: `Select.with_hint` goes behind the table's name."""

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
    """`BEGIN` is ours to say: `sqlite3` would begin no transaction before the first statement that writes."""
    connection.isolation_level = None
    with suppress(sqlite3.OperationalError):  # locked while another process switches it
        connection.execute("PRAGMA journal_mode = WAL").close()
    connection.execute("PRAGMA secure_delete = ON").close()  # what is deleted may have to be forgotten: overwrite it


def _begin(connection: Connection) -> None:
    """Queries by themselves need no transaction; whoever writes takes the lock before reading anything."""
    statement = connection.get_execution_options().get(_BEGIN)
    if statement:
        connection.exec_driver_sql(statement)
