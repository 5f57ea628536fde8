"""The directives of a self-edit: chosen by the model as JSON, checked, with presets.

The model writes JSON that a grammar holds to the schema, so that it always parses; what was written without
a grammar (a larger model behind a server, a user) goes through the same parser, and its faults go back into
the model's context. What the JSON leaves out keeps its default.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from seal_agent.adapters.backend import Backend
from seal_agent.errors import EditFault, InputError
from seal_agent.formats import FORMATS, Source
from seal_agent.tools import TOOLS
from seal_agent.types import Directives, Grammar, Prompt

DEFAULT = Directives()
SEAL_PAPER = Directives(
    formats=("implications",),
    tools=("passage", "title"),
    num_rows=10_000,
    num_epochs=10,
    min_steps=1,
    max_steps=100_000,
    batch_size=1,
    learning_rate=1e-3,
    num_warmup_steps=0,
    stop_loss=0.0,
    rank=32,
    alpha=64,
    layers="q_proj,v_proj",
    loss_on="all",
    replay=0.0,
)
"""SEAL's inner loop for knowledge: r 32, α 64, q and v only, lr 1e-3, 10 epochs, batch 1, a sequence a line with
the title in front, the passage appended (arXiv 2506.10943, appendix B; ../shared/EXPERIMENTS.md)."""
PRESETS: Mapping[str, Directives] = {"default": DEFAULT, "seal-paper": SEAL_PAPER}

CHOICES: Mapping[str, tuple[Any, ...]] = {
    "num_rows": (64, 96, 128, 192),
    "num_epochs": (4, 8, 12),
    "learning_rate": (5e-4, 1e-3, 1.5e-3),
    "rank": (8, 16, 32),
    "loss_on": ("answers", "all"),
}
"""What the model may choose among, besides formats and tools: a narrower range than what is valid."""
MAX_TOKENS = 128
PROMPT = """\
How to learn a text, as JSON.

Text: a report with many names and numbers, 9 sentences
Settings: {report}

Text: a note of one sentence
Settings: {note}

Text: {about}, {num} sentences
Settings: """


def preset(name: str) -> Directives:
    """The directives of that name; raises `InputError` for one that does not exist."""
    if name not in PRESETS:
        raise InputError(f"there are no directives called {name!r}; choose {', '.join(PRESETS)}")
    return PRESETS[name]


def checked(directives: Directives) -> Directives:
    """`directives`, if its formats and tools exist; raises `InputError` otherwise."""
    for what, names, known in (("format", directives.formats, FORMATS), ("tool", directives.tools, TOOLS)):
        for name in names:
            if name not in known:
                raise InputError(f"directives name the {what} {name!r}; choose {', '.join(known)}")
    return directives


def schema() -> dict[str, Any]:
    """The JSON schema of what the model may write: every key in order, every value among its choices."""
    properties: dict[str, Any] = {
        "formats": {"type": "array", "items": {"enum": list(FORMATS)}, "minItems": 1, "maxItems": 3},
        "tools": {"type": "array", "items": {"enum": list(TOOLS)}, "maxItems": 2},
        **{name: {"enum": list(values)} for name, values in CHOICES.items()},
    }
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def choose(backend: Backend, source: Source, base: Directives = DEFAULT) -> Directives:
    """The model's own choice for `source`, on top of `base`; raises `EditFault` for a malformed one."""
    prompt = PROMPT.format(
        report=_shown(base),
        note=_shown(replace(base, formats=("cloze", "chat-qa"), tools=("sentences",), num_epochs=12)),
        about=source.topic,
        num=len(source.sentences),
    )
    written = backend.generate(
        [Prompt.raw(f"{source.note}{prompt}".rstrip())], max_new_tokens=MAX_TOKENS, grammars=[_grammar()]
    )
    return parse_directives(written[0][0], base)


def parse_directives(text: str, base: Directives = DEFAULT) -> Directives:
    """Directives out of one line of JSON; what it leaves out is as in `base`.

    Raises `EditFault` for text that is not a JSON object, an unknown key, a value of the wrong kind or out of
    its range, a format or tool that does not exist.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EditFault(f"the directives are {text.strip()[:60]!r}; write one JSON object") from error
    if not isinstance(data, dict):
        raise EditFault(f"the directives are {text.strip()[:60]!r}; write one JSON object")
    kinds = {field.name: type(getattr(base, field.name)) for field in fields(Directives)}
    for key, value in data.items():
        if key not in kinds:
            raise EditFault(f"directive {key!r} does not exist; choose {', '.join(kinds)}")
        data[key] = _value(key, value, kinds[key])
    try:
        return checked(replace(base, **data))
    except InputError as error:
        raise EditFault(str(error)) from error


def _value(key: str, value: Any, kind: type) -> Any:
    if kind is tuple and isinstance(value, list) and all(isinstance(name, str) for name in value):
        return tuple(dict.fromkeys(value))
    if kind is float and type(value) in (int, float) and abs(value) <= sys.float_info.max:
        return float(value)
    if type(value) is kind and (key not in ("loss_on", "layers") or value in _LITERALS[key]):
        return value
    raise EditFault(f"directive {key}={value!r} does not fit; {_expected(key, kind)}")


_LITERALS = {"loss_on": ("answers", "all"), "layers": ("all-linear", "q_proj,v_proj")}


def _expected(key: str, kind: type) -> str:
    if key in _LITERALS:
        return f"choose {' or '.join(_LITERALS[key])}"
    return {tuple: "give a list of names", float: "give a number", int: "give a whole number"}[kind]


def _shown(directives: Directives) -> str:
    data = asdict(directives)
    return json.dumps({name: data[name] for name in schema()["properties"]})


def _grammar() -> Grammar:
    json_grammar = Grammar.json(schema()).lark
    return Grammar(json_grammar.replace("start: ", 'start: " " settings\nsettings: ', 1))
