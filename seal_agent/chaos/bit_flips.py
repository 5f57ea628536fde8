"""Tests that a flipped byte changes no answer: all answers stay the same, or a clear error is raised.

It works on a copy of a data directory with the scripted backend; a model's own files are out of scope.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.backend import silent
from seal_agent.core.episodes import Progress
from seal_agent.core.errors import SealError
from seal_agent.core.messages import Message
from seal_agent.learning.learner import Learner
from seal_agent.storage.database import DATABASE, Home
from seal_agent.storage.namespaces import known_namespaces

Asked = dict[str, list[str]]
"""Questions by namespace."""
SUFFIXES = (".sqlite", ".faiss", ".json", ".sha256", ".safetensors")


@dataclass(frozen=True)
class Flip:
    """One changed byte and its effect: `error` is an error of seal-agent, `crash` any other."""

    file: str
    offset: int
    is_same: bool
    error: str = ""
    crash: str = ""


def harmless(flip: Flip) -> bool:
    """Whether no answer was changed by the damage."""
    return not flip.crash and (flip.is_same or bool(flip.error))


def flipped(root: Path, copy: Path, *, num_flips: int, seed: int = 0, progress: Progress = silent) -> list[Flip]:
    """Flip random bits in a copy of the data directory at `root`, one at a time, half of them in the database."""
    shutil.copytree(root, copy, dirs_exist_ok=True)
    files = sorted(p for p in copy.rglob("*") if p.is_file() and p.suffix in SUFFIXES and p.stat().st_size)
    asked = questions(Home(copy))
    expected = answers(copy, asked)
    rng = random.Random(seed)
    found = []
    for number in range(num_flips):
        path = files[number // 2 % len(files)] if number % 2 else copy / DATABASE
        found.append(_flip(copy, path, rng, asked, expected))
        progress("flipping", number + 1, num_flips)
    return found


def flip_summary(flips: list[Flip]) -> dict[str, Any]:
    """The counts of a campaign."""
    return {
        "flips": len(flips),
        "noticed": sum(bool(flip.error) for flip in flips),
        "without_effect": sum(flip.is_same for flip in flips),
        "by_file": dict(Counter(Path(flip.file).suffix for flip in flips)),
        "violations": [f"{f.file}, byte {f.offset}: {f.crash or 'another answer'}" for f in flips if not harmless(f)],
    }


def _flip(copy: Path, path: Path, rng: random.Random, asked: Asked, expected: str) -> Flip:
    sound = path.read_bytes()
    offset = rng.randrange(len(sound))
    damaged = bytearray(sound)
    damaged[offset] ^= 1 << rng.randrange(8)
    path.write_bytes(damaged)
    name = str(path.relative_to(copy))
    try:
        return Flip(name, offset, answers(copy, asked) == expected)
    except SealError as error:
        return Flip(name, offset, is_same=False, error=str(error))
    except Exception as error:  # measured as a crash: an error that seal-agent did not raise on purpose
        return Flip(name, offset, is_same=False, crash=repr(error))
    finally:
        for journal in copy.glob("state.sqlite-*"):
            journal.unlink()
        path.write_bytes(sound)


def questions(home: Home) -> Asked:
    """Questions about what each namespace has learned."""
    edits = {name: [e.edit for e in home.episodes(name, ("accepted",)) if e.edit] for name in known_namespaces(home)}
    return {name: [probe.prompt.asked for edit in each for probe in edit.probes] for name, each in edits.items()}


def answers(root: Path, asked: Asked) -> str:
    """The answers of a process that opens the data directory now."""
    home = Home(root)
    said = []
    for namespace, each in asked.items():
        learner = Learner(ScriptedBackend(root), home, namespace)
        said.append((learner.stack, learner.answer([[Message("user", question)] for question in each])))
    return repr(said)
