"""A chat graph with a checkpointer."""

from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from seal_agent.graphs import create_chat_graph
from seal_agent.learning.learner import Learner


@pytest.fixture
def chat(learner: Learner) -> Any:
    return create_chat_graph(learner).compile(checkpointer=InMemorySaver())
