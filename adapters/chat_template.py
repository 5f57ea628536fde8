"""Prompts as text: the model's chat template, with tools in the model's own format if it has one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from jinja2 import TemplateError

from seal_agent.core.errors import InputError
from seal_agent.core.messages import Message, Prompt, ToolCall, ToolSpec
from seal_agent.core.tool_format import TAGGED, ToolFormat, format_of, in_words

_TOOL = ToolSpec("probe_tool", "Probes.", '{"type": "object", "properties": {"word": {"type": "string"}}}')
_CALL = ToolCall("probe_tool", '{"word": "blue"}', "abcde1234")  # Mistral requires ids of nine characters
_ASKED = Message("user", "?")
_SAID = "Probed."


class ChatTemplate:
    """The chat template of a tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    @property
    def tool_format(self) -> ToolFormat:
        """The model's format for tool calls, or the one that it is taught."""
        return self._own_format or TAGGED

    @cached_property
    def _own_format(self) -> ToolFormat | None:
        """The format of a template that renders tools and calls, found by rendering both; None if it does not."""
        try:
            offered = self._rendered([_ASKED], [_TOOL])
            called, said = (
                self._rendered([_ASKED, answer], [_TOOL])
                for answer in (Message("assistant", "", (_CALL,)), Message("assistant", _SAID))
            )
        except (TemplateError, TypeError, ValueError):
            return None
        before, _, after = said.partition(_SAID)
        written = called.removeprefix(before).removesuffix(after)
        return format_of(written, _CALL) if _TOOL.name in offered else None

    def text(self, prompt: Prompt) -> str:
        """The text of a chat prompt up to where the model continues; raises `InputError` if the template refuses it."""
        told = prompt if self._own_format else in_words(prompt, self.tool_format)
        try:
            return self._rendered(told.messages, told.tools, is_open=True) + prompt.text
        except TemplateError as error:
            roles = ", ".join(message.role for message in prompt.messages)
            raise InputError(
                f"the model's chat template refuses the messages ({roles}): {error}; reorder them"
            ) from error

    def _rendered(self, messages: Sequence[Message], tools: Sequence[ToolSpec], *, is_open: bool = False) -> str:
        text: str = self._tokenizer.apply_chat_template(
            [_message(message) for message in messages],
            tools=[_tool(tool) for tool in tools] or None,
            tokenize=False,
            add_generation_prompt=is_open,
        )
        return text


def _message(message: Message) -> dict[str, Any]:
    plain: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        plain["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": json.loads(c.arguments)}}
            for c in message.tool_calls
        ]
    if message.call_id:
        plain["tool_call_id"] = message.call_id
    return plain


def _tool(tool: ToolSpec) -> dict[str, Any]:
    parameters = json.loads(tool.parameters)
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": parameters},
    }
