"""What is learned of a text means the same alone, and says nothing that the text does not."""

import json
import re
import time
from pathlib import Path

import pytest

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.edits import Row
from seal_agent.core.errors import EditFault
from seal_agent.documents.passages import split_passages
from seal_agent.language.english.coreference import refers_back
from seal_agent.language.english.questions import field_questions
from seal_agent.language.english.relative_time import relative_time
from seal_agent.language.english.second_person import to_second_person
from seal_agent.language.english.statements import MAX_CONTEXT_WORDS, statements
from seal_agent.language.sentences import split_sentences
from seal_agent.language.source import Source
from seal_agent.writing.augmentations import AUGMENTATIONS
from seal_agent.writing.directives import CLOZE
from seal_agent.writing.filters import is_quotation
from seal_agent.writing.formats import FORMATS
from seal_agent.writing.writer import write_self_edit

LIBRARY = "The town library opens at nine in the morning. Petra Holm runs it. It closes at five in the evening."
TEXTS = {
    "two things before it": LIBRARY,
    "a name is not what it stands for": "We bought a printer in Ghent. It jams every day.",
    "weather": "Rex is a dog of nine years. It rained all day in Bruges, and he stayed at home.",
    "nobody": "Nobody likes the grey door of the Karlov Inn. It was never painted green.",
    "persons": "Anna Reel built the bridge in 1911. Her brother Otto Lang paid for it. He was a baker in Graz.",
    "a heading": "# The Amber Bridge\n\nIt was built in 1911. Its nine towers are red.\n\n## Toll\n\nIt is 40 cents.",
    "fields": (
        "# hexgate\n\nDefault port: 7719\nLog file: field.log\n\nIt listens on all addresses. They are shown by `ip a`."
    ),
    "a list": "The kitchen has rules:\n- Wash the pans.\n- Close the window; it jams.\n- Nobody smokes there.",
    "a condition": (
        "If the pressure rises above six bar while the pump of the mill is running at full speed in winter, the valve "
        "opens by itself, which the engineers of Karlov call the sigh of the old machine house."
    ),
    "an opinion": (
        "Marie Tolland, a historian from Lyon who wrote three books on mines, claimed in 1921 that the peace of "
        "Ossmark was bought with silver, a view that the later historians of the river republics have rejected."
    ),
    "a denial": "The bridge was not built by Anna Reel. It was never sold. No toll is taken there.",
    "a quotation": 'Otto said: "I sold it to her." She paid 40 crowns for it, and she was not happy.',
    "questions": (
        "When does the pool open? It opens at seven. Who runs it? Petra Holm does. Is it warm? It is 27 degrees warm."
    ),
    "a letter": "Dear Ilka, I moved to Graz in May. My flat is on Pargeter Lane. It has two rooms. Yours, Ben",
    "of oneself": "My sister Nadia lives in Ghent. She works at a bakery there. I visit her every week.",
    "on one day": (
        "The rent of the flat is 900 euros. The plumber comes tomorrow. He brings the new tap. The tap is brass."
    ),
    "dates": (
        "The meeting moved from 3/4/2026 to 5/4/2026. It starts at 10:30 in room 4.2.1. Call 555-0142 before it."
    ),
    "German": "Meine Mutter Ingrid wohnt in Freiburg. Sie arbeitet dort als Lehrerin. Die Wohnung hat drei Zimmer.",
    "Chinese": "我的狗叫小白。它今年三岁了。",
    "a long page": " ".join(
        f"The mill of place {n} has {n} wheels and a yard. It grinds {n} sacks a day." for n in range(1, 30)
    ),
}

LEANING = json.loads((Path(__file__).parent.parent / "data" / "leaning.json").read_text(encoding="utf-8"))
"""Texts by what becomes of their last sentence: "leaning" on what stands before it, or meaning the same "alone"."""

FIELD = re.compile(r"The (?P<name>[^:]+) of (?P<title>\S+) (?:is|are) (?P<value>\S+)\.")
MIN_SENTENCE = 4  # words; fewer are a bare answer


