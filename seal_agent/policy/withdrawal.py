"""What improving the policy keeps of a text, and taking it away: the folders of runs, and the policies they trained.

A policy imitates edits about the texts of its run. So when one of these is forgotten, the run's folder goes, with it
the policies that it trained and those trained on top of them; edits are then written as before. A run in a folder
outside the home is out of reach.
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
MIN_CHARS = 12  # of a sentence that is looked for: "Yes." stands everywhere
_ADAPTER = re.compile(r'"id": "([0-9a-f]{64})"')
log = logging.getLogger(__name__)


def run_folders(home: Home) -> list[Path]:
    """The folders of all runs that were begun without one of their own, oldest first."""
    return sorted((home.root / FOLDER).glob("run-*"))


def runs_that_read(home: Home, namespace: str, texts: Collection[str] | None = None) -> list[Path]:
    """The folders of the namespace's runs in which a sentence of `texts` stands; all of its runs for None."""
    whose = f'"namespace": {json.dumps(namespace)}'
    told = [] if texts is None else [json.dumps(s)[1:-1] for text in texts for s in split_sentences(text)]
    told = [sentence for sentence in told if len(sentence) >= MIN_CHARS]
    found = []
    for folder in run_folders(home):
        written = _written(folder)
        said = " ".join(written.replace("\\n", " ").split())  # as sentences are: on one line
        if whose in written and (texts is None or any(sentence in said for sentence in told)):
            found.append(folder)
    return found


def withdraw(home: Home, tx: Transaction, namespace: str, runs: Collection[Path]) -> list[Path]:
    """Take back, inside the transaction, what those runs trained; returns the folders that must go."""
    trained = {adapter for run in runs for adapter in _ADAPTER.findall(_written(run))}
    gone: list[Trained] = []
    for policy in trained_policies(tx, namespace):  # a parent is older than what was trained on it
        has_lost_parent = any(
            (policy.model, policy.domain, policy.parent) == (p.model, p.domain, p.version) for p in gone
        )
        if policy.adapter in trained or has_lost_parent:
            gone.append(policy)
            trained.add(policy.adapter)
    remove_policies(tx, namespace, gone)
    if gone:
        log.info("took back %d policies of namespace %r: they learned from what is forgotten", len(gone), namespace)
    return [*runs, *(home.root / "adapters" / adapter for adapter in sorted(trained))]


def _written(folder: Path) -> str:
    """All that a run has written."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in files)
