"""Options that commands take as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer

from seal_agent.cli.options import grouped


@dataclass(frozen=True)
class Place:
    town: Annotated[str, typer.Option("--town")]
    number: Annotated[int, typer.Option("--number", min=1)] = 7


def called(*words: str, stops: bool = False) -> list[object]:
    """What a command with a group of options is called with; `stops`: whether it ends the process."""
    taken: list[object] = []

    def send(weight: Annotated[int, typer.Option("--weight")] = 2, *, place: Place) -> None:
        taken.extend([weight, place])

    app = typer.Typer()
    app.command()(grouped(send))
    typer.main.get_command(app).main(list(words), standalone_mode=stops)
    return taken


def test_the_fields_of_a_group_are_options_beside_the_commands_own() -> None:
    assert called("--town", "Graz") == [2, Place("Graz", 7)]
    assert called("--number", "3", "--weight", "5", "--town", "Linz") == [5, Place("Linz", 3)]


@pytest.mark.parametrize(("words", "option"), [((), "town"), (("--town", "Graz", "--number", "0"), "number")])
def test_an_option_of_a_group_is_checked_as_any_other(
    words: tuple[str, ...], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        called(*words, stops=True)
    assert ended.value.code == 2
    assert option in capsys.readouterr().err
