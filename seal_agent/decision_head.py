"""The head that reads off the model's own states whether a text is worth learning: logistic regression.

What a model of 135M parameters *says* about a message is little better than chance on hard turns, what it
*represents* is not: the head on its states has been told by a few thousand labelled turns (`data/decide_train.json`)
where in them "worth learning" lies. Heads ship for some models; for any other one is fitted on first use from the
same turns, which takes a few minutes, and kept in the home.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seal_agent.adapters.backend import Backend, Reading, silent
from seal_agent.errors import StorageError
from seal_agent.types import Message, Progress

log = logging.getLogger(__name__)

HEADS_FILE = "decide_heads.json"
TRAIN_FILE = "decide_train.json"
TURNS_FILE = "decide_turns.json"
PENALTY = 200.0  # L2, on standardised features
MIN_PRECISION = 0.95  # the threshold is the one with the most recall at this precision
NUM_SURPRISES = 5
MAX_NEWTON_STEPS = 30
MAX_EARLIER = 2  # messages
MAX_EARLIER_CHARS = 400
MAX_TEXT_CHARS = 1500

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Turn:
    """One labelled turn; `split` says whether it fits the head ("train"), chooses a threshold or is reported."""

    id: int
    kind: str
    learn: bool
    split: str
    text: str
    earlier: str = ""


@dataclass(frozen=True)
class Head:
    """Log-odds of "worth learning": a weight for every standardised feature, and the threshold of the decision."""

    model: str
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    threshold: float

    def log_odds(self, features: Matrix) -> Matrix:
        """Log-odds (n,) of features (n, d)."""
        standard = (features - np.array(self.means)) / np.array(self.scales)
        result: Matrix = standard @ np.array(self.weights) + self.bias
        return result


def conversation(messages: Sequence[Message]) -> str:
    """What was said before a turn, as the head and the writer see it: the last messages, a line each."""
    names = {"user": "User", "assistant": "Assistant", "system": "System"}
    return "".join(
        f"{names[m.role]}: {' '.join(m.content.split())[:MAX_EARLIER_CHARS]}\n" for m in messages[-MAX_EARLIER:]
    )


def read_turns(name: str) -> list[Turn]:
    """The labelled turns of one shipped file."""
    text = resources.files("seal_agent").joinpath("data", name).read_text(encoding="utf-8")
    return [
        Turn(
            number,
            entry["kind"],
            entry["learn"],
            entry.get("split", "train"),
            entry["text"],
            conversation([Message(m["role"], m["content"]) for m in entry["context"]]),
        )
        for number, entry in enumerate(json.loads(text))
    ]


def read(backend: Backend, texts: Sequence[str], earlier: Sequence[str]) -> list[Reading]:
    """The base model's reading of every text after what was said before it."""
    shown = [f"User: {' '.join(text.split())[:MAX_TEXT_CHARS]}" for text in texts]
    return backend.read(shown, earlier)


def features_of(readings: Sequence[Reading], *, with_surprise: bool = True) -> Matrix:
    """Features (n, d): the states, then how much the text surprised (total, mean, largest, length, spread)."""
    rows = []
    for reading in readings:
        row = reading.state.astype(np.float64)
        if with_surprise:
            s = np.array(reading.surprise, dtype=np.float64)
            row = np.concatenate([row, [np.log1p(s.sum()), s.mean(), s.max(), np.log(len(s)), s.std()]])
        rows.append(row)
    return np.stack(rows)


def fit(features: Matrix, labels: Sequence[bool], model: str, penalty: float = PENALTY) -> Head:
    """A head by Newton's method on the penalised likelihood; its threshold is still at even odds."""
    means, scales = features.mean(0), features.std(0) + 1e-4
    x = np.c_[(features - means) / scales, np.ones(len(features))]
    y = np.array(labels, dtype=np.float64)
    ridge = np.full(x.shape[1], penalty)
    ridge[-1] = 1e-6
    w = np.zeros(x.shape[1])
    for _ in range(MAX_NEWTON_STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + np.diag(ridge)
        step = np.linalg.solve(hessian, x.T @ (p - y) + ridge * w)
        w -= step
        if np.abs(step).max() < 1e-7:
            break
    return Head(model, tuple(means), tuple(scales), tuple(w[:-1]), float(w[-1]), 0.0)


def threshold_for(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """The threshold with the most recall at `MIN_PRECISION`, else the one with the best F1, among the scores."""

    def quality(threshold: float) -> tuple[float, float]:
        said = [label for label, score in zip(labels, scores, strict=True) if score >= threshold]
        right, wanted = sum(said), sum(labels)
        precision, recall = right / max(len(said), 1), right / max(wanted, 1)
        f1 = 2 * precision * recall / max(precision + recall, 1e-9)
        return (recall, f1) if precision >= MIN_PRECISION else (0.0, f1)

    return max(sorted(set(scores)), key=quality)


def fit_for(backend: Backend, progress: Progress = silent, *, with_surprise: bool = True) -> Head:
    """A head for the model behind `backend`: weights from the training turns, threshold from the choosing half."""
    train = read_turns(TRAIN_FILE)
    choose = [turn for turn in read_turns(TURNS_FILE) if turn.split == "choose"]
    both = [*train, *choose]
    readings: list[Reading] = []
    for number, turn in enumerate(both):
        readings += read(backend, [turn.text], [turn.earlier])
        progress("reading labelled turns", number + 1, len(both))
    features = features_of(readings, with_surprise=with_surprise)
    return fitted(features[: len(train)], train, features[len(train) :], choose, backend.model)


def fitted(train_x: Matrix, train: Sequence[Turn], choose_x: Matrix, choose: Sequence[Turn], model: str) -> Head:
    """Weights from one set of turns, threshold from another."""
    head = fit(train_x, [turn.learn for turn in train], model)
    threshold = threshold_for([float(s) for s in head.log_odds(choose_x)], [turn.learn for turn in choose])
    rounded = {name: [round(v, 5) for v in getattr(head, name)] for name in ("means", "scales", "weights")}
    return Head(
        model, **{k: tuple(v) for k, v in rounded.items()}, bias=round(head.bias, 5), threshold=round(threshold, 5)
    )


def load(backend: Backend, cache: Path, progress: Progress = silent) -> Head:
    """The head for the model behind `backend`: shipped, or kept in `cache`, or fitted now and kept there."""
    shipped = resources.files("seal_agent").joinpath("data", HEADS_FILE).read_text(encoding="utf-8")
    for data in json.loads(shipped):
        if data["model"] == backend.model:
            return head_from(data)
    path = cache / f"{hashlib.sha256(backend.model.encode()).hexdigest()[:16]}.json"
    if path.exists():
        try:
            return head_from(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StorageError(f"cannot read {path} ({error}); delete it, and it is fitted again") from error
    log.info("no head for deciding ships for %s; fitting one, once", backend.model)
    head = fit_for(backend, progress)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(head)), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error}; free space or fix the folder's permissions") from error
    return head


def head_from(data: dict[str, Any]) -> Head:
    """A head out of its JSON data."""
    lists = {name: tuple(float(v) for v in data[name]) for name in ("means", "scales", "weights")}
    return Head(data["model"], bias=float(data["bias"]), threshold=float(data["threshold"]), **lists)
