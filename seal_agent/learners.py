"""One model for many users: a learner for each namespace, made when it is asked for.

They share the weights and the home and nothing else: stacks, replay items, ledger and documents are each namespace's.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from seal_agent.adapters.backend import Backend
from seal_agent.errors import InputError
from seal_agent.home import Home
from seal_agent.learner import Learner, LearnerConfig

if TYPE_CHECKING:
    from seal_agent.replay import Embeddings

Scope = Literal["user", "thread"]
KEYS: dict[Scope, tuple[str, ...]] = {
    "user": ("namespace", "user", "user_id", "langgraph_auth_user_id"),
    "thread": ("thread_id",),
}
"""Where the graphs find who is speaking, in what they are configured with; what is found first is the namespace."""


class Learners:
    """The learners of one model by namespace; the `max_open` used last stay open. Safe to use from several threads.

    `scope`: what is learned is kept for each user, or for each thread alone.
    """

    def __init__(
        self,
        backend: Backend,
        home: Home,
        config: LearnerConfig | None = None,
        *,
        scope: Scope = "user",
        embeddings: Embeddings | None = None,
        max_open: int = 256,
    ) -> None:
        if scope not in KEYS or max_open < 1:
            raise InputError(f'scope={scope!r}, max_open={max_open}: choose "user" or "thread", and 1 or more')
        self.backend = backend
        self.home = home
        self.config = config or LearnerConfig()
        self.scope: Scope = scope
        self.embeddings = embeddings
        self._max_open = max_open
        self._open: OrderedDict[str, Learner] = OrderedDict()
        self._lock = threading.Lock()

    @staticmethod
    def like(given: Learner | Learners) -> Learners:
        """Learners of their own with the model, home and settings of others: for another thread."""
        return Learners(given.backend, given.home, given.config, embeddings=given.embeddings)

    def of(self, namespace: str) -> Learner:
        """The learner of a namespace; the same one while it is open. Raises `InputError` for what is no namespace."""
        with self._lock:
            learner = self._open.get(namespace)
            if learner is None:
                learner = Learner(self.backend, self.home, namespace, self.config, embeddings=self.embeddings)
                self._open[namespace] = learner
            self._open.move_to_end(namespace)
            if len(self._open) > self._max_open:
                self._open.popitem(last=False)
            return learner

    def namespace_of(self, configurable: Mapping[str, Any]) -> str:
        """The namespace in the `configurable` of a run; raises `InputError` where nobody is named."""
        for key in KEYS[self.scope]:
            if configurable.get(key):
                return str(configurable[key])
        raise InputError(
            f"this graph learns for each {self.scope}; name one in `configurable`: {' or '.join(KEYS[self.scope])}"
        )
