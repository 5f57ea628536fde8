"""Erasing a user: everything in one namespace, in one transaction."""

from __future__ import annotations

from seal_agent.policy.withdrawal import runs_that_read, withdraw
from seal_agent.retention.index import index_files
from seal_agent.storage.database import Home
from seal_agent.storage.deletion import (
    adapter_folders_of,
    delete_marked,
    erasing,
    mark_for_deletion,
    remove_namespace,
)
from seal_agent.storage.replay_items import models


def erase(home: Home, namespace: str) -> dict[str, int]:
    """Delete everything of one user in one transaction; returns how many rows each table lost.

    Adapters that another namespace learned too (same text, model and seed) are kept.
    """
    runs = runs_that_read(home, namespace)
    with erasing(home) as tx:
        folders = adapter_folders_of(home, tx, namespace) | {*withdraw(home, tx, namespace, runs)}
        indexes = [file for model in models(tx, namespace) for file in index_files(home, namespace, model)]
        mark_for_deletion(tx, [*folders, *indexes])
        counts = remove_namespace(tx, namespace)
    delete_marked(home)
    return {table: count for table, count in counts.items() if count}
