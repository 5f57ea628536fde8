"""The replay store: questions with gold answers that must not be forgotten, found again with FAISS.

SQLite holds the items and their vectors; the FAISS index is built from it in memory and can always be
rebuilt. Vectors are of the base model, so they never go stale. An item that an edit brought is watched
only while that edit's adapter is in the stack.
"""

from __future__ import annotations

import json
import math
import random
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seal_agent.adapters.backend import Backend
from seal_agent.home import Home
from seal_agent.types import AdapterStack, Probe, Probed, Prompt, Row, SelfEdit, Stratum, from_json, to_json

SHARES: dict[Stratum, float] = {"near": 0.4, "fragile": 0.3, "coverage": 0.2, "general": 0.1}
"""Of the probes drawn for one edit; interference is only partly local (../shared/FACTS.md)."""
GENERAL_FILE = "general_knowledge.json"
REHEARSAL_EVERY = 3  # of the shipped questions; the others are watched, so that the two stay disjoint


@dataclass(frozen=True)
class ReplayItem:
    """One watched question; `best` is the best score it ever had, `worst_change` the worst an edit ever did to it."""

    id: int
    probe: Probe
    best: float | None
    worst_change: float
    vector: NDArray[np.float32]


class ReplayStore:
    """The replay items of one namespace and one model."""

    def __init__(self, home: Home, namespace: str, backend: Backend) -> None:
        self._home = home
        self._namespace = namespace
        self._backend = backend.with_stack(AdapterStack())

    def seed_general(self) -> int:
        """Watch the shipped general-knowledge questions, once per namespace and model; returns how many were added."""
        with self._home.connect() as db:
            row = db.execute(
                "SELECT COUNT(*) FROM replay WHERE namespace = ? AND model = ? AND stratum = 'general'",
                (self._namespace, self._backend.model),
            ).fetchone()
        if row[0]:
            return 0
        probes = general_probes()
        vectors = self._backend.embed([_text(probe) for probe in probes])
        with self._home.connect() as db:
            self.insert(db, probes, vectors, adapter="")
        return len(probes)

    def embed(self, probes: Sequence[Probe]) -> NDArray[np.float32]:
        """The vectors under which `probes` are stored."""
        return self._backend.embed([_text(probe) for probe in probes])

    def insert(
        self,
        db: sqlite3.Connection,
        probes: Sequence[Probe],
        vectors: NDArray[np.float32],
        *,
        adapter: str,
        best: Sequence[float] = (),
    ) -> None:
        """Add items inside the transaction of `db`; one that is there already stays as it is."""
        db.executemany(
            "INSERT OR IGNORE INTO replay "
            "(namespace, model, question, answer, stratum, document, adapter, best, vector) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    self._namespace,
                    self._backend.model,
                    json.dumps(to_json(probe.prompt)),
                    probe.answer,
                    "general" if probe.stratum == "general" else "edit",
                    probe.document,
                    adapter,
                    best[number] if best else None,
                    vectors[number].astype(np.float32).tobytes(),
                )
                for number, probe in enumerate(probes)
            ],
        )

    def record(self, db: sqlite3.Connection, probed: Sequence[Probed], *, kept: bool) -> None:
        """Remember the best score each item ever had while served, and the worst any candidate did to it."""
        db.executemany(
            "UPDATE replay SET best = MAX(COALESCE(best, -1e9), ?), worst_change = MIN(worst_change, ?) WHERE id = ?",
            [
                (
                    max(p.before.per_token, p.after.per_token) if kept else p.before.per_token,
                    p.after.per_token - p.before.per_token,
                    p.probe.item,
                )
                for p in probed
                if p.probe.item is not None and math.isfinite(p.before.logprob + p.after.logprob)
            ],
        )

    def supersede(self, db: sqlite3.Connection, items: Sequence[int], adapter: str) -> None:
        """Stop watching `items` while `adapter` is in the stack: it says otherwise."""
        db.executemany("INSERT OR IGNORE INTO superseded VALUES (?, ?)", [(item, adapter) for item in items])

    def items(self, stack: AdapterStack) -> list[ReplayItem]:
        """Every item watched while `stack` is served: general knowledge, and what its adapters brought.

        What an adapter of the stack has corrected is not among them; without that adapter it is again.
        """
        with self._home.connect() as db:
            rows = db.execute(
                "SELECT id, question, answer, stratum, document, adapter, best, worst_change, vector "
                "FROM replay WHERE namespace = ? AND model = ? ORDER BY id",
                (self._namespace, self._backend.model),
            ).fetchall()
            corrected = {
                item for item, adapter in db.execute("SELECT item, adapter FROM superseded") if adapter in stack.ids
            }
        rows = [row for row in rows if row[0] not in corrected]
        served = {"", *stack.ids}
        first = {row[1:3]: row for row in reversed(rows) if row[5] in served}  # of those about one fact the oldest
        return [
            ReplayItem(
                number,
                Probe(from_json(Prompt, json.loads(question)), answer, stratum, document, number),
                best,
                worst,
                np.frombuffer(vector, dtype=np.float32),
            )
            for number, question, answer, stratum, document, _, best, worst, vector in sorted(first.values())
        ]

    def draw(
        self, about: Sequence[Probe], stack: AdapterStack, num_probes: int, *, without: Collection[int] = ()
    ) -> list[tuple[Probe, float | None]]:
        """Up to `num_probes` items with the best score each ever had, drawn by stratum.

        Nearest to `about`, fragile before, spread over documents, general knowledge: by `SHARES`; what a
        stratum cannot fill, the others do. Deterministic, and a larger draw contains every smaller one's
        kinds of items, so that an undecided verdict can ask for more.
        """
        items = [item for item in self.items(stack) if item.id not in without]
        if not items:
            return []
        orders = {
            "near": self._by_distance(items, about),
            "fragile": sorted((i for i in items if i.worst_change < 0), key=lambda i: i.worst_change),
            "coverage": _round_robin([i for i in items if i.probe.stratum != "general"]),
            "general": [i for i in items if i.probe.stratum == "general"],
        }
        drawn: dict[int, tuple[Probe, float | None]] = {}

        def take(stratum: Stratum, quota: int) -> None:
            for item in orders[stratum]:
                if quota <= 0 or len(drawn) >= num_probes:
                    return
                if item.id not in drawn:
                    probe = Probe(item.probe.prompt, item.probe.answer, stratum, item.probe.document, item.id)
                    drawn[item.id] = (probe, item.best)
                    quota -= 1

        for stratum, share in SHARES.items():
            take(stratum, round(share * num_probes))
        for stratum in ("coverage", "general"):
            take(stratum, num_probes)
        return list(drawn.values())

    def _by_distance(self, items: Sequence[ReplayItem], about: Sequence[Probe]) -> list[ReplayItem]:
        if not about:
            return []
        import faiss

        vectors = np.stack([item.vector for item in items])
        index: Any = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
        index.add_with_ids(vectors, np.arange(len(items), dtype=np.int64))
        similarity, found = index.search(self.embed(about), len(items))
        nearest: dict[int, float] = {}
        for row, scores in zip(found, similarity, strict=True):
            for position, score in zip(row.tolist(), scores.tolist(), strict=True):
                if position >= 0:  # FAISS pads missing hits with -1
                    nearest[position] = max(nearest.get(position, -2.0), score)
        return [items[i] for i in sorted(nearest, key=lambda i: -nearest[i])]


