"""Noun phrases and the questions that ask for them."""

import random

import pytest

from seal_agent.spans import MAX_RECITAL_WORDS, echo_question, keyword_question, noun_phrases, question_word, recital

SENTENCE = "Maududi founded the Jamaat-e-Islami party in 1941, and after a long illness he died in the city of Buffalo."


def texts(sentence: str) -> list[str]:
    return [span.text for span in noun_phrases(sentence)]


@pytest.mark.parametrize(
    ("sentence", "phrases"),
    [
        (SENTENCE, ["Jamaat-e-Islami party", "1941", "long illness", "city of Buffalo"]),
        ("A committee of the Parliament can present a bill.", ["committee of the Parliament", "bill"]),
        ("Most draft laws are government bills introduced by ministers.", ["draft laws", "ministers"]),
        ("It is what it is.", []),
        ("", []),
    ],
)
def test_phrases_that_can_answer_a_question(sentence: str, phrases: list[str]) -> None:
    assert [text for text in texts(sentence) if text in phrases] == phrases
    assert all(sentence[span.start : span.end] == span.text for span in noun_phrases(sentence))


def test_an_echo_question_has_the_question_word_where_the_phrase_stood() -> None:
    spans = {span.text: span for span in noun_phrases(SENTENCE)}
    assert echo_question(SENTENCE, spans["Jamaat-e-Islami party"]).startswith("Maududi founded what in 1941")
    assert echo_question(SENTENCE, spans["1941"]).startswith("Maududi founded the Jamaat-e-Islami party in what year")


def test_a_short_sentence_is_recited_whole_and_a_long_one_in_parts_that_say_something() -> None:
    span = noun_phrases(SENTENCE)[0]
    assert recital(SENTENCE, span) == SENTENCE
    long = f"{SENTENCE[:-1]}; {SENTENCE}"
    spans = {span.start: span for span in noun_phrases(long)}
    parts = {recital(long, span) for span in spans.values()}
    assert len(long.split()) > MAX_RECITAL_WORDS
    assert parts == {SENTENCE}
    assert recital("Short: but it is one.", noun_phrases("Short: but it is one.")[0]) == "Short: but it is one."


@pytest.mark.parametrize(
    ("phrase", "word"), [("1941", "what year"), ("20,000 men", "how many men"), ("12", "how many"), ("the men", "what")]
)
def test_years_and_numbers_say_what_asks_for_them(phrase: str, word: str) -> None:
    assert question_word(phrase) == word


def test_keywords_are_some_of_the_questions_words_and_its_question_word() -> None:
    question = "Maududi founded the Jamaat-e-Islami party in what year?"
    made = {keyword_question(question, 0.4, random.Random(seed)) for seed in range(20)}
    words = {word.lower() for word in question.rstrip("?").split()}
    assert len(made) > 10
    for text in made:
        assert {word.lower() for word in text.rstrip("?").split()} <= words
        assert "what year" in text.lower()


@pytest.mark.parametrize(
    ("sentence", "answer"),
    [
        ("The door of the lighthouse is painted purple.", "purple"),
        ("The walls are bright red, and the floor is wet.", "bright red"),
        ("The bridge was quickly rebuilt in stone.", None),
    ],
)
def test_what_something_is_said_to_be_can_be_asked_for(sentence: str, answer: str | None) -> None:
    found = [span.text for span in noun_phrases(sentence)]
    assert (answer in found) if answer else not {"quickly rebuilt", "rebuilt"} & set(found)
