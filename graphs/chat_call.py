"""One call of `ChatSeal` in the domain's words, and its answer in LangChain's. Pure: no model, no disk."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import ToolCallChunk, invalid_tool_call, tool_call
from langchain_core.utils.function_calling import convert_to_openai_tool

from seal_agent.batching import Request
from seal_agent.errors import InputError
from seal_agent.graphs.chat import as_message
from seal_agent.serving import Served
from seal_agent.tool_calls import Said, ToolFormat, forced, read
from seal_agent.types import Ending, Generated, Grammar, Message, Prompt, ToolSpec

UNREADABLE = {"image", "audio", "video", "file"}
ToolChoice = str | bool | Mapping[str, Any] | None


@dataclass(frozen=True)
class Asked:
    """A prompt, and what its reply may be: one of the `tools` that must be called, or free text."""

    prompt: Prompt
    form: ToolFormat
    tools: tuple[ToolSpec, ...] = ()
    grammar: Grammar | None = None

    def said(self, text: str) -> Said:
        """A whole reply, read; a forced call that was cut off is a fault."""
        if not self.tools:
            return read(text, self.form) if self.prompt.tools else Said(text)
        said = read(self.prompt.text + text + self.form.tail, self.form)
        return said if said.calls else Said("", faults=(self.prompt.text + text,))

    def shown(self, text: str) -> str:
        """The part of an unfinished free reply that is text for sure and no call."""
        if not self.prompt.tools:
            return text
        if text.lstrip()[:1] in ("", "{", "["):
            return ""
        marker = self.form.before.strip()
        text = text.partition(marker)[0] if marker else text
        begun = max((n for n in range(1, len(marker)) if text.endswith(marker[:n])), default=0)
        return text[: len(text) - begun]

    def begun(self, text: str) -> tuple[str, str] | None:
        """The tool that an unfinished forced reply calls and its arguments so far, once the name is out."""
        written = self.prompt.text + text
        heads = ((tool.name, self.form.head(tool.name)) for tool in self.tools)
        return next(((name, written[len(head) :]) for name, head in heads if written.startswith(head)), None)


@dataclass(frozen=True)
class Call:
    """A call whose stack, prompt and settings are settled; `model` names the version that answers."""

    asked: Asked
    request: Request
    served: Served
    model: str
    version: int
    num_input_tokens: int

    def message(self, text: Generated) -> AIMessage:
        """The whole reply."""
        said = self.asked.said(str(text))
        facts = self._facts(text.num_tokens, "tool_calls" if said.calls else text.ending)
        return AIMessage(
            said.text,
            tool_calls=[tool_call(name=c.name, args=json.loads(c.arguments), id=_new_id()) for c in said.calls],
            invalid_tool_calls=[_invalid(fault, text.ending) for fault in said.faults],
            **facts,
        )

    def chunks(self, pieces: Iterable[Generated]) -> Iterator[AIMessageChunk]:
        """The reply piece by piece; the last chunk has the tokens and why it ended."""
        begin = self._called if self.asked.tools else self._told
        return begin(pieces)

    def _told(self, pieces: Iterable[Generated]) -> Iterator[AIMessageChunk]:
        """A free reply: text as it comes, calls when it is complete."""
        text, sent, num_tokens = "", "", 0
        for piece in pieces:
            text, num_tokens = text + piece, num_tokens + piece.num_tokens
            if not piece.ending and len(shown := self.asked.shown(text)) > len(sent):
                yield AIMessageChunk(content=shown[len(sent) :])
                sent = shown
        message = self.message(Generated(text, num_tokens, piece.ending))
        yield AIMessageChunk(
            content=message.text[len(sent) :],
            tool_call_chunks=[
                ToolCallChunk(name=c["name"], args=json.dumps(c["args"]), id=c["id"], index=n, type="tool_call_chunk")
                for n, c in enumerate(message.tool_calls)
            ],
            invalid_tool_calls=message.invalid_tool_calls,
            chunk_position="last",
            **self._facts(num_tokens, message.response_metadata["finish_reason"]),
        )

    def _called(self, pieces: Iterable[Generated]) -> Iterator[AIMessageChunk]:
        """A forced call: its name, then its arguments as they come."""
        text, sent, num_tokens, name = "", 0, 0, None
        for piece in pieces:
            text, num_tokens = text + piece, num_tokens + piece.num_tokens
            begun = self.asked.begun(text)
            if not begun:
                continue
            first = name is None
            name, arguments = begun
            chunk = ToolCallChunk(
                name=name if first else None,
                args=arguments[sent:],
                id=_new_id() if first else None,
                index=0,
                type="tool_call_chunk",
            )
            sent = len(arguments)
            yield AIMessageChunk(content="", tool_call_chunks=[chunk])
        reason = "tool_calls" if self.asked.said(text).calls else piece.ending
        yield AIMessageChunk(content="", chunk_position="last", **self._facts(num_tokens, reason))

    def _facts(self, num_tokens: int, finish_reason: str) -> dict[str, Any]:
        total = self.num_input_tokens + num_tokens
        metadata: dict[str, Any] = {
            "model_name": self.model,
            "stack_version": self.version,
            "adapters": [layer.ref.short for layer in self.request.stack.layers],
            "finish_reason": finish_reason,
        }
        if self.request.temperature:
            metadata["seed"] = self.request.seed
        usage = UsageMetadata(input_tokens=self.num_input_tokens, output_tokens=num_tokens, total_tokens=total)
        return {"usage_metadata": usage, "response_metadata": metadata}


def asked_of(
    messages: Sequence[BaseMessage], tools: Sequence[Any], tool_choice: ToolChoice, form: ToolFormat, max_tokens: int
) -> Asked:
    """The prompt of a conversation with the tools it offers; a tool that must be called has a grammar."""
    prompt = Prompt(tuple(message_of(message) for message in messages))
    specs = tuple(spec_of(tool) for tool in tools)
    must = chosen(specs, tool_choice)
    if tool_choice == "none":
        return Asked(prompt, form)
    prompt = replace(prompt, tools=specs)
    if not must:
        return Asked(prompt, form)
    begun, grammar = forced(prompt, must, form, max_tokens)
    return Asked(begun, form, must, grammar)


def message_of(message: BaseMessage) -> Message:
    """The domain's message; raises `InputError` for content that is not text."""
    unreadable = UNREADABLE & {block["type"] for block in message.content_blocks}
    if unreadable:
        raise InputError(f"the model reads text only, and a message holds {sorted(unreadable)}; take it out")
    known: AnyMessage = message  # type: ignore[assignment]
    return as_message(known)


