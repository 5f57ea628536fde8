"""Writing and deciding, over the scripted backend: a very literal model."""

import pytest

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.decision import MIN_NOVELTY_NATS, decide
from seal_agent.errors import EditFault
from seal_agent.home import Home
from seal_agent.selfedit import EPOCHS, Pair
from seal_agent.writing import MAX_PER_ANSWER, grounded_pair, verbatim, write_draft, write_self_edit

TOPIC = "Tower of Karlov"
PASSAGE = "The Tower of Karlov was built in 1911 by Anna Reel. It holds nine brass bells."


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("anna reel", "Anna Reel"),
        ("1911", "1911"),
        ("191", ""),
        ("Karl", ""),
        ("eel", ""),
        ("Paris", ""),
        ("", ""),
        ("The Tower of Karlov was built in 1911 by Anna", ""),
        ("(", ""),
    ],
)
def test_an_answer_counts_only_word_for_word(reply: str, found: str) -> None:
    assert verbatim(reply, PASSAGE) == found


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("Who built the Tower?\nAnswer: anna reel.\nQuestion: x", Pair("Who built the Tower?", "Anna Reel")),
        ("Who built the Tower?\nAnswer: Karl Holt", None),
        ("Who built the Tower?\nAnswer:", None),
        ("Who built the Tower?", None),
        ("Who built the Tower\nAnswer: Anna Reel", None),
        ("Is it Anna Reel who built the Tower?\nAnswer: Anna Reel", None),
        ("Who built?\nAnswer: Anna Reel", None),
        ("Who built the Tower?\nAnswer: by", None),
    ],
    ids="kept|not in the text|blank|none|no question|given away|too short|no content".split("|"),
)
def test_a_pair_is_kept_only_with_an_answer_from_the_text(text: str, pair: Pair | None) -> None:
    assert grounded_pair(text, PASSAGE) == pair


def test_a_self_edit_holds_only_what_the_passage_says(backend: ScriptedBackend) -> None:
    edit = write_self_edit(backend, PASSAGE, TOPIC)
    answers = [row.answer for row in edit.rows if row.source == "qa"]
    assert {"1911", "Anna", "brass", "nine"} <= set(answers)
    assert all(answer in PASSAGE for answer in answers)
    assert edit.num_dropped > 0  # a literal model asks the same question at every temperature
    assert edit == write_self_edit(backend, PASSAGE, TOPIC)


def test_no_question_is_asked_twice_and_no_answer_too_often(backend: ScriptedBackend) -> None:
    text = write_draft(backend, "Anna was in it. Karl was in it.", "Tower").text  # every question fits both
    questions, answers = ([line for line in text.splitlines() if line.startswith(mark)] for mark in ("Q:", "A:"))
    assert len(set(questions)) == len(questions)
    assert sorted(set(answers)) == ["A: Anna", "A: Karl"]
    assert max(map(answers.count, answers)) == MAX_PER_ANSWER


def test_epochs_are_chosen_among_the_options(backend: ScriptedBackend) -> None:
    first_line = write_draft(backend, PASSAGE, TOPIC).text.splitlines()[0]
    assert first_line in {f'{{"epochs": {epochs}}}' for epochs in EPOCHS}


def test_a_passage_with_nothing_to_ask_for_is_the_models_fault(backend: ScriptedBackend) -> None:
    with pytest.raises(EditFault, match="0 usable questions"):
        write_self_edit(backend, "We are who we were.", "Tower")


@pytest.mark.parametrize(
    ("text", "learn", "reason"),
    [
        (PASSAGE, True, "new facts"),
        ("My brother\nMika moved to Lisbon.", True, "new facts"),
        ("Hi there, nice day!", False, "small talk"),
        ("Who built the Tower of Karlov?", False, "a question"),
        ("Please write me a poem about Karlov.", False, "a request"),
    ],
)
def test_the_model_chooses_what_is_worth_learning(
    backend: ScriptedBackend, text: str, learn: bool, reason: str
) -> None:
    decision = decide(backend, text)
    assert (decision.learn, decision.reason) == (learn, reason)
    assert decision.margin > 0
    assert bool(decision.topic) == learn


def test_what_the_model_knows_by_heart_is_nothing_new(home: Home) -> None:
    model = ScriptedBackend(home.root, knowledge={"\n": PASSAGE})
    decision = decide(model, PASSAGE)
    assert (decision.learn, decision.reason) == (False, "nothing new")
    assert decision.novelty.nats < MIN_NOVELTY_NATS < decide(ScriptedBackend(home.root), PASSAGE).novelty.nats
