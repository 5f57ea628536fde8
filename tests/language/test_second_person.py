"""What somebody says of himself is told back to him, where that is safe."""

from pathlib import Path

import pytest

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.errors import EditFault
from seal_agent.language.english.second_person import MAX_WORDS, to_second_person, unclear_speaker
from seal_agent.language.source import Source
from seal_agent.writing.directives import CLOZE
from seal_agent.writing.writer import write_self_edit


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("My dog Biscuit is allergic to chicken.", "Your dog Biscuit is allergic to chicken."),
        ("I'm vegetarian and my partner is not.", "You're vegetarian and your partner is not."),
        ("We renamed our project to Osprey.", "You renamed your project to Osprey."),
        ("Yesterday I was in Graz, and I wasn't alone.", "Yesterday you were in Graz, and you weren't alone."),
        ("I really am tired; my flight leaves at 6 am.", "You really are tired; your flight leaves at 6 am."),
        ("The book he gave me was red, I liked it.", "The book he gave you was red, you liked it."),
        ("A friend of mine sent us our keys.", "A friend of yours sent you your keys."),
        ("My grandfather fought in World War I.", "Your grandfather fought in World War I."),
        ("My father worked in a coal mine in the US.", "Your father worked in a coal mine in the US."),
        ("I like the film My Fair Lady.", "You like the film My Fair Lady."),
        (
            "An I/O error hit my.conf; the keys are mine, I think.",
            "An I/O error hit my.conf; the keys are yours, you think.",
        ),
    ],
)
def test_a_statement_about_oneself_changes_the_person(said: str, told: str) -> None:
    assert to_second_person(said) == told
    assert to_second_person(told) == told


@pytest.mark.parametrize(
    "said",
    [
        "Call me Sam.",
        "I want you to call me Sam.",
        "Elizabeth I was queen of England.",
        "The meeting moved to Friday.",
        "",
    ],
)
def test_what_is_not_plainly_about_its_writer_stays(said: str) -> None:
    assert to_second_person(said) == said


def test_a_message_is_learned_as_it_is_asked_and_told_back(backend: ScriptedBackend) -> None:
    message = Source("Biscuit", "My dog Biscuit is allergic to chicken.")
    rows = write_self_edit(backend, message, CLOZE).rows
    assert ("My dog Biscuit is allergic to what?", "Your dog Biscuit is allergic to chicken.") in [
        (row.question, row.answer) for row in rows
    ]
    assert {row.evidence for row in rows} == {message.passage}


def test_a_document_and_a_long_message_are_learned_as_they_stand(backend: ScriptedBackend) -> None:
    more = "The flat has nine rooms and a purple door. " * (MAX_WORDS // 8)
    letter = Source("Graz", f"I moved to Graz in May. {more}")
    short = Source("Graz", "I moved to Graz in May.")
    for source, is_document in ((letter, False), (short, True)):
        rows = write_self_edit(backend, source, CLOZE, is_document=is_document).rows
        assert "I moved to Graz in May." in {row.answer for row in rows}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("I told Tom Varga I live in Riga.", "You told Tom Varga you live in Riga."),
        ("My bike is called I Robot.", "Your bike is called I Robot."),
        ("Me and Nadia share a flat.", "You and Nadia share a flat."),
        ("His car is red and mine is blue.", "His car is red and yours is blue."),
        ('My doctor asked me "Are you ill?".', 'Your doctor asked you "Are you ill?".'),
        ("I was born before World War I.", "You were born before World War I."),
    ],
)
def test_every_word_for_the_writer_turns_and_a_name_does_not(text: str, told: str) -> None:
    assert to_second_person(text) == told
    assert not unclear_speaker(text)


@pytest.mark.parametrize(
    "text",
    [
        "I owe you 400 euros.",
        "You gave me your number.",
        "I'd like you to call me Zork.",
        "The doctor told me you are a good listener.",
        "Call me Zork.",
        "I told Tom Varga I lived in Riga.",
    ],
)
def test_a_sentence_whose_speaker_is_unclear_is_not_learned(text: str) -> None:
    assert unclear_speaker(text)
    assert to_second_person(text) == text


def test_a_message_of_an_unclear_speaker_is_refused_with_that_reason(tmp_path: Path) -> None:
    with pytest.raises(EditFault, match="its subject is unclear"):
        write_self_edit(ScriptedBackend(tmp_path), Source("me", "I owe you 400 euros."), CLOZE)
