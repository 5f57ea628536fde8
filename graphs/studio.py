"""Entry points of `langgraph.json`: the graphs on the model named in $SEAL_MODEL (default: embedded).

$SEAL_RECALL says where replies get what was learned from: "weights" (the default), "text" or "both".

They serve many users. A run names its user in `configurable` ("user", "user_id", and so on), in its context
("namespace"), or by LangGraph's authentication; a run without a user is refused, so that users are never mixed. On a
server with one user, as with `langgraph dev`, $SEAL_NAMESPACE names that user: runs without a user belong to it, and
runs of other users are refused. The server builds graphs in its event loop, so the model is loaded once, in a thread.
"""

from __future__ import annotations

import asyncio
import os
import threading
from functools import cache
from typing import Any

from seal_agent.graphs.chat import create_chat_graph
from seal_agent.graphs.improve import create_improve_graph
from seal_agent.graphs.ingest import create_ingest_graph
from seal_agent.graphs.namespaces import AnyLearner

ADVICE = ", or set SEAL_NAMESPACE where the server has one user"
_opening = threading.Lock()


@cache
def _opened() -> AnyLearner:
    from seal_agent.factory import open_learner, open_learners
    from seal_agent.learning.config import LearnerConfig

    model, only_user = os.environ.get("SEAL_MODEL", "embedded"), os.environ.get("SEAL_NAMESPACE", "")
    config = LearnerConfig(recall=os.environ.get("SEAL_RECALL", "weights"))  # type: ignore[arg-type]  # it checks
    if only_user:
        return open_learner(model, namespace=only_user, config=config)
    learners = open_learners(model, config=config)
    learners.advice = ADVICE
    return learners


def _learner() -> AnyLearner:
    with _opening:
        return _opened()


async def chat() -> Any:
    """The chat graph."""
    return create_chat_graph(await asyncio.to_thread(_learner))


async def ingest() -> Any:
    """The document graph."""
    return create_ingest_graph(await asyncio.to_thread(_learner))


async def improve() -> Any:
    """The graph that improves the policy; a schedule starts it with {} or {"after_episodes": 20, "resume": true}."""
    return create_improve_graph(await asyncio.to_thread(_learner))
