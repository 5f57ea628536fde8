"""When a policy may be improved: after enough that is new, while nobody talks, and one run at a time.

The decisions are pure functions of numbers; who asks them (a cron job, LangGraph's scheduler, a person) is not known
here. Between two steps a run asks again (`waiter`), so that a conversation never waits longer than one step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from seal_agent.core.errors import StorageError
from seal_agent.core.numbers import check_number
from seal_agent.storage.database import Home

IDLE_SECONDS = 60.0
ASK_EVERY_SECONDS = 2.0
LOCK = "improve.lock"


def has_news(num_episodes: int, num_before: int, after: int) -> bool:
    """Whether `after` episodes or more came since the last run began; 0: always."""
    return num_episodes - num_before >= after


def is_idle(now: float, last: float, seconds: float = IDLE_SECONDS) -> bool:
    """Whether what happened last was so many seconds ago; times in seconds since the epoch."""
    return now - last >= seconds


def waiter(
    home: Home,
    seconds: float = IDLE_SECONDS,
    *,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], object] = time.sleep,
) -> Callable[[], None]:
    """A function that returns once the machine has been idle for `seconds`."""
    check_number("seconds of idleness", seconds, 0)

    def wait() -> None:
        while seconds and not is_idle(now(), home.last_activity(), seconds):
            sleep(ASK_EVERY_SECONDS)

    return wait


@contextmanager
def alone(home: Home) -> Iterator[None]:
    """Hold the right to improve policies of this home; it is free again when the process ends, however it ends.

    Raises `StorageError` where another process has it.
    """
    lock = FileLock(home.root / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise StorageError(f"policies of {home.root} are being improved by another process; wait for it") from error
    try:
        yield
    finally:
        lock.release()
