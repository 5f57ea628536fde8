"""The replay store: questions with gold answers that must not be forgotten, found again with FAISS.

SQLite holds the items and their vectors; what a draw reads of it does not grow with the store. Vectors are of the base
model or of an embedder of the user's, so they never go stale. An item that an edit brought is watched only while that
edit's adapter is in the stack. Three splits keep apart what decides ('gate'), what may be trained on ('repair') and
what benchmarks report ('report').
"""

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seal_agent.core.backend import Backend
from seal_agent.core.codec import from_json, to_json
from seal_agent.core.edits import Probe, Stratum
from seal_agent.core.episodes import Probed
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.retention.general_knowledge import general_probes
from seal_agent.retention.index import Embeddings as Embeddings
from seal_agent.retention.index import ReplayIndex, embedder_of, index_files, text_of
from seal_agent.storage.database import Home

Split = Literal["gate", "repair", "report"]
SPLITS: tuple[Split, ...] = ("gate", "gate", "repair", "gate", "report")  # of a document's items, over and over
GENERAL_SPLITS: tuple[Split, ...] = ("gate", "gate", "gate", "gate", "report")
SHARES: dict[Stratum, float] = {"near": 0.4, "fragile": 0.3, "coverage": 0.2, "general": 0.1}
"""Of the probes drawn for one edit; interference is only partly local (../shared/FACTS.md)."""
WIDEN = 8  # so many times what is wanted is searched for, and so many times more while too little of it is watched
FEW = 8_192  # items that are quicker compared one by one than found among many that are not watched

_SERVED = "IN (SELECT value FROM json_each(:served))"
_HELD = f"""+{{0}}.adapter {_SERVED}
    AND NOT EXISTS (SELECT 1 FROM superseded AS s WHERE s.item = {{0}}.id AND +s.adapter {_SERVED})"""
_WATCHED = f"""r.namespace = :namespace AND r.model = :model AND {_HELD.format("r")}
    AND r.id NOT IN (SELECT value FROM json_each(:without))
    AND NOT EXISTS (SELECT 1 FROM replay AS o WHERE o.namespace = r.namespace AND o.model = r.model
        AND o.question = r.question AND o.answer = r.answer AND +o.id < r.id AND {_HELD.format("o")})"""
"""Brought by what is served, not corrected by it, and of those about one fact the oldest.

A plus keeps SQLite from an index that would not help: every served adapter, or every older item, for each item.
"""
_IN_SPLIT = f"{_WATCHED} AND r.split = :split"
_LEARNED = "r.stratum <> 'general'"
_COLUMNS = "r.id, r.question, r.answer, r.stratum, r.document, r.best, r.worst_change, r.vector, r.split, r.source"


@dataclass(frozen=True)
class ReplayItem:
    """One watched question; `best` is the best score it ever had, `worst_change` the worst an edit ever did to it.

    `source` is the topic of the edit that brought it.
    """

    id: int
    probe: Probe
    best: float | None
    worst_change: float
    vector: NDArray[np.float32]
    split: Split = "gate"
    source: str = ""


