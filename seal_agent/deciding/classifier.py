"""The classifier on the model's hidden states that decides whether a text is worth learning: kernel ridge regression.

Asked in words, a model of 135M parameters is little better than chance on hard turns, but its hidden states hold the
answer. The classifier ("head") is fitted on a few thousand labelled turns (`data/decide_train.json`), with a radial
kernel on the principal components of the states; a linear one is clearly worse (docs/log/deciding.md).

Heads ship for some models. For others one is fitted on first use from the same turns, which takes minutes, and stored
in the data directory. Fitting can be stopped: readings made so far are stored there too.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seal_agent.core.backend import Backend, Reading, silent
from seal_agent.core.episodes import Progress
from seal_agent.core.errors import StorageError
from seal_agent.core.messages import Message, conversation
from seal_agent.deciding.kept_readings import KeptReadings, num_kept
from seal_agent.storage.files import write_whole

log = logging.getLogger(__name__)

HEADS_FOLDER = "heads"
TRAIN_FILE = "decide_train.json"
TURNS_FILE = "decide_turns.json"
READING = "reading labelled turns, once for this model"
READINGS_SUFFIX = ".readings"  # beside the head's file, until the head is fitted
NUM_TRAINING = 800  # turns that fit a head on first use; shipped heads are fitted on all
NUM_COMPONENTS = 128
RIDGE = 0.1
MIN_PRECISION = 0.97  # on the turns that choose the threshold; on others it is slightly less, and .95 is wanted
NUM_SURPRISES = 5
MAX_TEXT_CHARS = 1500

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Turn:
    """One labelled turn; `split` says whether it fits the head ("train"), chooses the threshold or is reported."""

    id: int
    kind: str
    learn: bool
    split: str
    text: str
    earlier: str = ""


@dataclass(frozen=True, eq=False)
class Head:
    """A fitted classifier: its scores are about 1 for "worth learning" and -1 for "not", and `threshold` decides.

    `basis` (d, k) projects standardised features, `points` (n, k) are the training turns, `weights` (n,) their weights.
    """

    model: str
    means: Matrix
    scales: Matrix
    basis: Matrix
    points: Matrix
    weights: Matrix
    bias: float
    width: float
    threshold: float

    def scores(self, features: Matrix) -> Matrix:
        """Scores (m,) of features (m, d)."""
        projected = ((features - self.means) / self.scales) @ self.basis
        result: Matrix = _kernel(projected, self.points, self.width) @ self.weights + self.bias
        return result


def read_turns(name: str) -> list[Turn]:
    """The labelled turns of one shipped file."""
    return [
        Turn(
            number,
            entry["kind"],
            entry["learn"],
            entry.get("split", "train"),
            entry["text"],
            conversation([Message(m["role"], m["content"]) for m in entry["context"]]),
        )
        for number, entry in enumerate(json.loads(_labelled(name)))
    ]


def _labelled(name: str) -> bytes:
    return resources.files("seal_agent").joinpath("data", name).read_bytes()


def _digest_of_turns() -> str:
    labelled = _labelled(TRAIN_FILE) + _labelled(TURNS_FILE) + str(NUM_TRAINING).encode()
    return hashlib.sha256(labelled).hexdigest()[:8]


def read(backend: Backend, texts: Sequence[str], earlier: Sequence[str]) -> list[Reading]:
    """The reading of every text with its context by the stack of `backend`."""
    shown = [f"User: {' '.join(text.split())[:MAX_TEXT_CHARS]}" for text in texts]
    return backend.read(shown, earlier)


def features_of(readings: Sequence[Reading]) -> Matrix:
    """Features (n, d): the states, then statistics of the surprisal (sum, mean, maximum, length, spread)."""
    rows = []
    for reading in readings:
        s = np.array(reading.surprise, dtype=np.float64)
        surprises = [np.log1p(s.sum()), s.mean(), s.max(), np.log(len(s)), s.std()]  # NUM_SURPRISES of them
        rows.append(np.concatenate([reading.state.astype(np.float64), surprises]))
    return np.stack(rows)


def fit(features: Matrix, labels: Sequence[bool], model: str) -> Head:
    """A head for features (n, d); its threshold is 0, half way between yes and no."""
    means, scales = features.mean(0), features.std(0) + 1e-4
    standard = (features - means) / scales
    basis = np.linalg.svd(standard, full_matrices=False)[2][:NUM_COMPONENTS].T.astype(np.float16).astype(np.float64)
    points = (standard @ basis).astype(np.float16).astype(np.float64)  # with the precision of the stored head
    wanted = np.where(np.array(labels), 1.0, -1.0)
    width = float(features.shape[1])
    gram = _kernel(points, points, width) + RIDGE * np.eye(len(points))
    weights = np.linalg.solve(gram, wanted - wanted.mean())
    return Head(model, means, scales, basis, points, weights, float(wanted.mean()), width, 0.0)


def _kernel(a: Matrix, b: Matrix, width: float) -> Matrix:
    distances = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    result: Matrix = np.exp(-np.maximum(distances, 0) / width)
    return result


def threshold_for(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """The threshold with the most recall at `MIN_PRECISION`, else the one with the best F1.

    It lies half way between the lowest score that it accepts and the next one below.
    """

    def quality(threshold: float) -> tuple[float, float]:
        said = [label for label, score in zip(labels, scores, strict=True) if score >= threshold]
        right, wanted = sum(said), sum(labels)
        precision, recall = right / max(len(said), 1), right / max(wanted, 1)
        f1 = 2 * precision * recall / max(precision + recall, 1e-9)
        return (recall, f1) if precision >= MIN_PRECISION else (0.0, f1)

    ordered = sorted(set(scores))
    best = max(ordered, key=quality)
    below = [score for score in ordered if score < best]
    return (best + below[-1]) / 2 if below else best


def fit_for(backend: Backend, path: Path, progress: Progress = silent) -> Head:
    """A head for the model behind `backend`: weights from the training turns, threshold from other turns.

    Every reading is stored in `path` until the head is fitted.
    """
    train = training_turns()
    choose = _choosing()
    both = [*train, *choose]
    kept = KeptReadings(path, _features(backend, both[0]))
    unread = [number for number in range(len(both)) if number not in kept.rows]
    for done, number in enumerate(unread, len(both) - len(unread)):
        progress(READING, done, len(both))
        kept.add(number, _features(backend, both[number]))
    progress(READING, len(both), len(both))
    features = np.stack([kept.rows[number] for number in range(len(both))])
    return fitted(features[: len(train)], train, features[len(train) :], choose, backend.model)


def training_turns() -> list[Turn]:
    """The training turns of a head that is fitted on first use, a random part of all, so that it takes minutes."""
    turns = read_turns(TRAIN_FILE)
    return random.Random(0).sample(turns, min(NUM_TRAINING, len(turns)))


def _choosing() -> list[Turn]:
    return [turn for turn in read_turns(TURNS_FILE) if turn.split == "choose"]


def _features(backend: Backend, turn: Turn) -> Matrix:
    row: Matrix = features_of(read(backend, [turn.text], [turn.earlier]))[0]
    return row


def fitted(train_x: Matrix, train: Sequence[Turn], choose_x: Matrix, choose: Sequence[Turn], model: str) -> Head:
    """Weights from one set of turns, the threshold from another."""
    head = fit(train_x, [turn.learn for turn in train], model)
    threshold = threshold_for([float(s) for s in head.scores(choose_x)], [turn.learn for turn in choose])
    return replace(head, threshold=threshold)


def load(backend: Backend, cache: Path, progress: Progress = silent) -> Head:
    """The head for the model behind `backend`: shipped, or cached in `cache`, or fitted now and cached."""
    shipped = _shipped(backend.model)
    if shipped.is_file():
        return head_from(shipped.read_bytes())
    path = _kept_in(cache, backend.model)
    if path.exists():
        try:
            return head_from(path.read_bytes())
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise StorageError(f"cannot read {path} ({error}); delete it to fit it again") from error
    log.info("no classifier ships for %s; fitting one", backend.model)
    readings = path.with_suffix(READINGS_SUFFIX)
    head = fit_for(backend, readings, progress)
    write_whole(path, as_bytes(head))
    readings.unlink(missing_ok=True)
    return head


def is_fitted(model: str, cache: Path) -> bool:
    """Whether `model` has a head, shipped or in `cache`, so that no fitting is needed."""
    return _shipped(model).is_file() or _kept_in(cache, model).exists()


def num_turns() -> int:
    """The number of labelled turns that are read to fit a head on first use."""
    return len(training_turns()) + len(_choosing())


def num_read(model: str, cache: Path, num_states: int) -> int:
    """The number of turns read before fitting was stopped; `num_states` is the width of a reading of `model`."""
    return min(num_kept(_kept_in(cache, model).with_suffix(READINGS_SUFFIX), num_states), num_turns())


def _shipped(model: str) -> Traversable:
    return resources.files("seal_agent").joinpath("data", HEADS_FOLDER, file_name(model))


def _kept_in(cache: Path, model: str) -> Path:
    """The path of a cached head; it depends on the model and on the labelled turns."""
    return cache / f"{file_name(model).removesuffix('.npz')}-{_digest_of_turns()}.npz"


def file_name(model: str) -> str:
    """The file name of a model's head."""
    digest = hashlib.sha256(model.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9.-]+', '-', model)[-60:]}-{digest}.npz"


def as_bytes(head: Head) -> bytes:
    """A head as an npz file; matrices in half precision."""
    buffer = io.BytesIO()
    half = {name: getattr(head, name).astype(np.float16) for name in ("basis", "points")}
    full = {name: getattr(head, name).astype(np.float32) for name in ("means", "scales", "weights")}
    numbers = np.array([head.bias, head.width, head.threshold])
    np.savez_compressed(buffer, model=np.array(head.model), numbers=numbers, **half, **full)
    return buffer.getvalue()


def head_from(data: bytes) -> Head:
    """A head from an npz file; nothing in it is executed."""
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        names = ("means", "scales", "basis", "points", "weights")
        matrices = {name: stored[name].astype(np.float64) for name in names}
        bias, width, threshold = (float(v) for v in stored["numbers"])
        return Head(str(stored["model"]), bias=bias, width=width, threshold=threshold, **matrices)
