"""Access to a model: one caller at a time, and replies before learning.

Learning yields between two training steps, two generated tokens and two scored packs, so a reply waits for one step
at most and then has every core to itself. A reply also yields after `LONGEST_TURN` seconds if others wait. This module
knows nothing of models: the engine restores its state and passes what a thread does when its turn ends.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

LONGEST_TURN = 5.0
"""Seconds after which a reply yields to waiting callers, so that a long prompt does not block all others."""
_here = threading.local()


@contextmanager
def in_background() -> Iterator[None]:
    """Inside the block, model calls of this thread yield to other threads."""
    before = is_in_background()
    _here.is_background = True
    try:
        yield
    finally:
        _here.is_background = before


def is_in_background() -> bool:
    """Whether this thread is in the background."""
    return bool(getattr(_here, "is_background", False))


class Turns:
    """A reentrant lock that waiting threads get in the order of their requests.

    The holder calls `leaving` before another thread gets the lock. `longest`: seconds that a foreground turn may take
    while others wait.
    """

    def __init__(self, leaving: Callable[[], None] = lambda: None, *, longest: float = LONGEST_TURN) -> None:
        self._leaving = leaving
        self._longest = longest
        self._since = 0.0  # when the turn began
        self._changed = threading.Condition()
        self._owner = 0
        self._depth = 0
        self._waiting: deque[int] = deque()  # threads

    def __enter__(self) -> Turns:
        self._take(1)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._depth == 1:
            self._leaving()
        with self._changed:
            self._depth -= 1
            if not self._depth:
                self._owner = 0
                self._changed.notify_all()

    @property
    def is_others_turn(self) -> bool:
        """Whether the holder should yield: a thread waits, and the holder is in the background or has held it long."""
        is_long = time.monotonic() - self._since >= self._longest
        return bool(self._waiting) and (is_long or is_in_background())

    def give_way(self) -> bool:
        """Let the waiting threads run if it is their turn; True if so.

        The holder calls it between two complete steps; other threads may have used the model when it returns. Threads
        that ask later come after the holder, so learning advances by one step even when many users talk.
        """
        if not self.is_others_turn:
            return False
        self._leaving()
        with self._changed:
            depth, self._depth, self._owner = self._depth, 0, 0
            self._changed.notify_all()
        self._take(depth)
        return True

    def _take(self, depth: int) -> None:
        me = threading.get_ident()
        with self._changed:
            if self._owner != me:
                self._waiting.append(me)
                try:
                    self._changed.wait_for(lambda: not self._owner and self._waiting[0] == me)
                finally:
                    self._waiting.remove(me)
                self._owner = me
                self._since = time.monotonic()
            self._depth += depth