class ReplayStore:
    """The replay items of one namespace and one model.

    Only 'gate' items decide about an edit, only 'repair' items may be trained on, and 'report' items are for
    benchmarks. A fact that is learned again stays in its split.
    """

    def __init__(self, home: Home, namespace: str, backend: Backend, embeddings: Embeddings | None = None) -> None:
        self._home = home
        self._namespace = namespace
        self._model = backend.model
        self._embedder = embedder_of(backend.with_stack(AdapterStack()), embeddings)
        self._index = ReplayIndex(home, namespace, self._model, self._embedder)

    def seed_general(self) -> int:
        """Watch the shipped general-knowledge questions, and no others of their kind; returns how many were added.

        What an older version shipped is no longer watched: it may be trained on now.
        """
        shipped = {(json.dumps(to_json(probe.prompt)), probe.answer): probe for probe in general_probes()}
        with self._home.connect() as db:
            there = db.execute(
                "SELECT question, answer, id FROM replay WHERE namespace = ? AND model = ? AND stratum = 'general'",
                (self._namespace, self._model),
            ).fetchall()
        if {(question, answer) for question, answer, _ in there} == set(shipped):
            return 0
        probes = list(shipped.values())
        vectors = self.embed(probes)
        with self._home.connect() as db:
            old = [(item,) for question, answer, item in there if (question, answer) not in shipped]
            db.executemany("DELETE FROM replay WHERE id = ?", old)
            self.insert(db, probes, vectors, adapter="", source="general knowledge")
        return len(probes) - (len(there) - len(old))

    def embed(self, probes: Sequence[Probe]) -> NDArray[np.float32]:
        """The unit vectors (n, d) under which `probes` are stored."""
        return self._embedder.embed([text_of(probe.prompt, probe.answer) for probe in probes])

    def insert(
        self,
        db: sqlite3.Connection,
        probes: Sequence[Probe],
        vectors: NDArray[np.float32],
        *,
        adapter: str,
        best: Sequence[float] = (),
        source: str = "",
    ) -> None:
        """Add items inside the transaction of `db`; one that is there already stays as it is.

        Each document's go to the splits in the order of `SPLITS`; a fact that another adapter brought goes to its.
        """
        for number, (probe, split) in enumerate(zip(probes, _splits(probes), strict=True)):
            question = json.dumps(to_json(probe.prompt))
            fact = (self._namespace, self._model, question, probe.answer)
            known = db.execute(
                "SELECT split FROM replay WHERE namespace = ? AND model = ? AND question = ? AND answer = ? LIMIT 1",
                fact,
            ).fetchone()
            db.execute(
                "INSERT OR IGNORE INTO replay (namespace, model, question, answer, stratum, document, adapter, best, "
                "vector, split, source, embedder) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *fact,
                    "general" if probe.stratum == "general" else "edit",
                    probe.document,
                    adapter,
                    best[number] if best else None,
                    vectors[number].astype(np.float32).tobytes(),
                    known[0] if known else split,
                    source,
                    self._embedder.identity,
                ),
            )

    def record(self, db: sqlite3.Connection, probed: Sequence[Probed], *, kept: bool, adapter: str = "") -> None:
        """Remember what each item scored under the stack that is served now, and the worst any candidate did to it.

        `adapter` is the newest of that stack: the candidate's where it was kept, else the newest below it.
        """
        finite = [
            (p.probe.item, p.before.per_token, p.after.per_token)
            for p in probed
            if p.probe.item is not None and math.isfinite(p.before.logprob + p.after.logprob)
        ]
        db.executemany(
            "UPDATE replay SET best = MAX(COALESCE(best, -1e9), ?), worst_change = MIN(worst_change, ?) WHERE id = ?",
            [(max(before, after) if kept else before, after - before, item) for item, before, after in finite],
        )
        now = time.time()
        db.executemany(
            "INSERT INTO scores (item, adapter, per_token, created) VALUES (?, ?, ?, ?)",
            [(item, adapter, after if kept else before, now) for item, before, after in finite],
        )

    def history(self, item: int) -> list[tuple[str, float]]:
        """The scores of an item while served, oldest first: the newest adapter then, and nats per token."""
        with self._home.connect() as db:
            return db.execute("SELECT adapter, per_token FROM scores WHERE item = ? ORDER BY rowid", (item,)).fetchall()

    def supersede(self, db: sqlite3.Connection, items: Sequence[int], adapter: str) -> None:
        """Stop watching `items` while `adapter` is in the stack: it says otherwise."""
        db.executemany("INSERT OR IGNORE INTO superseded VALUES (?, ?)", [(item, adapter) for item in items])

    def adapters_of(self, items: Collection[int]) -> set[str]:
        """The ids of the adapters that brought `items`; general knowledge has none."""
        with self._home.connect() as db:
            rows = db.execute(
                "SELECT DISTINCT adapter FROM replay WHERE id IN (SELECT value FROM json_each(?)) AND adapter <> ''",
                (json.dumps(list(items)),),
            ).fetchall()
        return {row[0] for row in rows}

    def items(self, stack: AdapterStack) -> list[ReplayItem]:
        """Every item of every split watched while `stack` is served, oldest first: this loads all of them.

        What an adapter of the stack has corrected is not among them; without that adapter it is again.
        """
        with self._home.connect() as db:
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM replay AS r INDEXED BY replay_by_namespace WHERE {_WATCHED} ORDER BY r.id",
                self._values(stack),
            ).fetchall()
        return [_item(*row) for row in rows]

    def num_items(
        self, stack: AdapterStack, split: Split = "gate", without: Collection[int] = (), *, at_most: int = -1
    ) -> int:
        """How many items a draw from `split` can return; counting stops at `at_most`, if that is given."""
        with self._home.connect() as db:
            (count,) = db.execute(
                f"SELECT COUNT(*) FROM (SELECT 1 FROM replay AS r INDEXED BY replay_by_split "
                f"WHERE {_IN_SPLIT} LIMIT {int(at_most)})",
                self._values(stack, split, without),
            ).fetchone()
        return int(count)

    def items_of(self, split: Split, stack: AdapterStack, limit: int, about: Sequence[Probe] = ()) -> list[ReplayItem]:
        """Up to `limit` items of one split watched under `stack`: the nearest to `about`, if there is anything.

        Otherwise one of every document, the newest first, then a second of every document, and so on. 'gate' items
        decide and must not be trained on, 'repair' items may be, 'report' items are for benchmarks only.
        """
        values = self._values(stack, split)
        with self._home.connect() as db:
            return self._near(db, values, about, limit) if about else _fetch(db, _covering(db, values, limit))

    def draw(
        self,
        about: Sequence[Probe],
        stack: AdapterStack,
        num_probes: int,
        *,
        split: Split = "gate",
        without: Collection[int] = (),
    ) -> list[tuple[Probe, float | None]]:
        """Up to `num_probes` items of `split` with the best score each ever had, drawn by stratum.

        Nearest to `about`, fragile before, spread over documents, general knowledge: by `SHARES`; what a
        stratum cannot fill, the others do. Deterministic, and a larger draw contains every smaller one's
        kinds of items, so that an undecided verdict can ask for more.
        """
        values = self._values(stack, split, without)
        with self._home.connect() as db:
            near = self._near(db, values, about, round(SHARES["near"] * num_probes))
            orders: dict[Stratum, list[int]] = {
                "near": [item.id for item in near],
                "fragile": _ids(db, values, "replay_fragile", "r.worst_change < 0", "r.worst_change", num_probes),
                "coverage": _covering(db, values, num_probes, _LEARNED),
                "general": _ids(db, values, "replay_general", "r.stratum = 'general'", "r.id", num_probes),
            }
            drawn = _by_shares(orders, num_probes)
            items = _fetch(db, list(drawn))
        return [(replace(item.probe, stratum=drawn[item.id]), item.best) for item in items]

    @property
    def index_files(self) -> tuple[Path, Path]:
        """Where vectors lie outside SQLite."""
        return index_files(self._home, self._namespace, self._model)

    def reset_index(self) -> None:
        """Let go of vectors in memory; to be called after items were removed from SQLite."""
        self._index.reset()

    def flush(self) -> None:
        """Write the index to disk, so that the next process starts faster; raises `StorageError` where it cannot."""
        self._index.flush()

    def _values(
        self, stack: AdapterStack, split: Split = "gate", without: Collection[int] = ()
    ) -> dict[str, str | int]:
        return {
            "namespace": self._namespace,
            "model": self._model,
            "served": json.dumps(["", *stack.learned]),
            "split": split,
            "without": json.dumps(list(without)),
        }

    def _near(
        self, db: sqlite3.Connection, values: Mapping[str, str | int], about: Sequence[Probe], limit: int
    ) -> list[ReplayItem]:
        """Up to `limit` watched items, the nearest to any of `about` first."""
        if not about or limit <= 0:
            return []
        vectors = self.embed(about)
        width = WIDEN * limit
        found = _among(db, values, self._index.search(vectors, width), 2 * limit)
        while len(found) < limit and width < self._index.num_items:
            width *= WIDEN
            if width > FEW:
                everything = _ids(db, values, "replay_by_split", "TRUE", "r.id", width)
                if len(everything) < width:
                    found = everything
                    break
            found = _among(db, values, self._index.search(vectors, width), 2 * limit)
        return self._by_distance(_fetch(db, found), vectors)[:limit]

    def _by_distance(self, items: Sequence[ReplayItem], vectors: NDArray[np.float32]) -> list[ReplayItem]:
        """The nearest to any of `vectors` (n, d) first, by the stored vectors: the index holds rounded ones."""
        if not items:
            return []
        similarity = (np.stack([item.vector for item in items]) @ vectors.T).max(axis=1)
        return [items[i] for i in np.argsort(-similarity, kind="stable")]


