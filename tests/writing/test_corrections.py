"""A correction supersedes: what it finds, and what it leaves alone."""

import pytest
from correcting import NEW, OLD, QUESTION, Reader, learn

from seal_agent.core.documents import Passage
from seal_agent.core.edits import Row, SelfEdit
from seal_agent.core.episodes import Correction
from seal_agent.core.messages import Prompt
from seal_agent.deciding.judgements import CHANGES
from seal_agent.deciding.own_classifier import OwnClassifier
from seal_agent.language.source import Source
from seal_agent.learning.learner import Learner
from seal_agent.writing import corrections

SENTENCE = "The Lund meeting takes place on Friday in Galloway Street."  # a bare answer is soon garbled


@pytest.fixture
def learner(home) -> Learner:  # type: ignore[no-untyped-def]
    return Learner(Reader(home.root), home)


def watched(learner: Learner) -> set[tuple[str, str]]:
    items = [item.probe for item in learner.state.replay.items(learner.stack) if item.probe.stratum != "general"]
    return {(probe.prompt.messages[-1].content, probe.answer) for probe in items}


def test_after_a_correction_the_old_answer_is_not_watched_and_the_new_one_is_given(learner: Learner) -> None:
    learn(learner, OLD)
    assert [answer for _, answer in watched(learner) if "Thursday" in answer]
    episode = learn(learner, Passage(OLD.topic, NEW))
    assert (QUESTION, "Thursday", "Friday") in [(c.question, c.old, c.new) for c in episode.corrections]
    assert not [answer for _, answer in watched(learner) if "Thursday" in answer]
    assert (QUESTION, SENTENCE) in watched(learner)
    assert learner.answer([Prompt.user(QUESTION).messages]) == [SENTENCE]
    assert not [p for p in episode.probed if "Thursday" in p.probe.answer]


@pytest.mark.parametrize(("margin", "is_corrected"), [(0.1, True), (-0.1, False)])
def test_a_model_that_judges_changes_must_agree_to_a_correction(
    learner: Learner, monkeypatch: pytest.MonkeyPatch, margin: float, is_corrected: bool
) -> None:
    learn(learner, OLD)
    monkeypatch.setattr(OwnClassifier, "judges", lambda _self, judgement: judgement == CHANGES)
    monkeypatch.setattr(OwnClassifier, "margins", lambda _self, _judgement, cases: [margin] * len(cases))
    episode = learn(learner, Passage(OLD.topic, NEW))
    assert bool(episode.corrections) is is_corrected


def test_a_message_that_only_corrects_is_learned_with_what_was_said_before_it(learner: Learner) -> None:
    learn(learner, OLD)
    earlier = "User: When does the Lund meeting take place?\nAssistant: On Thursday in Galloway Street.\n"
    episode = learn(learner, Passage(OLD.topic, "No, Friday.", earlier))
    assert {(c.old, c.new) for c in episode.corrections} == {("Thursday", "Friday")}
    assert learner.answer([Prompt.user(QUESTION).messages]) == [SENTENCE]


def test_undoing_the_correction_brings_the_old_question_back(learner: Learner) -> None:
    learn(learner, OLD)
    before = watched(learner)
    episode = learn(learner, Passage(OLD.topic, NEW))
    assert episode.adapter
    assert watched(learner) != before
    learner.rollback(episode.adapter.id)
    assert watched(learner) == before


def test_what_a_text_does_not_speak_of_is_left_alone(learner: Learner) -> None:
    learn(learner, OLD)
    items = learner.state.replay.items(learner.stack)
    backend = Reader(learner.home.root)
    assert corrections.find(backend, items, Source("Ferry", "The Ferry of Vandrel leaves on Friday.")) == ()
    assert corrections.find(backend, items, Source(OLD.topic, OLD.text)) == ()
    assert corrections.find(backend, items, Source(OLD.topic, "The Lund meeting is chaired by Friday Holt.")) == ()


def test_a_correction_changes_only_what_rests_on_its_own_sentence() -> None:
    told = ("Mira is 4 years old.", "The house has 4 rooms.")
    rows = tuple(Row(Prompt.user(f"{text[:4]} what?"), text, "cloze", text) for text in told)
    correction = Correction(1, "Mira is what?", "4", "5", "Mira is 5 years old.")
    changed = corrections.joined(SelfEdit("Mira", "", (), ()), [SelfEdit("Mira", "", rows, ())], [correction], 9)
    assert [row.answer for row in changed.rows] == ["Mira is 5 years old.", "The house has 4 rooms."]


@pytest.mark.parametrize(
    ("told", "old", "new", "now"),
    [
        ("Mira is 4 and has 5 cats.", "4", "5", "Mira is 5 and has 5 cats."),
        ("Tom is from Graz and lives in Linz.", "Linz", "Graz", "Tom is from Graz and lives in Graz."),
        (
            "Friday is busy, so the choir meets on Monday.",
            "Monday",
            "Friday",
            "Friday is busy, so the choir meets on Friday.",
        ),
        ("The house has 4 rooms. Mira is 4 years old.", "4", "5", "The house has 4 rooms. Mira is 5 years old."),
    ],
)
def test_a_correction_changes_one_place_where_its_answers_stand_twice(told: str, old: str, new: str, now: str) -> None:
    rows = (Row(Prompt.user("What about Mira?"), told, "cloze", told),)
    said = now.rsplit(". ", 1)[-1]
    correction = Correction(1, "Who is what?", old, new, said)
    changed = corrections.joined(SelfEdit("Mira", "", (), ()), [SelfEdit("Mira", "", rows, ())], [correction], 9)
    assert [(row.answer, row.evidence) for row in changed.rows] == [(now, now)]


def test_a_sentence_whose_opposite_is_said_is_taken_over_as_it_holds_now(learner: Learner) -> None:
    learn(learner, Passage("Dana", "Dana Holm eats meat on every day of the week."))
    episode = learn(learner, Passage("Dana", "Dana Holm does not eat meat any more on any day of the week."))
    assert episode.corrections
    assert episode.supersedes
    assert episode.edit
    assert not any(row.answer == "Dana Holm eats meat on every day of the week." for row in episode.edit.rows)
