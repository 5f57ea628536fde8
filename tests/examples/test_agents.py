"""The examples of an agent and of a feed run as they stand; the scripted backend is in the model's place."""

import runpy
from pathlib import Path
from typing import Any

import pytest

from seal_agent.adapters.scripted import UNKNOWN
from seal_agent.learning.learner import Learner

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def main_of(name: str) -> Any:
    return runpy.run_path(str(EXAMPLES / name))["main"]


@pytest.mark.slow
def test_the_document_feed_replaces_what_changed(learner: Learner) -> None:
    assert main_of("document_feed.py")(learner) == [
        ["accepted", "accepted"],
        ["known", "known"],
        ["known", "forgotten", "accepted"],
    ]


def test_the_chat_agent_learns_what_it_is_told(learner: Learner) -> None:
    assert main_of("chat_agent.py")(learner)[0] == UNKNOWN
    assert len(learner.stack) == 1
