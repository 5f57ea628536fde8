"""`SelfAdaptation`: LangChain's `create_agent` learns from its user, after every turn.

The turn's model calls are held to one version of the stack, so that what is learned meanwhile does not change an answer
half-way. The agent's own replies are never learned, nor is what a tool recalled from the weights.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from typing import Annotated, Any, NotRequired

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langgraph.runtime import Runtime

from seal_agent import documents
from seal_agent.decision_head import kept_conversation
from seal_agent.errors import MissingExtra
from seal_agent.graphs.attachments import attached_passages
from seal_agent.graphs.learning import as_pending, create_learning_graph
from seal_agent.graphs.namespaces import AnyLearner, current
from seal_agent.graphs.tools import RECALLED, is_users, learning_tools
from seal_agent.learner import Learner
from seal_agent.passages import Passage, split_passages
from seal_agent.queue import LearningQueue
from seal_agent.types import Message

try:
    from langchain.agents.middleware.types import (
        AgentMiddleware,
        AgentState,
        ModelRequest,
        ModelResponse,
        PrivateStateAttr,
    )
except ImportError as error:
    raise MissingExtra("the middleware needs langchain; pip install 'seal-agent[agent]'") from error

Pin = Callable[[str, int], Mapping[str, Any]]
"""From a namespace and a version of its stack to the settings of a model call that is answered by just that."""
OWN_MODEL = "seal"  # `_llm_type` of `ChatSeal`


class AdaptState(AgentState[Any]):
    """The agent's state; `outcomes`: what became of every passage the user's last turn brought."""

    outcomes: NotRequired[list[dict[str, Any]]]
    stack_version: NotRequired[Annotated[int, PrivateStateAttr]]


def pin_to_version(namespace: str, version: int) -> dict[str, Any]:
    """The settings that `ChatSeal` understands."""
    return {"model": f"base@v{version}", "namespace": namespace}


class SelfAdaptation(AgentMiddleware[AdaptState, Any]):
    """Learns what the user said, when the agent's turn is over.

    With a `queue` a worker learns behind the reply; otherwise the run ends when it is learned. `with_tools` gives the
    agent `memorize`, `adapt`, `forget` and `recall_sources`. `learn_from` names tools whose results are learned, as
    documents are. `pin` makes the settings that hold a call to a version of the stack; by default calls of
    `ChatSeal` are held, and other models answer as they do.
    """

    state_schema = AdaptState

    def __init__(
        self,
        learner: AnyLearner,
        queue: LearningQueue | None = None,
        *,
        with_tools: bool = False,
        learn_from: Collection[str] = (),
        pin: Pin | None = None,
    ) -> None:
        super().__init__()
        self.tools = learning_tools(learner, queue) if with_tools else []
        self._learner = learner
        self._loop: Any = create_learning_graph(learner, queue).compile()
        self._learn_from = frozenset(learn_from)
        self._pin = pin

    def before_agent(self, state: AdaptState, runtime: Runtime[Any]) -> dict[str, Any]:
        """Choose the version of the stack that answers this turn."""
        learner = current(self._learner)
        versions = learner.home.versions(learner.namespace)
        return {"stack_version": versions[-1].version if versions else 0, "outcomes": []}

    async def abefore_agent(self, state: AdaptState, runtime: Runtime[Any]) -> dict[str, Any]:
        """As `before_agent`: one look into SQLite."""
        return self.before_agent(state, runtime)

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Answer with the turn's version of the stack."""
        return handler(self._pinned(request))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """As `wrap_model_call`."""
        return await handler(self._pinned(request))

    def _pinned(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        pin = self._pin or (pin_to_version if request.model._llm_type == OWN_MODEL else None)
        state: Mapping[str, Any] = request.state
        if pin is None or "model" in request.model_settings or "stack_version" not in state:
            return request
        settings = pin(current(self._learner).namespace, state["stack_version"])
        return request.override(model_settings={**request.model_settings, **settings})

    def after_agent(self, state: AdaptState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Learn what this turn brought."""
        passages = self._passages(state)
        return {"outcomes": self._loop.invoke(as_pending(passages))["outcomes"]} if passages else None

    async def aafter_agent(self, state: AdaptState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """As `after_agent`; the learning runs in threads."""
        passages = self._passages(state)
        return {"outcomes": (await self._loop.ainvoke(as_pending(passages)))["outcomes"]} if passages else None

    def _passages(self, state: AdaptState) -> list[Passage]:
        learner = current(self._learner)
        messages = state["messages"]
        begin = turn_begins(messages)
        earlier = as_text(messages[:begin])
        return [p for message in messages[begin:] for p in self._passages_of(message, learner, earlier)]

    def _passages_of(self, message: AnyMessage, learner: Learner, earlier: str) -> list[Passage]:
        if is_users(message):
            said = split_passages(str(message.text), earlier=earlier)
            return said + attached_passages(learner, message)
        if isinstance(message, ToolMessage) and message.name in self._learn_from and message.artifact != RECALLED:
            result = documents.named(str(message.text), f"result of {message.name}")
            return [replace(passage, source=result.source) for passage in split_passages(result.text)]
        return []


def turn_begins(messages: list[AnyMessage]) -> int:
    """Where the last turn begins: at the user's messages after the last answer before them."""
    last = max((n for n, message in enumerate(messages) if is_users(message)), default=len(messages))
    while 0 < last < len(messages) and isinstance(messages[last - 1], HumanMessage):
        last -= 1
    return last


def as_text(messages: list[AnyMessage]) -> str:
    """What was said before, as the writer of edits is told it."""
    said = [
        Message("user" if is_users(message) else "assistant", str(message.text))
        for message in messages
        if (is_users(message) or isinstance(message, AIMessage)) and str(message.text).strip()
    ]
    return kept_conversation(said)
