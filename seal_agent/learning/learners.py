"""One model for many users: a learner for each namespace, and the rule that finds the namespace of a run.

The learners share the weights and the data directory only: each namespace has its own stack, replay items, ledger and
documents. `namespace_of` is the only place that reads the user out of a run's configuration.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from seal_agent.core.backend import Backend
from seal_agent.core.errors import InputError
from seal_agent.core.numbers import check_whole
from seal_agent.learning.config import check_config
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.storage.database import Home, check_namespace

if TYPE_CHECKING:
    from seal_agent.retention.items import Embeddings

log = logging.getLogger(__name__)
Scope = Literal["user", "thread"]
SCOPES: tuple[Scope, ...] = ("user", "thread")
NAMESPACE, THREAD, AUTHENTICATED = "namespace", "thread_id", "langgraph_auth_user"
USER_KEYS = (
    NAMESPACE,
    "user",
    "user_id",
    "userId",
    "username",
    "user_name",
    "user_email",
    "email",
    "sub",
    "uid",
    "langgraph_user_id",
    "langgraph_auth_user_id",
    AUTHENTICATED,
)
"""The keys that name the user of a run; `is_user_key` accepts their other spellings.

LangGraph's server sets the last two: `langgraph_auth_user` is an object or a dictionary with an `identity`.
"""
ADVISED_KEYS = (NAMESPACE, "user", "user_id")
_USER = re.compile(r"(?:x|langgraph|auth|current|end)*(?:user(?:id|name|email|uuid)?|email(?:address)?|sub|uid)")
_TENANT = re.compile(r"(?:x|langgraph|auth|current)*(?:tenant|org|organi[sz]ation)(?:id|name)?")
_NOBODY: Mapping[str, Any] = MappingProxyType({})
_USER_ENDINGS = (
    *("id", "user", "name", "email", "namespace", "identity", "identifier", "owner", "author", "caller"),
    *("speaker", "principal", "login", "phone", "upn", "userinfo", "userkey", "userref", "userpk", "userhash"),
)
_OF_LANGGRAPH = re.compile(
    r"langgraph_.*|__.*|thread_id|checkpoint_id|run_id|run_name|graph_id|graph_name|assistant_id|assistant_name|task_id"
    r"|node_name|cron_id|request_id|(?:parent_)?trace_id|(?:parent_)?span_id|parent_run_id|session_id|conversation_id"
    r"|message_id|model_id|model_name|recursion_id"
)
"""Keys that LangGraph, its server and tracers set, and keys that name a conversation or a model."""


def is_user_key(key: str) -> bool:
    """Whether a key names a user: one of `USER_KEYS`, in any capitals and with any separators ("X-User-Id")."""
    return key == NAMESPACE or _USER.fullmatch(_plain(key)) is not None


def is_tenant_key(key: str) -> bool:
    """Whether a key names an organisation: `tenant_id`, `org_id`, `organization` and their other spellings."""
    return _TENANT.fullmatch(_plain(key)) is not None


def may_name_user(key: str) -> bool:
    """Whether an unknown key looks like one that names a user: "actor_id", "customerName", "login_email"."""
    if is_user_key(key) or is_tenant_key(key) or _OF_LANGGRAPH.fullmatch(key.casefold()):
        return False
    return _plain(key).endswith(_USER_ENDINGS)


def _plain(key: str) -> str:
    return re.sub(r"[^a-z0-9]", "", key.casefold())


def named_user(
    configurable: Mapping[str, Any], context: Mapping[str, Any] = _NOBODY, metadata: Mapping[str, Any] = _NOBODY
) -> str:
    """The user that a run names under any key that `is_user_key` accepts; "" if there is none.

    `namespace` in the metadata of a run is ignored: tracing programs write it there. An empty text or None names no
    user. Raises `InputError` if two keys name different users, and for a value that cannot be a name. The error gives
    the keys and not the names, which may belong to other users.
    """
    named = {
        where: name
        for where, key, value in _said(configurable, context, metadata)
        if is_user_key(key)
        if (name := _name(where, value))
    }
    if len(set(named.values())) > 1:
        raise InputError(f"this run names different users in {', '.join(named)}; name one only")
    return next(iter(named.values()), "")


def namespace_of(
    learner: Learner | Learners,
    configurable: Mapping[str, Any],
    context: Mapping[str, Any] = _NOBODY,
    metadata: Mapping[str, Any] = _NOBODY,
) -> str:
    """The namespace of a run on `learner`, from the run's `configurable`, context and metadata.

    A user is named by `user`, `user_id`, `userId`, `username`, `user_name`, `user_email`, `email`, `sub`, `uid`,
    `langgraph_user_id`, `langgraph_auth_user_id`, the identity of `langgraph_auth_user`, or `namespace`, in any
    capitals and with any separators. A single learner serves its own namespace only: it refuses a run that names
    another user, and a run that names no user but has a key that may name one (`may_name_user`). `Learners` of scope
    "user" serve the named user. `Learners` of scope "thread" serve the named namespace, else the thread; all users of a
    thread share what is learned in it. A tenant (`tenant_id`, `org_id`, `organization_id`) is not a user. Users of
    equal name in two tenants must not share a namespace: a run that names a tenant is served only if its namespace is
    the tenant's name or begins with it and "/". Raises `InputError` if another user is named, or if no user is named
    and many are served.
    """
    if isinstance(learner, Learner):
        return only(learner.namespace, configurable, context, metadata)
    if learner.scope == "thread":
        wanted = named_user(_namespace_alone(configurable), _namespace_alone(context))
        wanted = wanted or _name(f"configurable[{THREAD!r}]", configurable.get(THREAD))
    else:
        wanted = named_user(configurable, context, metadata)
    if not wanted:
        keys = (THREAD,) if learner.scope == "thread" else ADVISED_KEYS
        raise InputError(
            f"this graph learns for each {learner.scope}, and this run names none; "
            f"name one in `configurable`: {' or '.join(keys)}{learner.advice}{_unread(configurable, context)}"
        )
    if learner.scope == "user":
        _check_tenant(wanted, configurable, context)
    return check_namespace(wanted)


def only(
    namespace: str,
    configurable: Mapping[str, Any],
    context: Mapping[str, Any] = _NOBODY,
    metadata: Mapping[str, Any] = _NOBODY,
) -> str:
    """`namespace`, the only one served; raises `InputError` for a run that names, or may name, another user.

    The error does not name the namespace, because its reader may be another user. The log does.
    """
    wanted = named_user(configurable, context, metadata)
    if wanted not in ("", namespace):
        log.warning("a run for %r was refused: the namespace served is %r", wanted, namespace)
        raise InputError(
            "this graph learns for one namespace, and this run names another user; "
            "build it on Learners (`open_learners()`) to serve many users"
        )
    if not wanted and (unknown := _unknown(configurable, context)):
        raise InputError(
            f"{unknown[0]} may name a user, and this graph learns for one namespace; build it on Learners "
            "(`open_learners()`) and name the user as 'user_id', or move a key that names no user to the metadata"
        )
    _check_tenant(namespace, configurable, context)
    return namespace


def _unknown(configurable: Mapping[str, Any], context: Mapping[str, Any]) -> list[str]:
    """The places of unknown keys that may name a user."""
    said = _said(configurable, context, _NOBODY)
    return [where for where, key, value in said if may_name_user(key) and not _is_empty(value)]


def _is_empty(value: Any) -> bool:
    return value is None or value == "" or isinstance(value, bool)


def _unread(configurable: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    unknown = _unknown(configurable, context)
    return f"; {', '.join(unknown)} is not read" if unknown else ""


def _check_tenant(namespace: str, configurable: Mapping[str, Any], context: Mapping[str, Any]) -> None:
    """Raise `InputError` if a run names a tenant and the namespace is outside it."""
    for where, key, value in _said(configurable, context, _NOBODY):
        tenant = _name(where, value) if is_tenant_key(key) else ""
        if tenant and tenant != namespace and not namespace.startswith(f"{tenant}/"):
            raise InputError(
                f"{where} names a tenant, and the namespace of this run does not belong to it; "
                "name the user as 'TENANT/USER', or leave the tenant out"
            )


def _said(
    configurable: Mapping[str, Any], context: Mapping[str, Any], metadata: Mapping[str, Any]
) -> Iterator[tuple[str, str, Any]]:
    """The entries of a run that may name a user: (where it is, key, value)."""
    for key, value in configurable.items():
        yield f"configurable[{key!r}]", str(key), value
    for key, value in context.items():
        yield f"the context's {key}", str(key), value
    for key, value in metadata.items():
        if key != NAMESPACE:
            yield f"metadata[{key!r}]", str(key), value


def _namespace_alone(given: Mapping[str, Any]) -> Mapping[str, Any]:
    return {NAMESPACE: given.get(NAMESPACE)}


def _name(where: str, value: Any) -> str:
    """The name that a key's value holds; numbers are names too, also 0."""
    value = _identity(value)
    if value is None or value == "":
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | UUID) or not str(value).strip():
        raise InputError(f"{where} is of type {type(value).__name__} and cannot name a user; give a text, or remove it")
    return str(value)


