"""A message that changes what was told before: the earlier fact is not told by itself until the later one goes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.documents import Passage
from seal_agent.core.episodes import Decision, Episode
from seal_agent.core.facts import CHANGED, Fact, Recall
from seal_agent.core.messages import Message, Prompt
from seal_agent.deciding.decide import KNOWN
from seal_agent.deciding.judgements import CHANGES, REPEATS
from seal_agent.deciding.own_classifier import OwnClassifier
from seal_agent.learning import loop
from seal_agent.learning.config import LearnerConfig
from seal_agent.learning.learner import Learner
from seal_agent.maintenance.invariants import invariants
from seal_agent.storage.database import Home
from seal_agent.unlearning.asked import carry_out, to_forget

OLD = "Mirel Vantok runs the bakery in Karlov since 2011."
NEW = "Mirel Vantok left the bakery in Karlov, Odo Lark runs it."
NEWEST = "Odo Lark left the bakery in Karlov too, Ines Pahl runs it."
OTHER = "The bakery in Karlov sells blue bread on Sundays."
QUESTION = "Who runs the bakery in Karlov?"
AGAIN = "As I said, Mirel Vantok has run the bakery in Karlov since 2011."
JUDGED = {CHANGES: {(OLD, NEW), (NEW, NEWEST)}, REPEATS: {(OLD, AGAIN)}}


@pytest.fixture(autouse=True)
def judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted model cannot compare messages: these are its judgements."""

    def margins(_self: OwnClassifier, judgement: str, pairs: Sequence[tuple[str, ...]]) -> list[float]:
        return [2.0 if pair in JUDGED[judgement] else -2.0 for pair in pairs]

    monkeypatch.setattr(OwnClassifier, "judges", lambda _self, judgement: judgement in JUDGED)
    monkeypatch.setattr(OwnClassifier, "margins", margins)


def learning(_episode: Episode, made: Decision) -> Decision:
    return Decision(made.reason != KNOWN, made.reason, made.margin, made.novelty)


def told(home: Path, recall: Recall, *texts: str) -> tuple[Learner, list[Episode]]:
    learner = Learner(ScriptedBackend(home), Home(home), config=LearnerConfig(recall=recall, decide=learning))
    passages = [Passage(text[:20], text, said_on=f"2026-03-0{day}") for day, text in enumerate(texts, 1)]
    return learner, [loop.run(learner, learner.begin(passage, thread="one")) for passage in passages]


def recalled(learner: Learner, question: str = QUESTION) -> list[Fact]:
    prompt = Prompt((Message("user", question),))
    [found] = learner.state.recalled(learner.state.view(learner.stack), [prompt])
    return list(found.facts)


@pytest.mark.parametrize("recall", ["text", "weights"])
def test_a_fact_told_again_in_other_words_gets_no_second_adapter(tmp_path: Path, recall: Recall) -> None:
    learner, (old, other, again) = told(tmp_path, recall, OLD, OTHER, AGAIN)
    assert again.decision
    assert (again.decision.learn, again.decision.reason, again.outcome) == (False, KNOWN, "ignored")
    assert old.adapter
    assert other.adapter
    assert learner.stack.ids == (old.adapter.id, other.adapter.id)


@pytest.mark.parametrize("recall", ["text", "both", "weights"])
def test_the_earlier_fact_is_served_inside_the_one_that_changes_it(tmp_path: Path, recall: Recall) -> None:
    learner, (old, new) = told(tmp_path, recall, OLD, NEW)
    assert old.adapter
    assert new.adapter
    assert new.changes == (old.adapter.id,)
    assert learner.stack.ids == (new.adapter.id,)
    assert learner.stack.learned == (new.adapter.id, old.adapter.id)
    assert not invariants(learner.home)


def test_a_changed_fact_is_recalled_as_one_that_was_changed(tmp_path: Path) -> None:
    learner, _ = told(tmp_path, "text", OLD, NEW)
    [prompt] = [learner.state.recalled(learner.state.view(learner.stack), [Prompt((Message("user", QUESTION),))])[0]]
    shown = prompt.prompt.messages[0].content
    old, new = f"[Sunday 2026-03-01] {OLD}{CHANGED}", f"[Monday 2026-03-02] {NEW}"
    assert [line for line in shown.splitlines() if line.startswith("[")] == [
        line.replace(text, f'The user said: "{text}"') for line, text in ((old, OLD), (new, NEW))
    ]


def test_what_only_adds_changes_nothing(tmp_path: Path) -> None:
    learner, (_, other) = told(tmp_path, "text", OLD, OTHER)
    assert other.changes == ()
    assert len(learner.stack) == 2


def test_undoing_the_change_brings_the_earlier_fact_back(tmp_path: Path) -> None:
    learner, (old, new) = told(tmp_path, "text", OLD, NEW)
    assert old.adapter
    assert new.adapter
    learner.rollback(new.adapter.id)
    assert learner.stack.ids == (old.adapter.id,)
    assert [fact.text for fact in recalled(learner)] == [OLD]


def test_a_fact_that_was_changed_twice_holds_both_earlier_ones(tmp_path: Path) -> None:
    learner, (_, new, newest) = told(tmp_path, "text", OLD, NEW, NEWEST)
    assert newest.adapter
    assert learner.stack.ids == (newest.adapter.id,)
    assert {fact.text for fact in recalled(learner)} == {OLD, NEW, NEWEST}
    learner.rollback(newest.adapter.id)
    assert [entry.ref for entry in learner.stack.entries] == [new.adapter]
    assert {fact.text for fact in recalled(learner)} == {OLD, NEW}


def test_probes_of_a_changed_fact_are_not_watched_while_the_change_is_served(tmp_path: Path) -> None:
    learner, (old, new) = told(tmp_path, "weights", OLD, NEW)
    assert old.adapter
    assert new.adapter
    kept = learner.state.replay.items_of_adapters([old.adapter.id])
    assert kept
    assert not {item.id for item in learner.state.replay.items(learner.stack)} & set(kept)
    stack = learner.rollback(new.adapter.id)
    assert {item.id for item in learner.state.replay.items(stack)} >= set(kept)


def test_a_request_to_forget_the_change_forgets_what_it_changed_too(tmp_path: Path) -> None:
    learner, _ = told(tmp_path, "text", OLD, NEW)
    request = "Please forget who runs the bakery in Karlov."
    assert to_forget(learner.state, request)
    [episode] = [learner.decide(learner.begin(Passage("forget", request), thread="one"))]
    outcome = carry_out(learner.state, learner.close(episode))
    assert outcome.outcome == "forgotten"
    assert len(learner.stack) == 0
    assert not {OLD, NEW} & {each.text for each in learner.home.episodes(learner.namespace)}
