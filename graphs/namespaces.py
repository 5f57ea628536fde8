"""The learner a node works with: the one a graph was built on, or that of the user who is speaking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import ensure_config
from langgraph.runtime import get_runtime

from seal_agent.learning.learner import Learner
from seal_agent.learning.learners import USER_KEYS, Learners, namespace_of

AnyLearner = Learner | Learners
"""What the builders take: one learner, or many of which each run uses its user's."""


@dataclass(frozen=True)
class LearnContext:
    """The context of a run (`context_schema`): `namespace` names whose learner works, as `configurable` can."""

    namespace: str = ""


def current(learner: AnyLearner) -> Learner:
    """The learner of the run that is going on; outside of a run nobody is named.

    Raises `InputError` where nobody is named and many are served, and where somebody else is named than the one
    learner of a graph serves.
    """
    namespace = namespace_of(learner, ensure_config().get("configurable", {}), run_context())
    return learner.of(namespace) if isinstance(learner, Learners) else learner


def run_context() -> dict[str, Any]:
    """What the context of the graph's run says about the user, whatever class it is of; empty outside of a run."""
    try:
        context = getattr(get_runtime(), "context", None)
    except RuntimeError:
        return {}
    if isinstance(context, Mapping):
        return {key: context.get(key) for key in USER_KEYS}
    return {key: getattr(context, key, None) for key in USER_KEYS}