def _identity(user: Any) -> Any:
    """The identity of a user object of LangGraph's server; its proxies raise for a missing attribute."""
    if isinstance(user, str | None):
        return user
    if isinstance(user, Mapping):
        return user["identity"] if "identity" in user else dict(user)
    try:
        return user.identity
    except (AttributeError, NotImplementedError):
        return user


def check_learner(given: Any) -> None:
    """Raise `InputError` unless `given` is a learner."""
    if not isinstance(given, Learner | Learners):
        raise InputError(f"{given!r} is not a learner; open one with open_learner(), or open_learners() for many users")


class Learners:
    """The learners of one model by namespace; the `max_open` most recently used stay open. Thread-safe.

    `scope`: learned state belongs to a user ("user") or to a single thread ("thread"). `advice`: text appended to the
    error for a run that names no user.
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
        if scope not in SCOPES:
            raise InputError(f'scope={scope!r} does not exist; choose "user" or "thread"')
        check_whole("max_open", max_open, 1)
        check_config(config)
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
        """New learners with the model, data directory and settings of `given`, for another thread."""
        return Learners(given.backend, given.home, given.config, embeddings=_embeddings_of(given))

    def of(self, namespace: str) -> Learner:
        """The learner of a namespace, the same object while it is open; raises `InputError` for an invalid name."""
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
