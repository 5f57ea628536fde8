"""The rows of the queue: reading, inserting, closing and deleting jobs.

`jobs.LearningQueue` decides when.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, update

from seal_agent.core.codec import from_json, to_json
from seal_agent.core.documents import Passage
from seal_agent.core.episodes import Episode
from seal_agent.core.outcomes import Outcome
from seal_agent.core.stacks import AdapterRef
from seal_agent.storage.connection import Database, Transaction
from seal_agent.storage.documents import digest_of, digests_of_document, is_version_of
from seal_agent.storage.expressions import blanked, is_one_of, json_text, put
from seal_agent.storage.schema import BEGINNINGS, JOBS

JobState = Literal["held", "waiting", "running", "done", "failed", "cancelled"]
OPEN: tuple[JobState, ...] = ("held", "waiting", "running")
REPLACED = "a newer version of the document came"
BARE = {"passage": blanked(JOBS.c.passage, "text", "earlier", "heading")}  # a job that has ended keeps no text
OF_JOB = [
    JOBS.c[name]
    for name in (
        "id", "namespace", "thread", "passage", "state", "step", "episode", "outcome", "note", "seconds", "created",
        "ended", "model", "document", "keep",
    )
]  # fmt: skip
IS_RUNNING = JOBS.c.state == "running"
IS_CANCELLED = JOBS.c.is_cancelled != 0
_IS_OPEN = JOBS.c.state.in_(OPEN)


@dataclass(frozen=True)
class Job:
    """One passage to learn, and its progress.

    `model`: the model whose worker takes the job, "" for any. `step` is the next step; `note` is the outcome's reason
    or the error. Times are seconds since the epoch; `seconds` is the time spent so far. After the end, `episode` holds
    only the adapter. `document` identifies the version of the document that the passage belongs to. A job with `keep`
    learns nothing: it unlearns the passages of its source, except those digests.
    """

    id: int
    namespace: str
    thread: str
    passage: Passage
    state: JobState
    step: str
    episode: Episode | None
    outcome: str
    note: str
    seconds: float
    created: float
    ended: float
    model: str = ""
    document: str = ""
    keep: tuple[str, ...] | None = None

    @property
    def adapter(self) -> str:
        """The id of the accepted adapter; "" for any other outcome."""
        reached = self.episode.adapter if self.episode and self.outcome == "accepted" else None
        return reached.id if reached else ""

    @property
    def report(self) -> Outcome:
        """What became of the passage, once the job is done."""
        return Outcome(self.passage.topic, self.outcome, self.note, self.adapter, round(self.seconds, 2))


def of_thread(namespace: str, thread: str) -> ColumnElement[bool]:
    """Whether a job belongs to a thread."""
    return and_(JOBS.c.namespace == namespace, JOBS.c.thread == thread)


def is_for(model: str) -> ColumnElement[bool]:
    """Whether a worker with that model takes a job."""
    return JOBS.c.model.in_(("", model))


def close(tx: Transaction, which: ColumnElement[bool], now: float, note: str | None = None) -> int:
    """Cancel jobs that no worker runs; returns how many."""
    values: dict[str, Any] = {**BARE, "state": "cancelled", "ended": now, "episode": None}
    if note is not None:
        values["note"] = note
    return tx.execute(update(JOBS).where(which).values(values)).rowcount


def count_beginning(tx: Transaction, job: int) -> None:
    """Count one more start of a job in its current step."""
    step = tx.execute(select(JOBS.c.step).where(JOBS.c.id == job)).scalar_one()
    num = select(BEGINNINGS.c.num).where(BEGINNINGS.c.job == job, BEGINNINGS.c.step == step)
    put(tx, BEGINNINGS, [{"job": job, "step": step, "num": 1 + (tx.execute(num).scalar() or 0)}])


def insert_job(tx: Transaction, passage: Passage, values: Mapping[str, object]) -> int:
    """Insert a job unless it is queued already; returns its number."""
    row = {"keep": None, **values, "passage": json.dumps(to_json(passage))}
    same = [JOBS.c[name] == row[name] for name in ("namespace", "model", "passage", "state")]
    known = tx.execute(select(JOBS.c.id).where(*same, JOBS.c.keep.is_not_distinct_from(row["keep"]))).scalar()
    if known is not None:
        return int(known)
    return int(tx.execute(insert(JOBS), row).inserted_primary_key[0])  # type: ignore[index]


def is_changed(db: Connection, namespace: str, source: str, keep: Sequence[str]) -> bool:
    """Whether a document had other passages before, learned, queued or about to be unlearned."""
    jobs = _open_of(db, namespace, source)
    waiting = {digest_of(text) for _, text, _ in jobs if text}
    known = digests_of_document(db, namespace, source) | waiting
    return bool(known - set(keep)) or not all(text for _, text, _ in jobs)


def _open_of(db: Connection, namespace: str, source: str) -> list[tuple[int, str, str]]:
    """The open jobs of a document: number, text and state."""
    text, its_source = json_text(JOBS.c.passage, "text"), json_text(JOBS.c.passage, "source")
    wanted = select(JOBS.c.id, text, JOBS.c.state, its_source).where(JOBS.c.namespace == namespace, _IS_OPEN)
    rows = db.execute(wanted).all()
    return [(number, text, state) for number, text, state, other in rows if is_version_of(source, other)]


def supersede(
    tx: Transaction,
    namespace: str,
    source: str,
    keep: Sequence[str],
    now: float,
    *,
    only_held: bool = False,
    but: str = "",
) -> None:
    """Cancel the jobs of a document's old version; if the new version is held, only held jobs.

    A running job is cancelled if the document no longer contains its text. Jobs of the thread `but` belong to the new
    version.
    """
    own = set(tx.execute(select(JOBS.c.id).where(of_thread(namespace, but))).scalars()) if but else set()
    for number, text, state in _open_of(tx, namespace, source):
        if number in own or (only_held and state != "held"):
            continue
        if state != "running":
            close(tx, JOBS.c.id == number, now, note=REPLACED)
        elif text and digest_of(text) not in keep:
            tx.execute(update(JOBS).where(JOBS.c.id == number).values(is_cancelled=1))


def remove_texts(
    database: Database, tx: Transaction, namespace: str, texts: Collection[str], topics: Collection[str]
) -> set[Path]:
    """Delete texts from the queue; a running job is cancelled, and the topics of ended jobs are deleted too.

    Open jobs of other texts lose their progress: their episodes may hold questions and rows of the forgotten texts, and
    the stack has changed below them. Returns the folders of candidates that are no longer needed.
    """
    is_ours = JOBS.c.namespace == namespace
    is_text = is_one_of(json_text(JOBS.c.passage, "text"), sorted(texts))
    is_over = and_(JOBS.c.ended > 0, is_one_of(json_text(JOBS.c.passage, "topic"), sorted(topics)))
    left = _candidates(database, tx, is_ours, or_(JOBS.c.state.in_(("held", "waiting")), is_text))
    tx.execute(delete(JOBS).where(is_ours, JOBS.c.state != "running", or_(is_text, is_over)))
    stopped = {"is_cancelled": 1, "passage": blanked(JOBS.c.passage, "topic", "text", "earlier", "heading")}
    tx.execute(update(JOBS).where(is_ours, IS_RUNNING, is_text).values(stopped))
    tx.execute(update(JOBS).where(is_ours, JOBS.c.ended == 0).values(step="decide", episode=None))
    return left


def candidate_folders(database: Database, db: Connection, namespace: str) -> set[Path]:
    """The adapter folders of a namespace's open jobs."""
    return _candidates(database, db, JOBS.c.namespace == namespace)


