"""Entry points of `langgraph.json`: the graphs on the model named in $SEAL_MODEL (default: embedded)."""

from __future__ import annotations

import os
from typing import Any

from seal_agent.graphs.chat import create_chat_graph
from seal_agent.graphs.improve import create_improve_graph
from seal_agent.graphs.ingest import create_ingest_graph
from seal_agent.learner import Learner


def _learner() -> Learner:
    from seal_agent.agent import open_learner

    return open_learner(os.environ.get("SEAL_MODEL", "embedded"))


def chat() -> Any:
    """The chat graph."""
    return create_chat_graph(_learner())


def ingest() -> Any:
    """The document graph."""
    return create_ingest_graph(_learner())


def improve() -> Any:
    """The graph that improves the policy; a schedule starts it with {} or {"after_episodes": 20, "resume": true}."""
    return create_improve_graph(_learner())
