"""`$SEAL_HOME`: where everything lies, and the SQLite database that is the truth.

Stacks are append-only versions per namespace. Accepting an edit writes a new version, its ledger line and
its replay items in one transaction, so a crash leaves the old state or the new one; undoing one writes a
version with its reason.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from platformdirs import user_data_path

from seal_agent.core.codec import from_json, to_json
from seal_agent.core.episodes import Episode
from seal_agent.core.errors import AdapterError, Erased, InputError, StackChanged, StorageError
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.storage.files import writable

T = TypeVar("T")

SCHEMA_VERSION = 7
DATABASE, ADAPTERS, QUARANTINE = "state.sqlite", "adapters", "quarantine"
BUSY_SECONDS = 30.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS stacks (
    namespace TEXT NOT NULL, version INTEGER NOT NULL, layers TEXT NOT NULL, reason TEXT NOT NULL,
    created REAL NOT NULL, PRIMARY KEY (namespace, version));
CREATE TABLE IF NOT EXISTS episodes (
    id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, outcome TEXT NOT NULL, adapter TEXT NOT NULL,
    body TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS replay (
    id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, model TEXT NOT NULL, question TEXT NOT NULL,
    answer TEXT NOT NULL, stratum TEXT NOT NULL, document TEXT NOT NULL, adapter TEXT NOT NULL,
    best REAL, worst_change REAL NOT NULL DEFAULT 0, vector BLOB NOT NULL,
    split TEXT NOT NULL DEFAULT 'gate', source TEXT NOT NULL DEFAULT '', embedder TEXT NOT NULL DEFAULT '',
    UNIQUE (namespace, model, question, answer, adapter));
CREATE INDEX IF NOT EXISTS replay_by_namespace ON replay (namespace, model);
CREATE INDEX IF NOT EXISTS replay_by_split ON replay (namespace, model, split);
CREATE INDEX IF NOT EXISTS replay_by_document ON replay (namespace, model, document);
CREATE INDEX IF NOT EXISTS replay_by_embedder ON replay (namespace, model, embedder);
CREATE INDEX IF NOT EXISTS replay_fragile ON replay (namespace, model, split, worst_change) WHERE worst_change < 0;
CREATE INDEX IF NOT EXISTS replay_general ON replay (namespace, model, split) WHERE stratum = 'general';
CREATE TABLE IF NOT EXISTS superseded (
    item INTEGER NOT NULL, adapter TEXT NOT NULL, PRIMARY KEY (item, adapter));
CREATE TABLE IF NOT EXISTS scores (
    item INTEGER NOT NULL, adapter TEXT NOT NULL, per_token REAL NOT NULL, created REAL NOT NULL);
CREATE INDEX IF NOT EXISTS scores_by_item ON scores (item);
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, model TEXT NOT NULL, thread TEXT NOT NULL, passage TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting', step TEXT NOT NULL DEFAULT 'decide', episode TEXT,
    outcome TEXT NOT NULL DEFAULT '', note TEXT NOT NULL DEFAULT '', is_cancelled INTEGER NOT NULL DEFAULT 0,
    seconds REAL NOT NULL DEFAULT 0, created REAL NOT NULL, ended REAL NOT NULL DEFAULT 0,
    document TEXT NOT NULL DEFAULT '', keep TEXT);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, id);
CREATE TABLE IF NOT EXISTS beginnings (job INTEGER PRIMARY KEY, step TEXT NOT NULL, num INTEGER NOT NULL);
CREATE TRIGGER IF NOT EXISTS job_deleted AFTER DELETE ON jobs BEGIN DELETE FROM beginnings WHERE job = old.id; END;
CREATE TABLE IF NOT EXISTS routes (
    namespace TEXT NOT NULL, adapter TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (namespace, adapter));
CREATE TABLE IF NOT EXISTS feedback (
    id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL,
    value REAL NOT NULL, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS policies (
    namespace TEXT NOT NULL, model TEXT NOT NULL, domain TEXT NOT NULL, version INTEGER NOT NULL,
    adapter TEXT NOT NULL, parent INTEGER NOT NULL, reason TEXT NOT NULL, created REAL NOT NULL,
    PRIMARY KEY (namespace, model, domain, version));
CREATE TABLE IF NOT EXISTS policy_uses (
    id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, model TEXT NOT NULL, domain TEXT NOT NULL,
    version INTEGER NOT NULL, reason TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS passages (
    namespace TEXT NOT NULL, source TEXT NOT NULL, digest TEXT NOT NULL, outcome TEXT NOT NULL,
    adapter TEXT NOT NULL, created REAL NOT NULL, PRIMARY KEY (namespace, source, digest));
CREATE INDEX IF NOT EXISTS passages_by_digest ON passages (namespace, digest);
CREATE TABLE IF NOT EXISTS document_names (
    namespace TEXT NOT NULL, name TEXT NOT NULL, source TEXT NOT NULL, PRIMARY KEY (namespace, name));
CREATE TABLE IF NOT EXISTS lives (namespace TEXT PRIMARY KEY, life TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS doomed (path TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS seals (
    kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY (kind, namespace, name));
CREATE TRIGGER IF NOT EXISTS stack_deleted AFTER DELETE ON stacks BEGIN
    DELETE FROM seals WHERE kind = 'stack' AND namespace = old.namespace AND name = CAST(old.version AS TEXT); END;
CREATE TRIGGER IF NOT EXISTS stack_changed AFTER UPDATE ON stacks BEGIN
    DELETE FROM seals WHERE kind = 'stack' AND namespace = old.namespace AND name = CAST(old.version AS TEXT); END;
CREATE TRIGGER IF NOT EXISTS route_deleted AFTER DELETE ON routes BEGIN
    DELETE FROM seals WHERE kind = 'route' AND namespace = old.namespace AND name = old.adapter; END;
CREATE TRIGGER IF NOT EXISTS route_changed AFTER UPDATE ON routes BEGIN
    DELETE FROM seals WHERE kind = 'route' AND namespace = old.namespace AND name = old.adapter; END;
"""
"""A seal is a checksum of what decides what is served: a damaged byte is noticed where it is read. What SQL changes
loses its seal, so that nobody who deletes or rewrites has to know of them."""
FROM_VERSION_1 = """
UPDATE episodes SET body = json_remove(body, '$.edit.num_dropped', '$.edit.directives.num_steps')
    WHERE json_type(body, '$.edit') = 'object';
"""
"""Schema 1 counted what was dropped and the steps; schema 2 says what and why, and computes the steps."""
FROM_VERSION_2 = """
ALTER TABLE replay ADD COLUMN split TEXT NOT NULL DEFAULT 'gate';
ALTER TABLE replay ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE replay ADD COLUMN embedder TEXT NOT NULL DEFAULT '';
UPDATE replay SET split = CASE
    WHEN stratum = 'general' AND position % 5 = 0 THEN 'report' WHEN stratum = 'general' THEN 'gate'
    WHEN position % 5 = 3 THEN 'repair' WHEN position % 5 = 0 THEN 'report' ELSE 'gate' END
    FROM (SELECT id AS placed, ROW_NUMBER() OVER (PARTITION BY namespace, model, adapter, stratum,
          CASE stratum WHEN 'general' THEN '' ELSE document END ORDER BY id) AS position FROM replay)
    WHERE placed = id;
UPDATE replay SET split = (SELECT oldest.split FROM replay AS oldest
    WHERE oldest.namespace = replay.namespace AND oldest.model = replay.model
    AND oldest.question = replay.question AND oldest.answer = replay.answer ORDER BY oldest.id LIMIT 1)
    WHERE stratum <> 'general';
"""
"""Schema 2 had no splits: its items get those that `replay.insert` would have given them."""
FROM_VERSION_6 = """
ALTER TABLE jobs ADD COLUMN document TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN keep TEXT;
"""
"""Schema 6 knew no versions of a document in the queue."""
UPGRADES = {1: FROM_VERSION_1, 2: FROM_VERSION_2, 3: "", 4: "", 5: "", 6: FROM_VERSION_6}  # 4 to 6 only add tables


