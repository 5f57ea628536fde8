"""What replay items scored over time, and the best and the worst of it that stands with the item."""

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
    """What an item scored, in nats per token: the best of it, the change an edit made, and the score while served."""

    item: int
    best: float
    change: float
    served: float


def record_scores(tx: Transaction, scores: Sequence[ItemScore], adapter: str) -> None:
    """Remember what items scored while `adapter` was the newest of the stack."""
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
    """The scores of an item while served, oldest first: the newest adapter then, and nats per token."""
    wanted = select(SCORES.c.adapter, SCORES.c.per_token).where(SCORES.c.item == item).order_by(SCORES.c.id)
    with database.reading() as db:
        return [(adapter, per_token) for adapter, per_token in db.execute(wanted)]
