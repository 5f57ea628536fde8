"""The rows of the replay store: questions, vectors, corrections, and scores over time.

The work of a query does not grow with the store: each one names the index that SQLite must use. `seal_agent.retention`
decides which items are drawn for an edit.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy.sql.elements import BindParameter

from seal_agent.core.codec import from_json, to_json
from seal_agent.core.edits import Probe, Stratum
from seal_agent.core.messages import Prompt
from seal_agent.storage.connection import Database, Transaction
from seal_agent.storage.expressions import add_missing, in_list, is_one_of, without_index
from seal_agent.storage.schema import REPLAY, SCORES, SUPERSEDED

Split = Literal["gate", "repair", "report"]

_ITEM = REPLAY.alias("r")
_OLDER = REPLAY.alias("o")
_SERVED: BindParameter[str] = bindparam("served")
_WITHOUT: BindParameter[str] = bindparam("without")
_IDS: BindParameter[str] = bindparam("ids")
_DOCUMENTS: BindParameter[str] = bindparam("documents")
_LIMIT: BindParameter[int] = bindparam("limit")


@dataclass(frozen=True)
class ReplayItem:
    """One replay item; `best` is its best score so far, `worst_change` the worst change by an edit.

    `source` is the topic of the edit that added it.
    """

    id: int
    probe: Probe
    best: float | None
    worst_change: float
    vector: NDArray[np.float32]
    split: Split = "gate"
    source: str = ""


@dataclass(frozen=True)
class Watched:
    """The items that a query covers: those of a split that are active while these adapters are served.

    An item is active if a served adapter added it and no served adapter corrected it; of several items about one fact
    only the oldest is active. `without`: ids to leave out.
    """

    namespace: str
    model: str
    served: tuple[str, ...] = ()
    split: Split = "gate"
    without: tuple[int, ...] = ()

    def parameters(self) -> dict[str, object]:
        """The bound parameters of this module's queries."""
        return {
            "namespace": self.namespace,
            "model": self.model,
            "served": json.dumps(["", *self.served]),
            "split": self.split,
            "without": json.dumps(list(self.without)),
        }


def _is_held(table: FromClause) -> ColumnElement[bool]:
    """Whether a served adapter added the item and none corrected it.

    Neither adapter column uses an index: that would read every item of every served adapter.
    """
    corrected = SUPERSEDED.alias()
    by_served = in_list(without_index(corrected.c.adapter), _SERVED)
    is_corrected = select(corrected.c.item).where(corrected.c.item == table.c.id, by_served).exists()
    return and_(in_list(without_index(table.c.adapter), _SERVED), ~is_corrected)


_HAS_OLDER = (
    select(_OLDER.c.id)
    .where(_OLDER.c.namespace == _ITEM.c.namespace, _OLDER.c.model == _ITEM.c.model)
    .where(_OLDER.c.question == _ITEM.c.question, _OLDER.c.answer == _ITEM.c.answer)
    .where(without_index(_OLDER.c.id) < _ITEM.c.id, _is_held(_OLDER))
    .exists()
)
_IS_WATCHED = and_(
    _ITEM.c.namespace == bindparam("namespace"),
    _ITEM.c.model == bindparam("model"),
    _is_held(_ITEM),
    ~in_list(_ITEM.c.id, _WITHOUT),
    ~_HAS_OLDER,
)
_IN_SPLIT = and_(_IS_WATCHED, _ITEM.c.split == bindparam("split"))
# Literals as in the partial indexes: SQLite does not match a parameter with them.
_IS_GENERAL = _ITEM.c.stratum == literal_column("'general'")
_IS_LEARNED = _ITEM.c.stratum != literal_column("'general'")
_IS_FRAGILE = _ITEM.c.worst_change < literal_column("0")
_COLUMNS = [
    _ITEM.c[name]
    for name in (
        "id", "question", "answer", "stratum", "document", "best", "worst_change", "vector", "split", "source",
    )
]  # fmt: skip


