"""What is not learned of a text, with its reason: suppositions, questions, what was taken back, points in time."""

from pathlib import Path

import pytest
from statements import MIN_SENTENCE, TEXTS, rows_of

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.errors import EditFault
from seal_agent.documents.passages import split_passages
from seal_agent.language.english.coreference import refers_back
from seal_agent.language.english.questions import field_questions
from seal_agent.language.english.relative_time import relative_time
from seal_agent.language.english.second_person import to_second_person
from seal_agent.language.english.statements import MAX_CONTEXT_WORDS, statements
from seal_agent.language.sentences import split_sentences
from seal_agent.language.source import Source
from seal_agent.writing.directives import CLOZE
from seal_agent.writing.filters import is_quotation
from seal_agent.writing.writer import write_self_edit


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