def _splits(probes: Sequence[Probe]) -> list[Split]:
    """The split of each of the items that one edit brings, by its place among those of its document."""
    places: Counter[tuple[bool, str]] = Counter()
    splits: list[Split] = []
    for probe in probes:
        is_general = probe.stratum == "general"
        group = (is_general, "" if is_general else probe.document)
        pattern = GENERAL_SPLITS if is_general else SPLITS
        splits.append(pattern[places[group] % len(pattern)])
        places[group] += 1
    return splits


def _ids(
    db: sqlite3.Connection, values: Mapping[str, str | int], index: str, condition: str, order: str, limit: int
) -> list[int]:
    """Watched items of one split that meet a condition; `index` gives them in that order."""
    sql = f"SELECT r.id FROM replay AS r INDEXED BY {index} WHERE {_IN_SPLIT} AND {condition} ORDER BY {order}, r.id"
    return [row[0] for row in db.execute(f"{sql} LIMIT {int(limit)}", values)]


def _among(db: sqlite3.Connection, values: Mapping[str, str | int], ids: Sequence[int], enough: int) -> list[int]:
    """Those of `ids` that are watched, in their order; at least `enough` of them, if there are so many."""
    sql = f"SELECT r.id FROM replay AS r NOT INDEXED WHERE r.id IN (SELECT value FROM json_each(:ids)) AND {_IN_SPLIT}"
    found: list[int] = []
    for start in range(0, len(ids), 2 * enough):
        part = ids[start : start + 2 * enough]
        watched = {row[0] for row in db.execute(sql, {**values, "ids": json.dumps(part)})}
        found += [i for i in part if i in watched]
        if len(found) >= enough:
            break
    return found