def _using(statement: Select[Any], index: str) -> Select[Any]:
    """The statement with the index that SQLite must use; "" for a table scan."""
    return statement.with_hint(_ITEM, f"INDEXED BY {index}" if index else "NOT INDEXED", "sqlite")


def _ids(index: str, condition: ColumnElement[bool], *order: ColumnElement[Any]) -> Select[Any]:
    statement = select(_ITEM.c.id).where(_IN_SPLIT, condition).order_by(*order, _ITEM.c.id)
    return _using(statement, index).limit(_LIMIT)


_OF_SPLIT = _ids("replay_by_split", true())
_FRAGILE = _ids("replay_fragile", _IS_FRAGILE, _ITEM.c.worst_change)
_GENERAL = _ids("replay_general", _IS_GENERAL)
_AMONG = _using(select(_ITEM.c.id).where(in_list(_ITEM.c.id, _IDS), _IN_SPLIT), "")
_ALL = _using(select(*_COLUMNS).where(_IS_WATCHED).order_by(_ITEM.c.id), "replay_by_namespace")
_FETCH = select(*_COLUMNS).where(in_list(_ITEM.c.id, _IDS))
_TO_COUNT = _using(select(_ITEM.c.id).where(_IN_SPLIT), "replay_by_split")
_COUNT = select(func.count()).select_from(_TO_COUNT.subquery())
_COUNT_SOME = select(func.count()).select_from(_TO_COUNT.limit(_LIMIT).subquery())


def _newest_documents(condition: ColumnElement[bool]) -> Select[Any]:
    statement = select(_ITEM.c.document).where(_IN_SPLIT, condition).order_by(_ITEM.c.id.desc())
    return _using(statement, "replay_by_split")


def _by_turns(condition: ColumnElement[bool]) -> Select[Any]:
    """The first item of each document, then the second of each, and so on."""
    numbered = _using(
        select(
            _ITEM.c.id,
            func.row_number().over(order_by=_ITEM.c.id, partition_by=_ITEM.c.document).label("turn"),
            func.min(_ITEM.c.id).over(partition_by=_ITEM.c.document).label("first"),
        ).where(_IN_SPLIT, condition, in_list(_ITEM.c.document, _DOCUMENTS)),
        "replay_by_document",
    ).subquery()
    return select(numbered.c.id).order_by(numbered.c.turn, numbered.c.first.desc()).limit(_LIMIT)


_NEWEST = {is_learned: _newest_documents(_IS_LEARNED if is_learned else true()) for is_learned in (False, True)}
_TURNS = {is_learned: _by_turns(_IS_LEARNED if is_learned else true()) for is_learned in (False, True)}


def all_items(database: Database, watched: Watched) -> list[ReplayItem]:
    """Every active item of every split, oldest first. Loads all of them."""
    with database.reading() as db:
        return [_item(*row) for row in db.execute(_ALL, watched.parameters())]


def count(database: Database, watched: Watched, at_most: int | None = None) -> int:
    """The number of active items; counting stops at `at_most`."""
    with database.reading() as db:
        if at_most is None:
            return int(db.execute(_COUNT, watched.parameters()).scalar_one())
        return int(db.execute(_COUNT_SOME, {**watched.parameters(), "limit": at_most}).scalar_one())


def oldest(db: Connection, watched: Watched, limit: int) -> list[int]:
    """The ids of the oldest active items."""
    return _execute_ids(db, _OF_SPLIT, watched, limit)


def fragile(db: Connection, watched: Watched, limit: int) -> list[int]:
    """The ids of the items that edits made worse, the worst first."""
    return _execute_ids(db, _FRAGILE, watched, limit)


def general(db: Connection, watched: Watched, limit: int) -> list[int]:
    """The ids of the oldest active general questions."""
    return _execute_ids(db, _GENERAL, watched, limit)


