"""Prompts and answers as token ids: one way for all that runs a model, so that their scores can be compared."""

from __future__ import annotations

from typing import Any

from seal_agent.adapters.chat_template import ChatTemplate
from seal_agent.errors import InputError
from seal_agent.types import Prompt


def prompt_tokens(tokenizer: Any, template: ChatTemplate, prompt: Prompt) -> list[int]:
    """The ids of `prompt`, in the chat template where it has messages; raises `InputError` for an empty one."""
    text = template.text(prompt) if prompt.is_chat else prompt.text
    ids: list[int] = tokenizer(text, add_special_tokens=not prompt.is_chat).input_ids
    if not ids and tokenizer.bos_token_id is not None:
        ids = [tokenizer.bos_token_id]
    if not ids:
        raise InputError("an empty prompt cannot be continued; give at least one character")
    return ids


def answer_tokens(tokenizer: Any, answer: str) -> list[int]:
    """The ids of `answer` as they follow a prompt; raises `InputError` for an empty one."""
    ids: list[int] = tokenizer(answer, add_special_tokens=False).input_ids
    if not ids:
        raise InputError("an empty answer cannot be scored; give at least one character")
    return ids
