"""Estimates of the time and disk space that work will take, shown before it begins.

The cost of an edit is taken from earlier edits in the data directory with the same model; without any, from a timed
reading. All functions are pure but `cost_of_an_edit` and `reading_of`, which use the data directory and the model.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seal_agent.core.backend import Backend
    from seal_agent.storage.database import Home

WORTH_SAYING = 10.0  # seconds: shorter work is not announced
NUM_RECENT = 20  # episodes: the median of the last ones is used
READINGS_AN_EDIT = 300  # seconds of an edit divided by those of a reading of `SAMPLE`: SmolLM2-135M on two cores
MEGABYTES_PER_STATE_DIMENSION = 10 / 1152  # adapter size divided by the length of a reading's state: SmolLM2-135M
SECONDS_A_MEGABYTE = 0.25  # to convert a GGUF file, on two cores
GROWTH = 3  # from 4-bit weights to bfloat16
NUM_SAMPLES = 3
SAMPLE = "User: The library in the old mill has been open until eight in the evening since May."


@dataclass(frozen=True)
class EditCost:
    """The time and disk space that learning one passage takes."""

    seconds: float
    megabytes: float


@dataclass(frozen=True)
class SampleReading:
    """The time in seconds that the model takes to read a short text, and the length of its state vector."""

    seconds: float
    state_width: int


def reading_of(backend: Backend) -> SampleReading:
    """The fastest of a few readings of a short text; the first one includes start-up costs."""
    from seal_agent.core.stacks import AdapterStack

    base = backend.with_stack(AdapterStack())
    seconds: list[float] = []
    for _ in range(NUM_SAMPLES):
        start = time.perf_counter()
        [reading] = base.read([SAMPLE])
        seconds.append(time.perf_counter() - start)
    return SampleReading(min(seconds), len(reading.state))


def cost_of_an_edit(home: Home, backend: Backend) -> EditCost:
    """The median cost of the last edits with this model, else an estimate from a reading."""
    from seal_agent.storage.ledger import recent_seconds

    recent = recent_seconds(home, backend.model, NUM_RECENT)
    spent = [sum(seconds for step, seconds in steps.items() if step != "decide") for _, steps in recent]
    seconds = [each for each in spent if each]
    sizes = [size for adapter, _ in recent if (size := _megabytes(home.root / "adapters" / adapter))]
    if seconds and sizes:
        return EditCost(median(seconds), median(sizes))
    sample = reading_of(backend)
    return EditCost(sample.seconds * READINGS_AN_EDIT, sample.state_width * MEGABYTES_PER_STATE_DIMENSION)


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.glob("*") if path.is_file()) / 1e6 if folder.is_dir() else 0.0


def documents(num_passages: int, num_files: int, num_known: int, cost: EditCost) -> str:
    """The cost of learning documents, per passage and in total."""
    left = num_passages - num_known
    files = f" in {num_files} files" if num_files > 1 else ""
    known = f", {num_known} known already, {left} to go" if num_known else ""
    return f"{num_passages} {'passages' if num_passages > 1 else 'passage'}{files}{known}: {_in_all(left, cost)}"


def waiting(num_texts: int, cost: EditCost) -> str:
    """The cost of learning the queued texts."""
    return f"{num_texts} {'texts wait' if num_texts > 1 else 'text waits'} to be learned: {_in_all(num_texts, cost)}"


def _in_all(num: int, cost: EditCost) -> str:
    total = f"{duration(num * cost.seconds)} and {size(num * cost.megabytes)}"
    return f"{duration(cost.seconds)} and {size(cost.megabytes)} each, {total} in all" if num > 1 else total


def conversion(name: str, megabytes: float) -> str:
    """The cost of converting a GGUF file."""
    return (
        f"{name} is converted to safetensors first, once: {duration(megabytes * SECONDS_A_MEGABYTE)} and "
        f"{size(megabytes * GROWTH)}"
    )


def fitting_notice(num_turns: int, num_read: int, seconds: float) -> str:
    """The cost of fitting the classifier of a new model, at `seconds` per reading."""
    known = f", {num_read:,} of them read already" if num_read else ""
    return (
        f"to decide what is worth learning, {num_turns:,} labelled turns are read, once for this model{known}: "
        f"{duration((num_turns - num_read) * seconds)}; you may stop it; the turns read so far are kept"
    )


def duration(seconds: float) -> str:
    """Seconds in words, rounded as an estimate is: "about 25 s", "about 4 minutes", "about 2 hours"."""
    if seconds < 1:
        return "less than 1 s"
    if seconds < 10:
        return f"about {seconds:.0f} s"
    if seconds < 95:
        return f"about {5 * round(seconds / 5)} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"about {minutes} minutes"
    hours = seconds / 3600
    return f"about {hours:.1f} hours" if hours < 10 else f"about {hours:.0f} hours"


def size(megabytes: float) -> str:
    """Megabytes in words: "10 MB", "1.7 GB"."""
    return f"{max(megabytes, 1):.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"