def _execute_ids(db: Connection, statement: Select[Any], watched: Watched, limit: int) -> list[int]:
    return list(db.execute(statement, {**watched.parameters(), "limit": limit}).scalars())


def among(db: Connection, watched: Watched, ids: Sequence[int]) -> set[int]:
    """The active items among `ids`."""
    return set(db.execute(_AMONG, {**watched.parameters(), "ids": json.dumps(list(ids))}).scalars())


def covering(db: Connection, watched: Watched, limit: int, *, is_learned: bool = False) -> list[int]:
    """One item of every document, then a second one of each, and so on; the newest documents first.

    `is_learned`: without general questions.
    """
    documents: dict[str, None] = {}
    for document in db.execute(_NEWEST[is_learned], watched.parameters()).scalars():
        documents[document] = None
        if len(documents) >= limit:
            break
    parameters = {**watched.parameters(), "documents": json.dumps(list(documents)), "limit": limit}
    return list(db.execute(_TURNS[is_learned], parameters).scalars())


def fetch(db: Connection, ids: Sequence[int]) -> list[ReplayItem]:
    """The items with those ids, in that order."""
    items = {row[0]: _item(*row) for row in db.execute(_FETCH, {"ids": json.dumps(list(ids))})}
    return [items[i] for i in ids]


def _item(
    number: int,
    question: str,
    answer: str,
    stratum: Stratum,
    document: str,
    best: float | None,
    worst_change: float,
    vector: bytes,
    split: Split,
    source: str,
) -> ReplayItem:
    probe = Probe(from_json(Prompt, json.loads(question)), answer, stratum, document, number)
    return ReplayItem(number, probe, best, worst_change, np.frombuffer(vector, dtype=np.float32), split, source)


_FACT = ("namespace", "model", "question", "answer")
_SPLIT_OF = select(REPLAY.c.split).where(*(REPLAY.c[name] == bindparam(name) for name in _FACT)).limit(1)
"""The split of an existing fact, whichever adapter added it."""


@dataclass(frozen=True)
class NewItem:
    """An item to insert: its vector (d,), its split if the fact is new, and the adapter that adds it."""

    probe: Probe
    vector: NDArray[np.float32]
    split: Split
    adapter: str
    best: float | None = None
    worst_change: float = 0.0
    source: str = ""


def insert_items(tx: Transaction, namespace: str, model: str, embedder: str, items: Sequence[NewItem]) -> None:
    """Insert items; an existing item is unchanged, and a known fact keeps its split."""
    splits: dict[tuple[object, ...], str] = {}
    rows = []
    for item in items:
        row = _row(namespace, model, embedder, item)
        fact = {name: row[name] for name in _FACT}
        key = tuple(fact.values())
        splits[key] = splits.get(key) or tx.execute(_SPLIT_OF, fact).scalar() or item.split
        rows.append({**row, "split": splits[key]})
    add_missing(tx, REPLAY, rows)


def insert_new_items(tx: Transaction, namespace: str, model: str, embedder: str, items: Sequence[NewItem]) -> None:
    """Insert items whose facts are all new."""
    tx.execute(insert(REPLAY), [_row(namespace, model, embedder, item) for item in items])


def question_of(probe: Probe) -> str:
    """The question of an item in its stored form."""
    return json.dumps(to_json(probe.prompt))


def _row(namespace: str, model: str, embedder: str, item: NewItem) -> dict[str, object]:
    return {
        "namespace": namespace,
        "model": model,
        "question": question_of(item.probe),
        "answer": item.probe.answer,
        "stratum": "general" if item.probe.stratum == "general" else "edit",
        "document": item.probe.document,
        "adapter": item.adapter,
        "best": item.best,
        "worst_change": item.worst_change,
        "vector": item.vector.astype(np.float32).tobytes(),
        "split": item.split,
        "source": item.source,
        "embedder": embedder,
    }


