"""Noun phrases and the questions that ask for them."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seal_agent.language.english.phrases import noun_phrases
from seal_agent.language.english.questions import (
    MAX_RECITAL_WORDS,
    answer_sentence,
    direct_question,
    echo_question,
    keyword_question,
    question_word,
)

SENTENCE = "Maududi founded the Jamaat-e-Islami party in 1941, and after a long illness he died in the city of Buffalo."


def texts(sentence: str) -> list[str]:
    return [span.text for span in noun_phrases(sentence)]


@pytest.mark.parametrize(
    ("sentence", "phrases"),
    [
        (SENTENCE, ["Maududi", "Jamaat-e-Islami party", "1941", "long illness", "city of Buffalo"]),
        ("A committee of the Parliament can present a bill.", ["committee of the Parliament", "bill"]),
        (
            "Most draft laws are government bills introduced by ministers.",
            ["draft laws", "government bills", "ministers"],
        ),
        ("It is what it is.", []),
        ("", []),
        ("Aspirin inhibits cyclooxygenase.", ["Aspirin", "cyclooxygenase"]),
        ("My dog Biscuit is allergic to chicken.", ["dog Biscuit", "chicken"]),
        ("Peyton Manning became the oldest quarterback.", ["Peyton Manning", "oldest quarterback"]),
        ("In 1983 he led the Broncos to a win, due to luck.", ["1983", "Broncos", "win", "luck"]),
        ("She went to the US in May 1941 with $2.5 million.", ["US", "May 1941", "$2.5 million"]),
        ("It covers 581,309 km2 (224,445 sq mi).", ["581,309 km2", "224,445 sq mi"]),
        ("I'm 34, it's true, and the API returns JSON at 6:45 am.", ["34", "API", "JSON", "6:45 am"]),
        ("She loves hiking.", ["hiking"]),
        ("At 6:45 am the ferry leaves for Oslo.", ["6:45 am", "ferry", "Oslo"]),
        ("The newly painted door was hit by a 45-yard pass.", ["painted door", "45-yard pass"]),
    ],
)
def test_phrases_that_can_answer_a_question(sentence: str, phrases: list[str]) -> None:
    assert texts(sentence) == phrases
    assert all(sentence[span.start : span.end] == span.text for span in noun_phrases(sentence))


def test_an_echo_question_has_the_question_word_where_the_phrase_stood() -> None:
    spans = {span.text: span for span in noun_phrases(SENTENCE)}
    assert echo_question(SENTENCE, spans["Jamaat-e-Islami party"]).startswith("Maududi founded what in 1941")
    assert echo_question(SENTENCE, spans["1941"]).startswith("Maududi founded the Jamaat-e-Islami party in what year")


def test_a_number_is_never_cut_in_two() -> None:
    sentence = "By 1990 the reserve covered 581,309 km2, and it opens at 3:30 pm on Fridays."
    questions = [echo_question(sentence, span) for span in noun_phrases(sentence)]
    assert questions[2] == "By 1990 the reserve covered how many km2, and it opens at 3:30 pm on Fridays?"
    assert questions[-1] == "It opens at 3:30 pm on what?"


def test_a_question_says_what_happens_not_just_what_stands_nearby() -> None:
    sentence = "The charter declares principles, including fair pay (for all), health at work, rights of old people."
    questions = {span.text: echo_question(sentence, span) for span in noun_phrases(sentence)}
    assert questions["health"].startswith("The charter declares principles, including fair pay (for all), what at work")
    assert questions["rights of old people"].endswith("health at work, what?")
    assert all("declares" in question for question in questions.values())


def test_a_short_sentence_is_recited_whole_and_a_long_one_in_parts_that_say_something() -> None:
    span = noun_phrases(SENTENCE)[1]
    assert answer_sentence(SENTENCE, span) == SENTENCE
    long = f"{SENTENCE[:-1]}; {SENTENCE}"
    spans = {span.start: span for span in noun_phrases(long)}
    parts = {answer_sentence(long, span) for span in spans.values()}
    assert len(long.split()) > MAX_RECITAL_WORDS
    assert parts == {SENTENCE}
    assert answer_sentence("Short: but it is new.", noun_phrases("Short: but it is new.")[0]) == "Short: but it is new."


def test_a_sentence_keeps_its_own_end() -> None:
    told = "The cellar of the inn was flooded by the Tarn!!"
    cellar, tarn = noun_phrases(told)
    assert answer_sentence(told, cellar) == told
    assert echo_question(told, tarn) == "The cellar of the inn was flooded by what?"


@pytest.mark.parametrize(
    ("phrase", "word"),
    [
        ("1941", "what year"),
        ("31 March 2008", "what date"),
        ("20,000 men", "how many men"),
        ("12", "how many"),
        ("80% of the population", "what percentage of the population"),
        ("$2.5 million", "how much"),
        ("$2.5 billion railway", "what"),
        ("3:30 pm", "what time"),
        ("10.0.0.12", "what"),
        ("19th century", "what"),
        ("the men", "what"),
    ],
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


def test_keywords_may_be_of_what_the_text_stands_under() -> None:
    question = "Come to the side entrance at what?"
    made = [keyword_question(question, 0.4, random.Random(seed), "Karlov Inn, Your first time") for seed in range(20)]
    assert any("Karlov" in text for text in made)
    assert any("first" in text for text in made)
    assert not any(word in text for text in made for word in ("Inn,", "Your"))
    assert not any("time" in text for text in made)  # "what time" asks for something else


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


@pytest.mark.parametrize(
    ("sentence", "phrase", "asked"),
    [
        ("The meeting moved from 3/4/2026 to 5/4/2026.", "3/4/2026", "The meeting moved from what date to 5/4/2026?"),
        ("The war of 1914-1918 destroyed the mill.", "1914-1918", "What destroyed the mill?"),
        ("Call 555-0142 for help.", "555-0142", "Call what for help?"),
    ],
)
def test_a_date_or_a_range_is_asked_for_whole(sentence: str, phrase: str, asked: str) -> None:
    spans = {span.text: span for span in noun_phrases(sentence)}
    assert not {"3", "4", "1914", "555"} & spans.keys()
    span = next(span for text, span in spans.items() if phrase in text)
    assert echo_question(sentence, span) == asked


@pytest.mark.parametrize(
    "sentence",
    [
        (
            "If the pressure rises above six bar while the pump is running at full speed in the cold winter months, "
            "the valve opens by itself and lets the steam of the old machine house out."
        ),
        (
            "Marie Tolland claimed in her third book on the mines of the river republics, which appeared in 1921, that "
            "the peace of Ossmark was bought with silver from the mines of Harn."
        ),
    ],
)
def test_a_condition_or_an_opinion_is_recited_whole(sentence: str) -> None:
    assert {answer_sentence(sentence, span) for span in noun_phrases(sentence)} == {sentence}


@given(st.text(max_size=80) | st.text(st.sampled_from("ab AM19:.,%$'’-/&;#|_ \u00a0\u2028é中"), max_size=60))
def test_whatever_stands_in_a_text_its_phrases_are_parts_of_it(sentence: str) -> None:
    for span in noun_phrases(sentence):
        assert sentence[span.start : span.end] == span.text
        assert echo_question(sentence, span).endswith("?")
        assert answer_sentence(sentence, span).endswith((".", "!", "?"))


@pytest.mark.parametrize(
    ("sentence", "phrase", "asked"),
    [
        ("I live in Ghent.", "Ghent", "Where do I live?"),
        ("I'm allergic to peanuts.", "peanuts", "What am I allergic to?"),
        ("I'm vegetarian.", "vegetarian", "What am I?"),
        ("I am 34.", "34", "How old am I?"),
        ("I have two cats.", "two cats", "What do I have?"),
        ("We take the bus at 7:20.", "7:20", "What time do we take the bus at?"),
        ("I moved to Linz.", "Linz", ""),  # no present: "What did I moved to?"
        ("Ottilie lives in Graz.", "Graz", ""),  # of somebody else, and asked for otherwise
    ],
)
def test_what_somebody_tells_of_himself_is_asked_for_as_he_would(sentence: str, phrase: str, asked: str) -> None:
    [span] = [span for span in noun_phrases(sentence) if span.text == phrase]
    assert direct_question(sentence, span) == asked


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "Ada Crane built the great mill of Karlov in 1911 with nine men from the village;",
            "it was sold in 1920 for 40 crowns to a man from Graz with six small children.",
        ),
        (
            "The inn of Karlov has a room for every guest of the choir of Linz and its young singers:",
            "two with a balcony, nine with a bath, four with a stove and one with a view of the river Harn.",
        ),
        (
            "Groups of the old guard such as the Karlov Choir and the Linz Brass Band (in the north):",
            "entirely reject the new hall of the mayor, often with songs against those who support the plan.",
        ),
    ],
)
def test_a_part_of_a_sentence_that_says_nothing_by_itself_is_recited_with_the_rest(before: str, after: str) -> None:
    told = f"{before} {after}"
    assert answer_sentence(told, noun_phrases(told)[-1]) == told
