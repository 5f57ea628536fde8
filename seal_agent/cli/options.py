"""Options that commands share, and output of results to stdout.

An option is defined once here and named in a command's signature, so that it is the same everywhere. Options that
belong together may be the fields of a dataclass: a `grouped` command takes it as one parameter.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich.console import Console
from rich.table import Table

from seal_agent.cli.named import chat_model
from seal_agent.core.facts import Recall as RecallMode
from seal_agent.core.facts import WhenUnknown as UnknownMode
from seal_agent.learning.strategies import STRATEGIES

WIDE = 10_000  # columns if stdout is no terminal: one line per row, for grep
RECALLS, WHEN_UNKNOWN = get_args(RecallMode), get_args(UnknownMode)
DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


def _check_device(name: str) -> str:
    if not DEVICE.fullmatch(name):
        raise typer.BadParameter(f"{name!r} is not a device; choose auto, cpu, cuda or cuda:N")
    return name


def _check_strategy(name: str) -> str:
    if name not in STRATEGIES:
        raise typer.BadParameter(f"{name!r} is not a strategy; choose {', '.join(STRATEGIES)}")
    return name


def _check_preset(name: str) -> str:
    from seal_agent.writing.directives import PRESETS

    if name not in PRESETS:
        raise typer.BadParameter(f"{name!r} is not a preset; choose {', '.join(PRESETS)}")
    return name


def _check_recall(mode: str) -> str:
    if mode not in RECALLS:
        raise typer.BadParameter(f"{mode!r} is not a way to recall; choose {', '.join(RECALLS)}")
    return mode


def _check_max_reply_tokens(num: int) -> int:
    if num < 1:
        raise typer.BadParameter(f"{num} is less than 1; give a number of tokens, such as 128")
    return num


def _check_when_unknown(what: str) -> str:
    if what not in WHEN_UNKNOWN:
        raise typer.BadParameter(f"{what!r} is not possible; choose {', '.join(map(repr, WHEN_UNKNOWN))}")
    return what


def check_finite(number: float) -> float:
    """The callback of every float option: typer accepts "nan" and "inf" in any range."""
    if not math.isfinite(number):
        raise typer.BadParameter(f"{number} is not finite; give a number")
    return number


AsJson = Annotated[bool, typer.Option("--json", help="Write only JSON to stdout.")]
HomeFolder = Annotated[Path | None, typer.Option("--home", help="The data directory.", show_default="$SEAL_HOME")]
Namespace = Annotated[str, typer.Option("--namespace", help="The user or tenant.")]
Model = Annotated[
    str,
    typer.Option("--model", envvar="SEAL_MODEL", help='A Hugging Face name, a folder, a GGUF file or "embedded".'),
]
Device = Annotated[str, typer.Option("--device", callback=_check_device, help="auto, cpu, cuda or cuda:N.")]
ChatTemplate = Annotated[
    Path | None, typer.Option("--chat-template", help="A Jinja file, for a model without a template.")
]
Strategy = Annotated[
    str,
    typer.Option("--strategy", callback=_check_strategy, help=f"How the stack grows: {', '.join(STRATEGIES)}."),
]
Preset = Annotated[
    str,
    typer.Option(
        "--preset",
        callback=_check_preset,
        help="How edits are written: default, cloze (without a model) or seal-paper.",
    ),
]
Recall = Annotated[
    str,
    typer.Option(
        "--recall",
        envvar="SEAL_RECALL",
        callback=_check_recall,
        help="Where replies get what was learned: weights, text (in the prompt, nothing is trained) or both.",
    ),
]
WhenUnknown = Annotated[
    str,
    typer.Option(
        "--when-unknown",
        callback=_check_when_unknown,
        help='What to do with a personal question of which nothing was told: answer, or "say so".',
    ),
]
MaxReplyTokens = Annotated[
    int,
    typer.Option(
        "--max-reply-tokens",
        callback=_check_max_reply_tokens,
        help="The most tokens of the model that a reply may have.",
    ),
]
Writer = Annotated[
    Any,
    typer.Option(
        "--writer",
        envvar="SEAL_WRITER",
        parser=chat_model,
        metavar="MODULE:OBJECT",
        help="A LangChain chat model of your own Python code that writes the training rows in the model's place.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Seed of all random draws.")]


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """`command` as typer can read it: a parameter that is a dataclass becomes one option for each of its fields."""
    groups: dict[str, type] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        group = parameter.annotation
        if isinstance(group, type) and dataclasses.is_dataclass(group):
            groups[parameter.name] = group
            parameters += inspect.signature(group, eval_str=True).parameters.values()
        else:
            parameters.append(parameter)

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in dataclasses.fields(group)})
        command(**given)

    options = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    with_options.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    return with_options


def write_json(value: Any) -> None:
    """Write one JSON value on one line of stdout; ASCII, so that it works in any terminal encoding."""
    print(json.dumps(value), flush=True)


def write_table(columns: list[str], rows: list[list[str]], *, width: int = 0) -> None:
    """Write a table to stdout; cells are not interpreted as markup.

    `width`: maximum columns, for a table whose rows may take several lines; 0: the terminal's, or without a terminal
    one line per row.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console(markup=False, highlight=False, emoji=False)
    if width:
        console.width = min(width, console.width) if console.is_terminal else width
    elif not console.is_terminal:
        console.width = WIDE
    console.print(table)
