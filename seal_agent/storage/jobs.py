"""The queue of passages to learn, in the database, so that no reply waits for learning and no text is lost in a crash.

A job is one passage, with the episode as it was when its last step began. `background.worker.Worker` takes jobs one at
a time; jobs outlive processes. A held job waits for a person's approval. A changed document adds one job before its
passages: it unlearns what the new version does not contain.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update

from seal_agent.core.codec import to_json
from seal_agent.core.documents import Passage
from seal_agent.core.episodes import Episode
from seal_agent.core.errors import InputError
from seal_agent.core.stacks import AdapterRef
from seal_agent.storage.connection import Database
from seal_agent.storage.expressions import begins_with, is_one_of, json_text
from seal_agent.storage.job_rows import (
    BARE,
    IS_CANCELLED,
    IS_RUNNING,
    OF_JOB,
    close,
    count_beginning,
    insert_job,
    is_changed,
    is_for,
    job_of,
    of_thread,
    supersede,
)
from seal_agent.storage.job_rows import OPEN as OPEN
from seal_agent.storage.job_rows import REPLACED as REPLACED
from seal_agent.storage.job_rows import Job as Job
from seal_agent.storage.job_rows import JobState as JobState
from seal_agent.storage.namespaces import check_namespace
from seal_agent.storage.schema import BEGINNINGS, JOBS

DECLINED = "declined by a person"
LONGEST_WAIT = 3600.0
"""Seconds after which a job is due even if users keep talking."""
MAX_ID = 2**63 - 1  # SQLite's largest integer
MAX_BEGINNINGS = 10
"""Starts of a job in the same step, each ended by the death of its process, before the job fails."""
TOO_OFTEN = (
    f"its process was killed {MAX_BEGINNINGS} times in the same step, perhaps because memory ran out; "
    "submit the text again on a machine with more"
)
_NONE: Mapping[str, Sequence[str]] = MappingProxyType({})


class LearningQueue:
    """The queue of one data directory. Thread-safe and process-safe."""

    def __init__(self, home: Database) -> None:
        self.home = home

    def submit(
        self,
        passages: Sequence[Passage],
        namespace: str = "default",
        *,
        thread: str = "",
        model: str = "",
        awaiting_approval: bool = False,
        versions: Mapping[str, Sequence[str]] = _NONE,
        document: str = "",
    ) -> list[int]:
        """Append passages and return their jobs; a text that is queued already is not added again.

        `model`: only a worker with that model takes the jobs. `awaiting_approval`: no worker takes them before
        `resolve_held`. `versions`: for each document that may have been read before, its source and the digests of all
        its current passages; jobs of the old version are cancelled, and its other passages are unlearned first.
        `document` identifies the version.
        """
        check_namespace(namespace)
        if not all(passage.text.strip() for passage in passages):
            raise InputError("there is no text to learn from; give at least one sentence")
        now = time.time()
        state: JobState = "held" if awaiting_approval else "waiting"
        given = {"namespace": namespace, "thread": thread, "model": model, "state": state, "created": now}
        with self.home.transaction() as tx:
            for source, keep in versions.items():
                if not is_changed(tx, namespace, source, keep):
                    continue
                supersede(tx, namespace, source, keep, now, only_held=awaiting_approval)
                old = Passage(next((p.topic for p in passages if p.source == source), source), "", source=source)
                insert_job(tx, old, {**given, "document": document, "keep": json.dumps(list(keep))})
            return [insert_job(tx, passage, {**given, "document": document}) for passage in passages]

    def job(self, number: int) -> Job:
        """One job; raises `InputError` if it does not exist."""
        is_id = isinstance(number, int) and 0 < number <= MAX_ID
        found = self._select(JOBS.c.id == number) if is_id else []
        if not found:
            raise InputError(f"there is no job {number}; see `seal-agent queue list`")
        return found[0]

    def find(self, number: int) -> Job | None:
        """One job, or None."""
        found = self._select(JOBS.c.id == number)
        return found[0] if found else None

    def jobs(
        self, namespace: str = "", states: Sequence[JobState] = (), *, threads: Sequence[str] | None = None
    ) -> list[Job]:
        """Jobs by namespace, state and thread (default: all), oldest first."""
        wanted: list[ColumnElement[bool]] = [JOBS.c.namespace == namespace] if namespace else []
        if threads is not None:
            wanted.append(is_one_of(JOBS.c.thread, threads))
        if states:
            wanted.append(JOBS.c.state.in_(states))
        return self._select(*wanted)

    def threads(self, namespace: str, prefix: str, limit: int, *, before: str = "") -> list[str]:
        """The last `limit` threads of a namespace whose names begin with `prefix`, newest first.

        `before`: only threads older than that one; raises `InputError` if it does not exist.
        """
        begun = select(func.min(JOBS.c.id)).where(JOBS.c.namespace == namespace, JOBS.c.thread == before)
        wanted = (
            select(JOBS.c.thread)
            .where(JOBS.c.namespace == namespace, begins_with(JOBS.c.thread, prefix))
            .group_by(JOBS.c.thread)
            .order_by(func.min(JOBS.c.id).desc())
            .limit(limit)
        )
        with self.home.reading() as db:
            if before:
                first = db.execute(begun).scalar()
                if first is None:
                    raise InputError(f"this namespace has no submission {before!r}; leave it out to begin")
                wanted = wanted.having(func.min(JOBS.c.id) < first)
            return list(db.execute(wanted).scalars())

    def prune(self, before: float) -> int:
        """Delete jobs that ended well before that time and return how many; failed jobs keep their text."""
        is_over = and_(JOBS.c.state.in_(("done", "cancelled")), JOBS.c.ended.between(1, before))
        with self.home.transaction() as tx:
            return tx.execute(delete(JOBS).where(is_over)).rowcount

    def remove(self, namespace: str, thread: str) -> None:
        """Delete the jobs of a thread that are not running."""
        with self.home.transaction() as tx:
            tx.execute(delete(JOBS).where(of_thread(namespace, thread), JOBS.c.state != "running"))

    def next_due(
        self,
        model: str,
        quiet_since: float,
        idle_since: float,
        *,
        overdue_since: float | None = None,
        now: float = math.inf,
    ) -> Job | None:
        """The oldest job that is due.

        A job is due if its conversation has been quiet since `quiet_since` and all conversations with the same model
        since `idle_since`, or if it was submitted before `overdue_since` (default: `LONGEST_WAIT` seconds ago). Times
        after `now` come from before a clock was set back, and count as past.
        """
        overdue = time.time() - LONGEST_WAIT if overdue_since is None else overdue_since
        other = JOBS.alias("other")
        is_of_conversation = and_(other.c.namespace == JOBS.c.namespace, other.c.thread == JOBS.c.thread)
        is_disturbed = (
            select(other.c.id)
            .where(other.c.model.in_(("", model)), other.c.created.between(min(quiet_since, idle_since), now))
            .where(or_(other.c.created > idle_since, and_(other.c.created > quiet_since, is_of_conversation)))
            .exists()
        )
        is_due = or_(JOBS.c.created <= overdue, ~is_disturbed)
        found = self._select(JOBS.c.state == "waiting", is_for(model), is_due, limit=1)
        return found[0] if found else None

    def num_open(self, model: str) -> int:
        """The number of waiting and running jobs for a worker with that model."""
        wanted = select(func.count()).select_from(JOBS).where(JOBS.c.state.in_(("waiting", "running")), is_for(model))
        with self.home.reading() as db:
            return int(db.execute(wanted).scalar_one())

    def num_texts(self, model: str) -> int:
        """The number of texts (whole conversations or documents) that are held or wait for a worker with that model."""
        texts = select(JOBS.c.namespace, JOBS.c.thread).where(JOBS.c.state.in_(("held", "waiting")), is_for(model))
        wanted = select(func.count()).select_from(texts.distinct().subquery())
        with self.home.reading() as db:
            return int(db.execute(wanted).scalar_one())

    def resolve_held(self, namespace: str, thread: str, *, approve: bool) -> int:
        """Release the held jobs of a thread, or close them as declined; returns how many there were.

        On approval, queued jobs of older versions of their documents are cancelled.
        """
        now = time.time()
        which = and_(of_thread(namespace, thread), JOBS.c.state == "held")
        changed = select(json_text(JOBS.c.passage, "source"), JOBS.c.keep).where(which, JOBS.c.keep.is_not(None))
        with self.home.transaction() as tx:
            if not approve:
                return close(tx, which, now, note=DECLINED)
            for source, keep in tx.execute(changed).all():
                supersede(tx, namespace, source, json.loads(keep), now, but=thread)
            return tx.execute(update(JOBS).where(which).values(state="waiting")).rowcount

    def withdraw(self, namespace: str, thread: str, text: str) -> None:
        """Delete the held job of a text that was decided outside the queue."""
        is_held = and_(of_thread(namespace, thread), JOBS.c.state == "held")
        with self.home.transaction() as tx:
            tx.execute(delete(JOBS).where(is_held, json_text(JOBS.c.passage, "text") == text))

    def begin(self, job: Job) -> bool:
        """Start a waiting job; False if it was cancelled or taken meanwhile."""
        is_free = and_(JOBS.c.id == job.id, JOBS.c.state == "waiting")
        with self.home.transaction() as tx:
            is_taken = tx.execute(update(JOBS).where(is_free).values(state="running")).rowcount == 1
            if is_taken:
                count_beginning(tx, job.id)
            return is_taken

    def checkpoint(self, job: Job, step: str, episode: Episode, seconds: float) -> None:
        """Store a job's progress, unless it was cancelled: after a crash it continues at `step`."""
        values = {"step": step, "episode": json.dumps(to_json(episode)), "seconds": seconds}
        with self.home.transaction() as tx:
            tx.execute(update(JOBS).where(JOBS.c.id == job.id, ~IS_CANCELLED).values(values))

    def end(
        self,
        job: Job,
        state: JobState,
        outcome: str,
        note: str,
        seconds: float,
        adapter: AdapterRef | None = None,
    ) -> None:
        """Close a job. Its text is kept only if it failed; for other outcomes the ledger has it."""
        kept = job.passage if state == "failed" else replace(job.passage, text="", earlier="", heading="")
        episode = json.dumps(to_json(Episode(job.namespace, "", adapter=adapter))) if adapter else None
        values = {"state": state, "outcome": outcome, "note": note, "seconds": seconds, "ended": time.time()}
        which = JOBS.c.id == job.id
        with self.home.transaction() as tx:
            tx.execute(update(JOBS).where(which, IS_CANCELLED).values(BARE))
            tx.execute(update(JOBS).where(which, ~IS_CANCELLED).values(passage=json.dumps(to_json(kept))))
            tx.execute(update(JOBS).where(which).values({**values, "episode": episode}))

    def requeue_abandoned(self, model: str, *, was_stopped: bool = False) -> int:
        """Requeue the jobs of a worker that was stopped or killed; returns how many.

        Jobs cancelled meanwhile are closed. So are jobs whose process died `MAX_BEGINNINGS` times in the same step,
        because a text that exhausts the memory would block all others. Call only while holding the worker lock.
        `was_stopped`: the worker stopped normally, which does not count as a death.
        """
        is_left = and_(IS_RUNNING, is_for(model))
        was_begun_often = (
            select(BEGINNINGS.c.job)
            .where(BEGINNINGS.c.job == JOBS.c.id, BEGINNINGS.c.step == JOBS.c.step)
            .where(BEGINNINGS.c.num >= MAX_BEGINNINGS)
            .exists()
        )
        failed = {"state": "failed", "ended": time.time(), "episode": None, "note": TOO_OFTEN}
        with self.home.transaction() as tx:
            if was_stopped:
                tx.execute(delete(BEGINNINGS).where(BEGINNINGS.c.job.in_(select(JOBS.c.id).where(IS_RUNNING))))
            close(tx, and_(is_left, IS_CANCELLED), time.time())
            tx.execute(update(JOBS).where(is_left, was_begun_often).values(failed))
            return tx.execute(update(JOBS).where(is_left).values(state="waiting")).rowcount

    def cancel(self, number: int) -> Job:
        """Cancel a job, at once or before its next step; raises `InputError` if it has ended."""
        self.job(number)
        is_asked = JOBS.c.id == number
        with self.home.transaction() as tx:
            if not close(tx, and_(is_asked, JOBS.c.state.in_(("held", "waiting"))), time.time()):
                tx.execute(update(JOBS).where(is_asked, IS_RUNNING).values(is_cancelled=1))
        job = self.job(number)
        if job.state not in ("running", "cancelled"):
            raise InputError(f"job {number} is {job.state} already; remove what it learned with `adapters rollback`")
        return job

    def is_cancelled(self, job: Job) -> bool:
        """Whether the job was cancelled or erased."""
        with self.home.reading() as db:
            is_cancelled = db.execute(select(JOBS.c.is_cancelled).where(JOBS.c.id == job.id)).scalar()
        return is_cancelled is None or bool(is_cancelled)

    def usage_since(self, since: float, *, now: float = math.inf) -> tuple[int, float]:
        """The number of edits accepted from `since` to `now`, and the total seconds of the jobs that ended then."""
        is_rejected_candidate = and_(JOBS.c.outcome == "rejected", JOBS.c.step == "reject")
        num_edits = func.count().filter(or_(JOBS.c.outcome == "accepted", is_rejected_candidate))
        wanted = select(num_edits, func.sum(JOBS.c.seconds)).where(JOBS.c.ended.between(since, now))
        with self.home.reading() as db:
            edits, seconds = db.execute(wanted).one()
        return int(edits), float(seconds or 0.0)

    def _select(self, *conditions: ColumnElement[bool], limit: int | None = None) -> list[Job]:
        wanted = select(*OF_JOB).where(*conditions).order_by(JOBS.c.id).limit(limit)
        with self.home.reading() as db:
            rows = db.execute(wanted).all()
        return [job_of(self.home, *row) for row in rows]
