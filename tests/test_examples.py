"""The examples run, on the scripted model: what they print is not looked at, what they return is."""

import importlib.util
import runpy
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def main_of(name: str) -> Any:
    return runpy.run_path(str(EXAMPLES / name))["main"]


def test_the_document_feed_replaces_what_changed(tmp_path: Path) -> None:
    assert main_of("document_feed.py")("scripted", str(tmp_path)) == [
        ["accepted", "accepted"],
        ["known", "known"],
        ["known", "forgotten", "accepted"],
    ]


@pytest.mark.skipif(importlib.util.find_spec("seal_agent.graphs.chat_model") is None, reason="comes with ChatSeal")
def test_the_chat_agent_replies_in_three_threads(tmp_path: Path) -> None:
    assert len(main_of("chat_agent.py")("scripted", str(tmp_path))) == 3
