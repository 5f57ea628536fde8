import re
from pathlib import Path

import pytest

from seal_agent.core.documents import Passage
from seal_agent.core.errors import InputError
from seal_agent.documents.passages import divide, is_heading, read_document, split_passages, topic_of
from seal_agent.language.sentences import split_sentences

PAGE = """# The Amber Bridge

The Amber Bridge was designed by Carla Mendes in 1911. It has nine red towers.

## Building

Work began in May
of that year. Forty masons came from Galloway.

## Notes

### Sources

Every spring a choir of dentists sings here.

See also the Iron Bridge
"""
WRAPPED = """The Lantern Ferry crosses Lake Vandrel between the
towns of Ostrevik and Pellmora. It was built in 1887
by the shipwright Marit Halvane."""


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("It rains.  It\npours! Does it? Yes.", ["It rains.", "It pours!", "Does it?", "Yes."]),
        (
            "Dr. Reel met Mr. J. Holt vs. Prof. Kay. He won.",
            ["Dr. Reel met Mr. J. Holt vs. Prof. Kay.", "He won."],
        ),
        ("It costs 3.50 crowns, e.g. on Mondays. 12 people came.", None),
        ("It is at example.com now. See it.", ["It is at example.com now.", "See it."]),
        (
            "It is 20 °C. It takes 16 V. In 1850 A. Holt came.",
            ["It is 20 °C.", "It takes 16 V.", "In 1850 A. Holt came."],
        ),
        ("雨が降る。風が吹く。", ["雨が降る。", "風が吹く。"]),
        ('He said "Go." Then (as one does.) He left.', ['He said "Go."', "Then (as one does.)", "He left."]),
        ("  \n ", []),
    ],
    ids=["ends", "abbreviations", "numbers", "domain", "units", "no spaces", "closing quotes", "empty"],
)
def test_sentences_are_split_where_they_end(text: str, sentences: list[str] | None) -> None:
    expected = sentences or (text.replace(". 12", ".|12").split("|") if text.strip() else [])
    assert split_sentences(text) == expected


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("# Amber Bridge\n\nIt was built in 1911.", "Amber Bridge"),
        ("It was designed by the engineer Carla Mendes.", "Carla Mendes"),
        ("When the Tower of Karlov fell, it rained.", "Tower of Karlov"),
        ("my cat likes fish and also milk a lot.", "my cat likes fish and also"),
        (WRAPPED, "The Lantern Ferry"),
    ],
    ids=["heading", "name after an opener", "name with of", "no name", "hard-wrapped"],
)
def test_the_topic_is_the_heading_or_the_first_name(text: str, topic: str) -> None:
    assert topic_of(text) == topic


def test_a_heading_is_a_few_words_that_are_no_sentence() -> None:
    assert is_heading("The Amber Bridge")
    assert not any(is_heading(line) for line in ["It rains.", "", "---", "one two three " * 4])


def test_a_heading_starts_a_passage_and_the_topic_goes_with_all_of_them() -> None:
    topics = [passage.topic for passage in split_passages(PAGE)]
    assert topics == ["The Amber Bridge", "The Amber Bridge, Building, Notes, Sources"]
    assert all(topic.startswith("The Amber Bridge") for topic in topics)
    assert all(p.topic.startswith("My page") for p in split_passages(PAGE, title="My page"))


def test_an_item_in_small_letters_is_a_sentence_and_a_command_stays() -> None:
    items = ["green, one flash: all is well", "red, steady: the bell of Karlov is stuck", "run bells"]
    for page in ("\n".join(f"- {item}" for item in items), "\n".join(f"{item}." for item in items)):
        sentences = split_sentences(split_passages(page)[0].text)
        assert sentences[0] == "Green, one flash: all is well."
        assert sentences[1] == "Red, steady: the bell of Karlov is stuck. run bells."


