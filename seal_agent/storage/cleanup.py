"""Leftovers of killed processes on disk, and their safe removal.

An adapter folder is left over if no stack version, policy or open job refers to it; a staging folder, if no process can
still be writing to it. Both must also be old. Accepted or promoted adapters are never touched.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from seal_agent.storage import job_rows, policies, stacks
from seal_agent.storage.connection import ADAPTERS, Database

log = logging.getLogger(__name__)
WRITING_SECONDS = 3_600.0  # no folder takes longer to write: converting a model takes minutes
LEARNING_SECONDS = 86_400.0  # no candidate that is not in the queue is worked on for longer
UNFINISHED = (".tmp-*", ".write-test-*")
FOLDERS = (".", ADAPTERS, "models", "heads")


@dataclass(frozen=True)
class Ages:
    """The age in seconds from which something without an owner is left over."""

    writing: float = WRITING_SECONDS
    learning: float = LEARNING_SECONDS


def leftovers(database: Database, ages: Ages | None = None) -> list[Path]:
    """The paths that may be deleted now, in a stable order."""
    referenced = referenced_adapters(database)
    return [
        *_unfinished(database.root, (ages or Ages()).writing),
        *_unreferenced(database.root, referenced, (ages or Ages()).learning),
    ]


def clean(database: Database, ages: Ages | None = None) -> int:
    """Delete the leftovers; returns how many there were.

    It holds the database lock, under which `Learner.accept` checks its adapter, so that no edit is accepted meanwhile.
    """
    chosen = ages or Ages()
    unfinished = _unfinished(database.root, chosen.writing)
    with database.transaction() as tx:
        unreferenced = _unreferenced(database.root, _referenced(tx), chosen.learning)
        for path in unreferenced:
            _delete(path)
    for path in unfinished:
        _delete(path)
    if unfinished or unreferenced:
        log.info("cleaned up %d unfinished and %d abandoned folders", len(unfinished), len(unreferenced))
    return len(unfinished) + len(unreferenced)


def referenced_adapters(database: Database) -> set[str]:
    """The ids of all adapters in a stack version (consolidated ones included), a policy or an open job."""
    with database.reading() as db:
        return _referenced(db)


def _referenced(db: Connection) -> set[str]:
    return stacks.referenced_adapters(db) | policies.adapter_ids(db) | job_rows.candidate_ids(db)


def _unfinished(root: Path, age: float) -> list[Path]:
    return sorted(
        p for folder in FOLDERS for mark in UNFINISHED for p in (root / folder).glob(mark) if _is_older(p, age)
    )


def _unreferenced(root: Path, referenced: set[str], age: float) -> list[Path]:
    return [p for p in adapter_folders(root) if p.name not in referenced and _is_older(p, age)]


def adapter_folders(root: Path) -> Iterator[Path]:
    """The folders of finished adapters, served or not."""
    yield from sorted(p for p in (root / ADAPTERS).glob("[!.]*") if p.is_dir())


def _is_older(path: Path, seconds: float) -> bool:
    """Whether a path is older than that; one dated in the future, after a clock was set back, is not."""
    try:
        return time.time() - path.stat().st_mtime > seconds
    except FileNotFoundError:  # its owner has just published it
        return False


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
