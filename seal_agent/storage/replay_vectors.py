"""The vectors of replay items, for the index in memory; the rows belong to `replay_items`."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, select, update

from seal_agent.core.codec import from_json
from seal_agent.core.messages import Prompt
from seal_agent.storage.connection import Database
from seal_agent.storage.expressions import is_one_of
from seal_agent.storage.schema import REPLAY


def newest_id(db: Connection, namespace: str, model: str) -> int:
    """The highest item id; 0 if there are none."""
    return int(db.execute(select(func.max(REPLAY.c.id)).where(_is_of(namespace, model))).scalar() or 0)


def has_foreign_vectors(db: Connection, namespace: str, model: str, embedder: str, newest: int) -> bool:
    """Whether an item up to the id `newest` has a vector of another embedder."""
    up_to = select(REPLAY.c.id).where(_is_of(namespace, model), REPLAY.c.id <= newest).limit(1)
    sides = (REPLAY.c.embedder < embedder, REPLAY.c.embedder > embedder)  # an index cannot be used for "not equal"
    return any(db.execute(up_to.where(side)).first() is not None for side in sides)


def vectors_after(
    database: Database, namespace: str, model: str, after: int, limit: int
) -> list[tuple[int, str, bytes]]:
    """Id, embedder and vector of the next items after an id."""
    wanted = (
        select(REPLAY.c.id, REPLAY.c.embedder, REPLAY.c.vector)
        .where(_is_of(namespace, model), REPLAY.c.id > after)
        .order_by(REPLAY.c.id)
        .limit(limit)
    )
    with database.reading() as db:
        return [(number, embedder, vector) for number, embedder, vector in db.execute(wanted)]


def facts_of(database: Database, ids: Collection[int]) -> list[tuple[int, Prompt, str]]:
    """Id, question and answer of items."""
    wanted = select(REPLAY.c.id, REPLAY.c.question, REPLAY.c.answer).where(is_one_of(REPLAY.c.id, ids))
    with database.reading() as db:
        return [(number, from_json(Prompt, json.loads(q)), answer) for number, q, answer in db.execute(wanted)]


def set_vectors(database: Database, embedder: str, vectors: Mapping[int, bytes]) -> None:
    """Replace vectors by those of `embedder`."""
    statement = (
        update(REPLAY)
        .where(REPLAY.c.id == bindparam("item"))
        .values(vector=bindparam("new_vector"), embedder=bindparam("new_embedder"))
    )
    rows = [{"item": item, "new_vector": v, "new_embedder": embedder} for item, v in vectors.items()]
    with database.transaction() as tx:
        if rows:
            tx.execute(statement, rows)


def ids_up_to(db: Connection, namespace: str, model: str, newest: int) -> Iterator[int]:
    """The ids of all items up to `newest`, in order."""
    wanted = select(REPLAY.c.id).where(_is_of(namespace, model), REPLAY.c.id <= newest).order_by(REPLAY.c.id)
    return iter(db.execute(wanted).scalars())


def vectors_of(db: Connection, ids: Collection[int]) -> list[bytes]:
    """The vectors of items, ordered by id."""
    wanted = select(REPLAY.c.vector).where(is_one_of(REPLAY.c.id, ids)).order_by(REPLAY.c.id)
    return list(db.execute(wanted).scalars())


def num_known(database: Database, ids: Collection[int]) -> int:
    """How many of those ids exist."""
    with database.reading() as db:
        wanted = select(func.count()).select_from(REPLAY).where(is_one_of(REPLAY.c.id, ids))
        return int(db.execute(wanted).scalar_one())


def _is_of(namespace: str, model: str) -> ColumnElement[bool]:
    return and_(REPLAY.c.namespace == namespace, REPLAY.c.model == model)
