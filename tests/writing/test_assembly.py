"""A self-edit out of rows: how many, which are held back, and when there are too few."""

import pytest

from seal_agent.core.edits import Directives, Dropped, Row, SelfEdit
from seal_agent.core.errors import EditFault
from seal_agent.core.messages import Prompt
from seal_agent.writing.assembly import MAX_PROBES, assemble, spread

SENTENCES = ("The Tower was built in 1911.", "It holds nine bells.")
PASSAGE = " ".join(SENTENCES)


def row(question: str, answer: str, source: str = "chat-qa") -> Row:
    evidence = next((sentence for sentence in SENTENCES if answer in sentence), PASSAGE)
    return Row(Prompt.user(question), answer, source, evidence)


def made(rows: list[Row], num_rows: int = 100) -> SelfEdit:
    return assemble(rows, topic="the Tower", passage=PASSAGE, directives=Directives(num_rows=num_rows))


def test_the_last_of_three_questions_about_an_answer_is_held_back_as_a_probe() -> None:
    rows = [row(f"When was it built, {n}?", "1911") for n in range(3)] + [row("How many bells?", "nine")]
    edit = made(rows)
    assert edit.rows == (*rows[:2], rows[3])
    assert [(p.prompt, p.answer, p.document) for p in edit.probes] == [(rows[2].prompt, "1911", edit.document)]


def test_trained_questions_stand_in_where_none_can_be_held_back() -> None:
    edit = made([row(f"Question {n}?", f"{n} bells") for n in range(12)])
    assert [probe.prompt for probe in edit.probes] == [r.prompt for r in edit.rows[:MAX_PROBES]]


def test_too_few_rows_are_a_fault_that_says_what_was_dropped() -> None:
    with pytest.raises(EditFault, match=r"1 usable training rows.*contains no fact"):
        assemble(
            [row("How many bells?", "nine")],
            topic="t",
            passage=PASSAGE,
            directives=Directives(),
            dropped=[Dropped("x", "chat-qa", "contains no fact of the text")],
        )


def test_a_passage_alone_is_an_edit_where_no_format_is_named() -> None:
    directives = Directives(formats=(), augmentations=("passage",))
    row = Row(Prompt.raw(""), "The tower was built in 1911.", "passage", "The tower was built in 1911.")
    assert assemble([row], topic="Tower", passage=row.answer, directives=directives).rows == (row,)
    with pytest.raises(EditFault, match="at least 1 needed"):
        assemble([], topic="Tower", passage=row.answer, directives=directives)


def test_rows_beyond_the_limit_are_dropped_evenly_over_formats_and_sentences() -> None:
    rows = [row(f"When, {n}?", "1911", source) for source in ("cloze", "chat-qa") for n in range(10)]
    rows += [row(f"How many, {n}?", "nine", "cloze") for n in range(10)]
    kept = spread(rows, 6)
    assert [(r.source, r.answer) for r in kept] == [("cloze", "1911")] * 2 + [("chat-qa", "1911")] * 2 + [
        ("cloze", "nine")
    ] * 2
    assert len(made(rows, 5).rows) == 5


def test_training_ends_with_the_epochs_within_the_bounds_on_steps() -> None:
    directives = Directives(num_epochs=4, min_steps=2, max_steps=10, batch_size=8)
    assert [directives.num_steps(n) for n in (1, 8, 16, 400)] == [2, 4, 8, 10]
