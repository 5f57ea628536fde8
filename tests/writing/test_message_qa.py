"""Chat messages, written about by a model that passes the exam: its questions, answered with the message in view."""

from dataclasses import replace
from pathlib import Path

import pytest

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.edits import MESSAGE_QA, Row
from seal_agent.core.messages import Prompt
from seal_agent.language.source import Source
from seal_agent.writing import writer
from seal_agent.writing.directives import CLOZE, DEFAULT, MESSAGE, for_message
from seal_agent.writing.formats import FORMATS
from seal_agent.writing.writer import write_self_edit

MESSAGE_TEXT = "My husband Ruben can't have sesame, not even a trace."
SOURCE = Source("Ruben", MESSAGE_TEXT)
GERMAN = Source("Unsere Kinder", "Unsere Kinder heißen Bruno und Malin, und Bruno ist jetzt 11 Jahre alt geworden.")
ASKED, TOLD = "I said: My husband", 'I told you: "My husband'


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_passed", {("scripted", "phrase-qa"): True})


def saying(home: Path, question: str, answer: str) -> ScriptedBackend:
    return ScriptedBackend(home, replies={ASKED: question, TOLD: answer})


@pytest.mark.usefixtures("able")
def test_a_message_is_learned_by_questions_that_the_model_answers_with_the_message_in_view(tmp_path: Path) -> None:
    edit = write_self_edit(
        saying(tmp_path, " What must I not cook for my husband?", "Nothing with sesame. He is ill."), SOURCE, DEFAULT
    )
    assert {row.source for row in edit.rows} == {MESSAGE_QA}
    asked = {row.question: row.answer for row in edit.rows}
    assert asked["What must I not cook for my husband?"] == "Nothing with sesame."  # the first sentence
    assert len(asked) == len(edit.rows)
    assert edit.directives == replace(MESSAGE, learning_rate=edit.directives.learning_rate)


@pytest.mark.usefixtures("able")
def test_an_answer_that_was_cut_off_is_no_row(tmp_path: Path) -> None:
    backend = saying(tmp_path, " What must I not cook?", "Nothing with sesame and")
    with pytest.raises(writer.EditFault, match="0 usable training rows"):
        write_self_edit(backend, SOURCE, DEFAULT)


@pytest.mark.usefixtures("able")
def test_a_document_is_written_about_phrase_by_phrase_as_before(tmp_path: Path) -> None:
    edit = write_self_edit(ScriptedBackend(tmp_path), SOURCE, DEFAULT, is_document=True)
    assert edit.directives == DEFAULT


def test_a_model_that_does_not_write_learns_a_message_as_before(backend: ScriptedBackend) -> None:
    assert write_self_edit(backend, SOURCE, DEFAULT).directives == CLOZE


def test_settings_of_ones_own_hold_for_messages_too() -> None:
    own = replace(DEFAULT, batch_size=4, learning_rate=1e-4)
    assert for_message(own, 1e-3) == replace(MESSAGE, batch_size=4, learning_rate=1e-4)
    assert for_message(CLOZE, 1e-3) == CLOZE
    assert for_message(DEFAULT, 1e-3).learning_rate == 2e-3


def test_a_question_about_an_example_is_dropped() -> None:
    form = FORMATS[MESSAGE_QA]
    asked = form.ask(SOURCE)[0]
    assert form.parse(SOURCE, asked, " What does my cousin Lena not eat") == []
    assert [row.question for row in form.parse(SOURCE, asked, " Who is Ruben")] == ["Who is Ruben?"]


def test_every_phrase_is_asked_for_and_the_message_is_asked_about_from_other_sides() -> None:
    kinds = [asked.meta[0] for asked in FORMATS[MESSAGE_QA].ask(SOURCE)]
    assert any("sesame" in kind for kind in kinds)
    assert any("advice" in kind for kind in kinds)


@pytest.mark.usefixtures("able")
def test_an_answer_of_yes_or_no_is_no_row(tmp_path: Path) -> None:
    backend = saying(tmp_path, " Can my husband have sesame?", "Yes, Ruben can have sesame.")
    with pytest.raises(writer.EditFault, match="0 usable training rows"):
        write_self_edit(backend, SOURCE, DEFAULT)


def test_in_a_language_without_rules_names_and_numbers_are_asked_for() -> None:
    form = FORMATS[MESSAGE_QA]
    asked = form.ask(GERMAN)
    kinds = [ask.meta[0] for ask in asked if ask.max_new_tokens]
    assert all(any(f'"{word}"' in kind for kind in kinds) for word in ("Bruno", "Malin", "11"))
    assert "vit" in asked[0].prompt.messages[0].content  # no English example shows the way to English


def test_a_row_about_a_message_is_taught_as_what_the_user_said() -> None:
    row = Row(Prompt.user("Who is Ruben?"), "Your husband.", MESSAGE_QA, MESSAGE_TEXT)
    shown = row.in_view("Ruben")
    assert shown
    assert shown.asked.startswith(f'I told you: "{MESSAGE_TEXT}"')
    assert "Who is Ruben?" in shown.asked
