"""When a job is begun: the budget of an hour, a conversation that goes on, the longest wait, steps that kill."""

import hashlib
import time
from dataclasses import replace

import pytest
from filelock import FileLock
from queued import BRIDGE, TOWER, outcomes
from sql import sql

from seal_agent.background.worker import Budget, Worker
from seal_agent.cli import app
from seal_agent.core.episodes import Episode
from seal_agent.learning.learner import Learner
from seal_agent.storage.jobs import MAX_BEGINNINGS, LearningQueue


@pytest.mark.parametrize(
    ("budget", "spent", "has_room"),
    [
        (Budget(), (1000, 1e6), True),
        (Budget(edits_per_hour=2), (1, 1e6), True),
        (Budget(edits_per_hour=2), (2, 0.0), False),
        (Budget(seconds_per_hour=60), (9, 59.0), True),
        (Budget(seconds_per_hour=60), (0, 60.0), False),
    ],
)
def test_the_budget_bounds_what_is_begun(budget: Budget, spent: tuple[int, float], has_room: bool) -> None:
    assert budget.has_room(*spent) is has_room


def test_a_budget_of_one_edit_an_hour_leaves_the_second(learner: Learner, queue: LearningQueue) -> None:
    queue.submit([TOWER, BRIDGE])
    assert Worker(learner, Budget(quiet_seconds=0, edits_per_hour=1)).run_until_empty() == 1
    assert outcomes(queue) == [("done", "accepted"), ("waiting", "")]


def test_a_conversation_that_goes_on_is_not_learned_from_yet(queue: LearningQueue) -> None:
    now = time.time()
    queue.submit([TOWER], thread="busy")
    assert queue.next_due("", now - 2, now + 9) is None
    assert queue.next_due("", now + 9, now - 60) is None
    due = queue.next_due("", now + 9, now + 9)
    assert due is not None
    assert due.passage == TOWER


def aged(queue: LearningQueue, seconds: float) -> None:
    """Everything that was submitted so far was submitted so much earlier."""
    with sql(queue.home) as db:
        db.execute("UPDATE jobs SET created = created - ?", (seconds,))


@pytest.mark.slow
def test_a_job_is_begun_after_its_longest_wait_though_somebody_always_speaks(
    learner: Learner, queue: LearningQueue
) -> None:
    queue.submit([TOWER], thread="busy")
    aged(queue, 7200)
    queue.submit([BRIDGE], "bob", thread="2")
    now = time.time()
    due = queue.next_due("", now - 2, now - 60, now=now)
    assert due is not None
    assert due.passage == TOWER
    assert queue.next_due("", now - 2, now - 60, overdue_since=now - 9000, now=now) is None
    budget = Budget(idle_seconds=60, max_wait_seconds=600)
    events: list[str] = []
    worker = Worker(learner, budget, on_event=lambda e: events.append(e.job.passage.topic))
    assert worker._work_once()
    assert set(events) == {TOWER.topic}  # the first, and not the one that has just come
    assert not worker._work_once()
    aged(queue, 1000)
    queue.submit([TOWER], "eve", thread="3")
    assert not Worker(learner, replace(budget, max_wait_seconds=0))._work_once()
    assert worker._work_once()


def test_a_conversation_that_is_never_quiet_is_learned_from_in_the_end(queue: LearningQueue) -> None:
    queue.submit([TOWER], thread="busy")
    aged(queue, 7200)
    queue.submit([BRIDGE], thread="busy")
    now = time.time()
    due = queue.next_due("", now - 2, now - 2, now=now)
    assert due is not None
    assert due.passage == TOWER


def test_what_is_said_to_another_model_keeps_no_job_waiting(queue: LearningQueue) -> None:
    queue.submit([TOWER], thread="1", model="m")
    aged(queue, 100)
    queue.submit([BRIDGE], "bob", thread="2", model="another model")
    now = time.time()
    due = queue.next_due("m", now - 2, now - 60, now=now)
    assert due is not None
    assert due.passage == TOWER
    queue.submit([BRIDGE], "bob", thread="3")  # to whichever model
    assert queue.next_due("m", now - 2, now - 60, now=now + 1) is None


def test_a_job_that_kills_its_process_every_time_ends_as_failed(queue: LearningQueue) -> None:
    [number] = queue.submit([TOWER])
    for _ in range(MAX_BEGINNINGS):
        assert queue.job(number).state == "waiting"
        assert queue.begin(queue.job(number))
        queue.requeue_abandoned("")
    failed = queue.job(number)
    assert failed.state == "failed"
    assert "killed 10 times" in failed.note
    assert failed.passage == TOWER  # nothing is lost


@pytest.mark.slow
def test_a_job_that_comes_a_step_further_each_time_or_was_stopped_goes_on(queue: LearningQueue) -> None:
    [number] = queue.submit([TOWER])
    for step in range(2 * MAX_BEGINNINGS):
        queue.begin(queue.job(number))
        queue.checkpoint(queue.job(number), f"step {step}", Episode("default", TOWER.text), 1.0)
        queue.requeue_abandoned("")
    for _ in range(2 * MAX_BEGINNINGS):
        queue.begin(queue.job(number))
        queue.requeue_abandoned("", was_stopped=True)
    assert queue.job(number).state == "waiting"


def test_the_list_says_what_a_job_waits_for(
    learner: Learner, queue: LearningQueue, capsys: pytest.CaptureFixture[str]
) -> None:
    queue.submit([TOWER], model="another model")
    queue.submit([BRIDGE], awaiting_approval=True)
    assert app.main(["queue", "list", "--json", "--home", str(queue.home.root)]) == 0
    told = capsys.readouterr().out
    assert "no worker learns for another model" in told
    assert "queue approve 2" in told
    with FileLock(queue.home.root / f"worker-{hashlib.sha256(b'another model').hexdigest()[:12]}.lock"):
        app.main(["queue", "list", "--json", "--home", str(queue.home.root)])
    assert "no worker learns" not in capsys.readouterr().out


def test_a_spent_budget_is_said_once(learner: Learner, queue: LearningQueue, caplog: pytest.LogCaptureFixture) -> None:
    queue.submit([TOWER, BRIDGE])
    worker = Worker(learner, Budget(quiet_seconds=0, edits_per_hour=1))
    worker.run_until_empty()
    worker.run_until_empty()
    assert [r.message for r in caplog.records if "budget" in r.message] == [
        "the budget of the last hour is spent; 1 jobs wait"
    ]