def rows_of(text: str) -> list[tuple[Source, Row]]:
    rows = []
    for passage in split_passages(text):
        source = Source(passage.topic, passage.text, heading=passage.heading).learnable()
        cloze = FORMATS["cloze"]
        made = [row for asked in cloze.ask(source) for row in cloze.parse(source, asked, "")]
        made += AUGMENTATIONS["sentences"](source, [], 0) + AUGMENTATIONS["reorder"](source, [], 0)
        rows += [(source, row) for row in made]
    return rows


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


@pytest.mark.parametrize(
    ("sentence", "when"),
    [
        ("My dentist appointment is tomorrow at 3 pm.", "tomorrow"),
        ("I start next Monday.", "next Monday"),
        ("I moved here three years ago.", "three years ago"),
        ("We leave in two weeks.", "in two weeks"),
        ("Over the past five years sales fell.", "Over the past five years"),
        ("The shop opens soon.", "soon"),
        ("The report is due in two weeks.", "in two weeks"),
        ("Ada left a while ago.", "a while ago"),
        ("Tomorrow, 1 December 2026, the pool is shut.", ""),
        ("It was built in two weeks.", ""),
        ("The next day he left.", ""),
        ("Refunds arrive within two weeks.", ""),
        ("The meeting is on Friday at 10.", ""),
        ("Call as soon as it rings.", ""),
        ("Ada is away until Monday.", "until Monday"),
        ("See you on Tuesday at 5.", "on Tuesday"),
        ("See you Tuesday.", "Tuesday"),
        ("The new pump will arrive on Thursday.", "on Thursday"),
        ("On Monday the mill was sold.", "On Monday"),
        ("My parents are coming on Saturday.", "on Saturday"),
        ("Let's meet on Friday.", "on Friday"),
        ("The pool is closed on Monday.", ""),
        ("On Monday the pool opens at nine.", ""),
        ("The office is open from Monday to Friday.", ""),
        ("The choir always sang on Friday.", ""),
        ("The boiler broke on Wednesday, 4 March 2026.", ""),
        ("The treaty was signed on Good Friday.", ""),
        ("Ilka Brand writes for USA Today.", ""),
        ("The word 'yesterday' has nine letters.", ""),
        ("Tomorrow Never Dies is a film.", ""),
        ("Tomorrow Ada leaves for Graz.", "Tomorrow"),
        ("THE POOL IS CLOSED TODAY.", "TODAY"),
        ('Ada said: "Tomorrow, the pool is closed."', "Tomorrow"),
    ],
)
def test_words_that_count_from_the_day_they_were_written_are_found(sentence: str, when: str) -> None:
    assert relative_time(sentence) == when


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


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("I like them both.", '"them" points to something that was said before; say it with the name'),
        ("So does Tom.", '"So does" points to something that was said before; say it as a full sentence'),
        ("Except on Sunday.", "there is no verb"),
    ],
)
def test_the_reason_names_what_a_reply_lacks(sentence: str, reason: str) -> None:
    _, (left,) = statements([sentence], is_reply=True)
    assert reason in left.reason


def test_behind_a_sentence_left_out_the_reason_says_so() -> None:
    _, (_, left) = statements(["The plumber comes tomorrow.", "It costs 40 crowns."])
    assert '"It" may point back to the sentence before it, which is left out' in left.reason


def test_what_is_supposed_is_learned_with_every_sentence_that_may_hold_only_under_it() -> None:
    told, _ = statements(
        [
            "Suppose Ada earns 40 crowns.",
            "Tom earns 30.",
            "The two would have 70.",
            "The mill is in Graz.",
            "Tom sings.",
        ]
    )
    assert [bool(statement.context) for statement in told] == [False, True, True, False, False]


def test_what_holds_only_under_a_supposition_that_is_left_out_is_left_out() -> None:
    told, left_out = statements(["Suppose the mill closes tomorrow.", "The price would be 5 crowns.", "Graz is old."])
    assert [statement.text for statement in told] == ["Graz is old."]
    assert '"Suppose" may point back to the sentence before it, which is left out' in left_out[1].reason


