"""Workers of OpenMP do not outlive the turn of the thread they were started for."""

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny import tiny_engine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="libgomp comes with torch for Linux")


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def threads() -> set[str]:
    return {path.name for path in Path("/proc/self/task").iterdir()}


def threads_after(count: int, before: set[str]) -> int:
    """How many threads there are that were not there before, once they are `count` or ten seconds have passed: a worker
    ends a little after the call that ends it."""
    deadline = time.monotonic() + 10
    while (new := len(threads() - before)) > count and time.monotonic() < deadline:
        time.sleep(0.01)
    return new


def test_threads_that_had_the_model_leave_no_workers_behind(two_threads: None) -> None:
    engine, numbers = tiny_engine(), torch.zeros(1_000_000)
    numbers.exp()  # this thread has its workers
    before, counted, ended = threads(), list[tuple[int, int]](), threading.Event()

    def compute(others: int) -> None:
        with engine.lock, engine.lock:
            numbers.exp()
            inside = len(threads() - before)
        counted.append((inside, threads_after(others + 1, before)))
        ended.wait(60)

    started = [threading.Thread(target=compute, args=(others,)) for others in range(3)]
    for number, thread in enumerate(started):
        thread.start()
        while thread.is_alive() and len(counted) == number:
            thread.join(0.01)
    ended.set()
    assert counted == [(2, 1), (3, 2), (4, 3)]
