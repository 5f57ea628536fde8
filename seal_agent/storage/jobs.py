"""What waits to be learned: a queue in the home's database, so that a reply never waits and a kill loses nothing.

A job is one passage on its way through the loop, with the episode as it was when its last step began. Jobs are taken
by `worker.Worker`, one at a time; they outlive every process. A job may be held: it waits for a person to agree.
A changed document brings one job more, before its passages: to unlearn what its old version said and it no longer does.
"""

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from seal_agent.core.codec import from_json, to_json
from seal_agent.core.documents import Passage
from seal_agent.core.episodes import Episode
from seal_agent.core.errors import InputError
from seal_agent.core.stacks import AdapterRef
from seal_agent.documents.files import is_version_of
from seal_agent.storage.database import Home, check_namespace, digest_of

JobState = Literal["held", "waiting", "running", "done", "failed", "cancelled"]
OPEN: tuple[JobState, ...] = ("held", "waiting", "running")
DECLINED = "declined by a person"
REPLACED = "a newer version of the document came"
LONGEST_WAIT = 3600.0
"""Seconds after which a job is begun although somebody is always speaking."""
MAX_ID = 2**63 - 1  # of SQLite
MAX_BEGINNINGS = 10
"""Times that a job is begun in the same step, where each time its process was killed."""
TOO_OFTEN = (
    f"its process was killed {MAX_BEGINNINGS} times in the same step, perhaps for want of memory; "
    "submit the text again where there is more"
)
_NONE: Mapping[str, Sequence[str]] = MappingProxyType({})
_BARE = "json_set(passage, '$.text', '', '$.earlier', '', '$.heading', '')"
_CLOSED = f"ended = ?, episode = NULL, passage = {_BARE}"
_COLUMNS = (
    "id, namespace, thread, passage, state, step, episode, outcome, note, seconds, created, ended, model, document,"
    " keep"
)


