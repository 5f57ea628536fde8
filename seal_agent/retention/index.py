"""The vectors of replay items: the embedder, and the FAISS index that finds the nearest items.

SQLite is authoritative. The index is in memory and is updated from SQLite before every search. Its file only makes the
next process start faster; a file that is missing, damaged or does not match SQLite is rebuilt. Filtering by stack and
split is done in `items`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seal_agent.core.backend import Backend
from seal_agent.core.errors import InputError, StorageError
from seal_agent.core.messages import Prompt
from seal_agent.storage import replay_vectors as table
from seal_agent.storage.database import Home
from seal_agent.storage.files import staging_folder

log = logging.getLogger(__name__)

EMBED_BATCH = 256  # texts
READ_BATCH = 16_384  # rows of SQLite
SAVE_EVERY = 1_000  # items; writing takes longer than adding
NUM_SAMPLED = 64  # vectors of a file compared with SQLite
HALF_PRECISION = 2e-3  # largest difference that fp16 makes in a number of a unit vector


class Embeddings(Protocol):
    """An embedding model, with the interface of LangChain's `Embeddings`."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector for each text, all of equal length."""


@dataclass(frozen=True)
class Embedder:
    """Makes unit vectors (n, d) of n texts; `identity` is stored with each and is empty for the model's own."""

    identity: str
    embed: Callable[[Sequence[str]], NDArray[np.float32]]


def embedder_of(backend: Backend, embeddings: Embeddings | None) -> Embedder:
    """The embedder for `embeddings`, or the backend's own if None.

    It raises `InputError` unless it returns one vector for each text.
    """
    if embeddings is None:
        return Embedder("", backend.embed)
    kind = type(embeddings)
    model = getattr(embeddings, "model", "") or getattr(embeddings, "model_name", "")
    identity = f"{kind.__module__}.{kind.__qualname__}" + (f":{model}" if model else "")

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        matrix = np.asarray(embeddings.embed_documents(list(texts)), dtype=np.float32)
        if matrix.ndim != 2 or len(matrix) != len(texts) or not np.isfinite(matrix).all():
            raise InputError(
                f"{identity} returned shape {matrix.shape} for {len(texts)} texts; "
                "embed_documents must return one vector of finite numbers for each"
            )
        unit: NDArray[np.float32] = matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
        return unit

    return Embedder(identity, embed)


def text_of(prompt: Prompt, answer: str) -> str:
    """The text that is embedded for an item, stripped, because some answers are the rest of a reply: " Paris"."""
    return f"{prompt.asked} {answer.strip()}"


def index_files(home: Home, namespace: str, model: str) -> tuple[Path, Path]:
    """The index file of one namespace and model, and the stamp file beside it."""
    name = hashlib.sha256(f"{namespace}\n{model}".encode()).hexdigest()[:16]
    path = home.root / f"replay-{name}.faiss"
    return path, path.with_suffix(".json")


