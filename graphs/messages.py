"""Translation of LangChain's messages into core types."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage

from seal_agent.core.errors import InputError
from seal_agent.core.messages import Message, ToolCall, kept_conversation
from seal_agent.graphs.announcements import without_requests
from seal_agent.graphs.attachments import said_by
from seal_agent.graphs.speakers import is_users


def as_message(message: AnyMessage) -> Message:
    """The core type of a LangChain message; raises `InputError` for unsupported kinds."""
    if isinstance(message, HumanMessage):
        return Message("user", said_by(message))
    if isinstance(message, AIMessage):
        calls = (ToolCall(call["name"], json.dumps(call["args"]), call["id"] or "") for call in message.tool_calls)
        return Message("assistant", str(message.text), tuple(calls))
    if isinstance(message, ToolMessage):
        return Message("tool", str(message.text), call_id=message.tool_call_id)
    if isinstance(message, SystemMessage):
        return Message("system", str(message.text))
    raise InputError(f"a {type(message).__name__} is not supported; use human, AI, system and tool messages")


def without_attachments(message: AnyMessage) -> AnyMessage:
    """A message with the names of its attachments in place of their content."""
    return HumanMessage(said_by(message), id=message.id) if isinstance(message, HumanMessage) else message


def said_on(message: AnyMessage) -> str:
    """The day of a message (ISO 8601): of "timestamp" in its `additional_kwargs`, else today.

    Raises `InputError` for a timestamp that is no ISO 8601 date or date and time.
    """
    given = message.additional_kwargs.get("timestamp")
    return datetime.now().astimezone().date().isoformat() if given is None else day_of(given)


def day_of(timestamp: object) -> str:
    """The day (ISO 8601) of a date or a date and time; raises `InputError` for anything else."""
    try:
        return datetime.fromisoformat(str(timestamp)).date().isoformat()
    except ValueError as error:
        raise InputError(f"timestamp={timestamp!r} of a message is no ISO 8601 date; give '2026-03-02', say") from error


def as_text(messages: Sequence[AnyMessage]) -> str:
    """Earlier messages as text, for the writer of edits; requests about what is remembered are left out."""
    said = [
        Message("user" if is_users(message) else "assistant", str(message.text))
        for message in without_requests(messages)
        if (is_users(message) or isinstance(message, AIMessage)) and str(message.text).strip()
    ]
    return kept_conversation(said)
