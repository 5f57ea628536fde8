"""What is learned behind the replies: texts in, one after the other through the learning loop, and what became of them.

One worker thread, and nothing survives the process; a persistent queue takes its place by having the same methods.
"""

from __future__ import annotations

import logging
import queue
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from seal_agent.errors import InputError, SealError
from seal_agent.learner import Learner

Status = Literal["waiting for approval", "queued", "learning", "done", "failed", "rejected"]
MAX_REMEMBERED = 10_000  # jobs, the last of them
RECURSION_LIMIT = 1_000_000  # nodes of one run: a document has some ten per passage and may have any length

log = logging.getLogger(__name__)


class BusyError(SealError):
    """More waits to be learned than is allowed."""


@dataclass(frozen=True)
class Job:
    """One text on its way; `outcomes` are the reports of its passages, `fault` why it failed."""

    id: str
    namespace: str
    title: str
    text: str
    status: Status
    outcomes: tuple[dict[str, Any], ...] = ()
    fault: str = ""


class Learning(Protocol):
    """What the gateway asks of whatever learns behind it."""

    def submit(self, namespace: str, text: str, *, title: str = "") -> Job:
        """Take a text to be learned; raises `BusyError` where too much waits already."""

    def jobs(self, namespace: str) -> list[Job]:
        """What was submitted in a namespace, oldest first."""

    def decide(self, namespace: str, job_id: str, *, approve: bool) -> Job:
        """Learn a text that waits for approval, or drop it; raises `InputError` where none waits."""

    def close(self) -> None:
        """Finish the text that is being learned, and no other."""


class BackgroundLearning:
    """Learns in one thread of this process; with `needs_approval` each text waits until a person has agreed to it."""

    def __init__(
        self, learner_of: Callable[[str], Learner], *, max_waiting: int = 1000, needs_approval: bool = False
    ) -> None:
        self._learner_of = learner_of
        self._max_waiting = max_waiting
        self._needs_approval = needs_approval
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="learning", daemon=True)
        self._thread.start()

    def submit(self, namespace: str, text: str, *, title: str = "") -> Job:
        """Take a text to be learned; raises `BusyError` where too much waits already."""
        status: Status = "waiting for approval" if self._needs_approval else "queued"
        job = Job(f"job-{uuid.uuid4().hex[:16]}", namespace, title, text, status)
        with self._lock:
            num_waiting = sum(each.status in ("waiting for approval", "queued") for each in self._jobs.values())
            if num_waiting >= self._max_waiting:
                raise BusyError(f"{num_waiting} texts wait to be learned already; try again later")
            self._jobs[job.id] = job
            while len(self._jobs) > max(MAX_REMEMBERED, self._max_waiting):
                del self._jobs[next(iter(self._jobs))]
        if status == "queued":
            self._queue.put(job.id)
        return job

    def jobs(self, namespace: str) -> list[Job]:
        """What was submitted in a namespace, oldest first."""
        with self._lock:
            return [job for job in self._jobs.values() if job.namespace == namespace]

    def decide(self, namespace: str, job_id: str, *, approve: bool) -> Job:
        """Learn a text that waits for approval, or drop it; raises `InputError` where none waits."""
        with self._lock:
            job = self._jobs.get(job_id)
            if job is None or job.namespace != namespace or job.status != "waiting for approval":
                raise InputError(f"nothing waits for approval as {job_id!r}; see /v1/approvals")
            job = self._jobs[job_id] = replace(job, status="queued" if approve else "rejected")
        if approve:
            self._queue.put(job_id)
        return job

    def close(self) -> None:
        """Finish the text that is being learned, and no other."""
        while not self._queue.empty():
            self._queue.get()
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while job_id := self._queue.get():
            job = self._changed(job_id, status="learning")
            try:
                outcomes = self._learn(job)
            except SealError as error:
                self._changed(job_id, status="failed", fault=str(error))
            except Exception as error:  # the edge of the thread: the next text must not wait for ever
                log.exception("learning %s failed", job_id)
                self._changed(job_id, status="failed", fault=f"{type(error).__name__}; the gateway's log says more")
            else:
                self._changed(job_id, status="done", outcomes=outcomes)

    def _learn(self, job: Job) -> tuple[dict[str, Any], ...]:
        from seal_agent.graphs.ingest import create_ingest_graph

        graph = create_ingest_graph(self._learner_of(job.namespace)).compile()
        config: Any = {"recursion_limit": RECURSION_LIMIT, "configurable": {"thread_id": job.id}}
        state: Any = {"document": job.text, "title": job.title}
        return tuple(graph.invoke(state, config)["outcomes"])

    def _changed(self, job_id: str, **changes: Any) -> Job:
        with self._lock:
            job = self._jobs[job_id] = replace(self._jobs[job_id], **changes)
        return job
