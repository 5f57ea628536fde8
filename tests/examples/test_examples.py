"""The examples run as they stand; the scripted backend is in the model's place."""

import runpy
from pathlib import Path

import pytest

from seal_agent import ChatSeal, Learner
from seal_agent.adapters.scripted import UNKNOWN, ScriptedBackend
from seal_agent.storage.database import Home

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_the_quickstart_learns_what_it_reads(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    learner = Learner(ScriptedBackend(home.root), home)
    runpy.run_path(str(EXAMPLES / "quickstart.py"))["main"](learner)
    told = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    assert told["learning"].strip().startswith("learned")
    assert told["untouched"].strip() == UNKNOWN
    (episode,) = learner.home.episodes(learner.namespace, ("accepted",))
    assert episode.edit
    asked = episode.edit.rows[0].question  # a literal mind answers what stands in its rows, word for word
    assert ChatSeal(learner=learner).invoke(asked).text in episode.text
