"""What is learned of a text means the same alone, and says nothing that the text does not."""

import json
import re
import time
from pathlib import Path

import pytest
from statements import LIBRARY, MIN_SENTENCE, TEXTS, rows_of

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.errors import EditFault
from seal_agent.documents.passages import split_passages
from seal_agent.language.english.coreference import refers_back
from seal_agent.language.english.questions import field_questions
from seal_agent.language.english.relative_time import relative_time
from seal_agent.language.english.statements import statements
from seal_agent.language.sentences import split_sentences
from seal_agent.language.source import Source
from seal_agent.writing.augmentations import AUGMENTATIONS
from seal_agent.writing.directives import CLOZE
from seal_agent.writing.filters import is_quotation
from seal_agent.writing.writer import write_self_edit

LEANING = json.loads((Path(__file__).parent.parent / "data" / "leaning.json").read_text(encoding="utf-8"))
"""Texts by what becomes of their last sentence: "leaning" on what stands before it, or meaning the same "alone"."""
FIELD = re.compile(r"The (?P<name>[^:]+) of (?P<title>\S+) (?:is|are) (?P<value>\S+)\.")


@pytest.mark.parametrize("name", TEXTS)
def test_no_row_says_what_the_text_does_not(name: str) -> None:
    for source, row in rows_of(TEXTS[name]):
        answer = row.answer.replace(f"{source.heading}: ", "") if source.heading else row.answer
        assert not relative_time(answer)
        if field := FIELD.fullmatch(answer):
            assert f"{field['name']}: {field['value']}".casefold() in source.passage.casefold()
            assert field["title"] == source.title
        else:
            assert is_quotation(answer, source.passage), answer


@pytest.mark.parametrize("text", LEANING["leaning"])
def test_a_sentence_that_leans_on_another_is_learned_behind_it_or_left_out(text: str) -> None:
    sentences = split_sentences(text)
    told, left_out = statements(sentences)
    assert [left for left in left_out if left.sentence == sentences[-1]] or told[-1].context
    whole = [row.answer for _, row in rows_of(text) if row.source != "cloze" or len(row.answer.split()) >= MIN_SENTENCE]
    assert sentences[-1].strip(" .?") not in {answer.strip(" .?") for answer in whole}


@pytest.mark.parametrize("text", LEANING["alone"])
def test_a_sentence_that_only_looks_as_if_it_leaned_is_learned_alone(text: str) -> None:
    last = split_sentences(text)[-1]
    told, _ = statements(split_sentences(text))
    assert (told[-1].text, told[-1].quoted) == (last, last)


