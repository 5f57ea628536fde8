"""A command run in this process over the scripted model: its exit status and what it wrote."""

from __future__ import annotations

from typer.testing import CliRunner

from seal_agent.cli.app import app


def run(*arguments: str, said: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(app, [*arguments, "--model", "scripted"], input=said)
    return result.exit_code, result.output
