"""Input and output of a model: messages, prompts, tools, grammars, generated text."""

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

    `tool_calls` belong to an assistant's message; `call_id` of a tool's message names the call it answers.
    """

    role: Role
    content: str
    tool_calls: Annotated[tuple[ToolCall, ...], UNLESS_EMPTY] = ()
    call_id: Annotated[str, UNLESS_EMPTY] = ""

    def __post_init__(self) -> None:
        """Replace lone surrogates: tokenizers and databases refuse them."""
        if isinstance(self.content, str):
            object.__setattr__(self, "content", whole(self.content))


@dataclass(frozen=True)
class Prompt:
    """The input that the model continues.

    With `messages` the chat template is applied, `tools` are offered and `text` begins the assistant's turn.
    Without messages `text` is passed to the model unchanged.
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
        """The content of the last message; `text` if there are no messages."""
        return self.messages[-1].content if self.messages else self.text

    def after(self, text: str) -> Prompt:
        """This chat prompt with `text` put before the content of its last message."""
        *before, asked = self.messages
        return replace(self, messages=(*before, replace(asked, content=f"{text}\n\n{asked.content}")))


class Generated(str):
    """Text that a model generated, or a piece of it.

    `num_tokens`: the generated tokens, the end token included. `ending`: "stop" if the model ended or a stop text came,
    "length" if `max_new_tokens` was reached, "" for a piece after which more follows.
    """

    num_tokens: int
    ending: Ending

    def __new__(cls, text: str = "", num_tokens: int = 0, ending: Ending = "") -> Generated:
        """The text with its token count and ending."""
        generated = super().__new__(cls, text)
        generated.num_tokens = num_tokens
        generated.ending = ending
        return generated


@dataclass(frozen=True)
class Grammar:
    """The grammar of a continuation, in llguidance's dialect of Lark.

    Source: https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md
    """

    lark: str

    @staticmethod
    def json(schema: Mapping[str, Any]) -> Grammar:
        """JSON on one line that fits a JSON schema."""
        return Grammar(f"start: %json {json.dumps({**schema, 'x-guidance': {'whitespace_flexible': False}})}\n")

    @staticmethod
    def one_of(options: Sequence[tuple[str, Mapping[str, Any]]]) -> Grammar:
        """One of the texts, then JSON on one line that fits its schema, with a space after each colon and comma."""
        spaced = {"whitespace_flexible": False, "key_separator": ": ", "item_separator": ", "}
        ways = (f"{json.dumps(text)} %json {json.dumps({**schema, 'x-guidance': spaced})}" for text, schema in options)
        return Grammar(f"start: {' | '.join(ways)}\n")


MAX_EARLIER = 2  # messages
MAX_EARLIER_CHARS = 400


def conversation(messages: Sequence[Message]) -> str:
    """The last messages before a turn, one per line, as the classifier and the writer see them."""
    names = {"user": "User", "assistant": "Assistant", "system": "System", "tool": "Tool"}
    return "".join(
        f"{names[m.role]}: {' '.join(m.content.split())[:MAX_EARLIER_CHARS]}\n" for m in messages[-MAX_EARLIER:]
    )


def kept_conversation(messages: Sequence[Message]) -> str:
    """`conversation` for storing: secrets are removed before a message is cut.

    The message before the last ones is read too: it may be a question whose answer is a secret.
    """
    last = messages[-MAX_EARLIER - 1 :]
    texts = [message.content[: 10 * MAX_EARLIER_CHARS] for message in last]
    kept = [
        redacted(text, f"User: {before}" if before else "") for before, text in zip(["", *texts], texts, strict=False)
    ]
    return conversation([replace(m, content=text) for m, text in zip(last, kept, strict=True)])
