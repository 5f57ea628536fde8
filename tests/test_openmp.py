"""Workers of OpenMP do not outlive the turn of the thread they were started for."""

import sys
import threading
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


def num_threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def test_threads_that_had_the_model_leave_no_workers_behind(two_threads: None) -> None:
    engine, numbers = tiny_engine(), torch.zeros(1_000_000)
    numbers.exp()  # this thread has its workers
    before, counted, ended = num_threads(), list[int](), threading.Event()

    def compute() -> None:
        with engine.lock, engine.lock:
            numbers.exp()
            counted.append(num_threads())
        counted.append(num_threads())
        ended.wait(60)

    threads = [threading.Thread(target=compute) for _ in range(3)]
    for number, thread in enumerate(threads):
        thread.start()
        while len(counted) < 2 * (number + 1):
            thread.join(0.01)
    ended.set()
    assert counted == [before + 2, before + 1, before + 3, before + 2, before + 4, before + 3]
