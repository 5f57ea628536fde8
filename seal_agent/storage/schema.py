"""The tables. A new database is created as described here, an older one is migrated by alembic.

A comment beside each table names the file that owns it. No other file writes to it, except `deletion`, which erases
rows of several tables at once. The migrations are in `migrations/versions`; alembic is imported only when needed.
"""

from __future__ import annotations

import threading

from sqlalchemy import (
    REAL,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from seal_agent.core.errors import StorageError
from seal_agent.storage.connection import Database

SCHEMA_VERSION = 9
METADATA = MetaData()
_migrating = threading.Lock()  # alembic stores the running migration in a module variable


def _text(name: str, default: str | None = None, *, is_key: bool = False) -> Column[str]:
    return Column(name, Text, primary_key=is_key, nullable=False, server_default=default)


def _number(name: str, default: int | None = None, *, is_key: bool = False) -> Column[int]:
    written = None if default is None else text(str(default))
    return Column(name, Integer, primary_key=is_key, autoincrement=False, nullable=False, server_default=written)


def _real(name: str, default: int | None = None) -> Column[float]:
    written = None if default is None else text(str(default))
    return Column(name, Double().with_variant(REAL(), "sqlite"), nullable=False, server_default=written)


def _id() -> Column[int]:
    return Column("id", Integer, primary_key=True)


def _table(name: str, *parts: Column[str] | Column[int] | Column[float] | UniqueConstraint | Index) -> Table:
    return Table(name, METADATA, *parts)


STACKS = _table(  # stacks.py
    "stacks", _text("namespace", is_key=True), _number("version", is_key=True), _text("layers"), _text("reason"),
    _real("created"),
)  # fmt: skip
EPISODES = _table(  # ledger.py
    "episodes", _id(), _text("namespace"), _text("outcome"), _text("adapter"), _text("body"), _real("created")
)
ROUTES = _table("routes", _text("namespace", is_key=True), _text("adapter", is_key=True), _text("key"))  # routes.py
CHECKSUMS = _table(  # checksums.py
    "checksums", _text("kind", is_key=True), _text("namespace", is_key=True), _text("name", is_key=True),
    _text("digest"),
)  # fmt: skip
GENERATIONS = _table(  # namespaces.py
    "namespace_generations", _text("namespace", is_key=True), _text("generation")
)
REPLAY = Table(  # replay_items.py
    "replay",
    METADATA,
    _id(),
    *(_text(name) for name in ("namespace", "model", "question", "answer", "stratum", "document", "adapter")),
    Column("best", Double().with_variant(REAL(), "sqlite")),
    _real("worst_change", 0),
    Column("vector", LargeBinary, nullable=False),
    _text("split", "gate"),
    _text("source", ""),
    _text("embedder", ""),
    UniqueConstraint("namespace", "model", "question", "answer", "adapter"),
)
Index("replay_by_namespace", REPLAY.c.namespace, REPLAY.c.model)
Index("replay_by_split", REPLAY.c.namespace, REPLAY.c.model, REPLAY.c.split)
Index("replay_by_document", REPLAY.c.namespace, REPLAY.c.model, REPLAY.c.document)
Index("replay_by_embedder", REPLAY.c.namespace, REPLAY.c.model, REPLAY.c.embedder)
_FRAGILE, _GENERAL = text("worst_change < 0"), text("stratum = 'general'")
Index(
    "replay_fragile", REPLAY.c.namespace, REPLAY.c.model, REPLAY.c.split, REPLAY.c.worst_change,
    sqlite_where=_FRAGILE, postgresql_where=_FRAGILE,
)  # fmt: skip
Index(
    "replay_general", REPLAY.c.namespace, REPLAY.c.model, REPLAY.c.split,
    sqlite_where=_GENERAL, postgresql_where=_GENERAL,
)  # fmt: skip
SUPERSEDED = _table("superseded", _number("item", is_key=True), _text("adapter", is_key=True))  # replay_items.py
# replay_scores.py
SCORES = _table("scores", _id(), _number("item"), _text("adapter"), _real("per_token"), _real("created"))
Index("scores_by_item", SCORES.c.item)
JOBS = Table(  # jobs.py
    "jobs",
    METADATA,
    _id(),
    *(_text(name) for name in ("namespace", "model", "thread", "passage")),
    _text("state", "waiting"),
    _text("step", "decide"),
    Column("episode", Text),
    _text("outcome", ""),
    _text("note", ""),
    _number("is_cancelled", 0),
    _real("seconds", 0),
    _real("created"),
    _real("ended", 0),
    _text("document", ""),
    Column("keep", Text),
)
Index("jobs_by_state", JOBS.c.state, JOBS.c.id)
BEGINNINGS = _table("beginnings", _number("job", is_key=True), _text("step"), _number("num"))  # jobs.py
FEEDBACK = _table(  # feedback.py
    "feedback", _id(), _text("namespace"), _text("question"), _text("answer"), _real("value"), _real("created")
)
POLICIES = _table(  # policies.py
    "policies", _text("namespace", is_key=True), _text("model", is_key=True), _text("domain", is_key=True),
    _number("version", is_key=True), _text("adapter"), _number("parent"), _text("reason"), _real("created"),
)  # fmt: skip
POLICY_USES = _table(  # policies.py
    "policy_uses", _id(), _text("namespace"), _text("model"), _text("domain"), _number("version"), _text("reason"),
    _real("created"),
)  # fmt: skip
PASSAGES = _table(  # documents.py
    "passages", _text("namespace", is_key=True), _text("source", is_key=True), _text("digest", is_key=True),
    _text("outcome"), _text("adapter"), _real("created"),
)  # fmt: skip
DOCUMENT_NAMES = _table(  # documents.py
    "document_names", _text("namespace", is_key=True), _text("name", is_key=True), _text("source")
)
Index("passages_by_digest", PASSAGES.c.namespace, PASSAGES.c.digest)
PENDING_DELETIONS = _table("pending_deletions", _text("path", is_key=True))  # deletion.py
ALEMBIC_VERSION = Table(
    "alembic_version",
    METADATA,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""The last migration: alembic's own table, created here so that a new database needs no alembic."""

TRIGGERS = (
    *(
        f"CREATE TRIGGER {kind}_{done} AFTER {what} ON {kind}s BEGIN DELETE FROM checksums"
        f" WHERE kind = '{kind}' AND namespace = old.namespace AND name = {name}; END"
        for kind, name in (("stack", "CAST(old.version AS TEXT)"), ("route", "old.adapter"))
        for done, what in (("deleted", "DELETE"), ("changed", "UPDATE"))
    ),
    "CREATE TRIGGER job_deleted AFTER DELETE ON jobs BEGIN DELETE FROM beginnings WHERE job = old.id; END",
)
"""A row changed by SQL loses its checksum, so that code that changes rows need not know about checksums."""


def bring_up_to_date(database: Database) -> None:
    """Create the tables in a new database or migrate an older one; raises `StorageError` for a newer one."""
    with database.reading() as db:
        version = version_of(db)
    if version > SCHEMA_VERSION:
        raise StorageError(
            f"{database.database} has schema {version}, this version supports {SCHEMA_VERSION}; "
            "install the matching seal-agent or set SEAL_HOME to a new folder"
        )
    if version == SCHEMA_VERSION:
        return
    with database.transaction() as tx:
        version = version_of(tx)  # again: another process may have migrated it meanwhile
        if version == 0:
            create(tx)
        elif version < SCHEMA_VERSION:
            _migrate(tx, version)


def version_of(db: Connection) -> int:
    """The schema version of a database; 0 for an empty one.

    SQLite stores it in `user_version`, where releases from before alembic look too and refuse a newer file.
    """
    return int(db.exec_driver_sql("PRAGMA user_version").scalar_one())


def create(tx: Connection) -> None:
    """Create the tables of the newest schema in an empty database."""
    METADATA.create_all(tx)
    for trigger in TRIGGERS:
        tx.exec_driver_sql(trigger)
    tx.execute(ALEMBIC_VERSION.insert(), {"version_num": revision(SCHEMA_VERSION)})
    tx.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _migrate(tx: Connection, version: int) -> None:
    """Run the missing migrations of a database at schema `version`, inside the transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "seal_agent.storage:migrations")
    config.attributes["connection"] = tx
    with _migrating:
        command.stamp(config, revision(version))
        command.upgrade(config, "head")
    tx.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")


def revision(version: int) -> str:
    """The name of the migration to a schema version."""
    return f"{version:04}"
