"""The learner of a node: the one that the graph was built on, or that of the run's user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import ensure_config
from langgraph.runtime import get_runtime
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from seal_agent.core.errors import InputError
from seal_agent.learning.learner import Learner
from seal_agent.learning.learners import Learners, is_tenant_key, is_user_key, may_name_user, namespace_of

AnyLearner = Learner | Learners
"""The argument of all builders: one learner, or many of which each run uses its user's."""


class LearnContext(TypedDict, total=False):
    """The context of a run (`context_schema`), which names the user as `configurable` does (`learners.namespace_of`).

    Other keys that name a user are read or refused too, also in a context that is an object.
    """

    namespace: str
    user_id: str


def current(learner: AnyLearner) -> Learner:
    """The learner of the current run; outside a run no user is named.

    Raises `InputError` if no user is named and many are served, and if another user is named than the one whom the
    graph serves.
    """
    namespace = speaking(learner)
    return learner.of(namespace) if isinstance(learner, Learners) else learner


def speaking(learner: AnyLearner) -> str:
    """The namespace of the current run; as `current`, without opening a learner."""
    config = ensure_config()
    return namespace_of(learner, config.get("configurable", {}), run_context(), config.get("metadata", {}))


def is_going_on() -> bool:
    """Whether the run resumes an earlier one, without input of its own."""
    return bool(ensure_config().get("configurable", {}).get("__pregel_resuming"))  # LangGraph has no public name for it


def check_giver(learner: AnyLearner, *, is_known: bool) -> None:
    """Raise `InputError` if a run would resume input of an unknown user while many users are served."""
    if isinstance(learner, Learners) and not is_known and is_going_on():
        raise InputError(
            "the run with this input was stopped before its user was recorded; send the input again in a new run"
        )


def run_context() -> dict[str, Any]:
    """The run's context as a dictionary, whatever its class; empty outside a run."""
    try:
        context = getattr(get_runtime(), "context", None)
    except RuntimeError:
        return {}
    if context is None:
        return {}
    if isinstance(context, Mapping):
        said = dict(context)
    else:
        said = {name: getattr(context, name, None) for name in dir(context) if _is_telling(name)}
    return {str(key): value for key, value in said.items() if _is_telling(str(key)) and not callable(value)}


def _is_telling(key: str) -> bool:
    return is_user_key(key) or is_tenant_key(key) or (may_name_user(key) and not key.startswith("_"))
