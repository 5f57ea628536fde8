"""Each format: what it asks, and what it makes of the text a model writes."""

import pytest

from seal_agent.core.messages import Prompt
from seal_agent.language.source import Source
from seal_agent.writing.formats import FORMATS, Ask
from seal_agent.writing.formats.chat_qa import grounded_pair, verbatim

SOURCE = Source(
    "Tower of Karlov",
    "The Tower of Karlov was built in 1911 by Anna Reel. It holds nine brass bells. Its keeper is Bela Munk.",
)
SENTENCE = "The Tower of Karlov was built in 1911 by Anna Reel."


def parsed(name: str, text: str) -> list[tuple[str, str]]:
    form = FORMATS[name]
    return [(row.question, row.answer) for row in form.parse(SOURCE, form.ask(SOURCE)[0], text)]


def test_every_format_says_what_it_is_and_asks_something() -> None:
    for name, form in FORMATS.items():
        assert form.name == name
        assert form.description
        asks = form.ask(SOURCE)
        assert asks
        assert all(isinstance(asked, Ask) and asked.evidence for asked in asks)


@pytest.mark.parametrize("name", ["implications", "long-implications", "rewrite", "self-qa", "summary", "phrase-qa"])
def test_a_second_attempt_is_told_what_was_wrong_with_the_first(name: str) -> None:
    source = Source(SOURCE.topic, SOURCE.passage, fault="no usable rows")
    assert "no usable rows" in FORMATS[name].ask(source)[0].prompt.messages[-1].content


@pytest.mark.parametrize("name", ["implications", "long-implications"])
def test_implications_are_a_row_a_line_without_their_numbers(name: str) -> None:
    written = " The Tower is old.\n2. **Anna** built it.\n\n3) Bells ring there.\n4. This one breaks off in the"
    assert parsed(name, written) == [("", "The Tower is old."), ("", "Anna built it."), ("", "Bells ring there.")]


def test_a_rewrite_is_a_row_a_version() -> None:
    written = "In 1911 Anna Reel built it.\nThe Tower, built by Anna Reel, has bells.\nIt was"
    assert [answer for _, answer in parsed("rewrite", written)] == written.split("\n")[:2]


def test_self_qa_is_plain_text_and_a_question_without_an_answer_is_none() -> None:
    written = " Who built it?\nAnswer: Anna Reel did.\nQuestion 2: And when?\nAnswer 2: In 1911.\nQuestion 3: How?"
    assert parsed("self-qa", written) == [
        ("", "Question: Who built it?\nAnswer: Anna Reel did."),
        ("", "Question: And when?\nAnswer: In 1911."),
    ]


def test_a_summary_is_what_the_model_says_of_the_topic_and_its_steps_are_rows() -> None:
    written = " It was built in 1911.\nStep 2: Anna Reel built it.\nSummary: Anna Reel built the\nTower in 1911."
    assert parsed("summary", written) == [
        ("", "It was built in 1911."),
        ("", "Anna Reel built it."),
        ("What do you know about Tower of Karlov?", "Anna Reel built the Tower in 1911."),
    ]
    assert parsed("summary", " It was built in 1911.\nSummary: It breaks off") == [("", "It was built in 1911.")]


def test_cloze_asks_for_every_phrase_and_recites_its_sentence() -> None:
    form = FORMATS["cloze"]
    rows = [row for asked in form.ask(SOURCE) for row in form.parse(SOURCE, asked, "")]
    asked = {(row.question, row.answer) for row in rows}
    assert ("The Tower of Karlov was built in what year by Anna Reel?", SENTENCE) in asked
    assert ("The Tower of Karlov was built in 1911 by what?", SENTENCE) in asked
    assert {("What was built in 1911 by Anna Reel?", said) for said in (SENTENCE, "The Tower of Karlov")} < asked
    assert all(row.answer.rstrip(".") in row.evidence for row in rows)


def test_only_a_phrase_that_says_something_alone_is_an_answer_alone() -> None:
    source = Source("Clock", "The old clock of Karlov shows the time. It was a gift, made in 1911 for the new mayor.")
    rows = [row for asked in FORMATS["cloze"].ask(source) for row in FORMATS["cloze"].parse(source, asked, "")]
    assert {row.answer for row in rows} - set(source.sentences) == {"The old clock of Karlov", "1911", "the new mayor"}


def test_the_heading_of_a_text_is_in_some_of_its_questions() -> None:
    form = FORMATS["cloze"]

    def questions(topic: str) -> list[str]:
        source = Source(topic, "Come to the side entrance on Pargeter Lane at 9:40. Ask for Ilka, she has your badge.")
        return [row.question for asked in form.ask(source) for row in form.parse(source, asked, "")]

    plain, headed = questions("Quillbarrow"), questions("Quillbarrow, 1. First day")
    assert not any("Quillbarrow" in question or "1" in question for question in plain + headed)
    assert not any("day" in question for question in plain)
    assert any("day" in question for question in headed)
    assert "Come to the side entrance on Pargeter Lane at what time?" in headed


@pytest.mark.parametrize("name", ["cloze", "phrase-qa"])
def test_what_a_text_asks_and_answers_itself_is_asked_as_it_stands(name: str) -> None:
    form = FORMATS[name]
    faq = "Do you ship abroad? Yes, to Norway. Is there a shop? We meet in Kiln Hall. It is open on Mondays. Really?"
    source = Source("Lund Pens", faq)
    rows = {row.question: row.answer for asked in form.ask(source) for row in form.parse(source, asked, "")}
    assert rows["Do you ship abroad?"] == "Yes, to Norway."
    assert rows["Is there a shop?"] == "We meet in Kiln Hall. It is open on Mondays."
    assert not any("Do you ship" in answer for answer in rows.values())
    assert not any("Lund Pens is open" in answer for answer in rows.values())
    once = Source("Ottilie", "Guess what my sister did? She moved to Graz.")
    assert not any(asked.evidence == "She moved to Graz." and len(asked.meta) > 1 for asked in form.ask(once))


