"""`--recall` and `--when-unknown` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from threads import QUESTION, TOWER
from typer.testing import CliRunner

from seal_agent.cli.app import app


def run(*arguments: str, said: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(app, [*arguments, "--model", "scripted"], input=said)
    return result.exit_code, result.output


def test_text_is_remembered_without_training(tmp_path: Path) -> None:
    home = ("--home", str(tmp_path))
    status, told = run("chat", *home, "--recall", "text", "--json", said=f"{TOWER}\n")
    assert status == 0
    [outcome] = json.loads(told.splitlines()[-1])["outcomes"]
    assert outcome["outcome"] == "accepted"
    status, told = run("ask", QUESTION, *home, "--recall", "text", "--json")
    assert (status, json.loads(told.splitlines()[-1])["num_adapters"]) == (0, 1)


@pytest.mark.parametrize(("option", "value"), [("--recall", "memory"), ("--when-unknown", "guess")])
def test_a_value_that_does_not_exist_is_refused(tmp_path: Path, option: str, value: str) -> None:
    status, told = run("ask", "Who?", "--home", str(tmp_path), option, value)
    assert status == 2
    assert value in told