def spec_of(tool: Any) -> ToolSpec:
    """Any tool LangChain can describe: a function, a class, a `BaseTool`, a JSON schema."""
    described = convert_to_openai_tool(tool).get("function")
    if not described:
        raise InputError(f"{tool!r} is no tool a local model can call; give a function, a schema or a BaseTool")
    parameters = described.get("parameters") or {"type": "object", "properties": {}}
    return ToolSpec(described["name"], described.get("description", ""), json.dumps(parameters))


def chosen(tools: Sequence[ToolSpec], choice: ToolChoice) -> tuple[ToolSpec, ...]:
    """The tools of which one must be called: none, any or the one that `choice` names, in any of LangChain's ways."""
    if isinstance(choice, Mapping):
        choice = str(choice.get("function", choice).get("name", ""))
    if choice in (None, False, "auto", "none"):
        return ()
    if choice in (True, "any", "required"):
        if not tools:
            raise InputError("a tool must be called and none is given; bind one, or leave tool_choice out")
        return tuple(tools)
    named = tuple(tool for tool in tools if tool.name == choice)
    if not named:
        names = ", ".join(tool.name for tool in tools) or "none"
        raise InputError(f"tool_choice {choice!r} is none of the bound tools ({names}); choose one, 'any' or 'auto'")
    return named


def _new_id() -> str:
    return uuid.uuid4().hex[:9]  # Mistral's templates want nine letters and digits


def _invalid(fault: str, ending: Ending) -> Any:
    why = "the reply was cut off; raise max_tokens" if ending == "length" else "it is not JSON of a call"
    return invalid_tool_call(name=None, args=fault, id=_new_id(), error=why)
