"""Checksums of the rows that decide what is served; they are verified on read.

A trigger removes the checksum of a row that SQL changes (`schema.TRIGGERS`); a row without a checksum is trusted.
"""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from sqlalchemy import ColumnElement, Connection, Integer, and_, cast, func, select

from seal_agent.storage.connection import Transaction
from seal_agent.storage.expressions import put
from seal_agent.storage.schema import CHECKSUMS

Kind = Literal["stack", "route"]


def checksum(*fields: object) -> str:
    """The checksum of a row's fields."""
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()[:32]


def record(tx: Transaction, kind: Kind, namespace: str, name: str, digest: str) -> None:
    """Store the checksum of the row `name` of its kind."""
    put(tx, CHECKSUMS, [{"kind": kind, "namespace": namespace, "name": name, "digest": digest}])


def recorded(db: Connection, kind: Kind, namespace: str) -> dict[str, str]:
    """The checksums of all rows of a kind, by name."""
    wanted = select(CHECKSUMS.c.name, CHECKSUMS.c.digest).where(_is_of(kind), CHECKSUMS.c.namespace == namespace)
    return {name: digest for name, digest in db.execute(wanted)}  # noqa: C416  # `dict` does not accept rows as pairs


def highest(db: Connection, kind: Kind, namespace: str) -> int:
    """The highest number among the names of a kind's rows; 0 if there are none."""
    wanted = select(func.max(cast(CHECKSUMS.c.name, Integer))).where(_is_of(kind), CHECKSUMS.c.namespace == namespace)
    return int(db.execute(wanted).scalar() or 0)


def belongs_to(kind: Kind, namespace: ColumnElement[str], name: ColumnElement[str]) -> ColumnElement[bool]:
    """The join condition of a table with its checksums."""
    return and_(_is_of(kind), CHECKSUMS.c.namespace == namespace, CHECKSUMS.c.name == name)


def _is_of(kind: Kind) -> ColumnElement[bool]:
    return CHECKSUMS.c.kind == kind
