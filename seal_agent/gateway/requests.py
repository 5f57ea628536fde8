"""The fields of `/v1/chat/completions` in OpenAI's format, and their translation to core types.

Unsupported requests are refused with the field's name; no field is ignored silently.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from seal_agent.core.errors import InputError
from seal_agent.core.messages import Grammar, Message, Prompt, Role, ToolCall, ToolSpec
from seal_agent.core.tool_format import ToolFormat, bounded, check_schema
from seal_agent.serving.replies import ConstrainedPrompt, asked_of

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
LABELS = {"user", "metadata", "safety_identifier", "prompt_cache_key"}
"""Fields without effect on the reply."""
NEUTRAL: dict[str, tuple[object, ...]] = {
    "top_p": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logprobs": (False,),
    "logit_bias": ({},),
    "parallel_tool_calls": (True,),
    "store": (False,),
    "service_tier": ("auto", "default"),
    "modalities": (["text"],),
}
"""Fields with only one supported value, their default."""


MAX_STOPS = 16
StopText = Annotated[str, Field(max_length=256)]
"""A stop text; every one is searched for after each token."""


class RequestModel(BaseModel):
    """A JSON object of a request: null counts as missing, and unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        return {name: value for name, value in given.items() if value is not None} if isinstance(given, dict) else given


class TextPart(RequestModel):
    """One part of a message; only text is supported."""

    type: Literal["text"]
    text: str

    @model_validator(mode="before")
    @classmethod
    def _is_text(cls, given: Any) -> Any:
        kind = given.get("type") if isinstance(given, dict) else "text"
        if kind != "text":
            raise ValueError(f"a part is of type {kind!r}, and this model reads text only; remove it")
        return given


def _kind_of_content(given: Any) -> str:
    return "text" if isinstance(given, str) else "parts"


def _json_object(text: Any) -> Any:
    try:
        value = json.loads(text)
        check_schema(value)
    except InputError as error:
        raise ValueError(str(error)) from error
    except (TypeError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ValueError("must be the text of a JSON object")
    return text


class CalledFunction(RequestModel):
    """The function that an assistant called, with its arguments."""

    name: str = Field(min_length=1)
    arguments: Annotated[str, BeforeValidator(_json_object)]


class CalledTool(RequestModel):
    """A call in an assistant's message."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class ChatMessage(RequestModel):
    """One message, as OpenAI's clients send it."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[
        Annotated[str, Tag("text")] | Annotated[list[TextPart], Tag("parts")], Discriminator(_kind_of_content)
    ] = ""
    tool_calls: list[CalledTool] = Field(default_factory=list)
    tool_call_id: str = ""
    name: str = ""
    annotations: list[Any] = Field(default_factory=list, max_length=0)

    @model_validator(mode="after")
    def _fits_its_role(self) -> ChatMessage:
        if self.tool_calls and self.role != "assistant":
            raise ValueError("only an assistant's message has tool_calls")
        if bool(self.tool_call_id) != (self.role == "tool"):
            raise ValueError("a tool's message, and no other, has a tool_call_id")
        if self.name and self.role != "tool":
            raise ValueError("names are not shown to the model; put the speaker into the content, and remove name")
        return self

    def value(self) -> Message:
        """The message as a core type."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        calls = (ToolCall(call.function.name, call.function.arguments, call.id) for call in self.tool_calls)
        return Message(ROLES[self.role], text, tuple(calls), self.tool_call_id)


class Function(RequestModel):
    """A function the model may call."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool = False


class Tool(RequestModel):
    """A tool the model may call."""

    type: Literal["function"]
    function: Function

    def value(self) -> ToolSpec:
        """The tool as a core type; raises `InputError` if its schema is too large."""
        check_schema(self.function.parameters)
        return ToolSpec(self.function.name, self.function.description, json.dumps(self.function.parameters))


class NamedFunction(RequestModel):
    """The name of a function."""

    name: str


class NamedTool(RequestModel):
    """The tool that must be called."""

    type: Literal["function"]
    function: NamedFunction


class JsonSchema(RequestModel):
    """The schema of a JSON reply."""

    name: str = ""
    description: str = ""
    rules: dict[str, Any] = Field(alias="schema")
    strict: bool = True


