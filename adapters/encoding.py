"""Prompts and answers as token ids, the same for all backends, so that their scores can be compared.

Only the chat template makes special tokens. User text never begins or ends a turn: a space is inserted into the name of
every special token in it. (The tokenizer's own switch for this is state that threads share.)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from seal_agent.adapters.chat_template import ChatTemplate
from seal_agent.core.codec import HOLDS_JSON
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Prompt

T = TypeVar("T")


class Encoder:
    """Encodes prompts and answers with a tokenizer and its chat template."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.template = ChatTemplate(tokenizer)

    @cached_property
    def _special_names(self) -> dict[str, str]:
        """The name of each special token and its replacement. Names of one character cannot be divided."""
        added = self._tokenizer.added_tokens_decoder.values()
        names = [token.content for token in added if token.special and len(token.content.strip()) > 1]
        return {name: _divided(name) for name in names}

    def prompt(self, prompt: Prompt) -> list[int]:
        """Token ids of `prompt`, by the chat template if it has messages; raises `InputError` for an empty one."""
        plain = self._cleaned(prompt)
        text = self.template.text(plain) if prompt.is_chat else plain.text
        ids: list[int] = self._tokenizer(text, add_special_tokens=not prompt.is_chat).input_ids
        if not ids and self._tokenizer.bos_token_id is not None:
            ids = [self._tokenizer.bos_token_id]
        if not ids:
            raise InputError("an empty prompt cannot be continued; give at least one character")
        return ids

    def answer(self, answer: str) -> list[int]:
        """Token ids of `answer` as the continuation of a prompt; raises `InputError` for an empty one."""
        ids: list[int] = self._tokenizer(self.plain(answer), add_special_tokens=False).input_ids
        if not ids:
            raise InputError("an empty answer cannot be scored; give at least one character")
        return ids

    def plain(self, text: str) -> str:
        """`text` with a space inserted into the name of each special token."""
        names = self._special_names
        while found := next((name for name in names if name in text), ""):
            text = text.replace(found, names[found])
        return text

    def _cleaned(self, prompt: Prompt) -> Prompt:
        """`prompt` without names of special tokens in any of its strings.

        One exception: if tools are offered, the assistant's turn may begin with the token that opens a call.
        """
        opening = self.template.tool_format.before.strip() if prompt.tools else ""
        if not opening or not prompt.text.startswith(opening):
            return _mapped(prompt, self.plain)
        rest = _mapped(replace(prompt, text=prompt.text.removeprefix(opening)), self.plain)
        return replace(rest, text=opening + rest.text)


def _divided(name: str) -> str:
    """`name` with a space after its first visible character."""
    place = len(name) - len(name.lstrip()) + 1
    return f"{name[:place]} {name[place:]}"


def _mapped(value: T, change: Callable[[str], str]) -> T:
    """`value` with `change` applied to every string in dataclasses, tuples, lists and dictionaries, keys included.

    A field that holds JSON as text is parsed first, so that escapes in it cannot hide a token's name.
    """
    changed: Any = value
    if isinstance(value, str):
        changed = change(value)
    elif isinstance(value, (tuple, list)):
        changed = type(value)(_mapped(each, change) for each in value)
    elif isinstance(value, dict):
        changed = {_mapped(key, change): _mapped(each, change) for key, each in value.items()}
    elif is_dataclass(value) and not isinstance(value, type):
        new = {}
        for field in fields(value):
            own = getattr(value, field.name)
            new[field.name] = _mapped_json(own, change) if HOLDS_JSON in field.metadata else _mapped(own, change)
        changed = replace(value, **new)
    result: T = changed
    return result


def _mapped_json(text: str, change: Callable[[str], str]) -> str:
    data = json.loads(text)
    changed = _mapped(data, change)
    return text if changed == data else json.dumps(changed, ensure_ascii=False)