def _covering(
    db: sqlite3.Connection, values: Mapping[str, str | int], limit: int, condition: str = "TRUE"
) -> list[int]:
    """One item of every document, then a second of every document, and so on; the newest documents first."""
    documents: dict[str, None] = {}
    sql = f"FROM replay AS r INDEXED BY {{}} WHERE {_IN_SPLIT} AND {condition}"
    for (document,) in db.execute(f"SELECT r.document {sql.format('replay_by_split')} ORDER BY r.id DESC", values):
        documents[document] = None
        if len(documents) >= limit:
            break
    rows = db.execute(
        f"SELECT id FROM (SELECT r.id, ROW_NUMBER() OVER (PARTITION BY r.document ORDER BY r.id) AS level, "
        f"MIN(r.id) OVER (PARTITION BY r.document) AS first {sql.format('replay_by_document')} "
        f"AND r.document IN (SELECT value FROM json_each(:documents))) ORDER BY level, first DESC LIMIT {int(limit)}",
        {**values, "documents": json.dumps(list(documents))},
    )
    return [row[0] for row in rows]


def _fetch(db: sqlite3.Connection, ids: Sequence[int]) -> list[ReplayItem]:
    """The items of those ids, in their order."""
    sql = f"SELECT {_COLUMNS} FROM replay AS r WHERE r.id IN (SELECT value FROM json_each(?))"
    items = {row[0]: _item(*row) for row in db.execute(sql, (json.dumps(ids),))}
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


def _by_shares(orders: Mapping[Stratum, Sequence[int]], num_probes: int) -> dict[int, Stratum]:
    """The items drawn, each with the stratum that it was drawn for."""
    quotas: list[tuple[Stratum, int]] = [(stratum, round(share * num_probes)) for stratum, share in SHARES.items()]
    drawn: dict[int, Stratum] = {}
    for stratum, quota in [*quotas, ("coverage", num_probes), ("general", num_probes)]:
        left = max(min(quota, num_probes - len(drawn)), 0)
        drawn |= dict.fromkeys([item for item in orders[stratum] if item not in drawn][:left], stratum)
    return drawn


def report_probes() -> list[Probe]:
    """Those of the watched general questions that neither decide nor are trained on: for benchmarks."""
    probes = general_probes()
    return [probe for probe, split in zip(probes, _splits(probes), strict=True) if split == "report"]
