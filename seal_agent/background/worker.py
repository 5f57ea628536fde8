"""The background worker: one per model takes jobs from the queue, within a budget.

It runs as a thread beside an agent (`Worker(learner).start()`) or in a process of its own (`seal-agent queue work`). As
a thread it yields to replies between two steps, so that a reply waits for one step at most. If the process ends, the
current job is resumed at its last step; an accepted edit is not learned twice.
"""

from __future__ import annotations

import hashlib
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from seal_agent.core.episodes import Episode
from seal_agent.core.errors import InputError, SealError, StackChanged
from seal_agent.core.numbers import check_number, check_whole
from seal_agent.core.priority import in_background
from seal_agent.documents.files import KNOWN
from seal_agent.learning import loop
from seal_agent.learning.learner import Learner
from seal_agent.learning.learners import Learners, check_learner
from seal_agent.storage import documents
from seal_agent.storage.cleanup import clean
from seal_agent.storage.jobs import LONGEST_WAIT, Job, LearningQueue
from seal_agent.unlearning.asked import asks_for_change, carry_out
from seal_agent.unlearning.forget import replace_version

log = logging.getLogger(__name__)
HOUR = 3600.0
LOOK_SECONDS = 0.3  # between two checks of the queue, and of whether a job was cancelled
KEPT_SECONDS = 30 * 24 * HOUR  # ended jobs can be queried for this long; the ledger keeps their outcome
MAX_BEGINNINGS = 3  # of a job whose stack is changed by others

ENDED, UNLEARN = "ended", "unlearn"  # further "steps" in the events of a worker


@dataclass(frozen=True)
class WorkEvent:
    """A job has begun a step, made progress in it (`total` 0: unknown), or, with the step "ended", is over."""

    job: Job
    step: str
    what: str = ""
    done: int = 0
    total: int = 0


def unseen(_event: WorkEvent) -> None:
    """An event callback that does nothing."""


@dataclass(frozen=True)
class Budget:
    """Limits of learning; 0 means no limit.

    A job is begun when its conversation has been quiet for `quiet_seconds` and all conversations with the same model
    for `idle_seconds`, or after it has waited for `max_wait_seconds`; and only while less than `seconds_per_hour` and
    `edits_per_hour` were spent in the last hour. A job that has begun is not interrupted by the budget.
    """

    quiet_seconds: float = 2.0
    idle_seconds: float = 0.0
    max_wait_seconds: float = LONGEST_WAIT
    seconds_per_hour: float = 0.0
    edits_per_hour: int = 0

    def __post_init__(self) -> None:
        for name in ("quiet_seconds", "idle_seconds", "max_wait_seconds", "seconds_per_hour"):
            check_number(name, getattr(self, name), 0)
        check_whole("edits_per_hour", self.edits_per_hour, 0)

    def has_room(self, num_edits: int, seconds: float) -> bool:
        """Whether another job may begin, given what was spent in the last hour."""
        return not (
            (self.edits_per_hour and num_edits >= self.edits_per_hour)
            or (self.seconds_per_hour and seconds >= self.seconds_per_hour)
        )


class _Ended(Exception):
    """The current job was cancelled, or the worker stopped."""


