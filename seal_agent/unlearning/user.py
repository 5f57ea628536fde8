"""Forgetting a user: everything of one namespace is erased in one transaction."""

from __future__ import annotations

from seal_agent.policy.withdrawal import runs_that_read, withdraw
from seal_agent.retention.index import index_files
from seal_agent.storage.database import Home
from seal_agent.storage.deletion import (
    adapter_folders_of,
    candidate_folders,
    doom,
    erasing,
    namespaced,
    sweep,
)


def erase(home: Home, namespace: str) -> dict[str, int]:
    """Remove everything of one user in one transaction; returns how many rows each table lost.

    Adapters that another namespace learned too (the same text, model and seed) stay for that one.
    """
    runs = runs_that_read(home, namespace)
    with erasing(home) as db:
        folders = {
            *adapter_folders_of(home, db, namespace),
            *candidate_folders(home, db, "namespace = :n", {"n": namespace}),
        }
        folders |= {*withdraw(home, db, namespace, runs)}
        models = [r[0] for r in db.execute("SELECT DISTINCT model FROM replay WHERE namespace = ?", (namespace,))]
        doom(db, [*folders, *(file for model in models for file in index_files(home, namespace, model))])
        ours = "SELECT id FROM replay WHERE namespace = ?"
        counts = {}
        for table in ("scores", "superseded"):
            counts[table] = db.execute(f"DELETE FROM {table} WHERE item IN ({ours})", (namespace,)).rowcount
        for table in namespaced(db):
            counts[table] = db.execute(f"DELETE FROM {table} WHERE namespace = ?", (namespace,)).rowcount
    sweep(home)
    return {table: count for table, count in counts.items() if count}
