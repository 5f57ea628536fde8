"""`seal-agent bench replay`: does drawing probes get slower as the store grows?

Stores of several sizes are filled with synthetic items (random unit vectors; ten items per document, half of them
'gate' items) of as many adapters as would be served, and probes are drawn as in the loop. Only the store is measured:
the time of embedding a question does not depend on its size.
"""

from __future__ import annotations

import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.backend import silent
from seal_agent.core.edits import Probe
from seal_agent.core.episodes import Progress
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.retention.index import embedder_of
from seal_agent.retention.items import SPLITS, ReplayStore
from seal_agent.storage.database import Home
from seal_agent.storage.replay_items import NewItem, insert_new_items
from seal_agent.storage.run_folder import RunFolder

SIZES = (10_000, 100_000, 1_000_000)
DIMENSIONS = 576  # of the embedded model's hidden states
PER_DOCUMENT, NUM_ADAPTERS = 10, 300
NUM_PROBES, NUM_DRAWS = 32, 5
BATCH = 10_000
NAMESPACE = "bench"
ABOUT = [Probe(Prompt.user(f"What is the height of tower {n}?"), "nine metres") for n in range(12)]


@dataclass(frozen=True)
class Result:
    """Seconds at one size: the very first draw (builds the index), the first of a new process, the median draw.

    `num_bytes`: of the database and the index together.
    """

    num_items: int
    build: float
    load: float
    draw: float
    num_bytes: int


class RandomEmbeddings:
    """Random embeddings: a fixed random unit vector for each text."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of `DIMENSIONS` numbers."""
        return [_unit_vectors(zlib.crc32(text.encode()), 1)[0].tolist() for text in texts]


def measure(run: RunFolder, sizes: Sequence[int] = SIZES, progress: Progress = silent) -> list[Result]:
    """Measure every size that `run` does not hold yet, in a temporary data directory."""
    done = {result.num_items: result for result in run.values("metrics", Result)}
    for size in sizes:
        if size not in done:
            with tempfile.TemporaryDirectory(dir=run.folder) as folder:
                done[size] = _measured(Home(Path(folder)), size, progress)
            run.append("metrics", asdict(done[size]))
    return [done[size] for size in sizes]


def as_markdown(results: Sequence[Result]) -> str:
    """The results as a Markdown table."""
    lines = [
        "| items | index built, s | index loaded, s | a draw, s | on disk, MB |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {r.num_items:,} | {r.build:.2f} | {r.load:.2f} | {r.draw:.3f} | {r.num_bytes / 1e6:.0f} |" for r in results
    ]
    note = (
        f"{NUM_PROBES} probes a draw, {NUM_ADAPTERS} adapters served, {DIMENSIONS} dimensions; median of {NUM_DRAWS}."
    )
    return "\n".join([*lines, "", note, ""])


def _measured(home: Home, size: int, progress: Progress) -> Result:
    adapters = [AdapterRef(f"{number:064x}", str(home.root), "", 16) for number in range(NUM_ADAPTERS)]
    stack = AdapterStack()
    for adapter in adapters:
        stack = stack.push(adapter)
    identity = embedder_of(ScriptedBackend(home.root), RandomEmbeddings()).identity
    for start in range(0, size, BATCH):
        progress(f"filling {size:,}", start, size)
        _fill(home, identity, [adapter.id for adapter in adapters], start, min(start + BATCH, size))

    def draw(store: ReplayStore) -> float:
        return _seconds(lambda: store.draw(ABOUT, stack, NUM_PROBES))

    first = _store(home)
    first.seed_general()
    build = draw(first)
    first.flush()
    second = _store(home)
    load = draw(second)
    draws = [draw(second) for _ in range(NUM_DRAWS)]
    num_bytes = sum(path.stat().st_size for path in home.root.iterdir() if path.is_file())
    return Result(size, round(build, 3), round(load, 3), round(median(draws), 4), num_bytes)


def _store(home: Home) -> ReplayStore:
    return ReplayStore(home, NAMESPACE, ScriptedBackend(home.root), RandomEmbeddings())


def _fill(home: Home, identity: str, adapters: Sequence[str], start: int, end: int) -> None:
    vectors = _unit_vectors(start, end - start)
    model = ScriptedBackend(home.root).model
    items = [
        NewItem(
            Probe(
                Prompt.user(f"What is known about thing number {number}?"),
                f"answer {number}",
                "edit",
                f"{number // PER_DOCUMENT:016x}",
            ),
            vectors[number - start],
            SPLITS[number % PER_DOCUMENT % len(SPLITS)],
            adapters[number // PER_DOCUMENT % len(adapters)],
            worst_change=-(number % 11) / 10,
        )
        for number in range(start, end)
    ]
    with home.transaction() as tx:
        insert_new_items(tx, NAMESPACE, model, identity, items)


def _unit_vectors(seed: int, num: int) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).standard_normal((num, DIMENSIONS), dtype=np.float32)
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start
