"""`--recall`, `--when-unknown` and `--max-reply-tokens` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import run
from threads import QUESTION, TOWER


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


def test_a_reply_has_at_most_the_tokens_of_the_option(tmp_path: Path) -> None:
    chat = ("chat", "--home", str(tmp_path), "--json")
    replies = []
    for limit in ((), ("--max-reply-tokens", "1")):
        status, told = run(*chat, *limit, said=f"{QUESTION}\n")
        assert status == 0
        replies.append(json.loads(told.splitlines()[-1])["reply"])
    assert len(replies[1]) < len(replies[0])


@pytest.mark.parametrize(
    ("value", "why"), [("0", "0 is less than 1"), ("-3", "-3 is less than 1"), ("many", "integer")]
)
def test_a_length_of_replies_that_is_no_positive_number_is_refused(tmp_path: Path, value: str, why: str) -> None:
    status, told = run("chat", "--home", str(tmp_path), "--max-reply-tokens", value)
    assert status == 2
    assert "--max-reply-tokens" in told
    assert why in told