@dataclass(frozen=True)
class Job:
    """One passage to learn, and how far it has come.

    `model`: whose worker takes it, "" for any. `step` comes next; `note` says what became of it, or why it failed.
    Times are seconds since the epoch; `seconds` were spent on it so far, by whoever worked on it. Once it has ended,
    `episode` holds no more than the adapter.
    `document` tells the version of the document that the passage is of. Where `keep` is given nothing is learned: what
    the passage's source said before is unlearned, but for the passages of those digests.
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
        """The id of the adapter that was accepted; empty for any other end."""
        reached = self.episode.adapter if self.episode and self.outcome == "accepted" else None
        return reached.id if reached else ""


class LearningQueue:
    """The queue of one home. Safe to use from several threads and processes."""

    def __init__(self, home: Home) -> None:
        self.home = home

    def submit(
        self,
        passages: Sequence[Passage],
        namespace: str = "default",
        *,
        thread: str = "",
        model: str = "",
        held: bool = False,
        versions: Mapping[str, Sequence[str]] = _NONE,
        document: str = "",
    ) -> list[int]:
        """Put passages at the end; returns their jobs. A text that waits already is not put there twice.

        `model`: only a worker with that model takes them. `held`: no worker takes them before `settle`. `versions`: for
        every document that may have been read before, its source with the digests of all passages it has now: jobs of
        its old version are cancelled, and what else came from there is unlearned first. `document` names the version.
        """
        check_namespace(namespace)
        if not all(passage.text.strip() for passage in passages):
            raise InputError("there is no text to learn from; give at least one sentence")
        now = time.time()
        state: JobState = "held" if held else "waiting"
        with self.home.connect() as db:
            db.execute("BEGIN IMMEDIATE")
            for source, keep in versions.items():
                if not _is_changed(db, namespace, source, keep):
                    continue
                _supersede(db, namespace, source, keep, now, held=held)
                old = Passage(next((p.topic for p in passages if p.source == source), source), "", source=source)
                given = (namespace, thread, model, state, now, document)
                _insert(db, old, *given, keep=json.dumps(list(keep)))
            return [_insert(db, passage, namespace, thread, model, state, now, document) for passage in passages]

    def job(self, number: int) -> Job:
        """One job; raises `InputError` for a number nobody got."""
        is_id = isinstance(number, int) and 0 < number <= MAX_ID
        found = self._select("WHERE id = ?", (number,)) if is_id else []
        if not found:
            raise InputError(f"there is no job {number}; see `seal-agent queue list`")
        return found[0]

    def jobs(
        self, namespace: str = "", states: Sequence[JobState] = (), *, threads: Sequence[str] | None = None
    ) -> list[Job]:
        """The jobs of a namespace (default: of all) in those states and threads (default: any), oldest first."""
        wanted: list[tuple[str, list[str]]] = [("namespace = ?", [namespace])] if namespace else []
        if threads is not None:
            wanted.append(("thread IN (SELECT value FROM json_each(?))", [json.dumps(list(threads))]))
        if states:
            wanted.append((f"state IN ({', '.join('?' * len(states))})", list(states)))
        where = " AND ".join(each for each, _ in wanted)
        return self._select(f"WHERE {where}" if where else "", [v for _, values in wanted for v in values])

    def threads(self, namespace: str, prefix: str, limit: int, *, before: str = "") -> list[str]:
        """The last `limit` threads of a namespace that begin with `prefix`, the newest first.

        `before`: the last of them before that one; raises `InputError` for one that is not there.
        """
        begun = "SELECT MIN(id) FROM jobs WHERE namespace = ? AND thread = ?"
        with self.home.connect() as db:
            (last,) = db.execute(begun, (namespace, before)).fetchone() if before else (math.inf,)
            if last is None:
                raise InputError(f"nothing was given to learn as {before!r} in this namespace; leave it out to begin")
            rows = db.execute(
                "SELECT thread FROM jobs WHERE namespace = ? AND thread GLOB ? GROUP BY thread HAVING MIN(id) < ?"
                " ORDER BY MIN(id) DESC LIMIT ?",
                (namespace, f"{prefix}*", last, limit),
            ).fetchall()
        return [row[0] for row in rows]

    def prune(self, before: float) -> int:
        """Remove the jobs that ended well before that time; returns how many. One that failed keeps its text."""
        with self.home.connect() as db:
            return db.execute(
                "DELETE FROM jobs WHERE state IN ('done', 'cancelled') AND ended BETWEEN 1 AND ?", (before,)
            ).rowcount

    def remove(self, namespace: str, thread: str) -> None:
        """Remove the jobs of a thread, but for one that runs."""
        with self.home.connect() as db:
            db.execute(
                "DELETE FROM jobs WHERE namespace = ? AND thread = ? AND state <> 'running'", (namespace, thread)
            )

    def next_due(
        self,
        model: str,
        quiet_since: float,
        idle_since: float,
        *,
        overdue_since: float | None = None,
        now: float = math.inf,
    ) -> Job | None:
        """The oldest job that may be begun.

        Its conversation has brought nothing new since `quiet_since`, and no conversation with the same model any since
        `idle_since`; or it was submitted before `overdue_since` (default: `LONGEST_WAIT` seconds ago), whoever speaks.
        What seems to come after `now` was said before the clock was set back.
        """
        overdue = time.time() - LONGEST_WAIT if overdue_since is None else overdue_since
        found = self._select(
            "AS j WHERE state = 'waiting' AND model IN ('', ?) AND (created <= ?"
            " OR NOT EXISTS (SELECT 1 FROM jobs AS other WHERE other.model IN ('', ?)"
            " AND other.created BETWEEN ? AND ? AND (other.created > ?"
            " OR (other.created > ? AND other.namespace = j.namespace AND other.thread = j.thread))))",
            (model, overdue, model, min(quiet_since, idle_since), now, idle_since, quiet_since),
            limit=1,
        )
        return found[0] if found else None

    def num_open(self, model: str) -> int:
        """How many jobs wait or run that a worker with that model takes."""
        with self.home.connect() as db:
            row = db.execute(
                "SELECT COUNT(*) FROM jobs WHERE state IN ('waiting', 'running') AND model IN ('', ?)", (model,)
            ).fetchone()
        return int(row[0])

    def num_texts(self, model: str) -> int:
        """How many texts, whole conversations or documents, are held or wait for a worker with that model."""
        with self.home.connect() as db:
            row = db.execute(
                "SELECT COUNT(*) FROM (SELECT DISTINCT namespace, thread FROM jobs"
                " WHERE state IN ('held', 'waiting') AND model IN ('', ?))",
                (model,),
            ).fetchone()
        return int(row[0])

    def settle(self, namespace: str, thread: str, *, approve: bool) -> int:
        """Let the held jobs of a thread be learned, or end them unlearned; returns how many there were.

        What waits of older versions of its documents is not learned any more.
        """
        change = "state = 'waiting'"
        values: tuple[float | str, ...] = (namespace, thread)
        now = time.time()
        if not approve:
            change, values = f"state = 'cancelled', note = '{DECLINED}', {_CLOSED}", (now, *values)
        which = "namespace = ? AND thread = ? AND state = 'held'"
        with self.home.connect() as db:
            db.execute("BEGIN IMMEDIATE")
            changed = db.execute(
                f"SELECT json_extract(passage, '$.source'), keep FROM jobs WHERE {which} AND keep IS NOT NULL",
                (namespace, thread),
            ).fetchall()
            for source, keep in changed if approve else ():
                _supersede(db, namespace, source, json.loads(keep), now, held=False, but=thread)
            return db.execute(f"UPDATE jobs SET {change} WHERE {which}", values).rowcount

    def withdraw(self, namespace: str, thread: str, text: str) -> None:
        """Remove what is held of that text in a thread: it has come to its end outside of the queue."""
        with self.home.connect() as db:
            db.execute(
                "DELETE FROM jobs WHERE namespace = ? AND thread = ? AND state = 'held'"
                " AND json_extract(passage, '$.text') = ?",
                (namespace, thread, text),
            )

    def begin(self, job: Job) -> bool:
        """Take a waiting job; False if it was cancelled or taken meanwhile."""
        with self.home.connect() as db:
            taken = db.execute("UPDATE jobs SET state = 'running' WHERE id = ? AND state = 'waiting'", (job.id,))
            if taken.rowcount:
                _count_beginning(db, job.id)
            return taken.rowcount == 1

    def reach(self, job: Job, step: str, episode: Episode, seconds: float) -> None:
        """Write down how far a job has come: what is killed now is taken up at `step`, if nobody has cancelled it."""
        with self.home.connect() as db:
            db.execute(
                "UPDATE jobs SET step = ?, episode = ?, seconds = ? WHERE id = ? AND NOT is_cancelled",
                (step, json.dumps(to_json(episode)), seconds, job.id),
            )

    def end(
        self,
        job: Job,
        state: JobState,
        outcome: str,
        note: str,
        seconds: float,
        adapter: AdapterRef | None = None,
    ) -> None:
        """Close a job. Its text stays only where it failed and nobody cancelled it: the ledger has the others'."""
        kept = job.passage if state == "failed" else replace(job.passage, text="", earlier="", heading="")
        episode = json.dumps(to_json(Episode(job.namespace, "", adapter=adapter))) if adapter else None
        with self.home.connect() as db:
            db.execute(
                "UPDATE jobs SET state = ?, outcome = ?, note = ?, seconds = ?, ended = ?, episode = ?,"
                f" passage = CASE WHEN is_cancelled THEN {_BARE} ELSE ? END WHERE id = ?",
                (state, outcome, note, seconds, time.time(), episode, json.dumps(to_json(kept)), job.id),
            )

    def put_back(self, model: str, *, was_stopped: bool = False) -> int:
        """Make the jobs wait again that a worker left behind when it was stopped or killed; returns how many.

        Those that were cancelled meanwhile are ended, and so are those whose process was killed in the same step
        `MAX_BEGINNINGS` times: a text that takes more memory than there is would keep all others from being learned.
        Only for whoever holds the model's lock: nobody else can be running them. `was_stopped`: by its own worker,
        which counts for nothing.
        """
        with self.home.connect() as db:
            if was_stopped:
                db.execute("DELETE FROM beginnings WHERE job IN (SELECT id FROM jobs WHERE state = 'running')")
            db.execute(
                f"UPDATE jobs SET state = 'cancelled', {_CLOSED} WHERE state = 'running' AND is_cancelled"
                " AND model IN ('', ?)",
                (time.time(), model),
            )
            db.execute(
                "UPDATE jobs SET state = 'failed', ended = ?, episode = NULL, note = ? WHERE state = 'running'"
                " AND model IN ('', ?) AND id IN (SELECT job FROM beginnings WHERE num >= ? AND step = jobs.step)",
                (time.time(), TOO_OFTEN, model, MAX_BEGINNINGS),
            )
            return db.execute(
                "UPDATE jobs SET state = 'waiting' WHERE state = 'running' AND model IN ('', ?)", (model,)
            ).rowcount

    def cancel(self, number: int) -> Job:
        """Cancel a job: one that waits at once, one that runs before its next step; raises `InputError` if it ended."""
        self.job(number)
        with self.home.connect() as db:
            waited = db.execute(
                f"UPDATE jobs SET state = 'cancelled', {_CLOSED} WHERE id = ? AND state IN ('held', 'waiting')",
                (time.time(), number),
            ).rowcount
            if not waited:
                db.execute("UPDATE jobs SET is_cancelled = 1 WHERE id = ? AND state = 'running'", (number,))
        job = self.job(number)
        if job.state not in ("running", "cancelled"):
            raise InputError(f"job {number} is {job.state} already; undo what it learned with `adapters rollback`")
        return job

    def is_cancelled(self, job: Job) -> bool:
        """Whether somebody wants the job ended, or has erased it."""
        with self.home.connect() as db:
            row = db.execute("SELECT is_cancelled FROM jobs WHERE id = ?", (job.id,)).fetchone()
        return row is None or bool(row[0])

    def spent(self, since: float, *, now: float = math.inf) -> tuple[int, float]:
        """How many edits ended in an adapter from `since` to `now`, and the seconds of all jobs that ended then."""
        with self.home.connect() as db:
            row = db.execute(
                "SELECT COUNT(*) FILTER (WHERE outcome IN ('accepted', 'rolled back')), TOTAL(seconds) FROM jobs"
                " WHERE ended BETWEEN ? AND ?",
                (since, now),
            ).fetchone()
        return int(row[0]), float(row[1])

    def _select(self, where: str, values: Sequence[object], limit: int = -1) -> list[Job]:
        with self.home.connect() as db:
            rows = db.execute(f"SELECT {_COLUMNS} FROM jobs {where} ORDER BY id LIMIT {limit}", values).fetchall()
        return [_job(self.home, *row) for row in rows]


