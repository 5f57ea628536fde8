"""What a model reads and writes: messages, prompts, tools, grammars, generated text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from seal_agent.core.characters import whole
from seal_agent.core.codec import HOLDS_JSON, UNLESS_EMPTY
from seal_agent.core.redaction import redacted

Role = Literal["system", "user", "assistant", "tool"]
Ending = Literal["", "stop", "length"]


@dataclass(frozen=True)
class ToolSpec:
    """A tool the model may call; `parameters` is its JSON schema, as text."""

    name: str
    description: str = ""
    parameters: str = field(default='{"type": "object", "properties": {}}', metadata={HOLDS_JSON: True})


@dataclass(frozen=True)
class ToolCall:
    """A call the model makes; `arguments` is a JSON object, as text."""

    name: str
    arguments: str = field(default="{}", metadata={HOLDS_JSON: True})
    id: str = ""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation.

    `tool_calls` are an assistant's; a tool's message holds what the call `call_id` came to.
    """

    role: Role
    content: str
    tool_calls: Annotated[tuple[ToolCall, ...], UNLESS_EMPTY] = ()
    call_id: Annotated[str, UNLESS_EMPTY] = ""

    def __post_init__(self) -> None:
        """No tokenizer and no database takes half a character."""
        if isinstance(self.content, str):
            object.__setattr__(self, "content", whole(self.content))


@dataclass(frozen=True)
class Prompt:
    """What the model sees before it continues.

    With `messages` the chat template is applied, `tools` are offered and `text` is how the assistant's turn already
    begins. Without messages `text` is given to the model raw.
    """

    messages: tuple[Message, ...] = ()
    text: str = ""
    tools: Annotated[tuple[ToolSpec, ...], UNLESS_EMPTY] = ()

    @staticmethod
    def user(content: str) -> Prompt:
        """A conversation of one user message."""
        return Prompt((Message("user", content),))

    @staticmethod
    def raw(text: str) -> Prompt:
        """Text that is continued without a chat template."""
        return Prompt((), text)

    @property
    def is_chat(self) -> bool:
        """Whether the chat template applies."""
        return bool(self.messages)

    @property
    def asked(self) -> str:
        """What the last message says; of a prompt without messages its text."""
        return self.messages[-1].content if self.messages else self.text

    def after(self, text: str) -> Prompt:
        """This prompt, which has messages, with `text` before what the last one says."""
        *before, asked = self.messages
        return replace(self, messages=(*before, replace(asked, content=f"{text}\n\n{asked.content}")))


class Generated(str):
    """Text a model generated, or a piece of it, and what only the model can say about it.

    `num_tokens`: how many tokens it took, with the last one that ended it. `ending`: "stop" where it came to an end
    by itself or at a stop text, "length" where `max_new_tokens` cut it off, "" for a piece after which more comes.
    """

    num_tokens: int
    ending: Ending

    def __new__(cls, text: str = "", num_tokens: int = 0, ending: Ending = "") -> Generated:
        """The text with those facts."""
        generated = super().__new__(cls, text)
        generated.num_tokens = num_tokens
        generated.ending = ending
        return generated


@dataclass(frozen=True)
class Grammar:
    """What a continuation must look like, in llguidance's dialect of Lark.

    Source: https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md
    """

    lark: str

    @staticmethod
    def json(schema: Mapping[str, Any]) -> Grammar:
        """JSON that fits a JSON schema, on one line."""
        return Grammar(f"start: %json {json.dumps({**schema, 'x-guidance': {'whitespace_flexible': False}})}\n")

    @staticmethod
    def one_of(options: Sequence[tuple[str, Mapping[str, Any]]]) -> Grammar:
        """One of those texts, followed by JSON that fits its schema, on one line and with a blank after : and ,."""
        spaced = {"whitespace_flexible": False, "key_separator": ": ", "item_separator": ", "}
        ways = (f"{json.dumps(text)} %json {json.dumps({**schema, 'x-guidance': spaced})}" for text, schema in options)
        return Grammar(f"start: {' | '.join(ways)}\n")


MAX_EARLIER = 2  # messages
MAX_EARLIER_CHARS = 400


def conversation(messages: Sequence[Message]) -> str:
    """What was said before a turn, as the head and the writer see it: the last messages, a line each."""
    names = {"user": "User", "assistant": "Assistant", "system": "System", "tool": "Tool"}
    return "".join(
        f"{names[m.role]}: {' '.join(m.content.split())[:MAX_EARLIER_CHARS]}\n" for m in messages[-MAX_EARLIER:]
    )


def kept_conversation(messages: Sequence[Message]) -> str:
    """As `conversation`, of what may be kept: secrets are taken out before a message is cut.

    The message before says whether one answers a question for a secret.
    """
    last = messages[-MAX_EARLIER - 1 :]
    texts = [message.content[: 10 * MAX_EARLIER_CHARS] for message in last]
    kept = [
        redacted(text, f"User: {before}" if before else "") for before, text in zip(["", *texts], texts, strict=False)
    ]
    return conversation([replace(m, content=text) for m, text in zip(last, kept, strict=True)])