def test_a_pronoun_that_may_be_that_of_the_heading_does_not_point_ahead() -> None:
    sentence = "Because it is old, the toll is 40 cents."
    assert statements([sentence], heading="The Amber Bridge")[0][0].text == f"The Amber Bridge: {sentence}"


def test_a_question_is_left_out_with_its_answer() -> None:
    told, left_out = statements(["When does the sale start?", "It starts tomorrow.", "The shop is in Graz."])
    assert [statement.text for statement in told] == ["The shop is in Graz."]
    assert [left.sentence for left in left_out] == ["When does the sale start?", "It starts tomorrow."]


def test_a_question_that_points_back_is_not_asked_as_it_stands() -> None:
    text = "Who runs the shop? Ada Crane runs it. Where does she live? She lives in Graz. Has she a son? She has two."
    assert not any(row.answer.startswith("She ") for _, row in rows_of(text))


@pytest.mark.parametrize(
    "text",
    [
        "Never do the following:\n- Open the valve under pressure.\n- Use diesel as fuel.",
        "Never do the following:\n\n- Open the valve under pressure.\n- Use diesel as fuel.",
        "# Pump\n\nThe pump is red.\n\n## Don'ts\n\n- Open the valve under pressure.\n- Use diesel as fuel.",
    ],
)
def test_what_is_denied_above_a_list_is_denied_in_every_item(text: str) -> None:
    answers = [
        row.answer for _, row in rows_of(text) if "diesel" in row.answer and len(row.answer.split()) >= MIN_SENTENCE
    ]
    assert answers
    assert not any(split_sentences(answer)[-1].startswith("Use") for answer in answers)


def test_a_reply_without_a_verb_is_left_out_where_something_was_said_before() -> None:
    assert statements(["No, Friday."], is_reply=True)[1]
    assert statements(["Default port: 7719."], is_reply=True)[0]
    assert statements(["Two cats, one dog."])[0]


def test_a_sentence_that_points_back_over_a_whole_page_is_left_out() -> None:
    chain = ["The mill of Karlov has two wheels.", *["It is red and blue and green and grey and old."] * 20]
    told, left_out = statements(chain)
    assert left_out
    assert all(len(statement.context.split()) <= MAX_CONTEXT_WORDS for statement in told)


def test_a_text_of_which_nothing_can_be_learned_is_refused_with_the_reason(tmp_path: Path) -> None:
    source = Source("Ghent", "She works at a bakery in Ghent.", earlier="User: My sister is called Nadia.\n")
    with pytest.raises(EditFault, match='"She" points to something that was said before; say it with the name'):
        write_self_edit(ScriptedBackend(tmp_path), source, CLOZE)


def test_what_is_left_out_stands_in_the_ledger_with_its_reason(tmp_path: Path) -> None:
    source = Source("Plumber", TEXTS["on one day"])
    edit = write_self_edit(ScriptedBackend(tmp_path), source, CLOZE)
    assert {dropped.text for dropped in edit.dropped} >= {"The plumber comes tomorrow.", "He brings the new tap."}
    assert not any("plumber" in row.answer for row in edit.rows)


def test_what_a_user_says_of_himself_is_told_back_with_what_it_points_to(tmp_path: Path) -> None:
    edit = write_self_edit(ScriptedBackend(tmp_path), Source("Nadia", TEXTS["of oneself"]), CLOZE)
    said = {row.answer for row in edit.rows}
    assert "Your sister Nadia lives in Ghent. She works at a bakery there." in said
    assert all(is_quotation(answer, to_second_person(TEXTS["of oneself"])) for answer in said)


def test_a_passage_is_not_cut_before_it() -> None:
    for passage in split_passages(TEXTS["a long page"]):
        assert passage.text.startswith("The mill")
        assert len(passage.text) <= 1200


