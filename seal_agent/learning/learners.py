"""One model for many users: a learner for each namespace, and the rule that says whose namespace a run is for.

The learners share the weights and the home and nothing else: stacks, replay items, ledger and documents are each
namespace's. `namespace_of` is the only place that reads who is speaking out of a run's configuration.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from seal_agent.core.backend import Backend
from seal_agent.core.errors import InputError
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.storage.database import Home, check_namespace

if TYPE_CHECKING:
    from seal_agent.retention.items import Embeddings

Scope = Literal["user", "thread"]
SCOPES: tuple[Scope, ...] = ("user", "thread")
NAMESPACE, THREAD, AUTHENTICATED = "namespace", "thread_id", "langgraph_auth_user"
USER_KEYS = (NAMESPACE, "user", "user_id", "langgraph_user_id", "langgraph_auth_user_id", AUTHENTICATED)
"""The keys of a run's `configurable` or context that name the user who is speaking.

LangGraph's server sets the last two: `langgraph_auth_user` is an object or a dictionary with an `identity`.
"""
_NOBODY: Mapping[str, Any] = MappingProxyType({})


def named_user(configurable: Mapping[str, Any], context: Mapping[str, Any] = _NOBODY) -> str:
    """The user that a run names by any of `USER_KEYS`, in its `configurable` or its context; "" where it names none.

    An empty text or None names nobody. Raises `InputError` where two of them name different users, and for a value
    that is no name.
    """
    said = [(f"configurable[{key!r}]", key, configurable.get(key)) for key in USER_KEYS]
    said += [(f"the context's {key}", key, context.get(key)) for key in USER_KEYS]
    named = {where: name for where, key, value in said if (name := _name(where, key, value))}
    if len(set(named.values())) > 1:
        differing = ", ".join(f"{where} is {name!r}" for where, name in named.items())
        raise InputError(f"this run names different users ({differing}); name one only")
    return next(iter(named.values()), "")


def namespace_of(
    learner: Learner | Learners, configurable: Mapping[str, Any], context: Mapping[str, Any] = _NOBODY
) -> str:
    """The namespace of a run on `learner`, from the run's `configurable` and its context.

    One learner serves its own namespace: a run that names another user is refused. `Learners` of scope "user" serve
    the user that is named. Those of scope "thread" serve the namespace that is named as such, else the thread: its
    users share what is learned in it. Raises `InputError` where somebody else is named, or nobody and many are served.
    """
    if isinstance(learner, Learner):
        return only(learner.namespace, configurable, context)
    if learner.scope == "thread":
        wanted = named_user(_namespace_alone(configurable), _namespace_alone(context))
        wanted = wanted or _name(f"configurable[{THREAD!r}]", THREAD, configurable.get(THREAD))
    else:
        wanted = named_user(configurable, context)
    if not wanted:
        keys = (THREAD,) if learner.scope == "thread" else USER_KEYS
        raise InputError(
            f"this graph learns for each {learner.scope}, and this run names none; "
            f"name one in `configurable`: {' or '.join(keys)}{learner.advice}"
        )
    return check_namespace(wanted)


def only(namespace: str, configurable: Mapping[str, Any], context: Mapping[str, Any] = _NOBODY) -> str:
    """`namespace`, which is the only one served; raises `InputError` for a run that names another user."""
    wanted = named_user(configurable, context)
    if wanted not in ("", namespace):
        raise InputError(
            f"this graph learns for {namespace!r}, not for {wanted!r}; "
            "build it on Learners (`open_learners()`) to serve many users"
        )
    return namespace


def _namespace_alone(given: Mapping[str, Any]) -> Mapping[str, Any]:
    return {NAMESPACE: given.get(NAMESPACE)}


def _name(where: str, key: str, value: Any) -> str:
    """The name in the value of a key; a number is a name too, also 0."""
    if key == AUTHENTICATED:
        value = _identity(value)
    if value is None or value == "":
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | UUID) or not str(value).strip():
        raise InputError(f"{where} is {value!r}, which names nobody; give a text, or leave it out")
    return str(value)


def _identity(user: Any) -> Any:
    """The identity of a user as LangGraph's server knows them; its proxies raise where an attribute is missing."""
    if isinstance(user, str | None):
        return user
    if isinstance(user, Mapping):
        return user["identity"] if "identity" in user else dict(user)
    try:
        return user.identity
    except (AttributeError, NotImplementedError):
        return user


class Learners:
    """The learners of one model by namespace; the `max_open` used last stay open. Safe to use from several threads.

    `scope`: what is learned is kept for each user, or for each thread alone. `advice`: what else can be done about a
    run that names nobody, for the end of the error's line.
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
        advice: str = "",
    ) -> None:
        if scope not in SCOPES or max_open < 1:
            raise InputError(f'scope={scope!r}, max_open={max_open}: choose "user" or "thread", and 1 or more')
        self.backend = backend
        self.home = home
        self.config = config or LearnerConfig()
        self.scope: Scope = scope
        self.embeddings = embeddings
        self.advice = advice
        self._max_open = max_open
        self._open: OrderedDict[str, Learner] = OrderedDict()
        self._lock = threading.Lock()

    @staticmethod
    def like(given: Learner | Learners) -> Learners:
        """Learners of their own with the model, home and settings of others: for another thread."""
        return Learners(given.backend, given.home, given.config, embeddings=_embeddings_of(given))

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


def _embeddings_of(given: Learner | Learners) -> Embeddings | None:
    return given.embeddings if isinstance(given, Learners) else given.state.embeddings
