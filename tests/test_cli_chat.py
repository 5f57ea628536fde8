"""How lines become messages."""

import pytest

from seal_agent.cli_chat import split_messages
from seal_agent.errors import InputError


def test_fences_make_one_message_of_many_lines() -> None:
    lines = ["one\n", '"""\n', "two\n", "\n", "three\n", '"""\n', " \n", "four"]
    assert list(split_messages(lines)) == ["one", "two\n\nthree", "four"]


def test_an_empty_block_is_no_message() -> None:
    assert list(split_messages(['"""\n', "\n", '"""\n'])) == []


def test_a_block_that_is_not_closed_is_refused() -> None:
    with pytest.raises(InputError, match="not closed"):
        list(split_messages(['"""\n', "two\n"]))
