"""Make a self-edit of its rows: limit their number, spread them over formats, hold some questions out as probes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import zip_longest

from seal_agent.core.edits import Directives, Dropped, Probe, Row, SelfEdit
from seal_agent.core.errors import EditFault
from seal_agent.core.redaction import NOTHING_LEFT, lost_secret
from seal_agent.language.sentences import split_sentences

MIN_ROWS = 2  # unless the text is one sentence, or the row is the passage itself
MAX_PROBES = 8


def assemble(
    rows: Sequence[Row],
    *,
    topic: str,
    passage: str,
    directives: Directives,
    dropped: Sequence[Dropped] = (),
    seed: int = 0,
) -> SelfEdit:
    """The self-edit of `rows`, with probes held out and no more rows than the directives allow.

    Probes are questions whose answer other rows ask for too; without any, trained questions serve as probes.
    Raises `EditFault` if fewer than `MIN_ROWS` rows are left; the message lists what was dropped, for the next attempt.
    """
    num_open = sum(not lost_secret(sentence) for sentence in split_sentences(passage))
    fewest = MIN_ROWS if directives.formats and num_open > 1 else 1
    if len(rows) < fewest and not num_open:
        raise EditFault(NOTHING_LEFT)
    if len(rows) < fewest:
        reasons = ", ".join(sorted({entry.reason for entry in dropped}))
        why = f"; others were dropped: {reasons}" if reasons else ""
        raise EditFault(f"{len(rows)} usable training rows of at least {fewest} needed{why}")
    trained, held_back = _hold_back(rows)
    chosen = spread(trained, directives.num_rows, seed)
    edit = SelfEdit(topic, passage, tuple(chosen), (), directives, tuple(dropped))
    probed = held_back or representative_rows(chosen)
    probes = tuple(Probe(row.prompt, row.answer, "edit", edit.document) for row in probed)
    return SelfEdit(topic, passage, edit.rows, probes, directives, edit.dropped)


def spread(rows: Sequence[Row], num_rows: int, seed: int = 0) -> list[Row]:
    """At most `num_rows` of `rows`, spread evenly over formats and over the text, in their order."""
    if len(rows) <= num_rows:
        return list(rows)
    groups: dict[tuple[str, str], list[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault((row.source, row.evidence), []).append(number)
    rng = random.Random(seed)
    for group in groups.values():
        rng.shuffle(group)
    turns = [number for turn in zip_longest(*groups.values()) for number in turn if number is not None]
    return [rows[number] for number in sorted(turns[:num_rows])]


def representative_rows(rows: Sequence[Row]) -> list[Row]:
    """Up to `MAX_PROBES` rows to probe, short answers first; no question and no answer twice."""
    chosen: list[Row] = []
    for row in sorted(rows, key=lambda row: (not row.question, len(row.answer.split()))):
        asked = {other.question for other in chosen} - {""}
        if row.question not in asked and row.answer not in {other.answer for other in chosen}:
            chosen.append(row)
    return chosen[:MAX_PROBES]


def _hold_back(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Split `rows` into training rows and probes: of three or more questions with one answer, one becomes a probe."""
    by_answer: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        if row.question and row.answer in row.evidence and row.answer != row.evidence:
            by_answer.setdefault(row.answer.lower(), []).append(number)
    held = [group[-1] for group in by_answer.values() if len(group) >= 3][:MAX_PROBES]
    return [row for number, row in enumerate(rows) if number not in held], [rows[number] for number in held]