_VERSIONS = """SELECT s.namespace, s.version, s.layers, s.reason, s.created, digest FROM stacks AS s
    LEFT JOIN seals ON kind = 'stack' AND seals.namespace = s.namespace AND name = CAST(s.version AS TEXT)"""
REPAIR = "run `seal-agent doctor --repair`"
_REF = {field.name for field in fields(AdapterRef)}
_ID = re.compile("[0-9a-f]{64}")


def default_home() -> Path:
    """`$SEAL_HOME`, else the platform's user data folder."""
    chosen = os.environ.get("SEAL_HOME")
    return Path(chosen).expanduser() if chosen else user_data_path("seal-agent")


@dataclass(frozen=True)
class StackVersion:
    """One version of a namespace's stack and why it came about."""

    version: int
    stack: AdapterStack
    reason: str
    created: float


def _upgrade(db: sqlite3.Connection) -> None:
    """Bring a new or an older database to `SCHEMA_VERSION` in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    version = db.execute("PRAGMA user_version").fetchone()[0]  # again: another process may have been first
    if version >= SCHEMA_VERSION:
        return
    upgrades = "".join(UPGRADES[old] for old in range(version, SCHEMA_VERSION) if version)
    for statement in _statements(f"{upgrades}{SCHEMA}"):
        if statement.lstrip().startswith("ALTER TABLE jobs") and not _has_jobs(db):
            continue  # a home from before there was a queue gets the table as it is now
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _has_jobs(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'jobs'").fetchone() is not None


def _statements(script: str) -> Iterator[str]:
    """One statement after the other; a trigger has semicolons of its own."""
    statement = ""
    for part in script.split(";"):
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def sealed(*fields: object) -> str:
    """The checksum of a row."""
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()[:32]


class Home:
    """The folder and its database. Safe to use from several threads and processes."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = writable((root or default_home()).expanduser().resolve())
        with self.connect() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version < SCHEMA_VERSION:
                _upgrade(db)
            elif version != SCHEMA_VERSION:
                raise StorageError(
                    f"{self.database} has schema {version}, this version reads {SCHEMA_VERSION}; "
                    "install the matching seal-agent or set SEAL_HOME to a new folder"
                )

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.root / DATABASE

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """A connection that commits when the block succeeds and rolls back when it does not."""
        try:
            db = sqlite3.connect(self.database, timeout=BUSY_SECONDS)
        except sqlite3.Error as error:
            raise StorageError(f"cannot open {self.database}: {error}; check the folder's permissions") from error
        try:
            with suppress(sqlite3.OperationalError):  # locked while another process switches it
                db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten: it may have to be forgotten
            with db:
                yield db
        except sqlite3.DatabaseError as error:
            raise StorageError(
                f"{self.database}: {error}; free space, or restore the file from a copy if it is damaged"
            ) from error
        finally:
            db.close()

    def read(self, kind: type[T], text: str) -> T:
        """A value stored as JSON; its adapters are found where this home has them, wherever it lay when it was written.

        Raises `ValueError` where the text is no JSON and `InputError` where it does not fit.
        """
        return from_json(kind, json.loads(text, object_hook=self._found))

    def _found(self, data: dict[str, Any]) -> dict[str, Any]:
        """An adapter's reference points to the folder in this home, if there is one."""
        if data.keys() == _REF and _ID.fullmatch(data["id"]):
            own = self.root / ADAPTERS / data["id"]
            return {**data, "path": str(own)} if own.is_dir() else data
        return data

    def stack(self, namespace: str) -> AdapterStack:
        """The stack that is served in `namespace` now."""
        versions = self.versions(namespace)
        return versions[-1].stack if versions else AdapterStack()

    def versions(self, namespace: str) -> list[StackVersion]:
        """Every version the stack of `namespace` ever had, oldest first."""
        with self.connect() as db:
            rows = db.execute(f"{_VERSIONS} WHERE s.namespace = ? ORDER BY s.version", (namespace,)).fetchall()
            (newest,) = db.execute(
                "SELECT MAX(CAST(name AS INTEGER)) FROM seals WHERE kind = 'stack' AND namespace = ?", (namespace,)
            ).fetchone()
        versions = [self._version(*row) for row in rows]
        if newest is not None and newest > max((version.version for version in versions), default=0):
            raise StorageError(f"version {newest} of the stack of namespace {namespace!r} is lost; {REPAIR}")
        return versions

    def all_versions(self) -> list[StackVersion]:
        """Every version of every namespace."""
        with self.connect() as db:
            return [self._version(*row) for row in db.execute(_VERSIONS).fetchall()]

    def _version(
        self, namespace: str, number: int, layers: str, reason: str, created: float, digest: str | None
    ) -> StackVersion:
        if digest is not None and digest != sealed(namespace, number, layers):
            raise StorageError(f"version {number} of the stack of namespace {namespace!r} is damaged; {REPAIR}")
        return StackVersion(number, self.read(AdapterStack, layers), reason, created)

    def set_stack(
        self, db: sqlite3.Connection, namespace: str, stack: AdapterStack, *, expected: AdapterStack, reason: str
    ) -> None:
        """Append a version inside the transaction of `db`; raises `StorageError` if another process was first."""
        if not db.in_transaction:
            db.execute("BEGIN IMMEDIATE")  # nobody may write between this check and the insert
        row = db.execute(
            "SELECT version, layers FROM stacks WHERE namespace = ? ORDER BY version DESC LIMIT 1", (namespace,)
        ).fetchone()
        version, current = (row[0], self.read(AdapterStack, row[1])) if row else (0, AdapterStack())
        if current != expected:
            raise StackChanged(
                f"the stack of namespace {namespace!r} was changed by another process meanwhile; nothing was lost, "
                "run the edit again"
            )
        body = json.dumps(to_json(stack))
        db.execute("INSERT INTO stacks VALUES (?, ?, ?, ?, ?)", (namespace, version + 1, body, reason, time.time()))
        self.seal(db, "stack", namespace, str(version + 1), sealed(namespace, version + 1, body))

    def seal(self, db: sqlite3.Connection, kind: str, namespace: str, name: str, digest: str) -> None:
        """Write down the checksum of a row, inside the transaction of `db`."""
        db.execute("INSERT OR REPLACE INTO seals VALUES (?, ?, ?, ?)", (kind, namespace, name, digest))

    def route_keys(self, namespace: str) -> dict[str, str]:
        """What routes to each adapter that was ever accepted as routed, by its id."""
        with self.connect() as db:
            rows = db.execute(
                "SELECT r.adapter, r.key, digest FROM routes AS r LEFT JOIN seals"
                " ON kind = 'route' AND seals.namespace = r.namespace AND name = r.adapter WHERE r.namespace = ?",
                (namespace,),
            ).fetchall()
        for adapter, key, digest in rows:
            if digest is not None and digest != sealed(namespace, adapter, key):
                raise StorageError(f"what routes to adapter {adapter[:12]} is damaged; {REPAIR}")
        return {adapter: key for adapter, key, _ in rows}

    def set_route_keys(self, db: sqlite3.Connection, namespace: str, keys: Mapping[str, str]) -> None:
        """Remember what routes to adapters, inside the transaction of `db`."""
        rows = [(namespace, adapter, key) for adapter, key in keys.items()]
        db.executemany("INSERT OR REPLACE INTO routes VALUES (?, ?, ?)", rows)
        for adapter, key in keys.items():
            self.seal(db, "route", namespace, adapter, sealed(namespace, adapter, key))

    def rollback(self, namespace: str, adapter_id: str, reason: str = "rolled back by hand") -> AdapterStack:
        """Take an accepted adapter (by the beginning of its id) off the stack; its folder stays on disk.

        The adapters it stood for come back in its place.
        """
        stack = self.stack(namespace)
        matches = [i for i in stack.ids if i.startswith(adapter_id)] if adapter_id else []
        if len(matches) != 1:
            raise AdapterError(
                f"{len(matches)} adapters of the stack begin with {adapter_id!r}; see `seal-agent adapters list`"
            )
        taken = next(layer for layer in stack.layers if layer.ref.id == matches[0])
        known = {layer.ref.id: layer for version in self.versions(namespace) for layer in version.stack.layers}
        hidden = {i for i in taken.stands_for if i in known} - {
            j for i in taken.stands_for for j in known[i].stands_for
        }
        back = [known[i] for i in taken.stands_for if i in hidden]
        layers = [each for layer in stack.layers for each in (back if layer is taken else [layer])]
        reduced = AdapterStack(tuple(layers))
        with self.connect() as db:
            self.set_stack(db, namespace, reduced, expected=stack, reason=f"{reason}: {matches[0][:12]}")
        return reduced

    def life(self, namespace: str) -> str:
        """What tells a namespace from one of the same name that was erased before: what began there has no place here.

        It is given at the first call and goes with everything else of the namespace.
        """
        known = "SELECT life FROM lives WHERE namespace = ?"
        with self.connect() as db:
            row = db.execute(known, (namespace,)).fetchone()
            if row is None:  # only then is it written: whoever begins waits for no other writer
                db.execute("INSERT OR IGNORE INTO lives VALUES (?, ?)", (namespace, secrets.token_hex(8)))
                row = db.execute(known, (namespace,)).fetchone()
        return str(row[0])

    def append_episode(self, db: sqlite3.Connection, episode: Episode, *, is_trial: bool = False) -> int:
        """Add one line to the ledger inside the transaction of `db`; returns its id.

        What became of a passage of a document is written down with it, unless `is_trial`: a dry run reads no document.
        Raises `Erased` for an episode of a namespace
        that was erased since it began.
        """
        if not db.in_transaction:
            db.execute("BEGIN IMMEDIATE")  # nobody may erase between this check and the insert
        lived = db.execute("SELECT 1 FROM lives WHERE namespace = ? AND life = ?", (episode.namespace, episode.life))
        if episode.life and not lived.fetchone():
            raise Erased(f"everything of {episode.namespace!r} was erased while this was learned; nothing is kept")
        if episode.source and not is_trial:
            adapter = episode.adapter.id if episode.adapter and episode.outcome == "accepted" else ""
            db.execute(
                "INSERT OR REPLACE INTO passages VALUES (?, ?, ?, ?, ?, ?)",
                (
                    episode.namespace,
                    episode.source,
                    digest_of(episode.text),
                    episode.outcome,
                    adapter,
                    time.time(),
                ),
            )
        cursor = db.execute(
            "INSERT INTO episodes (namespace, outcome, adapter, body, created) VALUES (?, ?, ?, ?, ?)",
            (
                episode.namespace,
                episode.outcome,
                episode.adapter.id if episode.adapter else "",
                json.dumps(to_json(episode)),
                time.time(),
            ),
        )
        return int(cursor.lastrowid or 0)

    def num_episodes(self, namespace: str) -> int:
        """How many lines the ledger of `namespace` has."""
        with self.connect() as db:
            row = db.execute("SELECT COUNT(*) FROM episodes WHERE namespace = ?", (namespace,)).fetchone()
        return int(row[0])

    def episode(self, namespace: str, episode_id: str) -> Episode | None:
        """The line of the ledger with that id; None where there is none yet."""
        with self.connect() as db:
            row = db.execute(
                "SELECT body FROM episodes WHERE namespace = ? AND json_extract(body, '$.id') = ?",
                (namespace, episode_id),
            ).fetchone()
        return self._episode(row[0]) if row and episode_id else None

    def episodes(self, namespace: str, outcomes: Sequence[str] = ()) -> list[Episode]:
        """The ledger of `namespace`, oldest first; only the given outcomes, if any."""
        with self.connect() as db:
            rows = db.execute(
                "SELECT outcome, body FROM episodes WHERE namespace = ? ORDER BY id", (namespace,)
            ).fetchall()
        return [self._episode(body) for outcome, body in rows if not outcomes or outcome in outcomes]

    def _episode(self, body: str) -> Episode:
        try:
            return self.read(Episode, body)
        except ValueError as error:
            raise StorageError(f"a line of the ledger is damaged ({error}); {REPAIR}") from error


def digest_of(text: str) -> str:
    """The SHA-256 of a passage: how it is recognised when its document is read again, without keeping its text."""
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()


def check_namespace(namespace: str) -> str:
    """The namespace, if it is one; raises `InputError` otherwise."""
    if not namespace or len(namespace) > 200 or any(ord(c) < 32 for c in namespace):
        raise InputError(f"namespace {namespace[:40]!r} does not fit; give 1 to 200 printable characters")
    return namespace