def test_a_heading_names_its_thing_without_ornaments() -> None:
    page = """# Welcome to the Karlov Inn! 🔔

It has 22 rooms, all of them with a view of the tower and its nine bells.

☕️ Breakfast

It is served from 7:30 to 10:15 in the hall under the tower, with a bell for the late."""
    topics = [passage.topic for passage in split_passages(page)]
    assert topics == ["Karlov Inn", "Karlov Inn, Breakfast"]


def test_a_hard_wrapped_paragraph_stays_whole() -> None:
    assert split_passages(WRAPPED) == [Passage("The Lantern Ferry", " ".join(WRAPPED.split()))]


MINUTES = """MINUTES of the Garden Club

Present
- Ana Brandt
- Bo Lind (chair)

Decisions:
1. The shed is painted green
2. The fee rises to 14 euros,
   from May on

Place: Kiln Hall
Next meeting: 8 April

- Bring a cup
- wear shoes

It is said that the following
holds: nobody is late
– as a rule – and all are heard.
"""


LONG_ENOUGH = "It holds nine bells, all of them cast in the year 1911 by Anna Reel."


def test_every_item_of_a_list_and_every_field_is_a_sentence() -> None:
    (passage,) = split_passages(MINUTES)
    assert passage.topic == "MINUTES of the Garden Club, Present"
    assert split_sentences(passage.text) == [
        "Ana Brandt.",
        "Bo Lind (chair).",
        "Decisions: 1) The shed is painted green.",
        "2) The fee rises to 14 euros, from May on.",
        "Place: Kiln Hall.",
        "Next meeting: 8 April.",
        "Bring a cup. wear shoes.",
        "It is said that the following holds: nobody is late – as a rule – and all are heard.",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Karlov\n\nThe Tower\n\nIt holds nine bells.", [("Karlov, The Tower", "It holds nine bells.")]),
        ("Karlov\n\nPart 1\n\nThe Tower\n\nIt rings.", [("Karlov, Part 1, The Tower", "It rings.")]),
        (
            f"Karlov\n\n1. Bells\n{LONG_ENOUGH}\n\n2. Rent\n{LONG_ENOUGH}",
            [("Karlov, 1. Bells", LONG_ENOUGH), ("Karlov, 2. Rent", LONG_ENOUGH)],
        ),
        (f"Karlov\n\n{LONG_ENOUGH}\n\nBells\n\nNine.", [("Karlov, Bells", f"{LONG_ENOUGH} Bells: Nine.")]),
        (
            "Karlov\n\nBells\n\nNext meeting: 26 May\n\nAll come.",
            [("Karlov, Bells", "Next meeting: 26 May. All come.")],
        ),
        ("Bells\n\nAmber\n: The card is full.", [("Bells", "Amber: The card is full.")]),
        (
            "Subject: Bells of Karlov\nFrom: Anna\n\nAll come.",
            [("Bells of Karlov", "Subject: Bells of Karlov. From: Anna. All come.")],
        ),
        ("Shopping\n\nMilk\n\nEggs\n\nBread", [("Shopping", "Milk. Eggs. Bread")]),
        ("Shopping\n\nMilk\n\nEggs\n\nBread\n\nBy noon.", [("Shopping, Bread", "Milk. Eggs. By noon.")]),
        ("Karlov", [("Karlov", "Karlov")]),
        ("Karlov\n\nBy: Anna Reel\n\nBells\n\nNine.", [("Karlov, Bells", "By: Anna Reel. Nine.")]),
    ],
    ids=[
        "title",
        "one below the other",
        "numbered",
        "few words",
        "a field among text",
        "defined",
        "subject",
        "lines alone",
        "lines before a text",
        "nothing else",
        "field",
    ],
)
def test_headings_without_a_text_and_few_words_are_no_passages(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(passage.topic, passage.text) for passage in split_passages(text)] == expected


LONG = " ".join(f"Tower {n} of Karlov holds {n} brass bells." for n in range(400))
SHORT_SENTENCES = "Go on. " * 500
UNPUNCTUATED = " ".join(f"word{n}" for n in range(3000))


