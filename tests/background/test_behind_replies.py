"""A worker beside the conversation: replies do not wait for it, and it stops without losing a job."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from queued import AT_ONCE, TOWER

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.background.worker import Worker
from seal_agent.core.episodes import Episode
from seal_agent.graphs import create_chat_graph
from seal_agent.learning.learner import Learner
from seal_agent.storage.database import Home
from seal_agent.storage.jobs import LearningQueue


class Slow(ScriptedBackend):
    """Training takes until the test lets it go."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.go = threading.Event()

    def with_stack(self, stack: Any) -> Any:
        view = super().with_stack(stack)
        view.go = self.go
        view.__class__ = Slow
        return view

    def train(self, *args: Any, **options: Any) -> Any:
        assert self.go.wait(10)
        return super().train(*args, **options)


@pytest.mark.slow
def test_the_reply_comes_while_the_worker_still_learns_and_the_next_turn_knows(home: Home) -> None:
    backend = Slow(home.root)
    learner = Learner(backend, home)
    with Worker(learner, AT_ONCE) as worker:
        agent = create_chat_graph(learner, worker.queue).compile(checkpointer=InMemorySaver())
        config: Any = {"configurable": {"thread_id": "one"}}
        state = agent.invoke({"messages": [("user", TOWER.text)]}, config)
        assert [(o["outcome"], o["job"]) for o in state["outcomes"]] == [("queued", 1)]
        until(lambda: worker.queue.job(1).step == "train")
        question, answer = probe_of(worker.queue.job(1).episode)
        assert answer not in agent.invoke({"messages": [("user", question)]}, config)["messages"][-1].text
        backend.go.set()
        assert worker.wait(20)
        another: Any = {"configurable": {"thread_id": "two"}}
        assert answer in agent.invoke({"messages": [("user", question)]}, another)["messages"][-1].text


def test_stopping_leaves_the_job_in_hand_in_the_queue(home: Home) -> None:
    backend = Slow(home.root)
    worker = Worker(Learner(backend, home), AT_ONCE).start()
    worker.queue.submit([TOWER])
    until(lambda: worker.queue.job(1).step == "train")
    stopper = threading.Thread(target=worker.stop)
    stopper.start()
    backend.go.set()
    stopper.join()
    assert worker.queue.job(1).state == "waiting"
    Worker(Learner(ScriptedBackend(home.root), home), AT_ONCE).run_until_empty()
    assert worker.queue.job(1).outcome == "accepted"


@pytest.mark.slow
def test_a_process_of_its_own_works_the_queue_off(home: Home) -> None:
    LearningQueue(home).submit([TOWER])
    command = [sys.executable, "-m", "seal_agent", "queue", "work", "--model", "scripted", "--home", str(home.root)]
    done = subprocess.run(  # noqa: S603
        [*command, "--json"], capture_output=True, text=True, check=True
    )
    assert '"outcome": "accepted"' in done.stdout


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def probe_of(episode: Episode | None) -> tuple[str, str]:
    assert episode
    assert episode.edit
    probe = episode.edit.probes[0]
    return probe.prompt.messages[-1].content, probe.answer
