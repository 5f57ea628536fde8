"""A request in the conversation to forget something."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from threads import TOWER

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.documents import Passage
from seal_agent.core.episodes import ASKS_TO_FORGET, ASKS_TO_UNDO, Decision, Episode, Novelty
from seal_agent.core.facts import Recall
from seal_agent.deciding.decide import NOT_WORTH
from seal_agent.learning import loop
from seal_agent.learning.config import LearnerConfig
from seal_agent.learning.learner import Learner
from seal_agent.storage.database import Home
from seal_agent.unlearning.asked import FORGOTTEN, NOTHING_FOUND, asks_for_change, carry_out

REQUEST = "Please forget what I said about the Tower of Karlov and its brass bells."


def closed(
    learner: Learner, text: str, reason: str = ASKS_TO_FORGET, *, about: str = "", thread: str = "two"
) -> Episode:
    episode = learner.begin(Passage("", text, about=about), thread=thread)
    return learner.close(
        replace(episode, decision=Decision(learn=False, reason=reason, margin=0, novelty=Novelty(0, 1)))
    )


def taught(tmp_path: Path, recall: Recall) -> Learner:
    learner = Learner(ScriptedBackend(tmp_path), Home(tmp_path), config=LearnerConfig(recall=recall))
    for topic, text in (("Tower of Karlov", TOWER), ("Nadia", "My sister Nadia lives in Ghent.")):
        assert loop.run(learner, learner.begin(Passage(topic, text), thread="one"), step="write").outcome == "accepted"
    return learner


@pytest.mark.parametrize("recall", ["text", "both", "weights"])
def test_what_is_asked_for_is_forgotten_and_nothing_else(tmp_path: Path, recall: Recall) -> None:
    learner = taught(tmp_path, "both" if recall == "text" else recall)
    outcome = carry_out(learner.state, closed(learner, REQUEST))
    assert (outcome.topic, outcome.outcome, outcome.reason) == ("Tower of Karlov", "forgotten", FORGOTTEN)
    assert len(learner.stack) == 1
    ledger = str(learner.home.episodes("default"))
    assert "brass bells" not in ledger
    assert "Nadia" in ledger


def test_a_request_that_fits_nothing_forgets_nothing_and_says_so(tmp_path: Path) -> None:
    learner = taught(tmp_path, "weights")
    outcome = carry_out(learner.state, closed(learner, "Please forget the recipe for plum jam."))
    assert (outcome.outcome, outcome.reason) == ("ignored", NOTHING_FOUND)
    assert len(learner.stack) == 2


def test_only_a_message_that_the_model_took_for_a_request_is_one(tmp_path: Path) -> None:
    learner = taught(tmp_path, "weights")
    assert asks_for_change(closed(learner, REQUEST))
    assert not asks_for_change(closed(learner, REQUEST, NOT_WORTH))
    assert not asks_for_change(learner.begin(Passage("", REQUEST)))


def test_what_the_reply_named_is_forgotten_whatever_else_fits(tmp_path: Path) -> None:
    learner = taught(tmp_path, "text")
    tower, nadia = learner.stack.ids
    assert carry_out(learner.state, closed(learner, REQUEST, about=nadia)).outcome == "forgotten"
    assert learner.stack.ids == (tower,)
    assert carry_out(learner.state, closed(learner, REQUEST, about=nadia)).outcome == "ignored"
    assert learner.stack.ids == (tower,)


def test_an_undo_takes_the_last_message_of_its_own_thread_and_keeps_the_record(tmp_path: Path) -> None:
    learner = taught(tmp_path, "text")
    assert carry_out(learner.state, closed(learner, "Undo that.", ASKS_TO_UNDO)).outcome == "ignored"
    outcome = carry_out(learner.state, closed(learner, "Undo that.", ASKS_TO_UNDO, thread="one"))
    assert (outcome.topic, outcome.outcome) == ("Nadia", "undone")
    assert [fact.text for fact in learner.state.facts()] == [TOWER]
    assert "Nadia" in str(learner.home.episodes("default"))


def test_an_undone_correction_brings_the_old_answer_back(tmp_path: Path) -> None:
    learner = Learner(ScriptedBackend(tmp_path), Home(tmp_path))
    for text in ("The Tower of Karlov was built in 1911.", "The Tower of Karlov was built in 1921, not in 1911."):
        assert loop.run(learner, learner.begin(Passage("Tower of Karlov", text), thread="one"), step="write").outcome
    old, new = learner.home.versions("default")[0].stack.ids, learner.stack.ids
    assert old != new
    carry_out(learner.state, closed(learner, "Undo that.", ASKS_TO_UNDO, thread="one"))
    assert learner.stack.ids == old


def test_a_dry_run_forgets_nothing(tmp_path: Path) -> None:
    taught(tmp_path, "text")
    trial = Learner(ScriptedBackend(tmp_path), Home(tmp_path), config=LearnerConfig(recall="both", dry_run=True))
    assert carry_out(trial.state, closed(trial, REQUEST)).outcome == "dry run"
    assert len(trial.stack) == 2
