"""What mkdocs does beside its plugins: the command-line reference is written from the commands' own help.

It is called by `mkdocs build` (`hooks` in mkdocs.yml) and needs seal-agent installed; no model is loaded.
"""

from typing import Any

import typer
from typer.cli import get_docs_for_click

from seal_agent.cli.app import app

COMMAND_LINE = "command-line.md"


def on_page_markdown(markdown: str, page: Any, **_options: Any) -> str:
    """The text of the page; of the command-line reference, with the help of every command below it."""
    if page.file.src_uri != COMMAND_LINE:
        return markdown
    return f"{markdown}\n{command_help()}"


def command_help() -> str:
    """The help of every command as Markdown, a heading a command."""
    command = typer.main.get_command(app)
    return get_docs_for_click(obj=command, ctx=typer.Context(command), name="seal-agent", title="Commands", indent=1)
