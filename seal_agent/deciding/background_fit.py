"""Fits the classifier of a new model in the background, one labelled turn at a time, while messages are answered.

The thread yields the model to replies. Readings are stored as they are made, so that a process that ends early has
lost at most one; the next one goes on.
"""

from __future__ import annotations

import atexit
import logging
import threading
from pathlib import Path

from seal_agent.core.backend import Backend
from seal_agent.core.errors import SealError
from seal_agent.core.priority import in_background
from seal_agent.deciding import classifier
from seal_agent.deciding.classifier import Head

log = logging.getLogger(__name__)
MAX_JOIN_SECONDS = 30.0


class _Stopped(Exception):
    """The process ends."""


class BackgroundFit:
    """The head of one model while it is fitted."""

    def __init__(self, backend: Backend, cache: Path) -> None:
        self._backend = backend
        self._cache = cache
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="seal-agent classifier", daemon=True)
        self._head: Head | None = None

    def start(self) -> BackgroundFit:
        """Begin; the thread ends with the process at the latest."""
        atexit.register(self.stop)
        self._thread.start()
        return self

    @property
    def head(self) -> Head | None:
        """The head, once it is fitted."""
        return self._head

    def stop(self) -> None:
        """End the thread after the reading in hand."""
        self._stop.set()
        self._thread.join(MAX_JOIN_SECONDS)

    def _run(self) -> None:
        try:
            with in_background():
                self._head = classifier.load(self._backend, self._cache, self._check)
        except _Stopped:
            log.info("fitting the classifier was stopped; its readings are kept")
        except SealError as error:  # the thread has no caller
            log.warning("the classifier could not be fitted: %s", error)

    def _check(self, _what: str, _done: int, _total: int) -> None:
        if self._stop.is_set():
            raise _Stopped
