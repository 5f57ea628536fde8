"""Learning behind replies on the real model: replies go first and say what they always said; the edit is the same."""

import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

from seal_agent.adapters.huggingface import TransformersBackend
from seal_agent.directives import DEFAULT
from seal_agent.home import Home
from seal_agent.learner import Learner, LearnerConfig
from seal_agent.passages import Passage
from seal_agent.types import Message
from seal_agent.worker import Budget, Worker

pytestmark = pytest.mark.integration

FERRY = Passage("The Lantern Ferry", "The Lantern Ferry crosses Lake Vandrel at dawn. It was built by Odile Fransk.")
QUICK = LearnerConfig(directives=replace(DEFAULT, min_steps=12, max_steps=12), min_replay=0)
HELLO = [[Message("user", "What is the capital of France?")]]


def reply(learner: Learner) -> tuple[str, float]:
    start = time.perf_counter()
    [said] = learner.answer(HELLO, max_new_tokens=12)
    return said, time.perf_counter() - start


def test_replies_go_first_while_a_worker_learns_and_the_edit_is_none_the_worse(
    real_backend: TransformersBackend, tmp_path: Path
) -> None:
    alone = Learner(real_backend, Home(tmp_path / "alone"), config=QUICK)
    expected = alone.train(alone.write(alone.begin(FERRY)))
    quiet = [reply(alone) for _ in range(3)]

    learner = Learner(real_backend, Home(tmp_path / "beside"), config=QUICK)
    busy = []
    with Worker(learner, Budget(quiet_seconds=0)) as worker:
        [job] = worker.queue.submit([FERRY])
        while worker.queue.job(job).state != "done":
            if worker.queue.job(job).step == "train":
                busy.append(reply(learner))
            time.sleep(0.05)
        assert worker.queue.job(job).outcome in ("accepted", "rolled back")
    [episode] = learner.home.episodes("default")
    assert len(busy) >= 2
    assert {said for said, _ in busy} == {quiet[0][0]}
    assert median(seconds for _, seconds in busy) < 5 * median(seconds for _, seconds in quiet)
    assert expected.adapter
    assert episode.adapter
    assert episode.adapter.id == expected.adapter.id  # the hash of its weights