@pytest.mark.parametrize(
    "text",
    [PAGE, WRAPPED, LONG, SHORT_SENTENCES, UNPUNCTUATED, "Hello there", "A\n\nB\n\nC", f"{PAGE}\n---\n\n{LONG}"],
    ids=["page", "wrapped", "long", "short sentences", "unpunctuated", "a line", "headings only", "rule"],
)
def test_passages_lose_no_word_and_keep_to_the_limit(text: str) -> None:
    passages = split_passages(text)
    assert all(p.text.strip() and p.topic.strip(" ,") == p.topic for p in passages)
    kept = " ".join(f"{p.topic} {p.text}" for p in passages)
    assert set(re.findall(r"\w+", text)) <= set(re.findall(r"\w+", kept))
    assert max(len(p.text) for p in passages) <= 1200


def test_long_text_is_cut_at_sentence_ends_in_order() -> None:
    passages = split_passages(LONG)
    assert len(passages) > 5
    assert " ".join(p.text for p in passages) == LONG
    assert all(p.text.endswith("bells.") for p in passages)


def test_read_document_takes_utf8_with_or_without_a_mark(tmp_path: Path) -> None:
    for name, data in (("plain.txt", "Ünïcode."), ("mark.txt", "\ufeffÜnïcode.")):
        (tmp_path / name).write_text(data, encoding="utf-8")
        assert read_document(tmp_path / name) == "Ünïcode."


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "cannot read .*document.txt"),
        (b" \n\t", "is empty"),
        (b"\x89PNG\0\0", "binary"),
        ("Ein Läufer.".encode("latin-1"), r"not UTF-8 text \(byte 5\)"),
    ],
    ids=["missing", "empty", "binary", "latin-1"],
)
def test_a_document_that_is_no_text_is_refused(tmp_path: Path, data: bytes | None, message: str) -> None:
    path = tmp_path / "document.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_document(path)


def test_a_folder_is_no_document(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="directory"):
        read_document(tmp_path)


def divided(text: str, title: str = "") -> tuple[list[str], list[str]]:
    """The sentences that are learned of a document, and those that are left out."""
    found = divide(text, title=title)
    told = [sentence for passage in found.passages for sentence in split_sentences(passage.text)]
    return told, [left.sentence for left in found.left_out]


LETTER = "Dear Ann,\n\nI live in Oslo. It has a fjord. We moved in May 2026. The house is red."


def test_what_a_signed_letter_says_of_its_writer_is_a_quotation() -> None:
    told, left_out = divided(f"{LETTER}\n\nLove,\nTom")
    assert told == [
        'Tom wrote: "I live in Oslo".',
        "It has a fjord.",
        'Tom wrote: "We moved in May 2026".',
        "The house is red.",
    ]
    assert left_out == ["Dear Ann,", "Love,", "Tom"]


def test_what_a_letter_that_nobody_signed_says_of_its_writer_is_left_out() -> None:
    told, left_out = divided(LETTER)
    assert told == ["The house is red."]
    assert left_out == ["Dear Ann,", "I live in Oslo.", "It has a fjord.", "We moved in May 2026."]


@pytest.mark.parametrize(
    "text",
    [
        "Press the button when you are ready.",
        "World War I ended in 1918.",
        'He said "I am ill. I go home." and left.',
        "How do I open it? Press the red button.",
        "Our hall opens at nine, and we close at ten.",
    ],
    ids=["manual", "numeral", "quotation", "question", "we"],
)
def test_what_no_writer_says_of_himself_stays(text: str) -> None:
    assert divided(text) == (split_sentences(text), [])


def test_a_line_alone_is_a_text_and_may_be_its_writers() -> None:
    assert divided("so it goes") == (["so it goes"], [])
    assert divided("I live in Oslo") == ([], ["I live in Oslo"])


