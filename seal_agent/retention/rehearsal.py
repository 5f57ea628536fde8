"""Rows of earlier edits that are trained beside an edit, to limit what it changes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from seal_agent.core.edits import EARLIER_ROWS, REPLAYED, Row, SelfEdit


def replayed_rows(earlier: Sequence[SelfEdit], num_rows: int, seed: int) -> tuple[Row, ...]:
    """Up to `num_rows` rows of earlier edits, spread evenly over them (experience replay, arXiv 1811.11682).

    Rows that are probes of their edit are left out, even if they were trained on: they decide about later edits.
    """
    rng = random.Random(seed)
    shuffled = [_replayable(edit) for edit in earlier]
    for rows in shuffled:
        rng.shuffle(rows)
    turns = [row for turn in range(max(map(len, shuffled), default=0)) for row in _turn(shuffled, turn)]
    return tuple(replace(row, source=EARLIER_ROWS) for row in turns[:num_rows])


def _replayable(edit: SelfEdit) -> list[Row]:
    watched = {probe.prompt for probe in edit.probes}
    return [row for row in edit.rows if row.source not in REPLAYED and row.prompt not in watched]


def _turn(columns: Sequence[Sequence[Row]], number: int) -> list[Row]:
    return [column[number] for column in columns if number < len(column)]
