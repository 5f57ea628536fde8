"""The directives of a self-edit: chosen by the model as JSON and checked; also presets.

A grammar holds the model's JSON to the schema, so that it always parses. JSON written without a grammar (by a user or
another model) goes through the same parser; faults go back into the model's context. Missing keys keep their defaults.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from seal_agent.core.backend import Backend
from seal_agent.core.edits import Directives, Row
from seal_agent.core.errors import EditFault, InputError
from seal_agent.core.messages import Grammar, Prompt
from seal_agent.core.renames import takes_former_names
from seal_agent.language.source import Source
from seal_agent.writing.augmentations import AUGMENTATIONS
from seal_agent.writing.formats import FORMATS

NAME = "directives"
CLOZE = Directives()
"""Rows cut out of the text without a model, trained by the likelihood of their answers."""
DEFAULT = replace(CLOZE, formats=("phrase-qa",), distill=1.0)
"""The model writes the questions and learns by context distillation. A model that fails the capability test of
phrase-qa, as those of 135M and 500M parameters do, uses `CLOZE` instead (`writing.fitting`)."""
MESSAGE = replace(
    DEFAULT,
    formats=("message-qa",),
    batch_size=16,
    num_epochs=10,
    min_steps=10,
    max_steps=40,
    num_warmup_steps=2,
    distill=0.2,
)
"""For a chat message, by a model that writes: few rows, all in one batch, few steps.

An answer is a statement that stands alone, not what the model would say to the question with the message in view. Its
prediction there gives other first words, and an adapter that is only distilled from it repeats itself after them
(docs/log/writing.md)."""
BESIDE_TEXT = replace(MESSAGE, distill=1.0)
"""For a chat message whose text is recalled beside the adapter: distilled, the adapter does not disturb the reading."""
SEAL_PAPER = Directives(
    formats=("implications",),
    augmentations=("passage", "title"),
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
    top_layers=1.0,
    loss_on="all",
    rehearsal_share=0.0,
)
"""SEAL's inner loop for knowledge: r 32, α 64, q and v only, lr 1e-3, 10 epochs, batch 1, one sequence per line with
the title before it, and the passage as one more row (arXiv 2506.10943, appendix B)."""
PRESETS: Mapping[str, Directives] = {"default": DEFAULT, "cloze": CLOZE, "seal-paper": SEAL_PAPER}


@takes_former_names(tools="augmentations", max_tools="max_augmentations")
@dataclass(frozen=True)
class Menu:
    """The formats, augmentations and values of other directives that a model may choose among in a domain.

    Fewer values than are valid. Learning rates are multiples of the model's own rate here, and numbers in the prompt.
    """

    formats: tuple[str, ...]
    augmentations: tuple[str, ...]
    choices: Mapping[str, tuple[Any, ...]]
    max_augmentations: int

    def offered(self, rate: float) -> dict[str, tuple[Any, ...]]:
        """All choices by directive, for a model whose learning rate is `rate`."""
        offered = {"formats": self.formats, WRITTEN_AS["augmentations"]: self.augmentations, **self.choices}
        if multiples := self.choices.get("learning_rate"):
            offered["learning_rate"] = tuple(float(f"{rate * multiple:.2g}") for multiple in multiples)
        return offered


CHOICES: Mapping[str, tuple[Any, ...]] = {
    "num_rows": (64, 96, 128, 192),
    "num_epochs": (1, 2, 4),
    "learning_rate": (0.4, 1.0, 1.6),
    "rank": (8, 16, 32),
    "loss_on": ("answers", "all"),
}
MENU = Menu(tuple(FORMATS), tuple(AUGMENTATIONS), CHOICES, max_augmentations=2)
"""The menu for knowledge."""
WRITTEN_AS = {"augmentations": "tools"}
"""The key of a directive in the model's JSON, where it is not its name: policies were trained to write these keys."""
_NAME_OF = {written: name for name, written in WRITTEN_AS.items()}
MAX_TOKENS = 128
MAX_FORMATS = 3
PROMPT = """\
How to learn a text, as JSON.

Text: a report with many names and numbers, 9 sentences
Settings: {report}

Text: a note of one sentence
Settings: {note}

Text: {about}, {num} sentences
Settings: """


def preset(name: str) -> Directives:
    """The directives of a preset; raises `InputError` for an unknown name."""
    if name not in PRESETS:
        raise InputError(f"there are no directives called {name!r}; choose {', '.join(PRESETS)}")
    return PRESETS[name]


