"""Labelled turns that a scripted model can tell apart."""

from __future__ import annotations

import random

import pytest

from seal_agent.deciding import classifier
from seal_agent.deciding.classifier import Turn


@pytest.fixture
def home_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred labelled turns a literal mind can tell apart: fitting on thousands would take seconds."""
    facts = [f"The Tower {n} of Karlov holds {n} brass bells." for n in range(50)]
    talk = ["hello there, nice day", "how are you today then", "thanks a lot for that one"] * 17
    turns = [Turn(n, "fact", True, "choose", text) for n, text in enumerate(facts)]
    turns += [Turn(n, "talk", False, "choose", text) for n, text in enumerate(talk, start=50)]
    random.Random(0).shuffle(turns)
    monkeypatch.setattr(classifier, "read_turns", lambda _name: turns)
