"""The routing keys of adapters that were accepted as routed, with checksums."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, select

from seal_agent.core.errors import StorageError
from seal_agent.storage import checksums
from seal_agent.storage.connection import REPAIR, Database, Transaction
from seal_agent.storage.expressions import put
from seal_agent.storage.schema import CHECKSUMS, ROUTES

_KEYS = select(ROUTES.c.adapter, ROUTES.c.key, CHECKSUMS.c.digest).outerjoin_from(
    ROUTES, CHECKSUMS, checksums.belongs_to("route", ROUTES.c.namespace, ROUTES.c.adapter)
)


def keys(database: Database, namespace: str) -> dict[str, str]:
    """The routing keys of a namespace by adapter id; raises `StorageError` if one is damaged."""
    sound, damaged = _keys(database, namespace)
    if damaged:
        raise StorageError(f"the routing key of adapter {damaged[0][:12]} is damaged; {REPAIR}")
    return sound


def sound_keys(database: Database, namespace: str) -> dict[str, str]:
    """The undamaged routing keys."""
    return _keys(database, namespace)[0]


def _keys(database: Database, namespace: str) -> tuple[dict[str, str], list[str]]:
    """The undamaged keys, and the adapters of the damaged ones."""
    with database.reading() as db:
        rows = db.execute(_KEYS.where(ROUTES.c.namespace == namespace)).all()
    damaged = [
        adapter
        for adapter, key, digest in rows
        if digest is not None and digest != checksums.checksum(namespace, adapter, key)
    ]
    return {adapter: key for adapter, key, _ in rows if adapter not in damaged}, damaged


def set_keys(tx: Transaction, namespace: str, keys: Mapping[str, str]) -> None:
    """Store routing keys."""
    put(tx, ROUTES, [{"namespace": namespace, "adapter": adapter, "key": key} for adapter, key in keys.items()])
    for adapter, key in keys.items():
        checksums.record(tx, "route", namespace, adapter, checksums.checksum(namespace, adapter, key))


def remove(tx: Transaction, namespace: str, adapter: str) -> None:
    """Delete the routing key of an adapter."""
    tx.execute(delete(ROUTES).where(ROUTES.c.namespace == namespace, ROUTES.c.adapter == adapter))
