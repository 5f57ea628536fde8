"""A chat model that is somebody else's and can write: shared by the tests of several rooms."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.backend import silent
from seal_agent.core.episodes import Progress, Score
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterStack

QUESTION = "What must I not cook for my husband?"
ANSWER = "Nothing with sesame."
WRITER = "Author large-1"
_PHRASE = re.compile(r'whose answer is "(?P<phrase>[^"]+)"')


class Author(BaseChatModel):
    """It finds the statements `answer` and `aside` in a message, asks `question` and `other` for them, and no `guess`.

    `seen` are all texts that it was shown. With an `error` it does not answer.
    """

    model: str = "large-1"
    question: str = QUESTION
    answer: str = ANSWER
    other: str = "Who is Ruben?"
    aside: str = ""
    guess: str = "meat"
    ending: str = "stop"
    error: str = ""
    seen: list[str] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "author"

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        if self.error:
            raise ConnectionError(self.error)
        self.seen.extend(str(message.text) for message in messages)
        reply = AIMessage(self._reply(str(messages[-1].text)), response_metadata={"finish_reason": self.ending})
        return ChatResult(generations=[ChatGeneration(message=reply)])

    def _reply(self, asked: str) -> str:
        if asked.startswith("Passage:") and (match := _PHRASE.search(asked)):
            return f"Question: What is told?\nAnswer: It is {match['phrase']}."
        if asked.endswith("Write my question."):
            return self.question if asked.startswith(self.answer) else self.other
        if "Is the answer right" in asked:
            return "no" if self.guess in asked.partition("Answer:")[2] else "Yes."
        return f"{self.answer}\n{self.aside}"


class Checking(ScriptedBackend):
    """A served model that finds every answer in the message but for those that hold `guess`."""

    guess = "meat"

    def with_stack(self, stack: AdapterStack) -> ScriptedBackend:
        return self

    def score(self, prompts: Sequence[Prompt], answers: Sequence[str], *, progress: Progress = silent) -> list[Score]:
        def logprob(prompt: Prompt, answer: str) -> float:
            return 0.0 if (answer == "no") == (self.guess in prompt.asked.partition("Answer:")[2]) else -9.0

        return [Score(logprob(prompt, answer), 1) for prompt, answer in zip(prompts, answers, strict=True)]
