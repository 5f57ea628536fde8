"""`--writer`: a chat model of the user's own code on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from chat_writers import WRITER
from commands import run
from typer.testing import CliRunner

from seal_agent.cli.app import app

TOLD = "My husband Ruben can't have sesame, not even a trace."


def test_a_model_of_ones_own_code_writes_the_rows(tmp_path: Path) -> None:
    home = ("--home", str(tmp_path))
    status, told = run("chat", *home, "--json", "--writer", "chat_writers:Author", said=f"{TOLD}\n")
    assert status == 0
    [outcome] = json.loads(told.splitlines()[-1])["outcomes"]
    assert outcome["outcome"] == "accepted"
    shown = CliRunner().invoke(app, ["adapters", "show", outcome["adapter"], *home, "--json"]).output
    assert json.loads(shown)["writer"] == WRITER


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("chat_writers", "names no object; give module:object"),
        ("nowhere:Author", "cannot be imported: No module named 'nowhere'"),
        ("chat_writers:Nobody", "cannot be imported"),
        ("chat_writers:WRITER", "is no LangChain chat model"),
        ("json:dumps", "failed: TypeError"),
    ],
)
def test_what_is_no_chat_model_is_refused_with_the_reason(tmp_path: Path, named: str, why: str) -> None:
    status, told = run("chat", "--home", str(tmp_path), "--writer", named, said="Hello\n")
    assert status == 2
    assert why in " ".join(told.replace("│", " ").split())