class Worker:
    """Takes the jobs of one data directory and model, one at a time; a second worker waits for the first to end."""

    def __init__(
        self,
        learner: Learner | Learners,
        budget: Budget | None = None,
        *,
        on_event: Callable[[WorkEvent], None] = unseen,
    ) -> None:
        check_learner(learner)
        self.queue = LearningQueue(learner.home)
        self.budget = budget or Budget()
        self._learners = Learners.like(learner)
        self._model = learner.backend.model
        self._on_event = on_event
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = _lock_of(learner.home.root, self._model)
        self._is_spent = False

    def start(self) -> Worker:
        """Work in a thread of this process until `stop`; returns this worker."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self.run_forever, name="seal-agent-worker", daemon=True)
            self._thread.start()
        return self

    def stop(self, timeout: float = 60.0) -> None:
        """End the thread after its current step; the current job returns to the queue."""
        check_number("timeout", timeout, 0, threading.TIMEOUT_MAX)
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                raise InputError(f"the worker is still in a step after {timeout:g} s; wait longer")
            self._thread = None

    def __enter__(self) -> Worker:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    def run_until_empty(self) -> int:
        """Learn in this thread all jobs that are due now or after their quiet time; returns how many ended.

        Raises `InputError` if another worker is running.
        """
        try:
            with self._lock, in_background():
                self.recover()
                num_ended = 0
                while self.queue.num_open(self._model) and self._has_room():
                    num_ended += self._work_once()
                return num_ended
        except Timeout as error:
            raise InputError(
                f"another worker learns for {self._model} in {self.queue.home.root}; wait for it or end it"
            ) from error

    def wait(self, timeout: float = 600.0) -> bool:
        """Wait until no job waits or runs; False after `timeout` seconds."""
        if timeout != math.inf:
            check_number("timeout", timeout, 0)
        end = time.monotonic() + timeout
        while self.queue.num_open(self._model):
            if time.monotonic() > end:
                return False
            time.sleep(LOOK_SECONDS / 3)
        return True

    def run_forever(self) -> None:
        """Learn in this thread until `stop`: take the model's lock as soon as it is free, then jobs as they come."""
        while not self._stopping.is_set():
            try:
                with self._lock, in_background():
                    self.recover()
                    while not self._stopping.is_set():
                        if not (self._has_room() and self._work_once()):
                            self._stopping.wait(LOOK_SECONDS)
            except Timeout:
                self._stopping.wait(10 * LOOK_SECONDS)  # another process works; if it ends, this one takes over
            except SealError:
                log.exception("the queue cannot be read; trying again")
                self._stopping.wait(10 * LOOK_SECONDS)

    def recover(self) -> None:
        """With the lock held: requeue or close the jobs of a worker that was killed."""
        self.queue.requeue_abandoned(self._model)
        self.queue.prune(time.time() - KEPT_SECONDS)
        clean(self.queue.home)

    def _has_room(self) -> bool:
        now = time.time()
        has_room = self.budget.has_room(*self.queue.usage_since(now - HOUR, now=now))
        if not has_room and not self._is_spent and (num := self.queue.num_open(self._model)):
            log.warning("the budget of the last hour is spent; %d jobs wait", num)
        self._is_spent = not has_room
        return has_room

    def _work_once(self) -> bool:
        """Run the next due job, if there is one, to its end."""
        now = time.time()
        job = self.queue.next_due(
            self._model,
            now - self.budget.quiet_seconds,
            now - self.budget.idle_seconds,
            overdue_since=now - (self.budget.max_wait_seconds or math.inf),
            now=now,
        )
        if job is None or not self.queue.begin(job):
            time.sleep(LOOK_SECONDS / 10)
            return False
        start = time.monotonic() - job.seconds
        try:
            if job.keep is not None:
                self.queue.end(job, "done", *self._replaced(job, job.keep), time.monotonic() - start)
            elif self._is_known(job):
                self.queue.end(job, "done", *KNOWN, time.monotonic() - start)
            else:
                episode = self._learned(job, start)
                accepted = episode.adapter if episode.outcome == "accepted" else None
                outcome, reason = str(episode.outcome), episode.reason
                if asks_for_change(episode):
                    done = carry_out(self._learners.of(job.namespace).state, episode)
                    outcome, reason = done.outcome, done.reason
                self.queue.end(job, "done", outcome, reason, time.monotonic() - start, accepted)
        except _Ended:
            if not self.queue.is_cancelled(job):
                self.queue.requeue_abandoned(self._model, was_stopped=True)
                return False
            self.queue.end(job, "cancelled", "", "cancelled while it was learned", time.monotonic() - start)
        except Exception as error:  # edge of the worker: a failed job must not end the others
            log.exception("job %d failed", job.id)
            self.queue.end(job, "failed", "", str(error) or repr(error), time.monotonic() - start)
        self._on_event(WorkEvent(self._ended(job), ENDED))
        return True

    def _ended(self, job: Job) -> Job:
        """The job as stored; one that was erased with its user is returned unchanged."""
        try:
            return self.queue.job(job.id)
        except InputError:
            return replace(
                job, state="cancelled", passage=replace(job.passage, text="", earlier="", heading=""), episode=None
            )

    def _learned(self, job: Job, start: float) -> Episode:
        """The closed episode of a job, resumed where it stopped."""
        learner = self._learners.of(job.namespace)
        for beginning in range(MAX_BEGINNINGS):
            episode, step = job.episode, job.step
            if episode and (done := learner.closed(episode)):
                return done  # the process was killed after the transaction
            if beginning or episode is None or not _fits(episode, step, learner):
                episode, step = learner.begin(job.passage, thread=job.thread), loop.FIRST
            elif step in ("judge", "accept") and episode.probed_on != episode.candidate_digest:
                step = "probe"  # the job does not say which candidate was probed
            try:
                return self._run(learner, job, episode, step, start)
            except StackChanged:
                log.info("job %d: the stack was changed; starting again", job.id)
        raise StackChanged(f"the stack changed {MAX_BEGINNINGS} times while this was learned; submit it again")

    def _run(self, learner: Learner, job: Job, episode: Episode, step: str, start: float) -> Episode:
        looked = 0.0
        current = [episode]

        def check() -> None:
            nonlocal looked
            if self._stopping.is_set():
                raise _Ended
            if time.monotonic() - looked > LOOK_SECONDS:
                looked = time.monotonic()
                if self.queue.is_cancelled(job):
                    raise _Ended

        def on_step(name: str, reached: Episode) -> None:
            nonlocal step
            step, current[0] = name, reached
            self.queue.checkpoint(job, name, reached, time.monotonic() - start)
            check()
            self._on_event(WorkEvent(job, name))

        def progress(what: str, done: int, total: int) -> None:
            check()
            self._on_event(WorkEvent(job, step, what, done, total))

        try:
            return loop.run(learner, episode, step=step, on_step=on_step, progress=progress)
        except Exception:
            if current[0].adapter and not self._stopping.is_set():
                learner.state.discard(current[0].adapter)  # the candidate is kept if the job resumes with it
            raise

    def _replaced(self, job: Job, keep: Sequence[str]) -> tuple[str, str]:
        """Unlearn the passages that a changed document lost; a crash leaves the state before or after."""

        def progress(what: str, done: int, total: int) -> None:
            if self._stopping.is_set() or self.queue.is_cancelled(job):
                raise _Ended
            self._on_event(WorkEvent(job, UNLEARN, what, done, total))

        self._on_event(WorkEvent(job, UNLEARN))
        for _ in range(MAX_BEGINNINGS - 1):
            with suppress(StackChanged):
                return replace_version(self._learners.of(job.namespace).state, job.passage.source, keep, progress)
        return replace_version(self._learners.of(job.namespace).state, job.passage.source, keep, progress)

    def _is_known(self, job: Job) -> bool:
        """Whether the passage was learned after its submission, from any document."""
        if job.episode is not None or not job.passage.source:
            return False
        learner = self._learners.of(job.namespace)
        known = documents.compare(
            learner.home, learner.namespace, learner.stack.learned, job.passage.source, [job.passage]
        ).known
        documents.add_source(learner.home, learner.namespace, known)
        return bool(known)


def has_worker(home: Path, model: str) -> bool:
    """Whether a worker runs for that model in the data directory `home`."""
    try:
        with _lock_of(home, model):
            return False
    except Timeout:
        return True


def _lock_of(home: Path, model: str) -> FileLock:
    """The lock that a worker holds while it runs."""
    return FileLock(home / f"worker-{hashlib.sha256(model.encode()).hexdigest()[:12]}.lock", timeout=0)


def _fits(episode: Episode, step: str, learner: Learner) -> bool:
    """Whether an interrupted episode can continue: its candidate exists, and the stack is unchanged."""
    if episode.adapter is None:
        return episode.parent == learner.stack
    if episode.adapter.id in learner.stack.learned:
        return step in ("accept", "consolidate")
    return episode.parent == learner.stack and Path(episode.adapter.path).is_dir()
