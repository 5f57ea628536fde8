"""What the commands share: their options, and how a result is written to stdout.

Options are one line here and one word in a command's signature, so that they read the same everywhere.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from seal_agent.learning.strategies import STRATEGIES

WIDE = 10_000  # columns where stdout is no terminal: a row stays on one line, for grep and the like
DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


def _check_device(name: str) -> str:
    if not DEVICE.fullmatch(name):
        raise typer.BadParameter(f"{name!r} is no device; choose auto, cpu, cuda or cuda:N")
    return name


def _check_strategy(name: str) -> str:
    if name not in STRATEGIES:
        raise typer.BadParameter(f"{name!r} is no strategy; choose {', '.join(STRATEGIES)}")
    return name


def _check_preset(name: str) -> str:
    from seal_agent.writing.directives import PRESETS

    if name not in PRESETS:
        raise typer.BadParameter(f"{name!r} is no preset; choose {', '.join(PRESETS)}")
    return name


def check_finite(number: float) -> float:
    """The callback of every option that is a float: typer takes "nan" and "inf" for numbers in any range."""
    if not math.isfinite(number):
        raise typer.BadParameter(f"{number} is not finite; give a number")
    return number


AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to stdout, and nothing else.")]
HomeFolder = Annotated[
    Path | None, typer.Option("--home", help="Where everything learned lies.", show_default="$SEAL_HOME")
]
Namespace = Annotated[str, typer.Option("--namespace", help="The user or tenant whose adapters these are.")]
Model = Annotated[
    str,
    typer.Option("--model", envvar="SEAL_MODEL", help='A Hugging Face name, a folder, a GGUF file or "embedded".'),
]
Device = Annotated[str, typer.Option("--device", callback=_check_device, help="auto, cpu, cuda or cuda:N.")]
ChatTemplate = Annotated[
    Path | None, typer.Option("--chat-template", help="A Jinja file, for a model without a template of its own.")
]
Strategy = Annotated[
    str, typer.Option("--strategy", callback=_check_strategy, help="How edits are kept: route, stack, merge, rebuild.")
]
Preset = Annotated[
    str,
    typer.Option(
        "--preset",
        callback=_check_preset,
        help="How edits are written: default, cloze (no model writes) or seal-paper.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Decides every random draw.")]


def write_json(value: Any) -> None:
    """One JSON value on one line of stdout; ASCII, so that no terminal encoding can refuse it."""
    print(json.dumps(value), flush=True)


def write_table(columns: list[str], rows: list[list[str]], *, width: int = 0) -> None:
    """A table on stdout; nothing in a cell is taken for markup.

    `width`: columns at most, for a table whose rows may take several lines; 0: those of the terminal, and without a
    terminal one line a row.
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
