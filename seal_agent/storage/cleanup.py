"""What a killed process leaves on disk, and cleaning it up without harm to those who are still at work.

A folder of an adapter is left over when no stack version, no version of a policy and no open job names it, a staging
folder when nobody can still be writing into it: both only when they are old. Nothing here touches what was ever
accepted or promoted.
"""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from seal_agent.storage.database import Home

log = logging.getLogger(__name__)
WRITING_SECONDS = 3_600.0  # no folder is filled for longer: converting a model takes minutes
LEARNING_SECONDS = 86_400.0  # nobody probes and amends a candidate for longer without a job that names it
UNFINISHED = (".tmp-*", ".write-test-*")
ROOMS = (".", "adapters", "models", "heads")


@dataclass(frozen=True)
class Ages:
    """From which age, in seconds, something that nobody names is left over."""

    writing: float = WRITING_SECONDS
    learning: float = LEARNING_SECONDS


def leftovers(home: Home, ages: Ages | None = None) -> list[Path]:
    """What may be deleted now, in a stable order."""
    with home.connect() as db:
        named = named_adapters(db)
    return [*_unfinished(home.root, (ages or Ages()).writing), *_unnamed(home.root, named, (ages or Ages()).learning)]


def clean(home: Home, ages: Ages | None = None) -> int:
    """Delete the leftovers; returns how many there were.

    Nobody can accept meanwhile: the database is held, and `Learner.accept` looks at its adapter under the same lock.
    """
    chosen = ages or Ages()
    unfinished = _unfinished(home.root, chosen.writing)
    with home.connect() as db:
        db.execute("BEGIN IMMEDIATE")
        unnamed = _unnamed(home.root, named_adapters(db), chosen.learning)
        for path in unnamed:
            _delete(path)
    for path in unfinished:
        _delete(path)
    if unfinished or unnamed:
        log.info("cleaned up %d unfinished and %d abandoned folders", len(unfinished), len(unnamed))
    return len(unfinished) + len(unnamed)


def named_adapters(db: sqlite3.Connection) -> set[str]:
    """The ids of all adapters that a stack version ever held or stood for, a policy is, or an open job goes on with."""
    named: set[str] = set()
    for (layers,) in db.execute("SELECT layers FROM stacks"):
        for layer in json.loads(layers)["layers"]:
            named |= {layer["ref"]["id"], *layer["stands_for"]}
    policies = "SELECT json_extract(adapter, '$.id') FROM policies"
    jobs = "SELECT json_extract(episode, '$.adapter.id') FROM jobs WHERE state IN ('waiting', 'running')"
    return named | {row[0] for query in (policies, jobs) for row in db.execute(query) if row[0]}


def _unfinished(root: Path, age: float) -> list[Path]:
    return sorted(p for room in ROOMS for mark in UNFINISHED for p in (root / room).glob(mark) if _is_older(p, age))


def _unnamed(root: Path, named: set[str], age: float) -> list[Path]:
    return [p for p in adapter_folders(root) if p.name not in named and _is_older(p, age)]


def adapter_folders(root: Path) -> Iterator[Path]:
    """The folders of finished adapters, served or not."""
    yield from sorted(p for p in (root / "adapters").glob("[!.]*") if p.is_dir())


def _is_older(path: Path, seconds: float) -> bool:
    """Also where the clock was set back: what seems to be from the future is not old."""
    try:
        return time.time() - path.stat().st_mtime > seconds
    except FileNotFoundError:  # its owner has just finished it
        return False


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
