"""Translate a call of `ChatSeal` into core types, and its answer into LangChain's. Pure: no model, no disk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import ToolCallChunk, invalid_tool_call, tool_call
from langchain_core.utils.function_calling import convert_to_openai_tool

from seal_agent.core.errors import InputError
from seal_agent.core.messages import Generated, Message, Prompt, ToolSpec
from seal_agent.core.tool_format import ToolFormat
from seal_agent.graphs.announcements import is_announcement
from seal_agent.graphs.messages import as_message
from seal_agent.learning.answering import Answer
from seal_agent.serving import replies
from seal_agent.serving.replies import ConstrainedPrompt, Part, ToolChoice, call_id

UNREADABLE = {"image", "audio", "video", "file"}


@dataclass(frozen=True)
class Call:
    """A call with its stack, prompt and settings fixed; `model` names the version that answers."""

    answer: Answer
    model: str

    def message(self, text: Generated) -> AIMessage:
        """The whole reply."""
        said = self.answer.asked.said(str(text))
        facts = self._facts(text.num_tokens, "tool_calls" if said.calls else text.ending)
        return AIMessage(
            said.text,
            tool_calls=[tool_call(name=c.name, args=json.loads(c.arguments), id=call_id()) for c in said.calls],
            invalid_tool_calls=[_invalid(fault, text.ending) for fault in said.faults],
            **facts,
        )

    def chunks(self, pieces: Iterable[Generated]) -> Iterator[AIMessageChunk]:
        """The reply in pieces; the last chunk has the token counts and the finish reason."""
        for part in self.answer.asked.parts(pieces):
            if part.ending:
                faults = [_invalid(fault, part.ending) for fault in part.faults]
                facts = self._facts(part.num_tokens, part.ending)
                yield AIMessageChunk(content="", chunk_position="last", invalid_tool_calls=faults, **facts)
            elif part.text:
                yield AIMessageChunk(content=part.text)
            else:
                yield AIMessageChunk(content="", tool_call_chunks=[_chunk(part)])

    def _facts(self, num_tokens: int, finish_reason: str) -> dict[str, Any]:
        num_input_tokens, request = self.answer.num_input_tokens, self.answer.request
        metadata: dict[str, Any] = {
            "model_name": self.model,
            "stack_version": self.answer.version,
            "recalled": [fact.statement for fact in self.answer.facts],
            "is_unknown": self.answer.is_unknown,
            "adapters": [entry.ref.short for entry in self.answer.active.entries],
            "finish_reason": finish_reason,
        }
        if request.temperature:
            metadata["seed"] = request.seed
        usage = UsageMetadata(
            input_tokens=num_input_tokens, output_tokens=num_tokens, total_tokens=num_input_tokens + num_tokens
        )
        return {"usage_metadata": usage, "response_metadata": metadata}


def asked_of(
    messages: Sequence[BaseMessage], tools: Sequence[Any], tool_choice: ToolChoice, form: ToolFormat, max_tokens: int
) -> ConstrainedPrompt:
    """The prompt of a conversation with the tools it offers, and a grammar if a tool must be called.

    Announcements of what was learned are left out: they are no words of the model.
    """
    prompt = Prompt(tuple(message_of(message) for message in messages if not is_announcement(message)))
    return replies.asked_of(prompt, [spec_of(tool) for tool in tools], tool_choice, form, max_tokens)


def message_of(message: BaseMessage) -> Message:
    """The core type of a LangChain message; raises `InputError` for content that is not text."""
    unreadable = UNREADABLE & {block["type"] for block in message.content_blocks}
    if unreadable:
        raise InputError(f"the model reads text only, and a message holds {sorted(unreadable)}; remove it")
    known: AnyMessage = message  # type: ignore[assignment]
    return as_message(known)


def spec_of(tool: Any) -> ToolSpec:
    """The core type of any tool that LangChain can describe: a function, a class, a `BaseTool`, a JSON schema."""
    described = convert_to_openai_tool(tool).get("function")
    if not described:
        raise InputError(f"{tool!r} is not a tool that a local model can call; give a function, a schema or a BaseTool")
    parameters = described.get("parameters") or {"type": "object", "properties": {}}
    return ToolSpec(described["name"], described.get("description", ""), json.dumps(parameters))


def _chunk(part: Part) -> ToolCallChunk:
    return ToolCallChunk(
        name=part.name or None,
        args=part.arguments,
        id=call_id() if part.name else None,
        index=part.call,
        type="tool_call_chunk",
    )


def _invalid(fault: str, ending: str) -> Any:
    why = "the reply was cut off; raise max_tokens" if ending == "length" else "it is not JSON of a call"
    return invalid_tool_call(name=None, args=fault, id=call_id(), error=why)