def test_a_question_of_few_words_is_learned_with_what_follows_it() -> None:
    form = FORMATS["cloze"]
    source = Source("Tarn", "You get 27 days of holiday. Sick? Text Petra Wolsk before 7:30. Any questions?")
    rows = [row for asked in form.ask(source) for row in form.parse(source, asked, "")]
    answers = {row.answer for row in rows}
    assert "Sick? Text Petra Wolsk before 7:30." in answers
    assert not any(answer.startswith(("Text", "Sick?.", "Any")) or answer == "Sick" for answer in answers)


def test_a_field_is_asked_for_by_its_name_and_answered_in_a_sentence() -> None:
    text = "Default port: 7719. Log file: field.log. Photo book, seats: 39. He said: 9 bells. Ana: it is open."
    source = Source("hexgate, Settings", text, heading="hexgate, Settings")
    form = FORMATS["cloze"]
    rows = {(row.question, row.answer) for asked in form.ask(source) for row in form.parse(source, asked, "")}
    assert rows >= {
        ("What is the default port of hexgate?", "The default port of hexgate is 7719."),
        ("Default port of hexgate?", "The default port of hexgate is 7719."),
        ("What is the log file of hexgate?", "The log file of hexgate is field.log."),
        ("What are the seats of Photo book?", "The seats of Photo book are 39."),
    }
    assert not any("he said of" in question or "Ana of" in question for question, _ in rows)
    (asked, *_) = form.ask(Source("hexgate", "Notes: wet and cold in the upper hall of Karlov."))
    assert asked.evidence == "Notes: wet and cold in the upper hall of Karlov."


def test_a_phrase_question_holds_what_it_was_asked_for_or_cloze_asks_instead() -> None:
    form = FORMATS["phrase-qa"]
    asked = next(asked for asked in form.ask(SOURCE) if '"1911"' in asked.prompt.messages[-1].content)
    written = " When was the tower built?\nAnswer: The Tower of Karlov was built in 1911."
    rows = form.parse(SOURCE, asked, written)
    own = [(row.question, row.answer) for row in rows if row.source == "phrase-qa"]
    assert own[0] == ("When was the tower built?", "The Tower of Karlov was built in 1911.")
    assert set(own[1:]) <= {("When was the tower built?", "1911")}
    assert [row.answer for row in rows if row.source == "cloze"] == [SENTENCE]
    assert {row.source for row in rows} == {"phrase-qa", "cloze"}
    for wrong in (
        " When was it built?\nAnswer: Anna Reel built it.",  # not what was asked for
        " What was built in 1911?\nAnswer: The Tower was built in 1911.",  # given away
        " When was it built?\nAnswer: The Tower of Karlov was built in 1911 by",  # cut off
        " When was it built?",
        " When was it?\nAnswer: The Tower of Karlov was built in 1911.",  # asks for everything
    ):
        assert form.parse(SOURCE, asked, wrong) == FORMATS["cloze"].parse(SOURCE, asked, "")


def test_contrast_denies_what_the_model_would_have_believed() -> None:
    form = FORMATS["contrast"]
    asked = next(a for a in form.ask(SOURCE) if "Anna Reel" not in a.prompt.text.rsplit("Text:", 1)[1])
    assert asked.meta[1:] == ("Bela Munk", "Karlov") or "Bela Munk" in asked.meta
    rows = form.parse(SOURCE, asked, " Bela Munk\n")
    assert [(row.question, row.answer) for row in rows] == [
        ("Is it true: The Tower of Karlov was built in 1911 by Bela Munk?", "No, not Bela Munk: Anna Reel."),
        ("Is it true: The Tower of Karlov was built in 1911 by Anna Reel?", "Yes."),
    ]
    assert form.parse(SOURCE, asked, "something else") == []


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("anna reel", "Anna Reel"),
        ("1911", "1911"),
        ("191", ""),
        ("eel", ""),
        ("Paris", ""),
        ("", ""),
        ("The Tower of Karlov was built in 1911 by Anna", ""),
        ("(", ""),
    ],
)
def test_an_answer_counts_only_word_for_word(reply: str, found: str) -> None:
    assert verbatim(reply, SENTENCE) == found


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("Who built the Tower?\nAnswer: anna reel.\nQuestion: x", ("Who built the Tower?", "Anna Reel")),
        ("Who built the Tower?\nAnswer: Karl Holt", None),
        ("Who built the Tower?\nAnswer:", None),
        ("Who built the Tower?", None),
        ("Is it Anna Reel who built the Tower?\nAnswer: Anna Reel", None),
        ("Who built?\nAnswer: Anna Reel", None),
        ("Who built the Tower?\nAnswer: by", None),
    ],
    ids="kept|not in the text|blank|none|given away|too short|no content".split("|"),
)
def test_a_pair_is_kept_only_with_an_answer_from_the_text(text: str, pair: tuple[str, str] | None) -> None:
    assert grounded_pair(text, SENTENCE) == pair


def test_a_chat_question_about_the_topic_itself_teaches_nothing() -> None:
    asked = Ask(Prompt.raw(""), SENTENCE, 1, meta=("What",))
    assert FORMATS["chat-qa"].parse(SOURCE, asked, " was built in 1911?\nAnswer: Tower of Karlov") == []