def _count_beginning(db: sqlite3.Connection, job: int) -> None:
    """One beginning more of a job in the step it is in."""
    db.execute(
        "INSERT INTO beginnings SELECT id, step, 1 FROM jobs WHERE id = ? ON CONFLICT (job) DO UPDATE SET"
        " num = CASE WHEN step = excluded.step THEN num + 1 ELSE 1 END, step = excluded.step",
        (job,),
    )


def _insert(
    db: sqlite3.Connection,
    passage: Passage,
    namespace: str,
    thread: str,
    model: str,
    state: JobState,
    now: float,
    document: str,
    keep: str | None = None,
) -> int:
    body = json.dumps(to_json(passage))
    known = db.execute(
        "SELECT id FROM jobs WHERE namespace = ? AND model = ? AND passage = ? AND state = ? AND keep IS ?",
        (namespace, model, body, state, keep),
    ).fetchone()
    if known:
        return int(known[0])
    cursor = db.execute(
        "INSERT INTO jobs (namespace, model, thread, passage, state, created, document, keep)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (namespace, model, thread, body, state, now, document, keep),
    )
    return int(cursor.lastrowid or 0)


def _is_changed(db: sqlite3.Connection, namespace: str, source: str, keep: Sequence[str]) -> bool:
    """Whether a document had other passages before: learned, on their way, or about to be unlearned."""
    rows = db.execute("SELECT source, digest FROM passages WHERE namespace = ?", (namespace,)).fetchall()
    read = {digest for other, digest in rows if is_version_of(source, other)}
    jobs = _open_of(db, namespace, source)
    waiting = {digest_of(text) for _, text, _ in jobs if text}
    return bool((read | waiting) - set(keep)) or not all(text for _, text, _ in jobs)


