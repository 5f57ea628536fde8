"""Replies with tool calls, independent of the LangChain and OpenAI wire formats.

`graphs.chat_call` translates to LangChain and `gateway.chat` to OpenAI. `core.tool_format` knows how models write
calls. No model and no disk are used here.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from seal_agent.core.errors import InputError
from seal_agent.core.messages import Ending, Generated, Grammar, Prompt, ToolSpec
from seal_agent.core.tool_format import Said, ToolFormat, forced, read

ToolChoice = str | bool | Mapping[str, Any] | None
Ended = Literal["", "stop", "length", "tool_calls"]


@dataclass(frozen=True)
class Part:
    """A part of a reply: text, or a piece of the call number `call`, whose `name` comes with its first piece.

    Only the last part has an `ending`, the token count of the whole reply, and `faults`: malformed calls as written.
    """

    text: str = ""
    call: int = 0
    name: str = ""
    arguments: str = ""
    ending: Ended = ""
    num_tokens: int = 0
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class ConstrainedPrompt:
    """A prompt and the constraint on its reply: one of `tools` must be called, or `grammar` must match."""

    prompt: Prompt
    form: ToolFormat
    tools: tuple[ToolSpec, ...] = ()
    grammar: Grammar | None = None

    def said(self, text: str) -> Said:
        """Parse a whole reply; a forced call that was cut off is a fault."""
        if not self.tools:
            return read(text, self.form) if self.prompt.tools else Said(text)
        said = read(self.prompt.text + text + self.form.tail, self.form)
        return said if said.calls else Said("", faults=(self.prompt.text + text,))

    def parts(self, pieces: Iterable[Generated]) -> Iterator[Part]:
        """The reply in parts: text and forced calls as they are generated, other calls when they are complete."""
        return self._called(pieces) if self.tools else self._told(pieces)

    def _told(self, pieces: Iterable[Generated]) -> Iterator[Part]:
        text, sent, num_tokens = "", "", 0
        ending: Ending = ""
        for piece in pieces:
            text, num_tokens, ending = text + piece, num_tokens + piece.num_tokens, piece.ending
            if not ending and len(shown := self._shown(text)) > len(sent):
                yield Part(shown[len(sent) :])
                sent = shown
        said = self.said(text)
        if rest := said.text[len(sent) :]:
            yield Part(rest)
        yield from (Part(call=n, name=c.name, arguments=c.arguments) for n, c in enumerate(said.calls))
        yield Part(ending="tool_calls" if said.calls else ending, num_tokens=num_tokens, faults=said.faults)

    def _called(self, pieces: Iterable[Generated]) -> Iterator[Part]:
        text, sent, num_tokens, name = "", 0, 0, ""
        ending: Ending = ""
        for piece in pieces:
            text, num_tokens, ending = text + piece, num_tokens + piece.num_tokens, piece.ending
            begun = self._begun(text)
            if begun and (not name or len(begun[1]) > sent):
                yield Part(name="" if name else begun[0], arguments=begun[1][sent:])
                name, sent = begun[0], len(begun[1])
        yield Part(ending="tool_calls" if self.said(text).calls else ending, num_tokens=num_tokens)

    def _shown(self, text: str) -> str:
        """The part of an unfinished free reply that is certainly text and not the beginning of a call."""
        if not self.prompt.tools:
            return text
        if text.lstrip()[:1] in ("", "{", "["):
            return ""
        marker = self.form.before.strip()
        text = text.partition(marker)[0] if marker else text
        begun = max((n for n in range(1, len(marker)) if text.endswith(marker[:n])), default=0)
        return text[: len(text) - begun]

    def _begun(self, text: str) -> tuple[str, str] | None:
        """The tool and the arguments so far of an unfinished forced call; None until the name is complete."""
        written = self.prompt.text + text
        heads = ((tool.name, self.form.head(tool.name)) for tool in self.tools)
        return next(((name, written[len(head) :]) for name, head in heads if written.startswith(head)), None)


def asked_of(
    prompt: Prompt, tools: Sequence[ToolSpec], choice: ToolChoice, form: ToolFormat, max_tokens: int
) -> ConstrainedPrompt:
    """The prompt with the tools it offers, and a grammar if a tool must be called."""
    must = chosen(tools, choice)
    if choice == "none":
        return ConstrainedPrompt(prompt, form)
    prompt = replace(prompt, tools=tuple(tools))
    if not must:
        return ConstrainedPrompt(prompt, form)
    begun, grammar = forced(prompt, must, form, max_tokens)
    return ConstrainedPrompt(begun, form, must, grammar)


def chosen(tools: Sequence[ToolSpec], choice: ToolChoice) -> tuple[ToolSpec, ...]:
    """The tools of which one must be called, by `choice` in LangChain's or OpenAI's terms; empty if none must."""
    if isinstance(choice, Mapping):
        choice = str(choice.get("function", choice).get("name", ""))
    if choice in (None, False, "auto", "none"):
        return ()
    if choice in (True, "any", "required"):
        if not tools:
            raise InputError("tool_choice requires a tool and none is given; give one, or remove tool_choice")
        return tuple(tools)
    named = tuple(tool for tool in tools if tool.name == choice)
    if not named:
        names = ", ".join(tool.name for tool in tools) or "none"
        raise InputError(f"tool_choice {choice!r} is none of the bound tools ({names}); choose one, 'any' or 'auto'")
    return named


def call_id() -> str:
    """A new id for a call: nine letters and digits, as Mistral's templates require."""
    return uuid.uuid4().hex[:9]
