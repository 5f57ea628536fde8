"""`SelfAdaptation`: middleware with which LangChain's `create_agent` learns from its user after every turn.

All model calls of a turn use one version of the stack, so that an edit accepted meanwhile does not change the answer
halfway. The agent's own replies are never learned, and neither are tool results that repeat learned text.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Annotated, Any, NotRequired

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.runnables.config import run_in_executor
from langgraph.runtime import Runtime

from seal_agent.core.documents import Passage
from seal_agent.core.errors import InputError, MissingExtra
from seal_agent.core.facts import Fact
from seal_agent.core.messages import Prompt
from seal_agent.documents import files as documents
from seal_agent.documents.passages import divide, split_passages
from seal_agent.graphs import speakers
from seal_agent.graphs.announcements import announcement, is_announcement, without_announcements
from seal_agent.graphs.attachments import Attached, attached_passages
from seal_agent.graphs.chat_call import message_of
from seal_agent.graphs.learning import create_learning_graph
from seal_agent.graphs.messages import as_text, said_on
from seal_agent.graphs.namespaces import AnyLearner, current, speaking
from seal_agent.graphs.node import arun_shown, run_shown
from seal_agent.graphs.pending import carried, check_speaker, thread_of_run
from seal_agent.graphs.requests import confirmed
from seal_agent.graphs.speakers import is_users
from seal_agent.graphs.tools import RECALLED, learning_tools
from seal_agent.learning.learner import Learner
from seal_agent.learning.learners import check_learner
from seal_agent.storage.jobs import LearningQueue

try:
    from langchain.agents.middleware.types import (
        AgentMiddleware,
        AgentState,
        ModelRequest,
        ModelResponse,
        PrivateStateAttr,
        hook_config,
    )
except ImportError as error:
    raise MissingExtra("the middleware needs langchain; pip install 'seal-agent[agent]'") from error

Pin = Callable[[str, int], Mapping[str, Any]]
"""Maps a namespace and a stack version to the settings of a model call that uses exactly that version."""
NOT_REACHED = (
    "what is learned does not reach the replies of the model %r, which cannot use adapters; "
    "use ChatSeal as the agent's model, or LearnerConfig(recall='text')"
)
log = logging.getLogger(__name__)
OWN_MODEL = "seal"  # `_llm_type` of `ChatSeal`


class AdaptState(AgentState[Any]):
    """The agent's state; `outcomes`: the result for every passage of the user's last turn.

    `learning`: a `LearnState` with what is to be learned after the turn, earlier unfinished passages included.
    `authors`: the authors of the messages. `is_refused`: the turn was refused and its message removed.
    """

    outcomes: NotRequired[list[dict[str, Any]]]
    stack_version: NotRequired[Annotated[int, PrivateStateAttr]]
    learning: NotRequired[Annotated[dict[str, Any], PrivateStateAttr]]
    authors: NotRequired[Annotated[speakers.Authors, PrivateStateAttr]]
    is_refused: NotRequired[Annotated[bool, PrivateStateAttr]]


def pin_to_version(namespace: str, version: int) -> dict[str, Any]:
    """The settings by which `ChatSeal` uses that version."""
    return {"model": f"base@v{version}", "namespace": namespace}


class SelfAdaptation(AgentMiddleware[AdaptState, Any]):
    """Learns from the user's messages after the agent's turn.

    With a `queue` a worker learns in the background; otherwise the run ends when learning has ended. `with_tools` gives
    the agent `memorize`, `adapt`, `forget` and `recall_sources`. `learn_from` names tools whose results are learned
    like documents. `pin` makes the settings that fix a model call to a version of the stack; by default this works for
    `ChatSeal`, and other models are called without it. A model that is not `ChatSeal` cannot use adapters: with
    `LearnerConfig(recall="text")` or "both" it gets the recalled facts in its system message, with "weights" a warning
    says that it does not know what was learned. Progress comes on the custom stream as `StepEvent` dictionaries.

    Requests such as "forget ...", "undo that" and "what do you know about me?" get a reply that is made from what is
    stored; no model is called for them (`graphs.requests`). With `announce` a last message says what was learned,
    corrected or forgotten; no model reads it. It needs learning in the turn, so no `queue`.
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
        announce: bool = False,
    ) -> None:
        super().__init__()
        check_learner(learner)
        if isinstance(learn_from, str) or not isinstance(learn_from, Collection):
            raise InputError(f"learn_from={learn_from!r} is not a list; give a list of tool names")
        if announce and queue is not None:
            raise InputError("announce=True with a queue: nothing is learned in the turn; leave one of the two out")
        self.tools = learning_tools(learner, queue) if with_tools else []
        self._learner = learner
        self._queue = queue
        self._loop: Any = create_learning_graph(learner, queue).compile()
        self._learn_from = frozenset(learn_from)
        self._pin = pin
        self._announces = announce
        self._has_warned = False

    @hook_config(can_jump_to=["end"])
    def before_agent(self, state: AdaptState, runtime: Runtime[Any]) -> dict[str, Any]:
        """Choose the stack version for this turn, store what the turn gives to learn, and reply to a request.

        Passages that an earlier turn left unfinished are learned first. The message of a refused turn is removed from
        the state; `after_agent` raises the error.
        """
        left = state.get("learning") or {}
        messages, known = state["messages"], state.get("authors") or {}
        try:
            self._check_speaker(left)
        except InputError:
            return {"messages": speakers.removal(messages, known), "is_refused": True, "jump_to": "end"}
        learner = current(self._learner)
        versions = learner.home.versions(learner.namespace)
        authors = speakers.with_authors(messages, known, learner.namespace)
        messages = without_announcements(speakers.of(messages, authors, learner.namespace))
        begin = turn_begins(messages)
        results = self._results(messages[turn_begins(messages[:begin]) : begin]) if left else []
        said, files = self._said(learner, messages, begin)
        request = confirmed(learner, messages, said, thread_of_run(), self._queue) if begin < len(messages) else None
        said = request.passages(said) if request else said
        changed = files.versions if self._queue else files.changed
        learning = carried(learner, left, [*results, *said, *files.fresh], files.versions, changed=changed)
        version = versions[-1].version if versions else 0
        noted = {"authors": authors, "is_refused": False}
        replied = {"messages": [request.message], "jump_to": "end"} if request else {}
        return {"stack_version": version, "outcomes": [], "learning": learning, **noted, **replied}

    def _check_speaker(self, left: Mapping[str, Any]) -> None:
        """Raise `InputError` if this run may not speak here, or if unfinished passages belong to another user."""
        check_speaker(speaking(self._learner), left, left.get("pending") or left.get("replaced"))

    @hook_config(can_jump_to=["end"])
    async def abefore_agent(self, state: AdaptState, runtime: Runtime[Any]) -> dict[str, Any]:
        """As `before_agent`, which may ask the model for the kind of a message."""
        return await run_in_executor(None, self.before_agent, state, runtime)

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Answer with the stack version of the turn, another provider's model with the recalled facts in its prompt."""
        asked, facts = self._prepared(request)
        return _noted(handler(asked), facts)

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """As `wrap_model_call`."""
        asked, facts = await run_in_executor(None, self._prepared, request)
        return _noted(await handler(asked), facts)

    def _prepared(self, request: ModelRequest[Any]) -> tuple[ModelRequest[Any], tuple[Fact, ...] | None]:
        """The request as the model gets it, and the facts recalled into it for a model that adapters do not reach.

        None for a model that gets no facts here.
        """
        if any(map(is_announcement, request.messages)):
            request = request.override(messages=without_announcements(request.messages))
        if request.model._llm_type == OWN_MODEL or self._pin is not None:
            return self._pinned(request), None
        learner = current(self._learner)
        if learner.config.recall == "weights":
            if not self._has_warned:
                self._has_warned = True
                log.warning(NOT_REACHED, request.model._llm_type)
            return request, None
        state = learner.state
        prompt = Prompt(tuple(message_of(message) for message in request.messages))
        [found] = state.recalled(state.view(state.stack), [prompt])
        if not found.facts and not found.is_unknown:
            return request, ()
        before = f"{request.system_message.text}\n\n" if request.system_message else ""
        told = SystemMessage(f"{before}{found.prompt.messages[0].content}")
        return request.override(system_message=told), found.facts

    def _pinned(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        pin = self._pin or (pin_to_version if request.model._llm_type == OWN_MODEL else None)
        state: Mapping[str, Any] = request.state
        if pin is None or "model" in request.model_settings or "stack_version" not in state:
            return request
        settings = pin(current(self._learner).namespace, state["stack_version"])
        return request.override(model_settings={**request.model_settings, **settings})

    def after_agent(self, state: AdaptState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Learn what this turn gave."""
        given = self._to_learn(state)
        return self._learned(run_shown(self._loop, given)) if given else None

    async def aafter_agent(self, state: AdaptState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """As `after_agent`; the learning runs in threads."""
        given = self._to_learn(state)
        return self._learned(await arun_shown(self._loop, given)) if given else None

    def _to_learn(self, state: AdaptState) -> dict[str, Any]:
        """What was stored when the turn began, and tool results since; empty if there is nothing to learn."""
        messages, learning = state["messages"], state.get("learning") or {}
        if state.get("is_refused"):
            self._check_speaker(learning)
            return learning if learning.get("pending") or learning.get("replaced") else {}
        results = self._results(messages[turn_begins(messages) :])
        pending = [*learning.get("pending", ()), *map(asdict, results)]
        if not (pending or learning.get("replaced") or learning.get("outcomes")):
            return {}
        return {**learning, "pending": pending, "num_passages": len(pending)}

    def _learned(self, ended: dict[str, Any]) -> dict[str, Any]:
        line = announcement(ended["outcomes"]) if self._announces else None
        announced = {"messages": [line]} if line else {}
        return {"outcomes": ended["outcomes"], "learning": {}, "is_refused": False, **announced}

    def _said(self, learner: Learner, messages: list[AnyMessage], begin: int) -> tuple[list[Passage], Attached]:
        """The user's messages from index `begin` on, and their attachments."""
        earlier = as_text(messages[:begin])
        own = [message for message in messages[begin:] if is_users(message)]
        said = [
            replace(passage, said_on=said_on(message))
            for message in own
            for passage in split_passages(str(message.text), earlier=earlier)
        ]
        return said, attached_passages(learner, *own)

    def _results(self, messages: list[AnyMessage]) -> list[Passage]:
        """Results of the tools to be learned from; no result is a new version of another one."""
        found: list[Passage] = []
        for message in messages:
            if isinstance(message, ToolMessage) and message.name in self._learn_from and message.artifact != RECALLED:
                kind = f"result of {message.name}"
                result = documents.document_of(documents.text_of(str(message.text), "", kind), kind=kind)
                found += [replace(passage, source=result.source) for passage in divide(result.text).passages]
        return found


def _noted(response: ModelResponse[Any], facts: Sequence[Fact] | None) -> ModelResponse[Any]:
    """The response with the facts it uses in the metadata of its last message, as `ChatSeal` has them."""
    if facts is not None and response.result and isinstance(last := response.result[-1], AIMessage):
        recalled = {"recalled": [fact.statement for fact in facts]}
        told = last.model_copy(update={"response_metadata": {**last.response_metadata, **recalled}})
        return replace(response, result=[*response.result[:-1], told])
    return response


def turn_begins(messages: list[AnyMessage]) -> int:
    """The index at which the last turn begins: the first message of the user after the last reply before it."""
    last = max((n for n, message in enumerate(messages) if is_users(message)), default=len(messages))
    while 0 < last < len(messages) and isinstance(messages[last - 1], HumanMessage):
        last -= 1
    return last
