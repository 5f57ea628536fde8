"""The ledger: one line for every closed episode."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from sqlalchemy import Connection, func, insert, select, update

from seal_agent.core.codec import to_json
from seal_agent.core.episodes import Episode
from seal_agent.core.errors import Erased, StorageError
from seal_agent.core.facts import Fact, last_said
from seal_agent.core.stacks import AdapterRef
from seal_agent.storage import documents, namespaces
from seal_agent.storage.connection import REPAIR, Database, Transaction
from seal_agent.storage.expressions import is_one_of, json_text
from seal_agent.storage.schema import EPISODES

Line = tuple[int, Episode]
"""A line of the ledger with its number."""


def append(tx: Transaction, episode: Episode, *, is_trial: bool = False) -> int:
    """Append one line; returns its number.

    The outcome of a document's passage is recorded with it, unless `is_trial` (a dry run).
    Raises `Erased` if the namespace was erased after the episode began.
    """
    if episode.namespace_generation and not namespaces.is_generation(
        tx, episode.namespace, episode.namespace_generation
    ):
        raise Erased(f"namespace {episode.namespace!r} was erased while this was learned; nothing was stored")
    if episode.source and not is_trial:
        documents.record(tx, episode)
    cursor = tx.execute(
        insert(EPISODES),
        {"namespace": episode.namespace, "created": time.time(), **_columns(episode)},
    )
    return int(cursor.inserted_primary_key[0])  # type: ignore[index]


def _columns(episode: Episode) -> dict[str, str]:
    adapter = episode.adapter.id if episode.adapter else ""
    return {"outcome": episode.outcome, "adapter": adapter, "body": json.dumps(to_json(episode))}


def rewrite(tx: Transaction, number: int, episode: Episode) -> None:
    """Replace a line."""
    tx.execute(update(EPISODES).where(EPISODES.c.id == number).values(_columns(episode)))


def num_episodes(database: Database, namespace: str) -> int:
    """The number of ledger lines of `namespace`."""
    with database.reading() as db:
        wanted = select(func.count()).select_from(EPISODES).where(EPISODES.c.namespace == namespace)
        return int(db.execute(wanted).scalar_one())


def episode(database: Database, namespace: str, episode_id: str) -> Episode | None:
    """The line of the episode with that id; None if there is none."""
    if not episode_id:
        return None
    wanted = select(EPISODES.c.body).where(
        EPISODES.c.namespace == namespace, json_text(EPISODES.c.body, "id") == episode_id
    )
    with database.reading() as db:
        body = db.execute(wanted).scalar()
    return None if body is None else _episode(database, body)


def episodes(database: Database, namespace: str, outcomes: Sequence[str] = ()) -> list[Episode]:
    """The ledger of `namespace`, oldest first; with `outcomes` only those."""
    wanted = select(EPISODES.c.outcome, EPISODES.c.body).where(EPISODES.c.namespace == namespace)
    with database.reading() as db:
        rows = db.execute(wanted.order_by(EPISODES.c.id)).all()
    return [_episode(database, body) for outcome, body in rows if not outcomes or outcome in outcomes]


def lines(database: Database, namespace: str) -> list[Line]:
    """The ledger of `namespace` with line numbers, oldest first."""
    wanted = select(EPISODES.c.id, EPISODES.c.body).where(EPISODES.c.namespace == namespace)
    with database.reading() as db:
        rows = db.execute(wanted.order_by(EPISODES.c.id)).all()
    return [(number, _episode(database, body)) for number, body in rows]


def facts(database: Database, namespace: str, adapters: Collection[str]) -> list[Fact]:
    """The texts that the given adapters were learned from, oldest first."""
    if not adapters:
        return []
    names = ("text", "said_on", "thread", "earlier", "source", "heading", "changes")
    wanted = (
        select(EPISODES.c.adapter, *(json_text(EPISODES.c.body, name) for name in names))
        .where(EPISODES.c.namespace == namespace, EPISODES.c.outcome == "accepted")
        .where(is_one_of(EPISODES.c.adapter, adapters))
        .order_by(EPISODES.c.id)
    )
    with database.reading() as db:
        rows = db.execute(wanted).all()
    return [
        Fact(
            adapter,
            text or "",
            said_on or "",
            thread or "",
            last_said(earlier or ""),
            source or "",
            heading or "",
            changes=tuple(json.loads(changes or "[]")),
        )
        for adapter, text, said_on, thread, earlier, source, heading, changes in rows
    ]


def _episode(database: Database, body: str) -> Episode:
    try:
        return database.read(Episode, body)
    except ValueError as error:
        raise StorageError(f"a line of the ledger is damaged ({error}); {REPAIR}") from error


def recent_seconds(database: Database, model: str, limit: int) -> list[tuple[str, dict[str, float]]]:
    """The last accepted edits of a model in all namespaces, newest first: adapter and seconds by step."""
    wanted = (
        select(EPISODES.c.adapter, json_text(EPISODES.c.body, "seconds"))
        .where(EPISODES.c.outcome == "accepted", json_text(EPISODES.c.body, "model") == model)
        .order_by(EPISODES.c.id.desc())
        .limit(limit)
    )
    with database.reading() as db:
        return [(adapter, json.loads(seconds or "{}")) for adapter, seconds in db.execute(wanted)]


def last_created(db: Connection) -> float:
    """Time of the last line in any namespace; 0 if there is none."""
    return float(db.execute(select(func.max(EPISODES.c.created))).scalar() or 0.0)


def is_learned_elsewhere(db: Connection, namespace: str, adapter: str) -> bool:
    """Whether another namespace has the same adapter."""
    wanted = select(EPISODES.c.id).where(EPISODES.c.namespace != namespace, EPISODES.c.adapter == adapter).limit(1)
    return db.execute(wanted).first() is not None


def folders(database: Database, db: Connection, namespace: str) -> set[Path]:
    """The adapter folders in the ledger of the namespace."""
    wanted = select(json_text(EPISODES.c.body, "adapter")).where(
        EPISODES.c.namespace == namespace, EPISODES.c.adapter != ""
    )
    return {Path(database.read(AdapterRef, ref).path) for ref in db.execute(wanted).scalars() if ref}