def general_probes() -> list[Probe]:
    """The shipped questions about general knowledge that are watched; each is a document of its own."""
    return [probe for number, probe in enumerate(_general_questions()) if number % REHEARSAL_EVERY]


def rehearsal_rows(num_rows: int, seed: int) -> tuple[Row, ...]:
    """Up to `num_rows` shipped questions to train on beside an edit; none of them is ever watched."""
    rehearsed = _general_questions()[::REHEARSAL_EVERY]
    drawn = random.Random(seed).sample(rehearsed, min(num_rows, len(rehearsed)))
    return tuple(Row(probe.prompt, probe.answer, "rehearsal") for probe in drawn)


def with_rehearsal(edit: SelfEdit, num_rows: int, seed: int) -> SelfEdit:
    """`edit` with general questions beside its own rows, so that training does not pull everything its way."""
    return replace(edit, rows=edit.rows + rehearsal_rows(num_rows, seed))


def _general_questions() -> list[Probe]:
    text = resources.files("seal_agent").joinpath("data", GENERAL_FILE).read_text(encoding="utf-8")
    return [
        Probe(Prompt.user(question), answer, "general", f"general-{number}")
        for number, (question, answer) in enumerate(json.loads(text))
    ]


def _round_robin(items: Sequence[ReplayItem]) -> list[ReplayItem]:
    """One item of every document, then a second of every document, and so on; the newest documents first."""
    groups: dict[str, list[ReplayItem]] = {}
    for item in items:
        groups.setdefault(item.probe.document, []).append(item)
    columns = list(groups.values())[::-1]
    depth = max(map(len, columns), default=0)
    return [column[level] for level in range(depth) for column in columns if level < len(column)]


def _text(probe: Probe) -> str:
    question = probe.prompt.messages[-1].content if probe.prompt.messages else probe.prompt.text
    return f"{question} {probe.answer}"
