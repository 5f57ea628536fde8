"""A node that only learns, for a graph of your own whose state is not a list of messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer

from seal_agent.core.errors import InputError
from seal_agent.documents.passages import split_passages
from seal_agent.graphs.learning import create_learning_graph
from seal_agent.graphs.messages import day_of
from seal_agent.graphs.namespaces import AnyLearner
from seal_agent.graphs.pending import as_pending
from seal_agent.learning.learners import check_learner
from seal_agent.storage.jobs import LearningQueue


def learning_node(
    learner: AnyLearner,
    queue: LearningQueue | None = None,
    *,
    text: str = "text",
    outcomes: str = "outcomes",
    said_on: str = "",
    thread: str = "",
    user: str = "",
) -> Callable[[Any, RunnableConfig], dict[str, Any]]:
    """A node for `StateGraph.add_node` that learns what stands in the state, and replies nothing.

    The names are keys of the state: `text` holds what a user said, `outcomes` receives a report for each passage,
    `said_on` a day (ISO 8601; without one it is today). `thread` and `user` name the conversation and the user; by
    default both come from the run's `configurable`. With a `queue` a worker learns in the background. Progress comes on
    the custom stream as `StepEvent` dictionaries. The node raises `InputError` for a state without the named keys.
    """
    check_learner(learner)
    graph: Any = create_learning_graph(learner, queue).compile()

    def learn(state: Any, config: RunnableConfig) -> dict[str, Any]:
        said = _value(state, text)
        day = day_of(_value(state, said_on)) if said_on else datetime.now().astimezone().date().isoformat()
        passages = [replace(passage, said_on=day) for passage in split_passages(said)] if said.strip() else []
        chosen = dict(config.get("configurable", {}))
        chosen |= {name: _value(state, key) for name, key in (("thread_id", thread), ("user", user)) if key}
        if not passages:
            return {outcomes: []}
        return {outcomes: run_shown(graph, as_pending(passages), {"configurable": _own(chosen)})["outcomes"]}

    return learn


def run_shown(graph: Any, given: Mapping[str, Any], config: RunnableConfig | None = None) -> dict[str, Any]:
    """Run a learning graph inside a node, its progress on the custom stream of the run; the state at its end."""
    writer, ended = get_stream_writer(), dict[str, Any]()
    for kind, part in graph.stream(given, config, stream_mode=["custom", "values"]):
        if kind == "custom":
            writer(part)
        else:
            ended = part
    return ended


async def arun_shown(graph: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """As `run_shown`, in an event loop."""
    writer, ended = get_stream_writer(), dict[str, Any]()
    async for kind, part in graph.astream(given, stream_mode=["custom", "values"]):
        if kind == "custom":
            writer(part)
        else:
            ended = part
    return ended


def _value(state: Any, key: str) -> str:
    value = state.get(key) if isinstance(state, Mapping) else getattr(state, key, None)
    if not isinstance(value, str):
        raise InputError(f"the state has no text under {key!r}; name the key that holds it")
    return value


def _own(configurable: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without what LangGraph stores in it for the run around this one."""
    return {name: value for name, value in configurable.items() if not name.startswith(("__pregel", "checkpoint"))}