class ReplayIndex:
    """Nearest-neighbour search over all items of one namespace and model. Thread-safe."""

    def __init__(self, home: Home, namespace: str, model: str, embedder: Embedder) -> None:
        self.path, self._stamp = index_files(home, namespace, model)
        self._home = home
        self._namespace_and_model = (namespace, model)
        self._embedder = embedder
        self._lock = threading.Lock()
        self._index: Any = None
        self._newest = 0  # the highest id the index holds
        self._num_unsaved = 0

    @property
    def num_items(self) -> int:
        """The number of items that the last search covered."""
        return self._index.ntotal if self._index is not None else 0

    def search(self, vectors: NDArray[np.float32], num_nearest: int) -> list[int]:
        """The ids of the `num_nearest` items to each of `vectors` (n, d), ordered by their smallest distance.

        Vectors stored by another embedder or with another d are recomputed. Raises `InputError` if the embedder makes
        vectors of another length than `vectors`.
        """
        with self._lock:
            self._update(vectors.shape[1])
            if not self.num_items:
                return []
            similarity, found = self._index.search(vectors, min(num_nearest, self.num_items))
        order = np.argsort(-similarity.ravel(), kind="stable")
        return list(dict.fromkeys(i for i in found.ravel()[order].tolist() if i >= 0))  # FAISS pads with -1

    def flush(self) -> None:
        """Write new vectors to the file; raises `StorageError` if that is not possible."""
        with self._lock:
            if self._num_unsaved:
                self._save()

    def reset(self) -> None:
        """Drop the index in memory; the next search rebuilds it from SQLite. Call it after items were deleted."""
        with self._lock:
            self._index, self._num_unsaved = None, 0

    def _update(self, width: int) -> None:
        """Bring the index, of vectors of `width` numbers, to the state of SQLite."""
        if self._index is not None and (self._index.d != width or not self._covers(self._newest)):
            self._index = None
        if self._index is None:
            self._num_unsaved = 0
            self._index = self._load(width)
            self._newest = int(_ids(self._index).max(initial=0))
        for ids, vectors in self._rows_after(width):
            self._index.add_with_ids(vectors, ids)
            self._newest = int(ids[-1])
            self._num_unsaved += len(ids)
        if self._num_unsaved >= SAVE_EVERY:
            try:
                self._save()
            except StorageError as error:
                log.warning("the replay index was not written to disk: %s", error)

    def _covers(self, newest: int) -> bool:
        """Whether SQLite holds items up to `newest`, all embedded by this embedder."""
        mine = self._embedder.identity
        with self._home.reading() as db:
            if table.newest_id(db, *self._namespace_and_model) < newest:
                return False
            return not table.has_foreign_vectors(db, *self._namespace_and_model, mine, newest)

    def _rows_after(self, width: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Batches of ids (n,) and vectors (n, width) that the index does not hold yet."""
        while True:
            rows = table.vectors_after(self._home, *self._namespace_and_model, self._newest, READ_BATCH)
            if not rows:
                return
            num_bytes = 4 * width
            foreign = [i for i, made, vector in rows if made != self._embedder.identity or len(vector) != num_bytes]
            if foreign:
                self._embed_again(foreign, width)  # and read these rows again
                continue
            vectors = np.frombuffer(b"".join(row[2] for row in rows), dtype=np.float32).reshape(-1, width)
            yield np.array([row[0] for row in rows], dtype=np.int64), vectors

    def _embed_again(self, ids: Sequence[int], width: int) -> None:
        for start in range(0, len(ids), EMBED_BATCH):
            batch = ids[start : start + EMBED_BATCH]
            rows = table.facts_of(self._home, batch)
            vectors = self._embedder.embed([text_of(question, answer) for _, question, answer in rows])
            if vectors.shape != (len(rows), width):
                raise InputError(
                    f"the embedder made vectors of shape {vectors.shape} for items and of length {width} for a query; "
                    "an embedder must always return vectors of one length"
                )
            made = {item: vector.tobytes() for vector, (item, *_) in zip(vectors, rows, strict=True)}
            table.set_vectors(self._home, self._embedder.identity, made)
        log.info("%d replay items were embedded again", len(ids))

    def _load(self, width: int) -> Any:
        """The index from the file if it matches SQLite, else an empty one."""
        import faiss

        with suppress(OSError, ValueError, RuntimeError, MemoryError):  # damaged files raise all of these
            stamp = json.loads(self._stamp.read_text(encoding="utf-8"))
            if stamp == {"embedder": self._embedder.identity, "crc32": _checksum(self.path)}:
                index = faiss.read_index(str(self.path))
                if index.d == width and self._agrees(index):
                    return index
        flat = faiss.IndexScalarQuantizer(width, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        return faiss.IndexIDMap2(flat)

    def _agrees(self, index: Any) -> bool:
        """Whether the index holds the items of SQLite up to its highest id, with none missing; vectors are sampled."""
        ids = _ids(index)
        if not len(ids) or not self._covers(int(ids[-1])):
            return False
        sample = ids[np.unique(np.linspace(0, len(ids) - 1, NUM_SAMPLED).astype(int))]
        with self._home.reading() as db:
            stored = np.fromiter(table.ids_up_to(db, *self._namespace_and_model, int(ids[-1])), dtype=np.int64)
            vectors = table.vectors_of(db, sample.tolist())
        if not np.array_equal(stored, ids) or {len(vector) for vector in vectors} != {4 * index.d}:
            return False
        expected = np.frombuffer(b"".join(vectors), dtype=np.float32).reshape(-1, index.d)
        held = np.stack([index.reconstruct(int(i)) for i in sample])
        return bool(np.abs(held - expected).max() < HALF_PRECISION)

    def _save(self) -> None:
        """Replace the file and its stamp, each atomically; after a crash in between the pair does not match."""
        import faiss

        with staging_folder(self._home.root) as staging:
            file, stamp = staging / self.path.name, staging / self._stamp.name
            try:
                faiss.write_index(self._index, str(file))
            except RuntimeError as error:
                raise StorageError(f"cannot write {self.path}: {error}; free space or check the folder") from error
            checks = {"embedder": self._embedder.identity, "crc32": _checksum(file)}
            stamp.write_text(json.dumps(checks), encoding="utf-8")
            file.replace(self.path)
            stamp.replace(self._stamp)
        self._num_unsaved = 0


def use_one_thread() -> None:
    """Search in the calling thread alone, for a process that forks."""
    import faiss

    faiss.omp_set_num_threads(1)


def disagreements(home: Home) -> list[str]:
    """Index files that pass their checksum but disagree with SQLite; other files are rebuilt anyway."""
    import faiss

    found = []
    for path in sorted(home.root.glob("replay-*.faiss")):
        if not is_whole(path):
            continue
        ids = _ids(faiss.read_index(str(path)))
        known = table.num_known(home, ids.tolist())
        if known != len(ids):
            found.append(f"{path.name} holds {len(ids) - known} items that are not in the database")
    return found


def is_whole(path: Path) -> bool:
    """Whether an index file matches its checksum."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        return bool(json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["crc32"] == _checksum(path))
    return False


def _ids(index: Any) -> NDArray[np.int64]:
    import faiss

    ids: NDArray[np.int64] = faiss.vector_to_array(index.id_map)
    return ids


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
    return checksum
