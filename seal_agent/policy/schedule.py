"""When a policy may be improved: after enough new episodes, while no user talks, and one run at a time.

The decisions are pure functions of numbers; a cron job, LangGraph's scheduler or a person calls them. Between two steps
a run pauses for conversations (`waiter`), so that a conversation waits for one step at most.
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
    """Whether at least `after` episodes were added since the last run began; 0: always."""
    return num_episodes - num_before >= after


def is_idle(now: float, last: float, seconds: float = IDLE_SECONDS) -> bool:
    """Whether the last activity was at least `seconds` ago; times in seconds since the epoch."""
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
def only_process(home: Home) -> Iterator[None]:
    """Hold the lock on improving policies of this data directory; it is released when the process ends in any way.

    Raises `StorageError` if another process holds it.
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
