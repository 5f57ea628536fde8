"""Whose learner a node works with: the one a graph was built on, or of many that of the user who is speaking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langgraph.config import get_config
from langgraph.runtime import get_runtime

from seal_agent.errors import InputError
from seal_agent.learner import Learner
from seal_agent.learners import Learners

AnyLearner = Learner | Learners
"""What the builders take: one learner, or many of which each run uses its user's."""


@dataclass(frozen=True)
class LearnContext:
    """The context of a run (`context_schema`): `namespace` goes before what `configurable` says."""

    namespace: str = ""


def current(learner: AnyLearner) -> Learner:
    """The learner of the run that is going on; raises `InputError` where nobody is named.

    A graph built on one learner serves that one only: another namespace in the context is refused.
    """
    context: Any = get_runtime().context  # LearnContext, or what the user's own agent declares
    wanted = context.get("namespace", "") if isinstance(context, Mapping) else getattr(context, "namespace", "")
    if isinstance(learner, Learners):
        return learner.of(wanted or learner.namespace_of(get_config().get("configurable", {})))
    if wanted not in ("", learner.namespace):
        raise InputError(f"this graph learns for {learner.namespace!r}, not for {wanted!r}; build it on Learners")
    return learner
