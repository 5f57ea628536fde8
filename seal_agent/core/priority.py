"""Turns at a model: one user at a time, and whoever learns behind a conversation lets whoever replies go first.

Learning gives way between two steps of training, two tokens of writing, two packs of scoring. So a reply waits for one
step at most, and while it runs it has every core to itself. A reply too gives way once it has held the model for
`LONGEST_TURN` seconds while others wait. It knows nothing of models: the engine restores what it needs, and says what
a thread does when its turn is over.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

LONGEST_TURN = 5.0
"""Seconds after which a reply lets those go first who wait: a long prompt must not keep all others from the model."""
_here = threading.local()


@contextmanager
def in_background() -> Iterator[None]:
    """Until the block ends, what this thread asks of a model gives way to other threads."""
    before = is_in_background()
    _here.is_background = True
    try:
        yield
    finally:
        _here.is_background = before


def is_in_background() -> bool:
    """Whether this thread gives way."""
    return bool(getattr(_here, "is_background", False))


class Turns:
    """A lock that its holder may enter again, and that everybody else gets in the order of asking.

    `leaving` is called by a holder before anybody else gets it; `longest` is how many seconds a turn in the foreground
    may take while others wait.
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
        """Whether the holder should let others through: somebody waits, and it is in the background or was long."""
        is_long = time.monotonic() - self._since >= self._longest
        return bool(self._waiting) and (is_long or is_in_background())

    def give_way(self) -> bool:
        """Let those through who are waiting, where it is their turn; True if so.

        Called by the holder where nothing of its own is half done; the model may have served others when it returns.
        Whoever asks later comes after it, so that learning goes on a step at a time however many talk.
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