def _open_of(db: sqlite3.Connection, namespace: str, source: str) -> list[tuple[int, str, str]]:
    """The jobs of a document that are not over: number, text and state."""
    rows = db.execute(
        "SELECT id, json_extract(passage, '$.text'), state, json_extract(passage, '$.source') FROM jobs"
        f" WHERE namespace = ? AND state IN ({', '.join('?' * len(OPEN))})",
        (namespace, *OPEN),
    ).fetchall()
    return [(number, text, state) for number, text, state, other in rows if is_version_of(source, other)]


def _supersede(
    db: sqlite3.Connection,
    namespace: str,
    source: str,
    keep: Sequence[str],
    now: float,
    *,
    held: bool,
    but: str = "",
) -> None:
    """End the jobs of a document's old version; a version that is held itself ends only those that are.

    One that runs is ended where the document no longer says it. The jobs of the thread `but` are the new version's.
    """
    own = {row[0] for row in db.execute("SELECT id FROM jobs WHERE namespace = ? AND thread = ?", (namespace, but))}
    for number, text, state in _open_of(db, namespace, source):
        if number in (own if but else ()) or (held and state != "held"):
            continue
        if state != "running":
            db.execute(
                f"UPDATE jobs SET state = 'cancelled', note = ?, {_CLOSED} WHERE id = ?", (REPLACED, now, number)
            )
        elif text and digest_of(text) not in keep:
            db.execute("UPDATE jobs SET is_cancelled = 1 WHERE id = ?", (number,))


def _job(
    home: Home,
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
    return Job(
        number,
        namespace,
        thread,
        from_json(Passage, json.loads(passage)),
        state,
        step,
        home.read(Episode, episode) if episode else None,
        outcome,
        note,
        seconds,
        created,
        ended,
        model,
        document,
        None if keep is None else tuple(json.loads(keep)),
    )
