"""How models write tool calls: a table of formats, and how a call is offered, forced, written and read.

The format of a model is found by trial: its chat template writes a call, and the format that reads the call back is
the model's (`adapters/chat_template.py`). If the template has no tools, they are described in the system message.
Nothing here runs a tool.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from seal_agent.core.errors import InputError
from seal_agent.core.messages import Grammar, Message, Prompt, ToolCall, ToolSpec

OFFER = """You can call these tools:
{tools}
To call one, reply with the call alone, in this form:
{call}
The next message then tells you what came of it. Where no tool is needed, reply in plain words."""

CHARS_PER_TOKEN = 2  # about 4 in English; JSON syntax takes the rest
MAX_SCHEMA_CHARS = 65_536
MAX_SCHEMA_DEPTH = 64
MAX_MULTIPLE = 10_000
"""Limit of the sum of all `multipleOf` in a schema: the grammar has one state for each unit; 100,000 take 1.5 s."""


@dataclass(frozen=True)
class ToolFormat:
    """How a model writes a call: JSON with the tool's name and, under the key `arguments`, its arguments.

    The JSON stands between `before` and `after`, inside a list if `is_list`.
    """

    before: str
    after: str
    arguments: str = "arguments"
    is_list: bool = False

    def head(self, name: str) -> str:
        """The beginning of a call of the tool `name`, up to its arguments."""
        return f'{self.before}{"[" * self.is_list}{{"name": {json.dumps(name)}, "{self.arguments}": '

    @property
    def tail(self) -> str:
        """The end of a call, after its arguments."""
        return f"}}{']' * self.is_list}{self.after}"

    def written(self, call: ToolCall) -> str:
        """The call as the model writes it."""
        return f"{self.head(call.name)}{call.arguments}{self.tail}"


TAGGED = ToolFormat("<tool_call>\n", "\n</tool_call>")
FORMATS = {
    "Hermes, Qwen, SmolLM3": TAGGED,
    "SmolLM2 1.7B, Granite": ToolFormat("<tool_call>", "</tool_call>", is_list=True),
    "Mistral": ToolFormat("[TOOL_CALLS] ", "", is_list=True),
    "Llama 3": ToolFormat("", "", arguments="parameters"),
}
"""The known formats by model family; the first one is described to models without a format of their own."""


@dataclass(frozen=True)
class Said:
    """A parsed reply: the text beside the calls, the calls, and the malformed calls as written."""

    text: str
    calls: tuple[ToolCall, ...] = ()
    faults: tuple[str, ...] = ()


def read(text: str, form: ToolFormat) -> Said:
    """Parse `text`, a reply of a model that writes calls in `form`.

    A reply that is nothing but calls needs no marks, because some tokenizers drop them as special tokens.
    """
    if calls := _calls(text, form):
        return Said("", calls)
    before, after = form.before.strip(), form.after.strip()
    if not before or before not in text:
        return Said(text)
    beside, *parts = text.split(before)
    found: list[ToolCall] = []
    faults: list[str] = []
    for part in parts:
        inside, _, rest = part.partition(after) if after else (part, "", "")
        calls = _calls(inside, form)
        found += calls
        faults += [] if calls else [f"{before}{inside}".strip()]
        beside += rest
    return Said(beside.strip(), tuple(found), tuple(faults))


def _calls(text: str, form: ToolFormat) -> tuple[ToolCall, ...]:
    """The calls that make up `text`; empty if it holds anything else."""
    try:
        value = json.loads(text)
    except ValueError:
        return ()
    calls = []
    for each in value if isinstance(value, list) else [value]:
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            return ()
        arguments = each.get(form.arguments)
        if not isinstance(arguments, dict):
            return ()
        calls.append(ToolCall(each["name"], json.dumps(arguments, ensure_ascii=False)))
    return tuple(calls)


def format_of(written: str, call: ToolCall) -> ToolFormat | None:
    """The format of `written`, the text that a chat template made of `call`; None if no known format fits."""
    for form in FORMATS.values():
        inside = written.strip().removeprefix(form.before.strip())
        is_marked = written.strip().startswith(form.before.strip()) and inside.strip().startswith("[") == form.is_list
        if is_marked and [(c.name, c.arguments) for c in read(written, form).calls] == [(call.name, call.arguments)]:
            return form
    return None


def in_words(prompt: Prompt, form: ToolFormat) -> Prompt:
    """`prompt` for a chat template without tools: tools go into the system message, calls and results become text."""
    messages = [_in_words(message, form) for message in prompt.messages]
    if prompt.tools:
        call = form.written(ToolCall("name of the tool", '{"argument": "value"}'))
        offer = OFFER.format(tools="\n".join(map(_described, prompt.tools)), call=call)
        system = messages.pop(0).content + "\n\n" if messages and messages[0].role == "system" else ""
        messages.insert(0, Message("system", system + offer))
    return Prompt(tuple(messages), prompt.text)


def _in_words(message: Message, form: ToolFormat) -> Message:
    if message.role == "tool":
        return Message("user", f"<tool_response>\n{message.content}\n</tool_response>")
    parts = [message.content, *(form.written(call) for call in message.tool_calls)]
    return Message(message.role, "\n".join(part for part in parts if part))


def _described(tool: ToolSpec) -> str:
    facts = {"name": tool.name, "description": tool.description, "parameters": json.loads(tool.parameters)}
    return json.dumps(facts, ensure_ascii=False)


def forced(prompt: Prompt, tools: Sequence[ToolSpec], form: ToolFormat, max_tokens: int) -> tuple[Prompt, Grammar]:
    """`prompt` continued by the beginning of a call of one of `tools`, and the grammar of the rest.

    The generated text ends with the arguments; `form.tail` completes the call. The beginning stops before a blank,
    because tokens begin with one. Strings without a maximum length share `max_tokens`, so that the call always ends.
    """
    heads = {tool.name: form.head(tool.name) for tool in tools}
    begun = next(iter(heads.values())).rstrip()
    if len(tools) > 1:
        begun = begun[: begun.index('"name":') + len('"name":')]
    rests = [(heads[tool.name].removeprefix(begun), bounded(json.loads(tool.parameters), max_tokens)) for tool in tools]
    return replace(prompt, text=begun), Grammar.one_of(rests)


def bounded(schema: Any, max_tokens: int) -> Any:
    """The schema with limits that make every reply end: no unnamed properties, and a maximum length for each string.

    Raises `InputError` as `check_schema` does.
    """
    check_schema(schema)
    return _closed(schema, CHARS_PER_TOKEN * max_tokens // max(_num_open(schema), 1))


def check_schema(schema: Any) -> None:
    """Raise `InputError` for a JSON schema, or other JSON, that would take too long to process."""
    multiple: float = 0
    left = [(schema, 1)]
    while left:
        inner, depth = left.pop()
        if depth > MAX_SCHEMA_DEPTH:
            raise InputError(f"a JSON schema is nested deeper than {MAX_SCHEMA_DEPTH} levels; make it flatter")
        if isinstance(inner, dict):
            multiple += given if isinstance(given := inner.get("multipleOf"), (int, float)) else 0
        parts = inner.values() if isinstance(inner, dict) else inner if isinstance(inner, list) else ()
        left += [(part, depth + 1) for part in parts]
    if multiple > MAX_MULTIPLE:
        raise InputError(f"all multipleOf in a JSON schema add up to {multiple:g}; remove those above {MAX_MULTIPLE}")
    if (num_chars := len(json.dumps(schema))) > MAX_SCHEMA_CHARS:
        raise InputError(f"a JSON schema has {num_chars} characters, more than {MAX_SCHEMA_CHARS}; shorten it")


def _closed(schema: Any, max_chars: int) -> Any:
    """The schema without unnamed properties (JSON Schema allows them by default) and without unbounded strings."""
    if isinstance(schema, list):
        return [_closed(each, max_chars) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value, max_chars) for key, value in schema.items()}
    if _is_open(schema):
        closed["maxLength"] = max_chars
    if isinstance(schema.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed


def _num_open(schema: Any) -> int:
    """How many strings without a maximum length the schema has."""
    if isinstance(schema, list):
        return sum(map(_num_open, schema))
    return _is_open(schema) + sum(map(_num_open, schema.values())) if isinstance(schema, dict) else 0


def _is_open(schema: dict[str, Any]) -> bool:
    kinds = schema.get("type")
    is_text = kinds == "string" or (isinstance(kinds, list) and "string" in kinds)
    return is_text and not schema.keys() & {"maxLength", "enum", "const", "format", "pattern"}
