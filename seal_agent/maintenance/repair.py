"""`seal-agent doctor --repair`: what can be rebuilt is rebuilt, the rest is put aside in `quarantine/` with a message.

The ledger says what every adapter was trained on and what the stack was before and after, so versions, route keys and
manifests come from it; an adapter whose weights are damaged leaves the stack and its text goes back into the queue.
Nothing is deleted that could be looked at later. No model is loaded.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from seal_agent.core.codec import to_json
from seal_agent.core.documents import passage_of
from seal_agent.core.episodes import Episode
from seal_agent.core.errors import AdapterError, StorageError
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.maintenance.invariants import namespaces
from seal_agent.retention.index import is_whole
from seal_agent.storage.adapter_store import AdapterRegistry, content_hash, write_manifest
from seal_agent.storage.database import DATABASE, QUARANTINE, Home, sealed
from seal_agent.storage.jobs import LearningQueue
from seal_agent.storage.policies import Policy, every_store, ref_of


def repair(root: Path) -> list[str]:
    """Mend the home at `root`; returns a line for everything that was done, none where all was well.

    Nobody else may be at work there.
    """
    done = list(_database(root))
    home = Home(root)
    for namespace in namespaces(home):
        done += _versions(home, namespace)
        done += _keys(home, namespace)
    done += _adapters(home)
    done += _policies(home)
    return [*done, *_indexes(home)]


def _database(root: Path) -> Iterator[str]:
    """A database with broken pages is put aside; what can be read of it goes into a new one."""
    path = root / DATABASE
    if not path.exists() or _is_sound(path):
        return
    kept = _put_aside(root, path)
    for journal in root.glob(f"{DATABASE}-*"):
        _put_aside(root, journal)
    yield f"the database was damaged: it lies in {kept} now, and what can be read was copied"
    home = Home(root)
    with closing(sqlite3.connect(kept)) as old, home.connect() as new:
        for (table,) in new.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            num_rows, error = _copy_table(old, new, table)
            if error:
                yield f"of table {table} {num_rows} rows could be read: {error}"


def _is_sound(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(path)) as db:
            return bool(db.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",))
    except sqlite3.DatabaseError:
        return False


def _copy_table(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> tuple[int, str]:
    num_rows = 0
    try:
        there = {row[1] for row in old.execute(f"PRAGMA table_info({table})")}  # an older version had fewer columns
        columns = [row[1] for row in new.execute(f"PRAGMA table_info({table})") if row[1] in there]
        if not columns:
            return 0, ""
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        for row in old.execute(f"SELECT {names} FROM {table} NOT INDEXED"):
            new.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", row)
            num_rows += 1
    except sqlite3.DatabaseError as error:
        return num_rows, str(error)
    return num_rows, ""


def _versions(home: Home, namespace: str) -> Iterator[str]:
    """Every version of the stack that is damaged or lost, as the ledger has it; else as the one before it."""
    with home.connect() as db:
        rows = dict(db.execute("SELECT version, layers FROM stacks WHERE namespace = ?", (namespace,)).fetchall())
        seals = dict(
            db.execute(
                "SELECT CAST(name AS INTEGER), digest FROM seals WHERE kind = 'stack' AND namespace = ?", (namespace,)
            ).fetchall()
        )
    ledger = home.episodes(namespace, ("accepted",))
    below = AdapterStack()
    for number in range(1, max([*rows, *seals], default=0) + 1):
        known = rows.get(number)
        if known is not None and seals.get(number) in (None, sealed(namespace, number, known)):
            below = home.read(AdapterStack, known)
            continue
        stack, how = _from_ledger(ledger, number, below)
        body = json.dumps(to_json(stack))
        with home.connect() as db:
            db.execute(
                "INSERT OR REPLACE INTO stacks VALUES (?, ?, ?, ?, COALESCE((SELECT created FROM stacks "
                "WHERE namespace = ? AND version = ?), 0))",
                (namespace, number, body, how, namespace, number),
            )
            home.seal(db, "stack", namespace, str(number), sealed(namespace, number, body))
        yield f"version {number} of the stack of namespace {namespace!r} was damaged: {how}"
        below = stack


def _from_ledger(ledger: Sequence[Episode], number: int, below: AdapterStack) -> tuple[AdapterStack, str]:
    for episode in ledger:
        if episode.parent == below:
            kind = "accepted" if episode.text else "consolidated"
            return episode.candidate, f"{kind}: {episode.topic} (rebuilt from the ledger)"
    return below, f"rebuilt as it was before version {number}"


def _keys(home: Home, namespace: str) -> Iterator[str]:
    """What routes to the adapters, from the texts they learned."""
    with home.connect() as db:
        rows = dict(db.execute("SELECT adapter, key FROM routes WHERE namespace = ?", (namespace,)).fetchall())
        seals = dict(
            db.execute("SELECT name, digest FROM seals WHERE kind = 'route' AND namespace = ?", (namespace,)).fetchall()
        )
    routed = {y.ref.id for v in home.versions(namespace) for y in v.stack.layers if y.is_routed}
    sound = {i: k for i, k in rows.items() if seals.get(i) in (None, sealed(namespace, i, k))}
    texts: dict[str, str] = {}
    for episode in home.episodes(namespace, ("accepted",)):
        if episode.adapter:
            replaced = [sound.get(i, texts.get(i, "")) for i in episode.replaces]
            texts[episode.adapter.id] = "\n".join([f"{episode.topic}\n{episode.text}", *replaced]).strip()
    mended = {i: texts[i] for i in sorted(routed) if i not in sound and i in texts}
    with home.connect() as db:
        home.set_route_keys(db, namespace, mended)
    for adapter in mended:
        yield f"what routes to adapter {adapter[:12]} was damaged: rebuilt from the text it learned"


def _adapters(home: Home) -> Iterator[str]:
    """Manifests are rebuilt from the ledger; damaged weights are put aside and their text is queued again."""
    registry = AdapterRegistry(home.root / "adapters")
    for namespace in namespaces(home):
        learned = {e.adapter.id: e for e in home.episodes(namespace, ("accepted",)) if e.adapter}
        for episode in learned.values():
            ref = episode.adapter
            if ref is None or not _is_damaged(registry, ref):
                continue
            if Path(ref.path).is_dir() and content_hash(Path(ref.path)) == ref.id:
                write_manifest(Path(ref.path), _manifest(episode, ref))
                yield f"the manifest of adapter {ref.short} was damaged: rebuilt from the ledger"
            elif ref.id in home.stack(namespace).ids:
                yield _quarantined(home, namespace, episode, ref)


def _is_damaged(registry: AdapterRegistry, ref: AdapterRef) -> bool:
    try:
        registry.verify(ref)
    except AdapterError:
        return True
    return False


def _manifest(episode: Episode, ref: AdapterRef) -> dict[str, object]:
    edit = episode.edit
    facts = {"directives": to_json(edit.directives), "num_rows": len(edit.rows)} if edit else {"num_rows": 0}
    return {
        "id": ref.id,
        "model": ref.model,
        "rank": ref.rank,
        "parents": [layer.ref.id for layer in episode.parent.layers if not layer.is_routed],
        "topic": edit.topic if edit else episode.topic,
        "seed": episode.seed,
        "num_tokens": 0,
        "is_rebuilt": True,
        **facts,
    }


def _quarantined(home: Home, namespace: str, episode: Episode, ref: AdapterRef) -> str:
    if Path(ref.path).is_dir():
        _put_aside(home.root, Path(ref.path))
    home.rollback(namespace, ref.id, "damaged")
    if not episode.text:
        return f"adapter {ref.short} ({episode.topic}) was damaged: put aside, what it stood for is served again"
    LearningQueue(home).submit([passage_of(episode)], namespace, thread=episode.thread, model=episode.model)
    return f"adapter {ref.short} ({episode.topic}) was damaged: put aside, and its text is queued to be learned again"


def _policies(home: Home) -> Iterator[str]:
    """A policy that is damaged is put aside; was it in use, the one that was in use before it writes again."""
    yield from _policy_lines(home)
    registry = AdapterRegistry(home.root / "adapters")
    for store in every_store(home):
        for policy in store.versions():
            if policy.adapter and _is_damaged(registry, policy.adapter):
                yield from _mended_policy(home, store.namespace, policy, policy.adapter)
        whole = {p.version for p in store.versions() if not (p.adapter and _is_damaged(registry, p.adapter))}
        in_use = store.uses()[-1]
        if in_use not in whole:
            before = next(number for number in reversed(store.uses()) if number in whole)
            store.use(before, f"policy {in_use} was damaged")
            yield f"policy {in_use} of namespace {store.namespace!r} was in use: policy {before} writes the edits again"


def _policy_lines(home: Home) -> Iterator[str]:
    """A line of the table that cannot be read is put aside as text."""
    with home.connect() as db:
        lines = db.execute("SELECT rowid, namespace, version, adapter, reason FROM policies").fetchall()
    for line, namespace, version, adapter, reason in lines:
        try:
            ref_of(home, adapter)
        except StorageError:
            folder = home.root / QUARANTINE
            folder.mkdir(exist_ok=True)
            (folder / f"policy-{line}.txt").write_text(
                f"{namespace}\n{version}\n{adapter}\n{reason}\n", encoding="utf-8"
            )
            with home.connect() as db:
                db.execute("DELETE FROM policies WHERE rowid = ?", (line,))
            yield f"the line of policy {version} of namespace {namespace!r} was damaged: put aside as policy-{line}.txt"


def _mended_policy(home: Home, namespace: str, policy: Policy, ref: AdapterRef) -> Iterator[str]:
    """The manifest anew where the weights are whole, else the folder in quarantine, empty where there is none left."""
    folder, name = Path(ref.path), f"policy {policy.version} of namespace {namespace!r}"
    if folder.is_dir() and content_hash(folder) == ref.id:
        facts = {"id": ref.id, "model": ref.model, "rank": ref.rank, "parents": [], "is_rebuilt": True}
        write_manifest(folder, {**facts, "topic": policy.reason})
        yield f"the manifest of {name} was damaged: rebuilt"
    elif folder.is_dir():
        _put_aside(home.root, folder)
        yield f"{name} was damaged: put aside"
    elif not (home.root / QUARANTINE / ref.id).exists():
        (home.root / QUARANTINE / ref.id).mkdir(parents=True)
        yield f"{name} is missing: it cannot be chosen any more"


def _indexes(home: Home) -> Iterator[str]:
    for path in sorted(home.root.glob("replay-*.faiss")):
        if not is_whole(path):
            path.unlink()
            path.with_suffix(".json").unlink(missing_ok=True)
            yield f"{path.name} was damaged: it is built anew when it is needed"


def _put_aside(root: Path, path: Path) -> Path:
    """Move something into quarantine, beside what lies there of that name."""
    folder = root / QUARANTINE
    folder.mkdir(exist_ok=True)
    number, target = 0, folder / path.name
    while target.exists():
        number += 1
        target = folder / f"{path.name}.{number}"
    shutil.move(path, target)
    return target
