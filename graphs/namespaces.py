"""The learner a node works with: the one a graph was built on, or that of the user who is speaking."""

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
"""What the builders take: one learner, or many of which each run uses its user's."""


class LearnContext(TypedDict, total=False):
    """The context of a run (`context_schema`): who is speaking, as `configurable` says it (`learners.namespace_of`).

    Any other key that names a user is read or refused too, and so is a context that is an object.
    """

    namespace: str
    user_id: str


def current(learner: AnyLearner) -> Learner:
    """The learner of the run that is going on; outside of a run nobody is named.

    Raises `InputError` where nobody is named and many are served, and where somebody else is named than the one
    learner of a graph serves.
    """
    namespace = speaking(learner)
    return learner.of(namespace) if isinstance(learner, Learners) else learner


def speaking(learner: AnyLearner) -> str:
    """The namespace of the run that is going on; as `current`, without opening anything."""
    config = ensure_config()
    return namespace_of(learner, config.get("configurable", {}), run_context(), config.get("metadata", {}))


def is_going_on() -> bool:
    """Whether the run goes on with what an earlier one has left, and was given no input of its own."""
    return bool(ensure_config().get("configurable", {}).get("__pregel_resuming"))  # LangGraph has no public name for it


def check_giver(learner: AnyLearner, *, is_known: bool) -> None:
    """Raise `InputError` where a run would take up what nobody knows the giver of, and many users are served."""
    if isinstance(learner, Learners) and not is_known and is_going_on():
        raise InputError(
            "the run that brought this was stopped before it was noted whose it is; send it again, in a run of your own"
        )


def run_context() -> dict[str, Any]:
    """What the context of the graph's run says about the user, whatever class it is of; empty outside of a run."""
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