@pytest.mark.parametrize("text", [*TEXTS.values(), *LEANING["leaning"], "Ada met Tom. They married."])
def test_every_sentence_of_a_text_is_in_a_row_or_in_the_ledger(text: str, tmp_path: Path) -> None:
    for passage in split_passages(text):
        source = Source(passage.topic, passage.text, heading=passage.heading)
        told = {statement.quoted: statement.sentence for statement in source.statements}
        left_out = {left.sentence for left in source.left_out}
        sentences = split_sentences(passage.text)
        assert all((sentence in told) != (sentence in left_out) for sentence in sentences)
        try:
            edit = write_self_edit(ScriptedBackend(tmp_path), source, CLOZE)
        except EditFault:
            continue  # nothing is learned, and the fault says why
        rows = "\n".join(f"{row.evidence}\n{row.question}\n{row.answer}" for row in edit.rows).casefold()
        fields = {sentence: (field_questions(sentence, source.title) or ([], sentence))[1] for sentence in sentences}
        given = {dropped.text for dropped in edit.dropped}
        for sentence in sentences:
            wordings = {sentence, told.get(sentence, sentence), fields[sentence]}
            assert sentence in given or any(said.strip(" .").casefold() in rows for said in wordings), sentence


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", ["it is ", "because ", "Because it is ", "it is. ", "on Monday ", "And a-", "The Red Mill "]
)
def test_a_long_text_of_words_that_point_back_is_read_in_linear_time(words: str) -> None:
    text = (words * (65536 // len(words)))[:65536]
    begun = time.process_time()
    statements(split_sentences(text))
    assert time.process_time() - begun < 2.0


@pytest.mark.parametrize("name", sorted(TEXTS.keys() - {"questions"}))  # there the question says what "it" is
def test_a_sentence_that_points_back_is_only_learned_behind_what_stands_before_it(name: str) -> None:
    for source, row in rows_of(TEXTS[name]):
        if row.source == "reorder" or len(row.answer.split()) < MIN_SENTENCE:
            continue
        told = split_sentences(row.answer)
        is_first = source.passage.startswith(told[0])
        assert not refers_back(told[0], is_first=is_first) or told[0].startswith(f"{source.heading}: "), row.answer
        assert row.answer.strip(".").casefold() in f"{source.heading}: {source.passage}".casefold() or len(told) == 1


def test_sentences_in_another_order_keep_what_they_point_back_to() -> None:
    source = Source("Karlov", f"{LIBRARY} The mill has two wheels. It is red.")
    for row in AUGMENTATIONS["reorder"](source, [], 3):
        assert "The mill has two wheels. It is red." in row.answer
        assert LIBRARY in row.answer


@pytest.mark.parametrize(
    "sentence",
    [
        "It closes at five.",
        "Petra Holm runs it.",
        "In 1990 it moved to Graz.",
        "She works at a bakery in Ghent and has two sons.",
        "However, he resigned.",
        "Its keeper is Bartho Veen.",
        "Both are red.",
        "The latter is closed.",
        "One of them is blue.",
        "My sister lives there.",
        "Everybody loves him.",
        "I gave it to Daniel.",
        "I visit her every week.",
        "This was a success.",
        "This museum was founded in 1852.",
        "Ada knows that.",
        "The following day Tom came.",
        "Two days later Bob left.",
        "The first one is too expensive.",
        "Where does she live?",
        "Has she children?",
    ],
)
def test_a_sentence_points_back(sentence: str) -> None:
    assert refers_back(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "The library opens at nine.",
        "Leo lost his bike.",
        "Maria said she would come.",
        "The ferry, which he built, sank.",
        "It is important to wash the pans.",
        "It rained all day in Bruges.",
        "There are two towers.",
        "Both Ada and Tom live in Graz.",
        "Does Ada love her cat?",
        "When does the pool open?",
        "If the pump stops, turn it off.",
        "This museum was founded in 1852.",
    ],
)
def test_a_first_sentence_stands_alone(sentence: str) -> None:
    assert not refers_back(sentence, is_first=True)


def test_a_sentence_left_out_takes_along_what_points_back_to_it() -> None:
    told, left_out = statements(split_sentences(TEXTS["on one day"]))
    assert [statement.text for statement in told] == ["The rent of the flat is 900 euros.", "The tap is brass."]
    assert [left.sentence for left in left_out] == ["The plumber comes tomorrow.", "He brings the new tap."]
    assert "say it with the date" in left_out[0].reason
    assert "say it with the name" in left_out[1].reason


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("The Lantern Ferry is old. The ferry is red.", "The Lantern Ferry is red."),
        ("We took the Lantern Ferry. Every day the ferry's bell rings.", "Every day the Lantern Ferry's bell rings."),
        ("The Tower of Karlov is old. The tower is red.", "The Tower of Karlov is red."),
        ("The Lantern Ferry is old. The ferry to Oslo is red.", "The ferry to Oslo is red."),
        ("The Lantern Ferry and the Star Ferry are old. The ferry is red.", "The ferry is red."),
        ("The Lantern Ferry took the place of an old ferry. The ferry is red.", "The ferry is red."),
        ("Two ferries met the Lantern Ferry. The ferry is red.", "The ferry is red."),
        ("Stephen King wrote a play. The king dies in the last act.", "The king dies in the last act."),
        ("A steam engine is hot. The engine is red.", "The engine is red."),
    ],
)
def test_a_name_is_spelled_out_where_the_text_speaks_of_nothing_else_of_that_kind(text: str, told: str) -> None:
    assert statements(split_sentences(text))[0][-1].text == told


def test_a_passage_is_not_cut_before_it() -> None:
    for passage in split_passages(TEXTS["a long page"]):
        assert passage.text.startswith("The mill")
        assert len(passage.text) <= 1200