class ResponseFormat(RequestModel):
    """Free text, any JSON object, or JSON that fits a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> ResponseFormat:
        if (self.json_schema is None) == (self.type == "json_schema"):
            raise ValueError("json_schema requires the type json_schema, and the type requires json_schema")
        return self

    def grammar(self, max_tokens: int) -> Grammar | None:
        """The grammar of the reply; strings without a maximum length share `max_tokens`."""
        if self.type == "text":
            return None
        return Grammar.json(bounded(self.json_schema.rules if self.json_schema else {"type": "object"}, max_tokens))


class StreamOptions(RequestModel):
    """Whether the last event has the token counts."""

    include_usage: bool = False


class ChatRequest(RequestModel):
    """A request. `learn` is our own field: whether the last message may be learned in the background."""

    model_config = ConfigDict(extra="allow")

    messages: list[ChatMessage] = Field(min_length=1, max_length=1000)
    model: str = ""
    max_tokens: int = Field(default=0, ge=1)
    max_completion_tokens: int = Field(default=0, ge=1)
    temperature: float = Field(default=0.0, ge=0, le=2)
    n: int = Field(default=1, ge=1, le=8)
    stop: StopText | list[StopText] = Field(default_factory=list, max_length=MAX_STOPS)
    seed: int | None = None
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    tools: list[Tool] = Field(default_factory=list, max_length=128)
    tool_choice: Literal["none", "auto", "required"] | NamedTool = "auto"
    response_format: ResponseFormat = ResponseFormat(type="text")
    learn: bool = True

    @field_validator("tools")
    @classmethod
    def _have_names_of_their_own(cls, tools: list[Tool]) -> list[Tool]:
        names = [tool.function.name for tool in tools]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two tools are called {min(twice)!r}; rename one")
        return tools

    @field_validator("max_tokens", "max_completion_tokens", mode="before")
    @classmethod
    def _is_a_number_of_tokens(cls, given: Any) -> Any:
        if isinstance(given, int) and given < 1:
            raise ValueError(f"{given} is not a valid length; give 1 or more, or remove it for the default")
        return given

    @property
    def unsupported(self) -> list[str]:
        """The fields whose values are not supported."""
        given = (self.model_extra or {}).items()
        return sorted(name for name, value in given if name not in LABELS and value not in NEUTRAL.get(name, ()))

    def asked(self, form: ToolFormat, max_tokens: int) -> ConstrainedPrompt:
        """The prompt and the constraint on its reply; raises `InputError` for a request that cannot be met."""
        messages = tuple(message.value() for message in self.messages)
        last = messages[-1]
        if last.role not in ("user", "tool") or (last.role == "user" and not last.content.strip()):
            raise InputError("the last message must be the user's, with some text, or a tool's")
        if self.stream and self.n > 1:
            raise InputError("only one reply can be streamed; use n=1, or no stream")
        choice = self.tool_choice if isinstance(self.tool_choice, str) else self.tool_choice.function.name
        asked = asked_of(Prompt(messages), [tool.value() for tool in self.tools], choice, form, max_tokens)
        if self.response_format.type == "text":
            self._check_strict(asked)
            return asked
        if asked.prompt.tools:
            raise InputError("response_format and tools cannot be combined; remove one of them")
        return ConstrainedPrompt(asked.prompt, form, grammar=self.response_format.grammar(max_tokens))

    def _check_strict(self, asked: ConstrainedPrompt) -> None:
        if asked.prompt.tools and not asked.tools and any(tool.function.strict for tool in self.tools):
            raise InputError("strict needs a forced call; set tool_choice, or remove strict from the tools")

    def max_new_tokens(self, most: int, usual: int) -> int:
        """The maximum length of the reply; raises `InputError` for more than `most` tokens."""
        wanted = self.max_completion_tokens or self.max_tokens or min(usual, most)
        if wanted > most:
            raise InputError(f"max_tokens={wanted} is more than the gateway's {most}; request fewer")
        return wanted

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop texts; empty ones are ignored."""
        texts = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)
        return tuple(text for text in texts if text)