def for_message(directives: Directives, *, beside_text: bool = False) -> Directives:
    """`directives` for a chat message: those of `MESSAGE`, or `BESIDE_TEXT`, wherever `directives` have the default.

    Directives with formats of their own stay as they are.
    """
    if directives.formats != DEFAULT.formats:
        return directives
    usual = {field.name: getattr(DEFAULT, field.name) for field in fields(Directives)}
    own = BESIDE_TEXT if beside_text else MESSAGE
    changed = {name: getattr(own, name) for name, value in usual.items() if getattr(directives, name) == value}
    return replace(directives, **changed)


def checked(directives: Directives, menu: Menu = MENU) -> Directives:
    """`directives`, unchanged; raises `InputError` if a format or augmentation does not exist."""
    for what, names, known in (
        ("format", directives.formats, menu.formats),
        ("augmentation", directives.augmentations, menu.augmentations),
    ):
        for name in names:
            if name not in known:
                raise InputError(f"directives name the {what} {name!r}; choose {', '.join(known)}")
    return directives


def schema(rate: float, menu: Menu = MENU) -> dict[str, Any]:
    """The JSON schema of a model's choice: every key in order, every value one of its choices."""
    properties: dict[str, Any] = {name: {"enum": list(values)} for name, values in menu.offered(rate).items()}
    properties["formats"] = {"type": "array", "items": properties["formats"], "minItems": 1, "maxItems": MAX_FORMATS}
    written = WRITTEN_AS["augmentations"]
    properties[written] = {"type": "array", "items": properties[written], "maxItems": menu.max_augmentations}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def choose(backend: Backend, source: Source, base: Directives = CLOZE) -> Directives:
    """The model's choice for `source`, on top of `base`; raises `EditFault` for malformed JSON."""
    return parse_directives(say(backend, source).answer, base)


def say(backend: Backend, source: Source, menu: Menu = MENU, *, seed: int = 0, temperature: float = 0.0) -> Row:
    """The prompt for directives about `source` and the model's line of JSON, not yet parsed.

    The prompt does not depend on the menu or on settings that are not chosen, so that a trained policy always sees the
    prompt that it was trained on.
    """
    usual = replace(CLOZE, learning_rate=backend.learning_rate)
    prompt = PROMPT.format(
        report=_shown(usual),
        note=_shown(replace(usual, formats=("cloze", "chat-qa"), augmentations=("sentences",), num_epochs=4)),
        about=source.topic,
        num=len(source.sentences),
    )
    asked = Prompt.raw(f"{source.fault_note}{prompt}".rstrip())
    return Row(asked, ask(backend, asked, menu, seed=seed, temperature=temperature), NAME)


def ask(backend: Backend, prompt: Prompt, menu: Menu = MENU, *, seed: int = 0, temperature: float = 0.0) -> str:
    """The model's continuation of `prompt`: a space and one line of JSON that fits the `schema` of `menu`."""
    grammar = _grammar(backend.learning_rate, menu)
    written = backend.generate(
        [prompt], max_new_tokens=MAX_TOKENS, grammars=[grammar], seed=seed, temperature=temperature
    )
    return written[0][0]


def parse_directives(text: str, base: Directives = CLOZE, menu: Menu = MENU) -> Directives:
    """Directives from one line of JSON; missing keys are taken from `base`.

    Raises `EditFault` for text that is not a JSON object, an unknown key, a value of the wrong type or out of
    its range, and a format or augmentation that does not exist.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EditFault(f"the directives are {text.strip()[:60]!r}; write one JSON object") from error
    if not isinstance(data, dict):
        raise EditFault(f"the directives are {text.strip()[:60]!r}; write one JSON object")
    kinds = {field.name: type(getattr(base, field.name)) for field in fields(Directives)}
    chosen: dict[str, Any] = {}
    for key, value in data.items():
        name = _NAME_OF.get(key, key)
        if name not in kinds:
            raise EditFault(
                f"directive {key!r} does not exist; choose {', '.join(WRITTEN_AS.get(kind, kind) for kind in kinds)}"
            )
        chosen[name] = _value(name, value, kinds[name])
    try:
        return checked(replace(base, **chosen), menu)
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


def listed(menu: Menu, rate: float) -> str:
    """All choices for a model with learning rate `rate`, one directive a line, for a prompt."""
    return "\n".join(f"- {name}: {', '.join(map(str, values))}" for name, values in menu.offered(rate).items())


def _shown(directives: Directives) -> str:
    data = asdict(directives)
    return json.dumps({WRITTEN_AS.get(name, name): data[name] for name in ("formats", "augmentations", *CHOICES)})


def _grammar(rate: float, menu: Menu) -> Grammar:
    json_grammar = Grammar.json(schema(rate, menu)).lark
    return Grammar(json_grammar.replace("start: ", 'start: " " settings\nsettings: ', 1))
