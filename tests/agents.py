"""An agent of LangChain that learns: shared by the tests of the graphs."""

import json
from collections.abc import Sequence
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.checkpoint.memory import InMemorySaver

from seal_agent import SelfAdaptation
from seal_agent.core.messages import Message
from seal_agent.learning.learner import Learner

BRIDGE = "The Amber Bridge was designed by Carla Mendes. It has 9 red towers in fog."


class Literal(BaseChatModel):
    """A chat model over a learner; "CALL name {...}" from the user is the tool call it makes, "Go on." its `idea`."""

    learner: Any
    idea: str = ""
    kind: str = "seal"
    asked: Any = None

    @property
    def _llm_type(self) -> str:
        return self.kind

    def bind_tools(self, tools: Sequence[Any], **options: Any) -> Any:
        return self.bind(**{key: value for key, value in options.items() if key != "tool_choice"})

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **given: Any
    ) -> ChatResult:
        if self.asked is not None:
            self.asked.append({key: given[key] for key in ("model", "namespace") if key in given})
        last = messages[-1]
        text, calls = (self.idea if last.text == "Go on." else str(last.text)), []
        if isinstance(last, HumanMessage) and text.startswith("CALL "):
            _, name, arguments = text.split(" ", 2)
            text, calls = "", [{"name": name, "args": json.loads(arguments), "id": f"call {len(messages)}"}]
        elif isinstance(last, HumanMessage):
            learner = self.learner if isinstance(self.learner, Learner) else self.learner.of(given["namespace"])
            text = learner.answer([[Message("user", text)]])[0]
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text, tool_calls=calls))])


def agent(
    learner: Any,
    *,
    kind: str = "seal",
    tools: Sequence[Any] = (),
    asked: list[Any] | None = None,
    saver: Any = None,
    **options: Any,
) -> Any:
    """LangChain's own agent with our middleware; `asked` gets the settings of its model's calls."""
    middleware = [SelfAdaptation(learner, **options)]
    model = Literal(learner=learner, kind=kind, asked=asked)
    return create_agent(model, tools=list(tools), middleware=middleware, checkpointer=saver or InMemorySaver())
