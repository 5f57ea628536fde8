"""Chat messages, written about by a model that passes the exam: its statements, asked for by its questions."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from chat_writers import Checking

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.documents import Passage
from seal_agent.core.edits import MESSAGE_QA, Row
from seal_agent.core.errors import SameAgain
from seal_agent.core.facts import Fact
from seal_agent.core.messages import Prompt
from seal_agent.language.source import Source
from seal_agent.learning.learner import Learner
from seal_agent.storage.database import Home
from seal_agent.writing import messages, writer
from seal_agent.writing.directives import CLOZE, DEFAULT, MESSAGE, for_message
from seal_agent.writing.formats import FORMATS
from seal_agent.writing.statements import statements_of
from seal_agent.writing.writer import write_self_edit

MESSAGE_TEXT = "My husband Ruben can't have sesame, not even a trace."
SOURCE = Source("Ruben", MESSAGE_TEXT)
GERMAN = Source("Unsere Kinder", "Unsere Kinder heißen Bruno und Malin, und Bruno ist jetzt 11 Jahre alt geworden.")
QUESTION = "What must I not cook for my husband?"
SAID = "Your husband Ruben can't have sesame."


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_passed", {("scripted", "phrase-qa"): True})


def saying(home: Path, *statements: str, question: str = QUESTION) -> Checking:
    told = "\n".join(statements)
    asked = {re.sub(r"^\W*\d*\W*", "", statement): question for statement in statements}
    return Checking(home, replies={**asked, "Message:": told, "Before:": told})


def asked_for(backend: Checking, source: Source = SOURCE) -> dict[str, str]:
    """The questions that the model learns to answer with the statements that it finds, and these."""
    return {row.question: row.answer for row in write_self_edit(backend, source, DEFAULT).rows}


@pytest.mark.usefixtures("able")
def test_a_message_is_learned_by_its_statements_and_questions_for_them(tmp_path: Path) -> None:
    edit = write_self_edit(saying(tmp_path, SAID), SOURCE, DEFAULT)
    assert {row.source for row in edit.rows} == {MESSAGE_QA}
    assert {row.question: row.answer for row in edit.rows} == {QUESTION: SAID}
    assert edit.directives == MESSAGE


@pytest.mark.parametrize(("question", "is_kept"), [("What time is it?", False), ("What can't Ruben have?", True)])
def test_a_question_names_something_of_its_statement(question: str, is_kept: bool) -> None:
    assert messages._names_its_answer(Row(Prompt.user(question), SAID), SOURCE) is is_kept


@pytest.mark.usefixtures("able")
def test_a_list_of_statements_is_read_without_its_bullets(tmp_path: Path) -> None:
    assert asked_for(saying(tmp_path, f"1. {SAID}", f"- {SAID}")) == {QUESTION: SAID}


@pytest.mark.usefixtures("able")
def test_a_statement_that_was_cut_off_is_not_learned(tmp_path: Path) -> None:
    assert asked_for(saying(tmp_path, SAID, "Your husband Ruben can't have " + "sesame " * 140)) == {QUESTION: SAID}


@pytest.mark.usefixtures("able")
def test_a_statement_that_the_message_does_not_make_is_no_row_and_the_ledger_says_why(tmp_path: Path) -> None:
    replies = {SAID: QUESTION, "Ruben eats meat.": "Who eats?", "Message:": f"{SAID}\nRuben eats meat."}
    backend = Checking(tmp_path, replies=replies)
    edit = write_self_edit(backend, SOURCE, DEFAULT)
    assert {row.answer for row in edit.rows} == {SAID}
    assert messages.NOT_ENTAILED in {dropped.reason for dropped in edit.dropped}


@pytest.mark.usefixtures("able")
def test_what_was_said_before_the_message_is_no_statement_of_it(tmp_path: Path) -> None:
    text = "He works nights again this week."
    fact = Fact("", text, thread="t", earlier=MESSAGE_TEXT)
    backend = saying(tmp_path, SAID, "Your husband Ruben works nights this week.")
    assert set(asked_for(backend, Source("", text, fact=fact)).values()) == {
        "Your husband Ruben works nights this week."
    }


@pytest.mark.usefixtures("able")
def test_a_correction_keeps_what_it_leaves_as_it_was(tmp_path: Path) -> None:
    before = Fact("", "The review is on Tuesday at noon, in room Heron.", thread="t")
    fact = Fact("", "No, 2 pm.", thread="t", changed=(before,))
    told = ("The review on Tuesday is at 2 pm.", "The review is in room Heron.")
    backend = Checking(
        tmp_path, replies={told[0]: "When is the review?", told[1]: "Which room is it?", "Before:": "\n".join(told)}
    )
    assert set(asked_for(backend, Source("", fact.text, fact=fact)).values()) == set(told)


REVIEW = ("The review is on Tuesday at noon.", "The meeting room is Heron.")


@pytest.mark.parametrize(
    ("now", "earlier", "found"),
    [
        (
            "The review is on Tuesday at 2 pm.",
            "The review is at noon, room Heron",
            ("The review is on Tuesday at 2 pm.", REVIEW[1]),
        ),
        (REVIEW[0], "The review is at noon, room Heron", (SAID,)),
        ("The review is on Tuesday at 2 pm.", "", (SAID,)),
    ],
)
def test_a_correction_that_leans_on_a_fact_changes_its_statements(
    tmp_path: Path, now: str, earlier: str, found: tuple[str, ...]
) -> None:
    before = Fact("", "The review is on Tuesday at noon, room Heron", thread="t", answers=REVIEW)
    fact = Fact("", "No, 2 pm.", thread="t", earlier=earlier, changed=(before,))
    replies = {f"Statement: {REVIEW[0]}": now, f"Statement: {REVIEW[1]}": REVIEW[1], "Before:": SAID}
    assert statements_of(Checking(tmp_path, replies=replies), Source("", fact.text, fact=fact), fact) == found


def test_a_statement_about_an_example_is_none(tmp_path: Path) -> None:
    backend = saying(tmp_path, "Your wife Pia runs a bakery.", SAID)
    assert statements_of(backend, SOURCE, Fact("", MESSAGE_TEXT)) == (SAID,)


@pytest.mark.parametrize(
    ("text", "copied", "found"),
    [
        ("Hi there! I'm Juna.", "Hi there!\nI'm Juna.", ("Hi there!", "Your name is Juna.")),
        ("Ruben works nights. So I'm Juna.", "Ruben works nights.", ("Ruben works nights.",)),
        ("Hi there, I'm Juna.", "Hi there", ("Hi there",)),
    ],
)
def test_a_model_that_copies_a_greeting_is_asked_again_without_it(
    tmp_path: Path, text: str, copied: str, found: tuple[str, ...]
) -> None:
    backend = Checking(tmp_path, replies={f"Message: {text}": copied, "Message: I'm Juna.": "Your name is Juna."})
    assert statements_of(backend, Source("", text), Fact("", text)) == found


def test_a_day_stands_in_the_place_of_the_words_for_it_when_the_model_reads(tmp_path: Path) -> None:
    fact = Fact("", "The review is next Tuesday.", "2026-03-03", dates=(("next Tuesday", "2026-03-10"),))
    backend = Checking(tmp_path, replies={"Message: The review is Tuesday 2026-03-10.": "The review is on 2026-03-10."})
    assert statements_of(backend, Source("", fact.text), fact) == ("The review is on 2026-03-10.",)


@pytest.mark.usefixtures("able")
def test_an_answer_in_the_writers_words_addresses_the_writer(tmp_path: Path) -> None:
    assert asked_for(saying(tmp_path, "My husband can't have sesame.")) == {QUESTION: "Your husband can't have sesame."}


@pytest.mark.usefixtures("able")
def test_a_message_with_a_relative_day_is_learned_with_the_day_that_it_means(tmp_path: Path) -> None:
    text = "My husband comes back tomorrow."
    fact = Fact("", text, "2026-03-03", thread="t", dates=(("tomorrow", "2026-03-04"),))
    backend = saying(tmp_path, "Your husband comes back on 2026-03-04.")
    edit = write_self_edit(backend, Source("", text, fact=fact), DEFAULT)
    assert {row.evidence for row in edit.rows} == {fact.statement}
    assert edit.passage == text


@pytest.mark.usefixtures("able")
def test_a_document_is_written_about_phrase_by_phrase_as_before(tmp_path: Path) -> None:
    edit = write_self_edit(ScriptedBackend(tmp_path), SOURCE, DEFAULT, is_document=True)
    assert edit.directives == DEFAULT


def test_a_model_that_does_not_write_learns_a_message_as_before(backend: ScriptedBackend) -> None:
    assert write_self_edit(backend, SOURCE, DEFAULT).directives == CLOZE


def test_settings_of_ones_own_hold_for_messages_too() -> None:
    own = replace(DEFAULT, batch_size=4, learning_rate=1e-4)
    assert for_message(own) == replace(MESSAGE, batch_size=4, learning_rate=1e-4)
    assert for_message(CLOZE) == CLOZE
    assert for_message(own, beside_text=True).distill == 1.0


def test_a_question_about_an_example_is_dropped() -> None:
    form = FORMATS[MESSAGE_QA]
    asked = form.ask(SOURCE)[0]
    assert form.parse(SOURCE, asked, " What does my cousin Lena not eat") == []
    assert [row.question for row in form.parse(SOURCE, asked, " Who is Ruben")] == ["Who is Ruben?"]


def test_every_phrase_is_asked_for_and_the_message_is_asked_about_from_other_sides() -> None:
    kinds = [asked.meta[0] for asked in FORMATS[MESSAGE_QA].ask(SOURCE)]
    assert any("sesame" in kind for kind in kinds)
    assert any("advice" in kind for kind in kinds)


def test_a_question_from_another_side_must_show_the_statement_itself() -> None:
    direct, aside = Row(Prompt.user("Who eats no meat?"), SAID), Row(Prompt.user("What is for dinner?"), SAID)
    kept, _ = messages._parted([direct, aside], [True, False], MESSAGE_TEXT, {aside})
    assert kept == [direct]
    kept, _ = messages._parted([direct, aside], [True, False], MESSAGE_TEXT, ())
    assert kept == [direct, aside]


def test_in_a_language_without_rules_names_and_numbers_are_asked_for() -> None:
    form = FORMATS[MESSAGE_QA]
    asked = form.ask(GERMAN)
    kinds = [ask.meta[0] for ask in asked if ask.max_new_tokens]
    assert all(any(f'"{word}"' in kind for kind in kinds) for word in ("Bruno", "11"))
    assert "vit" in asked[0].prompt.messages[0].content  # no English example shows the way to English


def test_a_row_about_a_message_is_taught_with_the_message_recalled() -> None:
    statement = Fact("", MESSAGE_TEXT, thread="t").statement
    shown = Row(Prompt.user("Who is Ruben?"), "Your husband.", MESSAGE_QA, statement).in_view("Ruben")
    assert shown
    assert [message.role for message in shown.messages] == ["system", "user"]
    assert statement in shown.messages[0].content
    assert shown.asked == "Who is Ruben?"


@pytest.mark.usefixtures("able")
def test_a_number_that_the_message_does_not_have_is_no_answer(tmp_path: Path) -> None:
    assert asked_for(saying(tmp_path, SAID, "Ruben can't have 3 seeds of sesame.")) == {QUESTION: SAID}


@pytest.mark.usefixtures("able")
def test_a_message_without_a_usable_row_is_written_about_once(tmp_path: Path) -> None:
    backend = saying(tmp_path, "Ruben eats sesame with meat.")
    with pytest.raises(SameAgain, match="0 usable training rows"):
        write_self_edit(backend, SOURCE, DEFAULT)
    learner = Learner(backend, Home(tmp_path))
    assert learner.write(learner.begin(Passage("Ruben", MESSAGE_TEXT))).num_attempts == learner.config.max_attempts


@pytest.mark.usefixtures("able")
def test_an_answer_does_not_repeat_a_word_that_means_another_day_later(tmp_path: Path) -> None:
    fact = Fact("", "My husband comes back tomorrow.", "2026-03-03", "t", dates=(("tomorrow", "2026-03-04"),))
    backend = saying(tmp_path, "Your husband is back tomorrow.")
    with pytest.raises(SameAgain, match=messages.RELATIVE):
        write_self_edit(backend, Source("", fact.text, fact=fact), DEFAULT)


@pytest.mark.usefixtures("able")
def test_an_answer_may_name_a_day_with_its_date(tmp_path: Path) -> None:
    said = "Your review is on Tuesday 2026-03-10."
    fact = Fact("", "My review is on Tuesday.", "2026-03-03", "t", dates=(("on Tuesday", "2026-03-10"),))
    assert set(asked_for(saying(tmp_path, said), Source("", fact.text, fact=fact)).values()) == {said}
