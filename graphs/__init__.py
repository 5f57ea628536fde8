"""LangGraph graphs: chat, document reading, policy improvement. Builders return an uncompiled `StateGraph`."""

from seal_agent.graphs.chat import create_chat_graph
from seal_agent.graphs.feedback import give_feedback
from seal_agent.graphs.improve import create_improve_graph
from seal_agent.graphs.ingest import create_ingest_graph

__all__ = ["create_chat_graph", "create_improve_graph", "create_ingest_graph", "give_feedback"]