def _candidates(database: Database, db: Connection, *conditions: ColumnElement[bool]) -> set[Path]:
    refs = db.execute(select(json_text(JOBS.c.episode, "adapter")).where(JOBS.c.ended == 0, *conditions)).scalars()
    return {Path(database.read(AdapterRef, ref).path) for ref in refs if ref}


def candidate_ids(db: Connection) -> set[str]:
    """The adapter ids of all open jobs."""
    of_open = JOBS.c.state.in_(("waiting", "running"))
    return {i for i in db.execute(select(json_text(JOBS.c.episode, "adapter", "id")).where(of_open)).scalars() if i}


def last_activity(db: Connection) -> float:
    """Time of the last submission or end of a job in any namespace; 0 if there was none."""
    created, ended = db.execute(select(func.max(JOBS.c.created), func.max(JOBS.c.ended))).one()
    return max(float(created or 0.0), float(ended or 0.0))


def job_of(
    database: Database,
    number: int,
    namespace: str,
    thread: str,
    passage: str,
    state: JobState,
    step: str,
    episode: str | None,
    outcome: str,
    note: str,
    seconds: float,
    created: float,
    ended: float,
    model: str,
    document: str,
    keep: str | None,
) -> Job:
    """Build a job from the columns of `OF_JOB`."""
    return Job(
        number,
        namespace,
        thread,
        from_json(Passage, json.loads(passage)),
        state,
        step,
        database.read(Episode, episode) if episode else None,
        outcome,
        note,
        seconds,
        created,
        ended,
        model,
        document,
        None if keep is None else tuple(json.loads(keep)),
    )