def general_facts(database: Database, namespace: str, model: str) -> dict[int, tuple[str, str]]:
    """Question (as JSON) and answer of all general questions, by id."""
    wanted = select(REPLAY.c.id, REPLAY.c.question, REPLAY.c.answer)
    with database.reading() as db:
        ours = wanted.where(REPLAY.c.namespace == namespace, REPLAY.c.model == model)
        rows = db.execute(ours.where(REPLAY.c.stratum == "general"))
        return {number: (question, answer) for number, question, answer in rows}


def remove_items(tx: Transaction, ids: Collection[int]) -> None:
    """Delete items."""
    tx.execute(delete(REPLAY).where(is_one_of(REPLAY.c.id, ids)))


def supersede(tx: Transaction, items: Sequence[int], adapter: str) -> None:
    """Make `items` inactive while `adapter`, which corrects them, is in the stack."""
    add_missing(tx, SUPERSEDED, [{"item": item, "adapter": adapter} for item in items])


def adapters_of_items(database: Database, items: Collection[int]) -> set[str]:
    """The ids of the adapters that added `items`; general questions have none."""
    wanted = select(REPLAY.c.adapter).distinct().where(is_one_of(REPLAY.c.id, items), REPLAY.c.adapter != "")
    with database.reading() as db:
        return set(db.execute(wanted).scalars())


def adapters_of_namespace(database: Database, namespace: str) -> set[str]:
    """The ids of the adapters that added items in a namespace."""
    wanted = select(REPLAY.c.adapter).distinct().where(REPLAY.c.namespace == namespace, REPLAY.c.adapter != "")
    with database.reading() as db:
        return set(db.execute(wanted).scalars())


def items_of_adapters(database: Database, namespace: str, adapters: Collection[str]) -> list[int]:
    """The ids of the items that those adapters added."""
    wanted = select(REPLAY.c.id).where(REPLAY.c.namespace == namespace, is_one_of(REPLAY.c.adapter, adapters))
    with database.reading() as db:
        return list(db.execute(wanted).scalars())


def models(db: Connection, namespace: str) -> list[str]:
    """The models for which a namespace has items."""
    return list(db.execute(select(REPLAY.c.model).distinct().where(REPLAY.c.namespace == namespace)).scalars())


def remove_adapter(tx: Transaction, namespace: str, adapter: str) -> list[int]:
    """Delete the items of an adapter and their scores and corrections; returns their ids."""
    which = and_(REPLAY.c.namespace == namespace, REPLAY.c.adapter == adapter)
    ids = list(tx.execute(select(REPLAY.c.id).where(which)).scalars())
    for column in (REPLAY.c.id, SCORES.c.item, SUPERSEDED.c.item):
        tx.execute(delete(column.table).where(is_one_of(column, ids)))
    return ids


def remove_corrections_by(tx: Transaction, adapter: str) -> None:
    """Delete the corrections by this adapter, so that the corrected items become active again."""
    tx.execute(delete(SUPERSEDED).where(SUPERSEDED.c.adapter == adapter))


def remove_namespace(tx: Transaction, namespace: str) -> dict[str, int]:
    """Delete scores and corrections of a namespace's items, not the items; returns how many rows each table lost."""
    ours = select(REPLAY.c.id).where(REPLAY.c.namespace == namespace)
    return {
        table.name: tx.execute(delete(table).where(table.c.item.in_(ours))).rowcount for table in (SCORES, SUPERSEDED)
    }


def rename_adapter(tx: Transaction, namespace: str, old: str, new: str) -> None:
    """Transfer the items and scores of an adapter to the one that was trained anew in its place."""
    ours = select(REPLAY.c.id).where(REPLAY.c.namespace == namespace)
    for table in (SCORES, SUPERSEDED):
        tx.execute(update(table).where(table.c.adapter == old, table.c.item.in_(ours)).values(adapter=new))
    tx.execute(update(REPLAY).where(REPLAY.c.namespace == namespace, REPLAY.c.adapter == old).values(adapter=new))
