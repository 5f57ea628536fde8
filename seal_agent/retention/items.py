"""The replay store: questions with gold answers that must not be forgotten.

SQLite holds the items and their vectors; a draw reads an amount of it that does not grow with the store. Vectors come
from the base model or the user's embedder, so they never go stale. An item of an edit is active only while that edit's
adapter is in the stack. Three splits keep apart the items that decide ('gate'), that may be trained on ('repair') and
that benchmarks report ('report').
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seal_agent.core.backend import Backend
from seal_agent.core.edits import Probe, Stratum
from seal_agent.core.episodes import Probed
from seal_agent.core.stacks import AdapterStack
from seal_agent.retention import general_vectors
from seal_agent.retention.general_knowledge import general_probes
from seal_agent.retention.index import Embeddings as Embeddings
from seal_agent.retention.index import ReplayIndex, embedder_of, index_files, text_of
from seal_agent.storage import replay_items as table
from seal_agent.storage.connection import Connection, Transaction
from seal_agent.storage.database import Home
from seal_agent.storage.replay_items import NewItem, Watched
from seal_agent.storage.replay_items import ReplayItem as ReplayItem
from seal_agent.storage.replay_items import Split as Split
from seal_agent.storage.replay_scores import ItemScore, record_scores, scores_of

SPLITS: tuple[Split, ...] = ("gate", "gate", "repair", "gate", "report")  # of a document's items, in turn
GENERAL_SPLITS: tuple[Split, ...] = ("gate", "gate", "gate", "gate", "report")
SHARES: dict[Stratum, float] = {"near": 0.4, "fragile": 0.3, "coverage": 0.2, "general": 0.1}
"""Of the probes drawn for one edit; interference is only partly local (docs/log/retention.md)."""
WIDEN = 8  # search this many times the wanted number, repeatedly while too few results are active
MAX_RECENT = 256  # vectors in memory by their text
FEW = 8_192  # up to this many active items a scan is faster than the index


class ReplayStore:
    """The replay items of one namespace and one model.

    Only 'gate' items decide about an edit, only 'repair' items may be trained on, and 'report' items are for
    benchmarks. A fact that is learned again keeps its split.
    """

    def __init__(self, home: Home, namespace: str, backend: Backend, embeddings: Embeddings | None = None) -> None:
        self._home = home
        self._namespace = namespace
        self._model = backend.model
        self._embedder = embedder_of(backend.with_stack(AdapterStack()), embeddings)
        self._index = ReplayIndex(home, namespace, self._model, self._embedder)
        self._recent: dict[str, NDArray[np.float32]] = {}  # vectors of texts that the steps of an edit ask for again

    def seed_general(self) -> int:
        """Store the shipped general questions and drop those of an older version; returns how many were added.

        Those of an older version may be trained beside edits now.
        """
        shipped = {(table.question_of(probe), probe.answer): probe for probe in general_probes()}
        there = table.general_facts(self._home, self._namespace, self._model)
        if set(there.values()) == set(shipped):
            return 0
        probes = list(shipped.values())
        texts = [text_of(probe.prompt, probe.answer) for probe in probes]
        vectors = general_vectors.vectors_of(self._home, self._model, self._embedder, texts)
        old = [item for item, fact in there.items() if fact not in shipped]
        with self._home.transaction() as tx:
            table.remove_items(tx, old)
            self.insert(tx, probes, vectors, adapter="", source="general knowledge")
        return len(probes) - (len(there) - len(old))

    def embed(self, probes: Sequence[Probe]) -> NDArray[np.float32]:
        """The unit vectors (n, d) that are stored with `probes`."""
        texts = [text_of(probe.prompt, probe.answer) for probe in probes]
        if self._embedder.identity:
            return self._embedder.embed(texts)
        if fresh := [text for text in dict.fromkeys(texts) if text not in self._recent]:
            if len(self._recent) + len(fresh) > MAX_RECENT:
                self._recent = {text: vector for text, vector in self._recent.items() if text in texts}
            self._recent |= dict(zip(fresh, self._embedder.embed(fresh), strict=True))
        return np.stack([self._recent[text] for text in texts]) if texts else self._embedder.embed(())

    def insert(
        self,
        tx: Transaction,
        probes: Sequence[Probe],
        vectors: NDArray[np.float32],
        *,
        adapter: str,
        best: Sequence[float] = (),
        source: str = "",
    ) -> None:
        """Add items inside the transaction; an existing item is unchanged.

        The items of a document go to the splits in the order of `SPLITS`. A fact that another adapter added before
        keeps the split it had.
        """
        items = [
            NewItem(probe, vectors[n], split, adapter, best=best[n] if best else None, source=source)
            for n, (probe, split) in enumerate(zip(probes, _splits(probes), strict=True))
        ]
        table.insert_items(tx, self._namespace, self._model, self._embedder.identity, items)

    def record(self, tx: Transaction, probed: Sequence[Probed], *, kept: bool, adapter: str = "") -> None:
        """Store each item's score under the stack that is served now, and the worst change that a candidate caused.

        `adapter` is the top of that stack: the candidate if it was accepted (`kept`), else the one below it.
        """
        scores = []
        for each in probed:
            before, after = each.before.per_token, each.after.per_token
            if each.probe.item is None or not math.isfinite(each.before.logprob + each.after.logprob):
                continue
            best, served = (max(before, after), after) if kept else (before, before)
            scores.append(ItemScore(each.probe.item, best, after - before, served))
        record_scores(tx, scores, adapter)

    def history(self, item: int) -> list[tuple[str, float]]:
        """The scores of an item under served stacks, oldest first: the top adapter at that time, and nats per token."""
        return scores_of(self._home, item)

    def supersede(self, tx: Transaction, items: Sequence[int], adapter: str) -> None:
        """Make `items` inactive while `adapter` is in the stack, because its edit contradicts them."""
        table.supersede(tx, items, adapter)

    def adapters_of(self, items: Collection[int]) -> set[str]:
        """The ids of the adapters whose edits added `items`; general questions have none."""
        return table.adapters_of_items(self._home, items)

    def items_of_adapters(self, adapters: Collection[str]) -> list[int]:
        """The items that the edits of those adapters added."""
        return table.items_of_adapters(self._home, self._namespace, adapters)

    def items(self, stack: AdapterStack) -> list[ReplayItem]:
        """All active items of every split under `stack`, oldest first. Loads all of them.

        Items that an adapter of the stack has corrected are left out; they return when that adapter is removed.
        """
        return table.all_items(self._home, self._watched(stack))

    def num_items(
        self, stack: AdapterStack, split: Split = "gate", without: Collection[int] = (), *, at_most: int | None = None
    ) -> int:
        """How many items a draw from `split` can return; counting stops at `at_most`."""
        return table.count(self._home, self._watched(stack, split, without), at_most)

    def items_of(self, split: Split, stack: AdapterStack, limit: int, about: Sequence[Probe] = ()) -> list[ReplayItem]:
        """Up to `limit` active items of one split: those nearest to `about`, if it is given.

        Otherwise one item of every document, the newest first, then a second one of every document, and so on. 'gate'
        items decide and must not be trained on, 'repair' items may be, 'report' items are for benchmarks only.
        """
        watched = self._watched(stack, split)
        with self._home.reading() as db:
            if about:
                return self._near(db, watched, about, limit)
            return table.fetch(db, table.covering(db, watched, limit))

    def draw(
        self,
        about: Sequence[Probe],
        stack: AdapterStack,
        num_probes: int,
        *,
        split: Split = "gate",
        without: Collection[int] = (),
    ) -> list[tuple[Probe, float | None]]:
        """Draw up to `num_probes` items of `split` by stratum, each with its best score so far.

        The strata are: near to `about`, fragile in earlier edits, spread over documents, general knowledge. Their sizes
        follow `SHARES`; if a stratum has too few items, the others fill the draw. The draw is deterministic, and a
        larger one extends a smaller one, so that an undecided verdict can ask for more.
        """
        watched = self._watched(stack, split, without)
        with self._home.reading() as db:
            near = self._near(db, watched, about, round(SHARES["near"] * num_probes))
            orders: dict[Stratum, list[int]] = {
                "near": [item.id for item in near],
                "fragile": table.fragile(db, watched, num_probes),
                "coverage": table.covering(db, watched, num_probes, is_learned=True),
                "general": table.general(db, watched, num_probes),
            }
            drawn = _by_shares(orders, num_probes)
            items = table.fetch(db, list(drawn))
        return [(replace(item.probe, stratum=drawn[item.id]), item.best) for item in items]

    @property
    def index_files(self) -> tuple[Path, Path]:
        """The files outside SQLite that hold vectors."""
        return index_files(self._home, self._namespace, self._model)

    def reset_index(self) -> None:
        """Drop the vectors in memory; call it after items were deleted from SQLite."""
        self._index.reset()
        self._recent = {}

    def flush(self) -> None:
        """Write the index to disk, so that the next process starts faster; raises `StorageError` on failure."""
        self._index.flush()

    def _watched(self, stack: AdapterStack, split: Split = "gate", without: Collection[int] = ()) -> Watched:
        return Watched(self._namespace, self._model, stack.learned, split, tuple(without))

    def _near(self, db: Connection, watched: Watched, about: Sequence[Probe], limit: int) -> list[ReplayItem]:
        """Up to `limit` active items, ordered by their smallest distance to `about`."""
        if not about or limit <= 0:
            return []
        vectors = self.embed(about)
        width = WIDEN * limit
        found = _among(db, watched, self._index.search(vectors, width), 2 * limit)
        while len(found) < limit and width < self._index.num_items:
            width *= WIDEN
            if width > FEW:
                everything = table.oldest(db, watched, width)
                if len(everything) < width:
                    found = everything
                    break
            found = _among(db, watched, self._index.search(vectors, width), 2 * limit)
        return self._by_distance(table.fetch(db, found), vectors)[:limit]

    def _by_distance(self, items: Sequence[ReplayItem], vectors: NDArray[np.float32]) -> list[ReplayItem]:
        """`items` ordered by their smallest distance to `vectors` (n, d), by the exact stored vectors."""
        if not items:
            return []
        similarity = (np.stack([item.vector for item in items]) @ vectors.T).max(axis=1)
        return [items[i] for i in np.argsort(-similarity, kind="stable")]


def _splits(probes: Sequence[Probe]) -> list[Split]:
    """The split of each item of one edit, by its position within its document."""
    places: Counter[tuple[bool, str]] = Counter()
    splits: list[Split] = []
    for probe in probes:
        is_general = probe.stratum == "general"
        group = (is_general, "" if is_general else probe.document)
        pattern = GENERAL_SPLITS if is_general else SPLITS
        splits.append(pattern[places[group] % len(pattern)])
        places[group] += 1
    return splits


def _among(db: Connection, watched: Watched, ids: Sequence[int], enough: int) -> list[int]:
    """The active items among `ids`, in order; at least `enough` of them if they exist."""
    found: list[int] = []
    for start in range(0, len(ids), 2 * enough):
        part = ids[start : start + 2 * enough]
        known = table.among(db, watched, part)
        found += [i for i in part if i in known]
        if len(found) >= enough:
            break
    return found


def _by_shares(orders: Mapping[Stratum, Sequence[int]], num_probes: int) -> dict[int, Stratum]:
    """The drawn items, each with the stratum it was drawn for."""
    quotas: list[tuple[Stratum, int]] = [(stratum, round(share * num_probes)) for stratum, share in SHARES.items()]
    drawn: dict[int, Stratum] = {}
    for stratum, quota in [*quotas, ("coverage", num_probes), ("general", num_probes)]:
        left = max(min(quota, num_probes - len(drawn)), 0)
        drawn |= dict.fromkeys([item for item in orders[stratum] if item not in drawn][:left], stratum)
    return drawn


def report_probes() -> list[Probe]:
    """General questions of the 'report' split: never used to decide or to train."""
    probes = general_probes()
    return [probe for probe, split in zip(probes, _splits(probes), strict=True) if split == "report"]