def test_a_passage_is_not_cut_before_a_pronoun_that_stands_before_the_subject() -> None:
    text = " ".join(
        f"The mill of place {n} has {n} wheels and a yard. Because it is old, the visitors of place {n} are few."
        for n in range(1, 30)
    )
    assert all(passage.text.startswith("The mill") for passage in split_passages(text))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("My door code is [secret removed] and my sister is called Nadia.", ["My sister is called Nadia."]),
        ("Bob keeps the key; the PIN is [secret removed].", ["Bob keeps the key."]),
        ("Bob and Ada set the code to [secret removed].", []),
        ("If the code is [secret removed] and the door is red, Ada lives there.", []),
        ("Ada lives in Riga. The code is [secret removed]. It was set by Tom.", ["Ada lives in Riga."]),
    ],
)
def test_a_clause_with_a_secret_is_left_out_and_the_rest_is_learned(text: str, kept: list[str]) -> None:
    told, left_out = statements(split_sentences(text))
    assert [each.text for each in told] == kept
    assert any("a secret was removed" in each.reason for each in left_out)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Ada lives in Riga. My dog is Rex. No wait, that's my neighbour's dog.", ["Ada lives in Riga."]),
        (
            "The bridge opened in 1954. Correction: the bridge opened in 1961.",
            ["Correction: the bridge opened in 1961."],
        ),
        ("The Moss flows north. (False).", []),
        ("True or false? The Moss flows north.", []),
        ("Who built the dam? a) Arno Pell b) Greta Sund c) Tom Varga.", []),
        (
            "The claim of Tom Varga was false. Ada lives in Riga.",
            ["The claim of Tom Varga was false.", "Ada lives in Riga."],
        ),
    ],
)
def test_what_is_taken_back_or_only_asked_in_a_quiz_is_left_out(text: str, kept: list[str]) -> None:
    told, _ = statements(split_sentences(text))
    assert [each.text for each in told if not each.text.endswith("?")] == kept


def test_one_of_several_rejected_things_is_not_said_to_be_all_of_them() -> None:
    assert field_questions("Rejected plans: Move to Riga.", "Board") is None
    assert field_questions("Old price: 5 euros.", "Hall") is not None


@pytest.mark.parametrize(
    ("sentence", "when"),
    [
        ("Do not take more than 4 tablets in 24 hours.", ""),
        ("Ready in 50 minutes.", ""),
        ("In five minutes the heater warms a room.", ""),
        ("The bus leaves in 20 minutes.", "in 20 minutes"),
        ("The lease ends in two years.", "in two years"),
        ("Yesterday is a song by the Beatles.", ""),
        ("Yesterday was cold.", "Yesterday"),
        ("Today's Farmer is a magazine.", ""),
        ("The deadline is Friday at noon.", "Friday"),
        ("Offer ends Sunday.", "Sunday"),
        ("My exam is on Friday.", "on Friday"),
        ("The party is on the 12th.", "on the 12th"),
        ("The party is on the 12th of May.", ""),
        ("The exam is always on Friday.", ""),
        ("I just adopted a cat.", "just adopted"),
        ("Ola has been mayor for three years.", "for three years"),
        ("The deal was valid for three years.", ""),
    ],
)
def test_a_point_in_time_is_told_from_a_duration_and_a_name(sentence: str, when: str) -> None:
    assert relative_time(sentence) == when


@pytest.mark.parametrize(
    ("sentence", "word"),
    [
        ("It is 40 km from Orrin to Feld.", ""),
        ("His Dark Materials was written by Philip Pullman.", ""),
        ("Her Majesty's Theatre is in London.", ""),
        ("His mill is red.", "His"),
        ("Otherwise a fee of 40 euros is due.", "Otherwise"),
        ("As a result the mill was sold.", "As a result"),
        ("As a result of the fire the mill was sold.", ""),
    ],
)
def test_a_title_points_to_nothing_and_a_consequence_to_what_was_said(sentence: str, word: str) -> None:
    assert refers_back(sentence, is_first=True) == word
