"""An agent whose model is somebody else's: facts reach it as text, adapters cannot."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from threads import QUESTION, TOWER, thread

from seal_agent import SelfAdaptation
from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.learning.config import LearnerConfig
from seal_agent.learning.learner import Learner
from seal_agent.storage.database import Home


class Echo(BaseChatModel):
    """Somebody else's model: it answers with its system message."""

    @property
    def _llm_type(self) -> str:
        return "echo"

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        shown = str(messages[0].text) if messages[0].type == "system" else "nothing"
        return ChatResult(generations=[ChatGeneration(message=AIMessage(shown))])


def agent_of(home: Home, recall: Any, **options: Any) -> Any:
    learner = Learner(ScriptedBackend(home.root), home, config=LearnerConfig(recall=recall))
    return create_agent(Echo(), tools=[], middleware=[SelfAdaptation(learner)], **options)


def say(agent: Any, text: str, name: str) -> Any:
    return agent.invoke({"messages": [("user", text)]}, thread(name))["messages"][-1]


def test_facts_are_recalled_into_its_system_message(home: Home) -> None:
    agent = agent_of(home, "text", system_prompt="Be brief.")
    assert say(agent, TOWER, "one").text == "Be brief."
    answer = say(agent, QUESTION, "two")
    assert answer.text.startswith("Be brief.\n\nWhat you were told")
    assert TOWER in answer.text
    assert [TOWER in fact for fact in answer.response_metadata["recalled"]] == [True]
    assert say(agent, "What is a good recipe for pasta?", "three").text == "Be brief."


def test_facts_are_recalled_in_an_event_loop_too(home: Home) -> None:
    agent = agent_of(home, "text")

    async def converse() -> Any:
        await agent.ainvoke({"messages": [("user", TOWER)]}, thread("one"))
        return await agent.ainvoke({"messages": [("user", QUESTION)]}, thread("two"))

    assert TOWER in asyncio.run(converse())["messages"][-1].text


def test_adapters_that_cannot_reach_it_are_warned_about_once(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    agent = agent_of(home, "weights")
    with caplog.at_level(logging.WARNING):
        for name in ("one", "two"):
            assert say(agent, QUESTION, name).text == "nothing"
    warnings = [text for record in caplog.records if "does not reach" in (text := record.getMessage())]
    assert len(warnings) == 1
    assert "the replies of the model 'echo'" in warnings[0]


def test_progress_of_the_middleware_comes_on_the_custom_stream(home: Home) -> None:
    agent = agent_of(home, "text")
    steps = [e["step"] for e in agent.stream({"messages": [("user", TOWER)]}, thread("one"), stream_mode="custom")]
    assert list(dict.fromkeys(steps)) == ["decide", "remember"]
