"""seal-agent: a deployed language model learns from what it is told, and proves that it forgot nothing.

    from seal_agent import create_chat_graph, open_learner

    graph = create_chat_graph(open_learner()).compile()

Importing the package loads no torch, langgraph or vllm; the names below load what they need when used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seal_agent.background.worker import Budget, Worker
    from seal_agent.core.errors import SealError
    from seal_agent.factory import open_learner, open_learners
    from seal_agent.graphs.chat import create_chat_graph
    from seal_agent.graphs.chat_model import ChatSeal
    from seal_agent.graphs.feedback import give_feedback
    from seal_agent.graphs.improve import create_improve_graph
    from seal_agent.graphs.ingest import create_ingest_graph
    from seal_agent.graphs.middleware import SelfAdaptation
    from seal_agent.graphs.node import learning_node
    from seal_agent.graphs.tools import learning_tools
    from seal_agent.learning.learner import Learner, LearnerConfig
    from seal_agent.learning.learners import Learners
    from seal_agent.retention.judge import Limits
    from seal_agent.storage.database import Home
    from seal_agent.unlearning.forget import forget

__version__ = "0.1.0"
__all__ = [
    "Budget",
    "ChatSeal",
    "Home",
    "Learner",
    "LearnerConfig",
    "Learners",
    "Limits",
    "SealError",
    "SelfAdaptation",
    "Worker",
    "create_chat_graph",
    "create_improve_graph",
    "create_ingest_graph",
    "forget",
    "give_feedback",
    "learning_node",
    "learning_tools",
    "open_learner",
    "open_learners",
]

_HOMES = {
    "Budget": "seal_agent.background.worker",
    "ChatSeal": "seal_agent.graphs.chat_model",
    "Home": "seal_agent.storage.database",
    "Learner": "seal_agent.learning.learner",
    "LearnerConfig": "seal_agent.learning.learner",
    "Learners": "seal_agent.learning.learners",
    "Limits": "seal_agent.retention.judge",
    "SealError": "seal_agent.core.errors",
    "SelfAdaptation": "seal_agent.graphs.middleware",
    "Worker": "seal_agent.background.worker",
    "create_chat_graph": "seal_agent.graphs.chat",
    "create_improve_graph": "seal_agent.graphs.improve",
    "create_ingest_graph": "seal_agent.graphs.ingest",
    "forget": "seal_agent.unlearning.forget",
    "give_feedback": "seal_agent.graphs.feedback",
    "learning_node": "seal_agent.graphs.node",
    "learning_tools": "seal_agent.graphs.tools",
    "open_learner": "seal_agent.factory",
    "open_learners": "seal_agent.factory",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'seal_agent' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
