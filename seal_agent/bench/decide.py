"""`seal-agent bench decide`: how well does the model decide what to learn?

770 labelled turns (`data/decide_turns.json`): 175 choose thresholds and 175 are reported. 260 fresh turns, written
later, and 160 short and plain ones ("I live in Ghent."), written last, are reported too. The classifiers are fitted on
other turns (`data/decide_train.json`). Every turn is decided once by the deployed rule, timed. The arms are never,
always, novelty only, model only (a classifier on the states) and both (the deployed rule: states, surprisal, and no
instructions); they are reported on turns that chose nothing. Resumable: readings are stored in chunks, decisions by
line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from seal_agent.core.backend import Backend, silent
from seal_agent.core.episodes import Progress
from seal_agent.core.errors import StorageError
from seal_agent.deciding.classifier import (
    NUM_SURPRISES,
    TRAIN_FILE,
    TURNS_FILE,
    Head,
    Matrix,
    Turn,
    features_of,
    fitted,
    read,
    read_turns,
    threshold_for,
)
from seal_agent.deciding.decide import decide
from seal_agent.deciding.own_classifier import OwnClassifier
from seal_agent.retention.statistics import share_at_least
from seal_agent.storage.files import write_whole
from seal_agent.storage.run_folder import RunFolder

CONFIDENCE = 0.95
CHUNK = 200  # readings per file


@dataclass(frozen=True)
class Measured:
    """One turn under the deployed rule: margin, novelty in nats, and cost."""

    id: int
    learn: bool
    reason: str
    margin: float
    nats: float
    num_tokens: int
    milliseconds: float


@dataclass(frozen=True)
class ArmResult:
    """Precision and recall of one arm on the reported turns, with one-sided 95% lower limits (Wilson)."""

    arm: str
    threshold: str
    precision: float
    precision_low: float
    recall: float
    recall_low: float
    num_turns: int
    wrong_by_kind: dict[str, str]


def turns() -> list[Turn]:
    """The labelled turns that choose thresholds or are reported."""
    return read_turns(TURNS_FILE)


def measure(
    backend: Backend, own: OwnClassifier, labelled: Sequence[Turn], run: RunFolder, progress: Progress = silent
) -> list[Measured]:
    """Decide every turn that `run` does not hold yet, and store each decision at once (`decisions.jsonl`)."""
    done = {measured.id: measured for measured in run.values("decisions", Measured)}
    for number, turn in enumerate(labelled):
        if turn.id not in done:
            done[turn.id] = _decided(backend, own, turn)
            run.append("decisions", asdict(done[turn.id]))
        progress("deciding", number + 1, len(labelled))
    return [done[turn.id] for turn in labelled]


def _decided(backend: Backend, own: OwnClassifier, turn: Turn) -> Measured:
    start = time.perf_counter()
    judged = own.noteworthy(turn.text, turn.earlier)
    made = decide(backend, own.head(may_wait=True), turn.text, turn.earlier, judged=judged)
    milliseconds = round(1000 * (time.perf_counter() - start), 1)
    novelty = made.novelty
    return Measured(turn.id, made.learn, made.reason, made.margin, novelty.nats, novelty.num_tokens, milliseconds)


def features(backend: Backend, labelled: Sequence[Turn], folder: Path, progress: Progress = silent) -> Matrix:
    """The features (n, d) of every turn, stored in `folder` in chunks of `CHUNK`."""
    chunks: list[Matrix] = []
    for start in range(0, len(labelled), CHUNK):
        path = folder / f"readings-{start:05d}.npy"
        some = labelled[start : start + CHUNK]
        if path.exists():
            chunk: Matrix = np.load(path).astype(np.float64)
        else:
            chunk = features_of([read(backend, [turn.text], [turn.earlier])[0] for turn in some])
            np.save(content := BytesIO(), chunk.astype(np.float32))
            write_whole(path, content.getvalue())
        if len(chunk) != len(some):
            raise StorageError(f"{path} holds {len(chunk)} readings, not {len(some)}; delete {folder} to begin again")
        chunks.append(chunk)
        progress("reading labelled turns", start + len(some), len(labelled))
    return np.concatenate(chunks)


def heads(backend: Backend, folder: Path, progress: Progress = silent) -> tuple[Head, Head, list[float]]:
    """The deployed classifier fitted from scratch, one without surprisal, and the latter's scores on `turns()`."""
    train, labelled = read_turns(TRAIN_FILE), turns()
    x = features(backend, [*train, *labelled], folder, progress)
    mine, theirs = x[: len(train)], x[len(train) :]
    choose = [number for number, turn in enumerate(labelled) if turn.split == "choose"]
    chosen = [labelled[number] for number in choose]
    states = slice(None, -NUM_SURPRISES)
    both = fitted(mine, train, theirs[choose], chosen, backend.model)
    alone = fitted(mine[:, states], train, theirs[choose][:, states], chosen, backend.model)
    return both, alone, [float(score) for score in alone.scores(theirs[:, states])]


def report(
    labelled: Sequence[Turn], measured: Sequence[Measured], states: Sequence[float], states_threshold: float
) -> list[ArmResult]:
    """Every arm on the reported turns, and the deployed rule on the fresh and the short turns.

    `states`: scores of the classifier that sees only the model's states.
    """
    choose = [number for number, turn in enumerate(labelled) if turn.split == "choose"]
    nats = threshold_for([measured[n].nats for n in choose], [labelled[n].learn for n in choose])
    both = "both (default)"
    arms: list[tuple[str, str, str, Callable[[int], bool]]] = [
        ("never", "", "report", lambda _n: False),
        ("always", "", "report", lambda _n: True),
        ("novelty only", f"at least {nats:.0f} nats", "report", lambda n: measured[n].nats >= nats),
        ("model only", f"score {states_threshold:+.2f}", "report", lambda n: states[n] >= states_threshold),
        (both, "states, surprise, no orders", "report", lambda n: measured[n].learn),
        (f"{both}, fresh turns", "the same", "fresh", lambda n: measured[n].learn),
        (f"{both}, short turns", "the same", "short", lambda n: measured[n].learn),
    ]
    return [
        _result(name, threshold, [(turn, says(n)) for n, turn in enumerate(labelled) if turn.split == split])
        for name, threshold, split, says in arms
    ]


def _result(arm: str, threshold: str, said: Sequence[tuple[Turn, bool]]) -> ArmResult:
    learned = [turn.learn for turn, yes in said if yes]
    wanted = [yes for turn, yes in said if turn.learn]
    kinds = dict.fromkeys(turn.kind for turn, _ in said)
    wrong = {k: [turn.learn != yes for turn, yes in said if turn.kind == k] for k in kinds}
    return ArmResult(
        arm,
        threshold,
        *_share(learned),
        *_share(wanted),
        len(said),
        {kind: f"{sum(errors)}/{len(errors)}" for kind, errors in wrong.items() if any(errors)},
    )


def _share(hits: Sequence[bool]) -> tuple[float, float]:
    if not hits:
        return 0.0, 0.0
    return round(sum(hits) / len(hits), 4), round(share_at_least(sum(hits), len(hits), CONFIDENCE), 4)
