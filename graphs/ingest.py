"""The document graph: a document is cut into passages, and each goes through the learning loop."""

from __future__ import annotations

from typing import Any

from langgraph.graph import START, StateGraph

from seal_agent.errors import InputError
from seal_agent.graphs.learning import add_learning, as_pending
from seal_agent.graphs.state import IngestState
from seal_agent.learner import Learner
from seal_agent.passages import split_passages


def create_ingest_graph(learner: Learner) -> StateGraph[IngestState, None, IngestState, IngestState]:
    """An uncompiled graph that learns a document of any length, given as {"document": text}.

    Compiled with a checkpointer it can be stopped and resumed between passages. `outcomes` in the result
    holds one report per passage.
    """

    def split(state: IngestState) -> dict[str, Any]:
        document = state.get("document", "")
        if not document.strip():
            raise InputError("the document is empty; give at least one sentence")
        return as_pending(split_passages(document, title=state.get("title", "")))

    builder = StateGraph(IngestState)
    builder.add_node("split", split)
    add_learning(builder, learner)
    builder.add_edge(START, "split")
    builder.add_edge("split", "decide")
    return builder
