"""Names of namespaces, and their generation ids."""

from __future__ import annotations

import secrets

from sqlalchemy import Connection, select

from seal_agent.core.errors import InputError
from seal_agent.storage.connection import Database
from seal_agent.storage.expressions import add_missing
from seal_agent.storage.schema import EPISODES, GENERATIONS, JOBS, STACKS


def check_namespace(namespace: str) -> str:
    """The namespace, unchanged; raises `InputError` for an invalid name."""
    if not isinstance(namespace, str):
        raise InputError(f"namespace {namespace!r} is not a text; give 1 to 200 printable characters")
    if not namespace or len(namespace) > 200 or any(ord(c) < 32 for c in namespace):
        raise InputError(f"namespace {namespace[:40]!r} is not valid; give 1 to 200 printable characters")
    return namespace


def generation(database: Database, namespace: str) -> str:
    """The random id of this incarnation of the namespace: created on first use, deleted when the user is erased."""
    with database.reading() as db:
        known = _generation(db, namespace)
    if known is not None:  # no lock is needed to read it
        return known
    with database.transaction() as tx:
        add_missing(tx, GENERATIONS, [{"namespace": namespace, "generation": secrets.token_hex(8)}])
        return str(_generation(tx, namespace))


def is_generation(db: Connection, namespace: str, generation: str) -> bool:
    """Whether the namespace has not been erased since it had that id."""
    return _generation(db, namespace) == generation


def _generation(db: Connection, namespace: str) -> str | None:
    return db.execute(select(GENERATIONS.c.generation).where(GENERATIONS.c.namespace == namespace)).scalar()


def known_namespaces(database: Database) -> list[str]:
    """Every namespace with a stack, a ledger line or a job."""
    tables = (select(table.c.namespace) for table in (STACKS, EPISODES, JOBS))
    first, *others = tables
    with database.reading() as db:
        return [str(name) for name in db.execute(first.union(*others)).scalars()]


def served_namespaces(database: Database) -> list[str]:
    """Every namespace with a stack, by name."""
    with database.reading() as db:
        return list(db.execute(select(STACKS.c.namespace).distinct().order_by(STACKS.c.namespace)).scalars())
