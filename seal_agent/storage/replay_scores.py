"""The scores of replay items over time, and the best and worst values stored with the item."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, case, func, insert, select, update

from seal_agent.storage.connection import Database, Transaction
from seal_agent.storage.schema import REPLAY, SCORES

NEVER_SCORED = -1e9


@dataclass(frozen=True)
class ItemScore:
    """Scores of an item in nats per token: the better one, the change by an edit, and the served stack's."""

    item: int
    best: float
    change: float
    served: float


def record_scores(tx: Transaction, scores: Sequence[ItemScore], adapter: str) -> None:
    """Store scores of items; `adapter` is the top of the served stack."""
    if not scores:
        return
    best, change = bindparam("new_best", type_=REPLAY.c.best.type), bindparam("change", type_=REPLAY.c.best.type)
    known = func.coalesce(REPLAY.c.best, NEVER_SCORED)
    statement = (
        update(REPLAY)
        .where(REPLAY.c.id == bindparam("item"))
        .values(
            best=case((known < best, best), else_=known),
            worst_change=case((REPLAY.c.worst_change > change, change), else_=REPLAY.c.worst_change),
        )
    )
    tx.execute(statement, [{"item": s.item, "new_best": s.best, "change": s.change} for s in scores])
    now = time.time()
    rows = [{"item": s.item, "adapter": adapter, "per_token": s.served, "created": now} for s in scores]
    tx.execute(insert(SCORES), rows)


def scores_of(database: Database, item: int) -> list[tuple[str, float]]:
    """The scores of an item under served stacks, oldest first: the top adapter at that time, and nats per token."""
    wanted = select(SCORES.c.adapter, SCORES.c.per_token).where(SCORES.c.item == item).order_by(SCORES.c.id)
    with database.reading() as db:
        return [(adapter, per_token) for adapter, per_token in db.execute(wanted)]
