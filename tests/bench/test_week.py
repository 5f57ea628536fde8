"""`bench week`: its data, its grading, and a replay that goes on where it was stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.bench.week import report
from seal_agent.bench.week.arms import HOME
from seal_agent.bench.week.data import Fact, Question, read_weeks
from seal_agent.bench.week.grading import declines, grade, holds, is_same_beginning, recites
from seal_agent.bench.week.replay import TurnResult, measure
from seal_agent.core.errors import InputError
from seal_agent.storage.run_folder import RunFolder


def question(kind: str = "single", *, gold: tuple[str, ...] = (), must_not: tuple[str, ...] = ()) -> Question:
    return Question("q", "Asked?", kind, gold=gold, must_not=must_not)


@pytest.mark.parametrize(
    ("text", "phrase", "is_there"),
    [
        ("I know that.", "no", False),
        ("No, she does not.", "no", True),
        ("At 15:00.", "5", False),
        ("At 5.", "5", True),
        ("At 5:30.", "5", False),
        ("She repairs tiles.", "tile", True),
        ("You aren’t told.", "aren't", True),
        ("On 20 March, at noon", "20 March", True),
        ("On 120 March", "20 March", False),
    ],
)
def test_phrases_are_found_as_words(text: str, phrase: str, is_there: bool) -> None:
    assert holds(text, phrase) is is_there


def test_answers_are_right_wrong_or_declined() -> None:
    pets = question(gold=("Pickle",), must_not=("Lasagne",))
    assert grade(pets, "Your beagle is Pickle.") == "right"
    assert grade(pets, "Pickle or Lasagne.") == "wrong"
    assert grade(pets, "I'm sorry, I don't know.") == "declined"
    assert grade(pets, "It is Rex.") == "wrong"
    assert grade(question("absent"), "I was not told.") == "right"
    assert grade(question("absent"), "It is Rex.") == "wrong"
    assert grade(question("forgotten", must_not=("3,200",)), "He owes you £3,200.") == "wrong"
    assert grade(question("forgotten", must_not=("3,200",)), "Whatever you like.") == "right"


@pytest.mark.parametrize(
    "reply", ["Das weiß ich nicht.", "Dat weet ik niet.", "我不知道。", "You have not told me that."]
)
def test_declining_is_heard_in_several_languages(reply: str) -> None:
    assert declines(reply)
    assert not declines("Paris.")


def test_a_recital_tells_a_fact_that_nobody_asked_for() -> None:
    facts = [Fact("Her husband Ruben can't have sesame", 5)]
    soup = "How do I make leek soup?"
    assert recites("Your husband Ruben can't have sesame.", soup, "Boil leeks.", facts, [])
    assert not recites("Boil leeks and potatoes.", soup, "Boil leeks.", facts, [])
    assert not recites("Ruben, your husband, and sesame.", "Is sesame in it, my husband Ruben asks?", "", facts, [])


def test_replies_are_compared_by_their_first_sentence() -> None:
    assert is_same_beginning("Boil leeks. Then eat.", "Boil leeks. Add salt.")
    assert not is_same_beginning("Fry leeks.", "Boil leeks.")


def test_the_shipped_week_is_whole_and_can_be_cut() -> None:
    [week] = read_weeks()
    assert {fact for turn in week.turns for fact in turn.facts} == set(week.facts)
    cut = week.first(8)
    assert len(cut.turns) == 8
    assert all(week.facts[fact].turn <= 8 for asked in cut.questions for fact in asked.facts)
    assert week.first(0) == week


def test_a_file_that_holds_no_weeks_and_a_week_that_is_not_there_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weeks.json"
    path.write_text(json.dumps([{"title": "a passage"}]))
    with pytest.raises(InputError, match="give a JSON list of weeks"):
        read_weeks(path)
    with pytest.raises(InputError, match="no week is called 'week-9'; choose week-1"):
        read_weeks(chosen="week-9")


@pytest.mark.slow
def test_a_replay_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    week = read_weeks()[0].first(5)
    backend = ScriptedBackend(tmp_path / "run" / HOME)
    run = RunFolder(tmp_path / "run", config={})
    measure(backend, run, [replace(week.first(2), questions=())], ["weights"])
    done = run.values("turns", TurnResult)
    assert [turn.n for turn in done] == [1, 2]
    measure(backend, run, [week], ["nothing", "text", "weights", "both"])
    turns = run.values("turns", TurnResult)
    assert turns[:2] == done
    assert [turn.n for turn in turns] == [1, 2, 3, 4, 0, 5]
    reports, learning = report.summarise(run)
    assert {each.arm for each in reports} == {"nothing", "text", "weights", "both"}
    assert all(each.num_questions == len(week.questions) for each in reports)
    assert learning is not None
    assert learning.num_turns == 6
    before = len(turns)
    measure(backend, run, [week], ["nothing", "text", "weights", "both"])
    assert len(run.values("turns", TurnResult)) == before
    assert "| arm | questions |" in report.markdown(reports, learning, [])


def test_an_arm_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no arm called 'memory'; choose nothing, prompt"):
        measure(ScriptedBackend(tmp_path), RunFolder(tmp_path, config={}), read_weeks(), ["memory"])