def test_header_lines_of_an_e_mail_are_no_text_and_name_its_writer() -> None:
    told, left_out = divided(
        "From: Tom Berg <t@x.org>\nSubject: Trip\nDate: 3 May\n\nI pay. The bus is red.\n\n> I go."
    )
    assert told == ['Tom Berg wrote: "I pay".', "The bus is red."]
    assert left_out == ["From: Tom Berg <t@x.org>", "Subject: Trip", "Date: 3 May", "> I go."]


def test_a_timetable_is_no_e_mail() -> None:
    text = "Hall\n\nFrom: Oslo\nTo: Bergen\nDate: 5 May\n\nThe train is red."
    assert divided(text) == (["From: Oslo.", "To: Bergen.", "Date: 5 May.", "The train is red."], [])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "Ann: Is it on Monday?\nBob: No, Tuesday.",
            ['Ann asked: "Is it on Monday?".', 'Bob said: "No, Tuesday".'],
        ),
        (
            "Ann: It is on Monday.\n\nBob: No, Tuesday.",
            ['Ann said: "It is on Monday".', 'Bob said: "No, Tuesday".'],
        ),
        ("The hall is red.\nBob: No, Tuesday.", ["The hall is red.", 'Bob said: "No, Tuesday".']),
        (
            "[10:12] Ann: The key is gone. Who has it?\n[10:13] Bob: Carl",
            ['Ann said: "The key is gone".', 'Ann asked: "Who has it?".', 'Bob said: "Carl".'],
        ),
        ("<ann> The key is gone.\n<bob> Fine.", ['Ann said: "The key is gone".', 'Bob said: "Fine".']),
        ("Breakfast: from 7 to 9\nBob: I live in Oslo", ["Breakfast: from 7 to 9.", 'Bob said: "I live in Oslo".']),
        ("Parking: No, only here\nWifi: Yes, free", ["Parking: No, only here.", "Wifi: Yes, free."]),
        ("Question: Is it loud?\nAnswer: No, quiet.", ["Question: Is it loud?", "Answer: No, quiet."]),
    ],
    ids=["question", "denied", "among prose", "times", "nicks", "beside a field", "fields", "labels"],
)
def test_a_line_of_a_chat_is_a_quotation_of_its_speaker(text: str, told: list[str]) -> None:
    assert divided(text) == (told, [])


def test_a_heading_that_denies_stays_above_its_text_under_another_title() -> None:
    page = f"# Plan B (rejected)\n\n{LONG_ENOUGH}\n\n## Cost\n\n{LONG_ENOUGH}"
    for title in ("", "Plans"):
        found = divide(page, title=title).passages
        assert all("Plan B (rejected)" in passage.heading for passage in found)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Hive care\n\nDon't:\n\nopen it in rain.\nfeed honey.", ["Don't: Open it in rain.", "Don't: feed honey."]),
        ("Mix\n\nIngredients:\n\n2 eggs.\n300 ml milk.\nsalt.", ["Ingredients: 2 eggs; 300 ml milk; salt."]),
        ("v3\n\nPort: 9000.\nFast: yes.\n\nv2\n\nPort: 8080.", ["Port: 9000.", "Fast: yes.", "V2, Port: 8080."]),
        (
            "The Moss\n\nCommon misconceptions\n\nThe Moss flows north.\n\nFacts\n\nThe Moss is 40 km long.",
            ["Common misconceptions: The Moss flows north.", "The Moss is 40 km long."],
        ),
        (
            "Weight: approx. 1.2 kg without battery\nColour: red",
            ["Weight: approx. 1.2 kg without battery.", "Colour: red."],
        ),
    ],
)
def test_what_is_put_together_keeps_its_lead_and_heading(text: str, told: list[str]) -> None:
    [passage] = divide(text).passages
    assert split_sentences(passage.text) == told


def test_an_answer_that_is_left_out_takes_its_question_along() -> None:
    divided = divide(
        "Q: When was Lorne founded?\nA: In 1998, by my brother.\nQ: Was it hard?\nA: None.\nThe mill is red."
    )
    assert [passage.text for passage in divided.passages] == ["The mill is red."]
    assert "its answer is left out" in [each.reason for each in divided.left_out]
