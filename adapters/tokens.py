"""Prompts and answers as token ids: one way for all that runs a model, so that their scores can be compared."""

from __future__ import annotations

from typing import Any

from seal_agent.errors import InputError
from seal_agent.types import Prompt


def prompt_tokens(tokenizer: Any, prompt: Prompt) -> list[int]:
    """The ids of `prompt`, in the chat template where it has messages; raises `InputError` for an empty one."""
    text = prompt.text
    if prompt.is_chat:
        messages = [{"role": m.role, "content": m.content} for m in prompt.messages]
        opened = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        text = opened + prompt.text
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
