"""`seal-agent bench decide`: does the model know when to learn?

350 labelled turns (`data/decide_turns.json`), half to choose thresholds, half to report. Every turn is scored
once; the arms (never, always, novelty only, model only, both) are different ways to read the same scores. The
scores are written as they come, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from seal_agent.adapters.backend import Backend, silent
from seal_agent.decision import MIN_NOVELTY_NATS, is_worth_learning, weigh
from seal_agent.errors import StorageError
from seal_agent.retention import share_at_least
from seal_agent.types import Progress

TURNS_FILE = "decide_turns.json"
MIN_PRECISION = 0.95  # what a threshold is chosen for: the most recall at this precision, or else the best F1
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Turn:
    """One labelled turn; `split` says whether it may choose a threshold or is reported."""

    id: int
    kind: str
    learn: bool
    split: str
    text: str


@dataclass(frozen=True)
class Measured:
    """One turn's scores: the lead of "new facts" in nats, the text's novelty, and what scoring cost."""

    id: int
    lead: float
    nats: float
    num_tokens: int
    milliseconds: float


@dataclass(frozen=True)
class ArmResult:
    """Precision and recall of one arm on the reported half, each with its one-sided 95% lower limit (Wilson)."""

    arm: str
    threshold: str
    precision: float
    precision_low: float
    recall: float
    recall_low: float
    num_turns: int
    wrong_by_kind: dict[str, str]


def turns() -> list[Turn]:
    """The labelled turns."""
    text = resources.files("seal_agent").joinpath("data", TURNS_FILE).read_text(encoding="utf-8")
    return [Turn(t["id"], t["kind"], t["learn"], t["split"], t["text"]) for t in json.loads(text)]


def measure(backend: Backend, labelled: Sequence[Turn], out: Path, progress: Progress = silent) -> list[Measured]:
    """Score every turn that `out` (JSON lines) does not hold yet, and append it there."""
    done = _read(out)
    with out.open("a", encoding="utf-8") as file:
        file.write("\n" if out.stat().st_size else "")  # the last line may have been cut off
        for number, turn in enumerate(labelled):
            if turn.id not in done:
                start = time.perf_counter()
                evidence = weigh(backend, turn.text)
                milliseconds = 1000 * (time.perf_counter() - start)
                novelty = evidence.novelty
                done[turn.id] = Measured(
                    turn.id, round(evidence.lead, 4), round(novelty.nats, 4), novelty.num_tokens, round(milliseconds, 1)
                )
                file.write(json.dumps(asdict(done[turn.id])) + "\n")
                file.flush()
            progress("scoring turns", number + 1, len(labelled))
    return [done[turn.id] for turn in labelled]


def report(labelled: Sequence[Turn], measured: Sequence[Measured]) -> list[ArmResult]:
    """Every arm on the half that chose nothing."""
    pairs = list(zip(labelled, measured, strict=True))
    choose = [(t, m) for t, m in pairs if t.split == "choose"]
    shown = [(t, m) for t, m in pairs if t.split == "report"]
    nats = _best(choose, lambda m: m.nats)
    lead = _best([(t, m) for t, m in choose if m.nats >= MIN_NOVELTY_NATS], lambda m: m.lead)
    arms: list[tuple[str, str, Callable[[Measured], bool]]] = [
        ("never", "", lambda _m: False),
        ("always", "", lambda _m: True),
        ("novelty only", f"at least {nats:.0f} nats", lambda m: m.nats >= nats),
        ("model only", "the likeliest decision", lambda m: m.lead > 0),
        ("both (default)", f"likeliest, {MIN_NOVELTY_NATS:.0f} nats", lambda m: is_worth_learning(m.lead, m.nats)),
        ("both, chosen", f"lead {lead:+.2f}", lambda m: m.lead >= lead and m.nats >= MIN_NOVELTY_NATS),
    ]
    return [_result(name, threshold, shown, says) for name, threshold, says in arms]


def _best(pairs: Sequence[tuple[Turn, Measured]], value: Callable[[Measured], float]) -> float:
    """The threshold with the most recall at `MIN_PRECISION`, or else the best F1, among the values seen."""

    def quality(threshold: float) -> tuple[float, float]:
        said = [t.learn for t, m in pairs if value(m) >= threshold]
        right, wanted = sum(said), sum(t.learn for t, _ in pairs)
        precision, recall = right / max(len(said), 1), right / max(wanted, 1)
        f1 = 2 * precision * recall / max(precision + recall, 1e-9)
        return (recall, f1) if precision >= MIN_PRECISION else (0.0, f1)

    return max(sorted({value(m) for _, m in pairs}), key=quality)


def _result(
    arm: str, threshold: str, pairs: Sequence[tuple[Turn, Measured]], says: Callable[[Measured], bool]
) -> ArmResult:
    said = [(turn, says(m)) for turn, m in pairs]
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


def _read(out: Path) -> dict[int, Measured]:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        lines = out.read_text(encoding="utf-8").splitlines() if out.exists() else []
        entries: list[dict[str, Any]] = [json.loads(line) for line in lines if line.endswith("}")]  # not a cut one
        return {entry["id"]: Measured(**entry) for entry in entries}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StorageError(
            f"cannot use {out} ({error}); give another --out, or delete the file to begin again"
        ) from error
