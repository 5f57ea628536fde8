import pytest

from seal_agent.errors import EditFault
from seal_agent.selfedit import MAX_PROBES, MAX_STEPS, MIN_STEPS, Pair, format_self_edit, parse_self_edit
from seal_agent.types import SelfEdit

PASSAGE = "The Tower was built in 1911. It holds nine bells."
PAIRS = [Pair("When was the Tower built?", "1911"), Pair('How many "bells": does it hold?', "nine")]


def parse(text: str) -> SelfEdit:
    return parse_self_edit(text, topic="the Tower", passage=PASSAGE)


def asked(edit: SelfEdit) -> list[tuple[str, str]]:
    return [(row.prompt.messages[-1].content, row.answer) for row in edit.rows if row.source == "qa"]


def held_back(edit: SelfEdit) -> list[tuple[str, str]]:
    return [(probe.prompt.messages[-1].content, probe.answer) for probe in edit.probes]


def test_what_is_formatted_is_what_is_trained() -> None:
    edit = parse(format_self_edit(8, PAIRS))
    assert asked(edit) == [(pair.question, pair.answer) for pair in PAIRS]
    statements = [row.answer for row in edit.rows if row.source == "statement"]
    assert statements == ["The Tower was built in 1911.", "The Tower holds nine bells."]
    assert {probe.document for probe in edit.probes} == {edit.document}


def test_epochs_become_steps_within_the_limits() -> None:
    many = [Pair(f"Question number {n}?", f"answer {n}") for n in range(26)]  # 28 rows with the statements
    steps = [parse(format_self_edit(epochs, many)).directives.num_steps for epochs in (1, 6, 50)]
    assert steps == [MIN_STEPS, 21, MAX_STEPS]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line is ''"),
        ("Q: a?\nA: b", "first line is 'Q: a\\?'"),
        ('{"rate": 1}', "first line"),
        ("[8]", "first line"),
        ('{"epochs": 0}', "1 to 50"),
        ('{"epochs": 51}', "1 to 50"),
        ('{"epochs": "8"}', "1 to 50"),
        ('{"epochs": true}', "1 to 50"),
        ('{"epochs": 8, "rank": 4}', "only epochs"),
        ('{"epochs": 8}\nQ: a?\nA: b\nQ: c?', "c\\?"),
        ('{"epochs": 8}\nQ: a?\nA: b\nQ: c?\nA: d\nQ: e?', "e\\?"),
        ('{"epochs": 8}\nQ: a?\nQ: b?', "line 3 is 'Q: b\\?'"),
        ('{"epochs": 8}\nA: b', "line 2 is 'A: b'"),
        ('{"epochs": 8}\nQ: a?\nA:', "line 3 is 'A:'"),
        ('{"epochs": 8}\nQ: a?\nA: b\nSure!', "line 4 is 'Sure!'"),
        ('{"epochs": 8}\nQ: a?\nA: b', "1 usable questions"),
    ],
)
def test_a_malformed_edit_says_what_is_wrong_with_it(text: str, message: str) -> None:
    with pytest.raises(EditFault, match=message):
        parse(text)


def test_held_back_probes_are_never_trained_too() -> None:
    pairs = [Pair(f"Question {n} about {answer}?", answer) for answer in "abcdefghijkl" for n in range(3)]
    edit = parse(format_self_edit(8, pairs))
    assert len(edit.probes) == MAX_PROBES
    assert len(asked(edit)) == len(pairs) - MAX_PROBES
    assert not set(held_back(edit)) & set(asked(edit))


def test_a_question_written_three_times_is_no_held_back_probe() -> None:
    by_anna = [Pair(question, "Anna") for question in ("Who built it?", "By whom?", "x?")]
    edit = parse(format_self_edit(8, [PAIRS[0]] * 3 + by_anna))
    assert held_back(edit) == [("x?", "Anna")]
    assert not set(held_back(edit)) & set(asked(edit))


def test_without_three_questions_about_an_answer_the_trained_ones_are_probed() -> None:
    edit = parse(format_self_edit(8, PAIRS))
    assert held_back(edit) == asked(edit)
