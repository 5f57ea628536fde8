"""How long something will take and how many megabytes it will need, said before it begins.

What this home has learned with the model says best what an edit costs; before that a measured reading says it roughly.
Pure functions but for `cost_of_an_edit` and `reading_of`, which ask the home and the model.
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

WORTH_SAYING = 10.0  # seconds: what is shorter needs no announcement
NUM_RECENT = 20  # episodes of which the median is taken
READINGS_AN_EDIT = 300  # an edit takes as long as so many readings of a short text: SmolLM2-135M on two cores
MEGABYTES_A_STATE = 10 / 1152  # of an adapter, by the states of a reading (twice the model's width): SmolLM2-135M's
SECONDS_A_MEGABYTE = 0.25  # of a GGUF file that is converted, on two cores
GROWTH = 3  # from 4-bit weights to bfloat16
NUM_SAMPLES = 3
SAMPLE = "User: The library in the old mill has been open until eight in the evening since May."


@dataclass(frozen=True)
class EditCost:
    """What learning one passage takes."""

    seconds: float
    megabytes: float


@dataclass(frozen=True)
class SampleReading:
    """How long the model reads a short text, in seconds, and how many states that gives."""

    seconds: float
    num_states: int


def reading_of(backend: Backend) -> SampleReading:
    """A short text read a few times; the quickest counts: the first time loads things, and others may be at work."""
    from seal_agent.core.stacks import AdapterStack

    base = backend.with_stack(AdapterStack())
    seconds: list[float] = []
    for _ in range(NUM_SAMPLES):
        start = time.perf_counter()
        [reading] = base.read([SAMPLE])
        seconds.append(time.perf_counter() - start)
    return SampleReading(min(seconds), len(reading.state))


def cost_of_an_edit(home: Home, backend: Backend) -> EditCost:
    """The median of what the last edits of this home took with the model, else an estimate from a reading."""
    from seal_agent.storage.ledger import recent_seconds

    recent = recent_seconds(home, backend.model, NUM_RECENT)
    spent = [sum(seconds for step, seconds in steps.items() if step != "decide") for _, steps in recent]
    seconds = [each for each in spent if each]
    sizes = [size for adapter, _ in recent if (size := _megabytes(home.root / "adapters" / adapter))]
    if seconds and sizes:
        return EditCost(median(seconds), median(sizes))
    sample = reading_of(backend)
    return EditCost(sample.seconds * READINGS_AN_EDIT, sample.num_states * MEGABYTES_A_STATE)


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.glob("*") if path.is_file()) / 1e6 if folder.is_dir() else 0.0


def documents(num_passages: int, num_files: int, num_known: int, cost: EditCost) -> str:
    """What learning documents will take: for each passage and in all."""
    left = num_passages - num_known
    files = f" in {num_files} files" if num_files > 1 else ""
    known = f", {num_known} known already, {left} to go" if num_known else ""
    return f"{num_passages} {'passages' if num_passages > 1 else 'passage'}{files}{known}: {_in_all(left, cost)}"


def waiting(num_texts: int, cost: EditCost) -> str:
    """What learning the texts that wait will take."""
    return f"{num_texts} {'texts wait' if num_texts > 1 else 'text waits'} to be learned: {_in_all(num_texts, cost)}"


def _in_all(num: int, cost: EditCost) -> str:
    total = f"{duration(num * cost.seconds)} and {size(num * cost.megabytes)}"
    return f"{duration(cost.seconds)} and {size(cost.megabytes)} each, {total} in all" if num > 1 else total


def conversion(name: str, megabytes: float) -> str:
    """What converting a GGUF file of that size will take."""
    return (
        f"{name} is converted to safetensors first, once: {duration(megabytes * SECONDS_A_MEGABYTE)} and "
        f"{size(megabytes * GROWTH)}"
    )


def head(num_turns: int, num_read: int, seconds: float) -> str:
    """What fitting the head of a new model will take, at so many seconds a reading."""
    known = f", {num_read:,} of them read already" if num_read else ""
    return (
        f"to decide what is worth learning, {num_turns:,} labelled turns are read, once for this model{known}: "
        f"{duration((num_turns - num_read) * seconds)}; what is read is kept when it is stopped"
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
