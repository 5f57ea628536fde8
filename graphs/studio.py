"""Entry points of `langgraph.json`: the graphs on the model named in $SEAL_MODEL (default: embedded).

A server asks for a graph whenever it needs one, in its event loop: the model is opened once, in a thread.
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
from seal_agent.learner import Learner

_opening = threading.Lock()


@cache
def _opened() -> Learner:
    from seal_agent.agent import open_learner

    return open_learner(os.environ.get("SEAL_MODEL", "embedded"))


def _learner() -> Learner:
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
