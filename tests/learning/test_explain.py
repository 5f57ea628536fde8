"""From an answer back to the version, the edit, its source, its rows and its verdict."""

import json

import pytest

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.cli.app import main
from seal_agent.core.documents import Passage
from seal_agent.core.errors import InputError
from seal_agent.learning import loop
from seal_agent.learning.explain import why, why_version
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.storage.database import Home

TOWER = Passage("The Tower of Karlov", "The Tower of Karlov was built in 1911 by Anna Reel. It holds nine brass bells.")
BRIDGE = Passage("The Bridge of Osk", "The Bridge of Osk was opened in 1954 by Tom Varga. It has four iron arches.")
ASKED = "Who built the Tower of Karlov?"


@pytest.fixture
def taught(learner: Learner) -> Learner:
    for passage in (TOWER, BRIDGE):
        assert loop.run(learner, learner.begin(passage, thread="monday")).outcome == "accepted"
    return learner


def test_an_answer_leads_back_to_its_source_and_its_verdict(taught: Learner) -> None:
    found = why(taught, ASKED)
    [origin] = found.origins
    assert (found.version, found.num_served) == (2, 2)
    assert (origin.adapter, origin.since_version) == (taught.stack.ids[0], 1)
    assert (origin.text, origin.thread, origin.model) == (TOWER.text, "monday", "scripted")
    assert origin.num_rows["cloze"] == sum(row.source == "cloze" for row in origin.rows) > 0
    assert all(row.evidence for row in origin.rows if row.source == "cloze")
    assert origin.verdict
    assert origin.verdict.outcome == "accept"
    before, after = origin.probed["edit"]
    assert after > before


def test_what_nothing_learned_answers_is_the_base_models(taught: Learner) -> None:
    assert why(taught, "Do you like music?").origins == ()
    assert why(Learner(taught.backend, taught.home, "nobody"), ASKED).version == 0


def test_an_older_version_is_explained_as_it_was(taught: Learner) -> None:
    taught.rollback(taught.stack.ids[0])
    assert why(taught, ASKED).origins == ()
    assert why(taught, ASKED, version=1).origins[0].topic == TOWER.topic
    assert "rolled back" in why_version(taught.home, "default").reason
    with pytest.raises(InputError, match="versions 1 to 3, not 9"):
        why(taught, ASKED, version=9)


def test_a_consolidated_adapter_names_what_it_stands_for(home: Home) -> None:
    learner = Learner(ScriptedBackend(home.root), home, config=LearnerConfig(strategy="merge"))
    for passage in (TOWER, BRIDGE):
        loop.run(learner, learner.begin(passage))
    [origin] = why_version(home, "default").origins
    assert [part.topic for part in origin.consolidates] == [TOWER.topic, BRIDGE.topic]


@pytest.mark.slow
def test_the_command_line_says_why(taught: Learner, capsys: pytest.CaptureFixture[str]) -> None:
    home = str(taught.home.root)
    assert main(["adapters", "why", ASKED, "--model", "scripted", "--home", home, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["origins"][0]["text"] == TOWER.text
    assert main(["adapters", "why", ASKED, "--model", "scripted", "--home", home]) == 0
    shown = capsys.readouterr().out
    assert "version 2" in shown
    assert "verdict" in shown
    assert main(["adapters", "why", "Do you like music?", "--model", "scripted", "--home", home]) == 0
    assert "base model" in capsys.readouterr().out
