"""SQL that differs between databases; all other files of this room use SQLAlchemy Core only.

Another database needs its own version of this file, of the triggers and of the migrations.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import JSON, ColumnElement, Connection, Table, bindparam, func, select, type_coerce
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import BindParameter
from sqlalchemy.sql.functions import FunctionElement


def is_one_of(column: ColumnElement[Any], values: Collection[str] | Collection[int]) -> ColumnElement[bool]:
    """Whether a column holds one of these values; they are passed as one parameter, a JSON list of any length."""
    return in_list(column, bindparam(None, json.dumps(list(values)), unique=True))


def in_list(column: ColumnElement[Any], values: BindParameter[str]) -> ColumnElement[bool]:
    """`is_one_of` for a parameter that holds a JSON list."""
    return column.in_(select(func.json_each(values).table_valued("value").c.value))


def json_text(column: ColumnElement[Any], *path: str) -> ColumnElement[str]:
    """The text at `path` in a column that holds JSON; objects as JSON, NULL if it is missing."""
    return type_coerce(column, JSON)[path].as_string()  # type: ignore[no-any-return]


class without_index(FunctionElement[Any]):  # noqa: N801  # noqa: N801  # used like a function
    """A column without index look-ups: its values are too frequent for an index to help."""

    name = "without_index"
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any]) -> None:
        super().__init__(column)
        self.type = column.type


@compiles(without_index)
def _plain(element: without_index, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(without_index, "sqlite")
def _with_plus(element: without_index, compiler: SQLCompiler, **options: Any) -> str:
    return f"+{compiler.process(element.clauses, **options)}"


def put(tx: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows; a row with an existing primary key replaces the old one."""
    if not rows:
        return
    statement = sqlite.insert(table)
    changed = {name: statement.excluded[name] for name in rows[0] if not table.c[name].primary_key}
    tx.execute(statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=changed), list(rows))


def add_missing(tx: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert the rows whose keys do not exist yet."""
    if rows:
        tx.execute(sqlite.insert(table).on_conflict_do_nothing(), list(rows))


def blanked(column: ColumnElement[str], *names: str) -> ColumnElement[str]:
    """A column that holds a JSON object, with the named fields set to ""."""
    return func.json_set(column, *(part for name in names for part in (f"$.{name}", "")))


def begins_with(column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    """Whether a text begins with `prefix`, case-sensitive."""
    return func.substr(column, 1, len(prefix)) == prefix
