"""Learning behind replies on the real model: replies go first and say what they always said; the edit is the same."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from seal_agent.adapters.huggingface import TransformersBackend
from seal_agent.background.worker import Budget, Worker, WorkEvent
from seal_agent.core.documents import Passage
from seal_agent.core.messages import Message
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.storage.database import Home
from seal_agent.writing.directives import CLOZE

pytestmark = pytest.mark.integration

STEPS = 12
MOST_STEPS = 2  # during one reply: the step it waited for, and the one that begins as it returns
FERRY = Passage("The Lantern Ferry", "The Lantern Ferry crosses Lake Vandrel at dawn. It was built by Odile Fransk.")
QUICK = LearnerConfig(directives=replace(CLOZE, min_steps=STEPS, max_steps=STEPS), min_rehearsal_rows=0)
HELLO = [[Message("user", "What is the capital of France?")]]


def test_replies_go_first_while_a_worker_learns_and_the_edit_is_none_the_worse(
    real_backend: TransformersBackend, tmp_path: Path
) -> None:
    alone = Learner(real_backend, Home(tmp_path / "alone"), config=QUICK)
    expected = alone.train(alone.write(alone.begin(FERRY)))
    [quiet] = alone.answer(HELLO, max_new_tokens=12)

    learner = Learner(real_backend, Home(tmp_path / "beside"), config=QUICK)
    steps: list[WorkEvent] = []
    busy: list[tuple[str, int]] = []
    with Worker(learner, Budget(quiet_seconds=0), on_event=steps.append) as worker:
        [job] = worker.queue.submit([FERRY])
        while worker.queue.job(job).state != "done":
            if worker.queue.job(job).step == "train":
                before = num_trained(steps)
                [said] = learner.answer(HELLO, max_new_tokens=12)
                busy.append((said, num_trained(steps) - before))
            time.sleep(0.05)
        assert worker.queue.job(job).outcome in ("accepted", "rejected")
    [episode] = learner.home.episodes("default")
    assert num_trained(steps) == STEPS
    assert len(busy) >= 2
    assert {said for said, _ in busy} == {quiet}
    assert max(num_steps for _, num_steps in busy) <= MOST_STEPS
    assert expected.adapter
    assert episode.adapter
    assert episode.adapter.id == expected.adapter.id  # the hash of its weights


def num_trained(events: list[WorkEvent]) -> int:
    return max((event.done for event in events if event.step == "train"), default=0)
