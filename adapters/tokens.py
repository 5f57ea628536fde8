"""Prompts and answers as token ids: one way for all that runs a model, so that their scores can be compared.

Only the chat template makes special tokens. What somebody wrote never becomes a turn or the end of one: a space is put
into the name of every special token in it. (The tokenizer's own switch for this is state that threads share.)
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

from seal_agent.adapters.chat_template import ChatTemplate
from seal_agent.errors import InputError
from seal_agent.types import Message, Prompt


class Encoder:
    """What a tokenizer and its chat template make of prompts and answers."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.template = ChatTemplate(tokenizer)

    @cached_property
    def _special_names(self) -> tuple[str, ...]:
        added = self._tokenizer.added_tokens_decoder.values()
        return tuple(token.content for token in added if token.special and len(token.content) > 1)

    def prompt(self, prompt: Prompt) -> list[int]:
        """The ids of `prompt`, in the chat template where it has messages; raises `InputError` for an empty one."""
        if prompt.is_chat:
            opening = self.template.tool_format.before.strip()  # how a call begins may be a special token
            plain = replace(
                prompt,
                messages=tuple(self._plain_message(message) for message in prompt.messages),
                text=self.plain(prompt.text, allowed=opening),
            )
            text = self.template.text(plain)
        else:
            text = self.plain(prompt.text)
        ids: list[int] = self._tokenizer(text, add_special_tokens=not prompt.is_chat).input_ids
        if not ids and self._tokenizer.bos_token_id is not None:
            ids = [self._tokenizer.bos_token_id]
        if not ids:
            raise InputError("an empty prompt cannot be continued; give at least one character")
        return ids

    def answer(self, answer: str) -> list[int]:
        """The ids of `answer` as they follow a prompt; raises `InputError` for an empty one."""
        ids: list[int] = self._tokenizer(self.plain(answer), add_special_tokens=False).input_ids
        if not ids:
            raise InputError("an empty answer cannot be scored; give at least one character")
        return ids

    def plain(self, text: str, *, allowed: str = "") -> str:
        """`text` in which no special token's name stands but `allowed`."""
        names = [name for name in self._special_names if name != allowed]
        while found := next((name for name in names if name in text), ""):
            text = text.replace(found, f"{found[0]} {found[1:]}")
        return text

    def _plain_message(self, message: Message) -> Message:
        calls = tuple(
            replace(call, name=self.plain(call.name), arguments=self.plain(call.arguments))
            for call in message.tool_calls
        )
        return replace(message, content=self.plain(message.content), tool_calls=calls)
