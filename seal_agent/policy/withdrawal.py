"""Removes a text from policy improvement: the folders of runs that read it, and the policies they trained.

A policy imitates edits about the texts of its run. So when one of these texts is forgotten, the run's folder is
deleted, together with the policies that it trained and those trained on top of them; edits are then written as before
the run. A run in a folder outside the data directory is out of reach.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection
from pathlib import Path

from seal_agent.language.sentences import split_sentences
from seal_agent.storage.connection import Transaction
from seal_agent.storage.database import Home
from seal_agent.storage.policies import Trained, remove_policies, trained_policies

FOLDER = "improve"
MIN_CHARS = 12  # of a sentence to search for: "Yes." occurs everywhere
_ADAPTER = re.compile(r'"id": "([0-9a-f]{64})"')
log = logging.getLogger(__name__)


def run_folders(home: Home) -> list[Path]:
    """The folders of all runs in the data directory, oldest first."""
    return sorted((home.root / FOLDER).glob("run-*"))


def runs_that_read(home: Home, namespace: str, texts: Collection[str] | None = None) -> list[Path]:
    """The folders of the namespace's runs that hold a sentence of `texts`; all of its runs for None."""
    whose = f'"namespace": {json.dumps(namespace)}'
    told = [] if texts is None else [json.dumps(s)[1:-1] for text in texts for s in split_sentences(text)]
    told = [sentence for sentence in told if len(sentence) >= MIN_CHARS]
    found = []
    for folder in run_folders(home):
        written = _written(folder)
        said = " ".join(written.replace("\\n", " ").split())  # on one line, as sentences are
        if whose in written and (texts is None or any(sentence in said for sentence in told)):
            found.append(folder)
    return found


def withdraw(home: Home, tx: Transaction, namespace: str, runs: Collection[Path]) -> list[Path]:
    """Withdraw, inside the transaction, the policies that those runs trained; returns the folders to delete."""
    trained = {adapter for run in runs for adapter in _ADAPTER.findall(_written(run))}
    gone: list[Trained] = []
    for policy in trained_policies(tx, namespace):  # parents come before their children
        has_lost_parent = any(
            (policy.model, policy.domain, policy.parent) == (p.model, p.domain, p.version) for p in gone
        )
        if policy.adapter in trained or has_lost_parent:
            gone.append(policy)
            trained.add(policy.adapter)
    remove_policies(tx, namespace, gone)
    if gone:
        log.info("withdrew %d policies of namespace %r that were trained on forgotten texts", len(gone), namespace)
    return [*runs, *(home.root / "adapters" / adapter for adapter in sorted(trained))]


def _written(folder: Path) -> str:
    """All text that a run has written."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in files)
