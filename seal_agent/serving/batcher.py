"""Batching of concurrent requests: those that arrive while the model is busy share the next `generate`.

The first request runs at once. Those that arrive meanwhile then run together.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from seal_agent.core.backend import Backend
from seal_agent.core.messages import Generated, Grammar, Prompt
from seal_agent.core.stacks import AdapterStack


@dataclass(frozen=True)
class Request:
    """One prompt, the adapters that answer it, and the sampling settings."""

    stack: AdapterStack
    prompt: Prompt
    max_new_tokens: int
    temperature: float = 0.0
    stop: tuple[str, ...] = ()
    grammar: Grammar | None = None
    seed: int = 0

    def can_share(self, other: Request) -> bool:
        """Whether one `generate` can answer both. A sampled reply runs alone, so that its seed reproduces it."""
        if self.temperature or other.temperature:
            return False
        return self._batch_key == other._batch_key

    @property
    def _batch_key(self) -> tuple[object, ...]:
        """Requests with equal keys can share a batch."""
        return (self.stack, self.max_new_tokens, self.stop, self.grammar is None)


_Waiting = tuple[Request, "Future[Generated]"]


class Batcher:
    """Answers requests in one thread, which ends when none are left."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._is_working = False

    def submit(self, request: Request) -> Future[Generated]:
        """A future of the reply; if it is cancelled before its turn, nothing is generated."""
        future: Future[Generated] = Future()
        with self._lock:
            self._waiting.append((request, future))
            if not self._is_working:
                self._is_working = True
                threading.Thread(target=self._work, name="seal-batcher", daemon=True).start()
        return future

    def _work(self) -> None:
        while group := self._next_group():
            self._answer([(request, future) for request, future in group if future.set_running_or_notify_cancel()])

    def _next_group(self) -> list[_Waiting]:
        """The oldest request and all that can share its batch; if there is none, the thread ends."""
        with self._lock:
            group, rest = self._waiting[:1], list[_Waiting]()
            for each in self._waiting[1:]:
                (group if each[0].can_share(group[0][0]) else rest).append(each)
            self._waiting = rest
            self._is_working = bool(group)
            return group

    def _answer(self, group: Sequence[_Waiting]) -> None:
        if not group:
            return
        requests = [request for request, _ in group]
        first = requests[0]
        try:
            texts = self._backend.with_stack(first.stack).generate(
                [request.prompt for request in requests],
                max_new_tokens=first.max_new_tokens,
                temperature=first.temperature,
                stop=first.stop,
                grammars=[request.grammar for request in requests if request.grammar],
                seed=first.seed,
            )
        except BaseException as error:  # passed to the future, so that the caller gets it
            if len(group) == 1:
                group[0][1].set_exception(error)
            for each in group if len(group) > 1 else ():  # run each alone, so that only the faulty request fails
                self._answer([each])
            return
        for (_, future), samples in zip(group, texts, strict=True):
            future.set_result(samples[0])
