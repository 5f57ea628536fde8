"""Prompts and answers as token ids: one way for all that runs a model, so that their scores can be compared.

Only the chat template makes special tokens. What somebody wrote never becomes a turn or the end of one: a space is put
into the name of every special token in it. (The tokenizer's own switch for this is state that threads share.)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from seal_agent.adapters.chat_template import ChatTemplate
from seal_agent.errors import InputError
from seal_agent.types import Message, Prompt


def prompt_tokens(tokenizer: Any, template: ChatTemplate, prompt: Prompt) -> list[int]:
    """The ids of `prompt`, in the chat template where it has messages; raises `InputError` for an empty one."""
    if prompt.is_chat:
        opening = template.tool_format.before.strip()  # how a call begins may be a special token
        plain = replace(
            prompt,
            messages=tuple(_plain_message(tokenizer, message) for message in prompt.messages),
            text=plain_text(tokenizer, prompt.text, allowed=opening),
        )
        text = template.text(plain)
    else:
        text = plain_text(tokenizer, prompt.text)
    ids: list[int] = tokenizer(text, add_special_tokens=not prompt.is_chat).input_ids
    if not ids and tokenizer.bos_token_id is not None:
        ids = [tokenizer.bos_token_id]
    if not ids:
        raise InputError("an empty prompt cannot be continued; give at least one character")
    return ids


def answer_tokens(tokenizer: Any, answer: str) -> list[int]:
    """The ids of `answer` as they follow a prompt; raises `InputError` for an empty one."""
    ids: list[int] = tokenizer(plain_text(tokenizer, answer), add_special_tokens=False).input_ids
    if not ids:
        raise InputError("an empty answer cannot be scored; give at least one character")
    return ids


def plain_text(tokenizer: Any, text: str, *, allowed: str = "") -> str:
    """`text` in which no special token's name stands but `allowed`."""
    added = tokenizer.added_tokens_decoder.values()
    names = [t.content for t in added if t.special and len(t.content) > 1 and t.content != allowed]
    while found := next((name for name in names if name in text), ""):
        text = text.replace(found, f"{found[0]} {found[1:]}")
    return text


def _plain_message(tokenizer: Any, message: Message) -> Message:
    calls = tuple(
        replace(call, name=plain_text(tokenizer, call.name), arguments=plain_text(tokenizer, call.arguments))
        for call in message.tool_calls
    )
    return replace(message, content=plain_text(tokenizer, message.content), tool_calls=calls)
