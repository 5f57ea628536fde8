"""The continual benchmark: its figures on matrices worked out by hand, and a small run over the scripted backend."""

import json
import runpy
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.bench.continual import Arm, Row, Run, measure, sequences
from seal_agent.bench.continual_arms import NOTHING, RETRIEVAL, arms, arms_called, names_of_arms
from seal_agent.bench.reports.arms import Interval
from seal_agent.bench.reports.continual import interval, markdown, plot, summarise
from seal_agent.cli.bench import CONTINUAL_ARMS
from seal_agent.core.edits import SelfEdit
from seal_agent.core.episodes import Verdict
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Prompt
from seal_agent.documents.datasets import Item, Question
from seal_agent.storage.database import Home
from seal_agent.writing.directives import DEFAULT

ITEMS = [
    Item(
        0,
        "Tower of Karlov",
        "The Tower of Karlov was built in 1911 by Anna Reel. It holds nine brass bells.",
        (Question("Who built the Tower of Karlov?", "Anna Reel"),),
    ),
    Item(
        1,
        "Amber Bridge",
        "The Amber Bridge was designed by Carla Mendes. It has 9 red towers in fog.",
        (Question("Who designed the Amber Bridge?", "Carla Mendes"),),
    ),
    Item(
        2,
        "Lantern Ferry",
        "The Lantern Ferry crosses Lake Vandrel at dawn. It carries forty orange sheep.",
        (Question("What does the Lantern Ferry cross?", "Lake Vandrel"),),
    ),
]


def row(step: int, right: tuple[int, ...], items: tuple[int, ...] = (0, 1), sequence: int = 0, arm: str = "x") -> Row:
    nll = tuple(4.0 - r for r in right)
    return Row(arm, sequence, step, items, right, (4,) * len(items), nll, 0.5, 2.0, "accepted" if step else "")


def rows_of(*rows: Row) -> dict[tuple[str, int, int], Row]:
    return {(r.arm, r.sequence, r.step): r for r in rows}


def test_the_figures_of_a_matrix_worked_out_by_hand() -> None:
    """Passage 0 goes 0, 4, 2 of 4; passage 1 goes 1, 2, 3."""
    (report,) = summarise(rows_of(row(0, (0, 1)), row(1, (4, 2)), row(2, (2, 3))))
    assert report.untouched.mean == pytest.approx((0 + 0.25) / 2)
    assert report.just_learned
    assert report.just_learned.mean == pytest.approx((1 + 0.75) / 2)
    assert report.final.mean == pytest.approx((0.5 + 0.75) / 2)
    assert report.gain.mean == pytest.approx(0.5)
    assert report.gain_nll.mean == pytest.approx(2.0)
    assert report.retained
    assert report.retained.mean == pytest.approx(0.5 / 0.75)
    assert report.backward
    assert report.backward.mean == pytest.approx((-0.5 + 0) / 2)
    assert report.forward
    assert report.forward.mean == pytest.approx((0 + 0.25) / 2)
    assert report.forgetting
    assert report.forgetting.mean == pytest.approx((0.5 + 0) / 2)


def test_between_checkpoints_what_was_just_learned_is_enough_for_retention() -> None:
    (report,) = summarise(rows_of(row(0, (0, 1)), row(1, (4,), (0,)), row(2, (2, 3))))
    assert report.retained
    assert report.retained.mean == pytest.approx(0.5 / 0.75)
    assert (report.forward, report.forgetting) == (None, None)


def test_a_sequence_that_is_not_complete_is_left_out() -> None:
    whole = [row(0, (0, 1)), row(1, (4, 2)), row(2, (2, 3))]
    begun = [row(0, (0, 0), sequence=1), row(1, (0, 0), sequence=1)]
    (report,) = summarise(rows_of(*whole, *begun))
    assert report.num_sequences == 1


def test_intervals_are_students_t_over_sequences() -> None:
    found = interval([1.0, 2.0, 3.0])
    assert (found.mean, found.high) == pytest.approx((2.0, 2.0 + 4.303 / 3**0.5), abs=0.02)
    assert interval([1.0, 2.0]) == Interval(1.5, 1.0, 2.0)


@pytest.mark.slow
def test_of_two_sequences_the_intervals_are_over_passages() -> None:
    """Both end with every answer right or wrong by passage: no range between them, but a wide one between passages."""
    items = tuple(range(10))
    known = tuple(4 * (item % 2) for item in items)
    rows = [
        Row("x", number, step, items, known if step else (0,) * 10, (4,) * 10, (1.0,) * 10, 0.5, 2.0, "accepted")
        for number in (0, 1)
        for step in range(11)
    ]
    (report,) = summarise(rows_of(*rows))
    assert report.final.mean == 0.5
    assert report.final.low == pytest.approx(0.2, abs=0.1)
    assert report.final.high == pytest.approx(0.8, abs=0.1)
    assert report.gain_nll == Interval(0.0, 0.0, 0.0)
    assert report.general_change == Interval(0.0, 0.0, 0.0)


@pytest.mark.slow
def test_a_run_is_measured_reported_and_resumed(tmp_path: Path) -> None:
    backend = ScriptedBackend(tmp_path / "model")
    orders = sequences(ITEMS, num=2, length=3, seed=0)
    chosen = ["route", "stack", NOTHING, RETRIEVAL]
    run = Run(tmp_path / "run", "", {"seed": 0})
    measure(backend, run, orders, chosen)
    found = run.rows()
    assert {key[2] for key in found if key[0] == "route"} == {0, 1, 2, 3}
    assert {key[2] for key in found if key[0] == NOTHING} == {0, 3}
    assert all(found["route", n, step].outcome for n in range(2) for step in (1, 2, 3))
    before = (tmp_path / "run" / "rows.jsonl").read_text()
    measure(backend, Run(tmp_path / "run", "", {"seed": 0}), orders, chosen)
    assert (tmp_path / "run" / "rows.jsonl").read_text() == before
    text = markdown(summarise(found), ["seed: 0"])
    assert "| route | 3 | 2 |" in text
    for path in plot(found, tmp_path):
        assert path.stat().st_size > 1000


@pytest.mark.slow
def test_a_sequence_that_was_cut_off_goes_on_without_learning_twice(tmp_path: Path) -> None:
    backend = ScriptedBackend(tmp_path / "model")
    orders = sequences(ITEMS, num=1, length=3, seed=0)
    run = Run(tmp_path / "run", "", {})
    measure(backend, run, orders, ["route"])
    path = tmp_path / "run" / "rows.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:2]) + '\n{"arm": "route", "sequ')
    whole = {key: row.right for key, row in run.rows().items()}
    assert len(whole) == 2
    measure(backend, run, orders, ["route"])
    assert len(run.rows()) == 4
    assert [run.rows()["route", 0, step].outcome for step in (1, 2, 3)] == ["accepted"] * 3


@pytest.mark.slow
def test_routed_adapters_are_trained_once_for_all_sequences(tmp_path: Path) -> None:
    backend = ScriptedBackend(tmp_path / "model")
    run = Run(tmp_path / "run", "", {})
    measure(backend, run, sequences(ITEMS, num=3, length=3, seed=0), ["route"])
    assert len(list((tmp_path / "run" / "trained").iterdir())) == 3


@pytest.mark.slow
def test_an_adapter_that_was_trained_before_costs_what_it_cost_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = ScriptedBackend.train

    def slow(self: ScriptedBackend, edit: SelfEdit, **options: Any) -> Any:
        time.sleep(0.3)
        return train(self, edit, **options)

    monkeypatch.setattr(ScriptedBackend, "train", slow)
    run = Run(tmp_path / "run")
    measure(ScriptedBackend(tmp_path / "model"), run, [ITEMS, ITEMS[::-1]], ["route"])
    assert all(row.seconds >= 0.3 for row in run.rows().values() if row.step)


@pytest.mark.slow
def test_arms_share_the_edits_before_they_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate that refuses nothing leaves the edits of the arm without one; afterwards only first edits are kept."""
    trained: list[str] = []
    train = ScriptedBackend.train

    def counted(self: ScriptedBackend, edit: SelfEdit, **options: Any) -> Any:
        trained.append(edit.topic)
        return train(self, edit, **options)

    monkeypatch.setattr(ScriptedBackend, "train", counted)
    backend = ScriptedBackend(tmp_path / "model")
    run = Run(tmp_path / "run")
    measure(backend, run, [ITEMS], ["stack, gate, repair", "stack, gate"])
    assert sorted(trained) == sorted(item.title for item in ITEMS)
    assert [run.rows()["stack, gate", 0, step].outcome for step in (1, 2, 3)] == ["accepted"] * 3
    kept = [Path(json.loads(path.read_text())["adapter"]["path"]) for path in (tmp_path / "run" / "trained").iterdir()]
    assert [path.is_dir() for path in kept].count(True) == 1


@pytest.mark.slow
def test_what_one_sequence_rolls_back_another_still_serves(tmp_path: Path) -> None:
    backend = ScriptedBackend(tmp_path / "model")
    refusing = replace(arms()["route"].config, judge=lambda *_, **__: Verdict("reject", "always", 0.0))
    own = [Arm("refusing", refusing)]
    run = Run(tmp_path / "run")
    measure(backend, run, [ITEMS], ["route", "refusing"], own=own)
    assert run.rows()["refusing", 0, 1].outcome == "rejected"
    served = Home(tmp_path / "run" / "homes" / "route-0").stack("default")
    assert [Path(entry.ref.path).is_dir() for entry in served.entries] == [True] * 3


@pytest.mark.slow
def test_a_question_is_answered_once_by_the_same_adapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three questions each is asked of the base, and once more after its own passage was learned."""
    asked: list[tuple[tuple[str, ...], str]] = []
    generate = ScriptedBackend.generate

    def counted(self: ScriptedBackend, prompts: Sequence[Prompt], **options: Any) -> Any:
        asked.extend((self.stack.ids, prompt.messages[-1].content) for prompt in prompts)
        return generate(self, prompts, **options)

    monkeypatch.setattr(ScriptedBackend, "generate", counted)
    questions = {item.questions[0].question for item in ITEMS}
    measure(ScriptedBackend(tmp_path / "model"), Run(tmp_path / "run"), [ITEMS, ITEMS[::-1]], ["route", NOTHING])
    found = [each for each in asked if each[1] in questions]
    assert len(found) == len(set(found)) == 6


def test_a_part_without_sequences_measures_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", "3/3", {})
    measure(ScriptedBackend(tmp_path), run, sequences(ITEMS, num=2, length=3, seed=0), [NOTHING], numbers=[])
    assert run.rows() == {}


def test_settings_of_another_run_are_refused(tmp_path: Path) -> None:
    Run(tmp_path, "", {"seed": 0})
    with pytest.raises(InputError, match="belongs to another run"):
        Run(tmp_path, "", {"seed": 1})


def test_unknown_arms_and_impossible_sequences_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no arm called 'pile'"):
        measure(ScriptedBackend(tmp_path), Run(tmp_path / "r", "", {}), [ITEMS], ["pile"])
    with pytest.raises(InputError, match="cannot be drawn from 3"):
        sequences(ITEMS, num=1, length=4, seed=0)


def test_an_arm_may_be_given_as_settings() -> None:
    given = '{"strategy": "stack", "remedies": ["repair"], "limits": {"max_drop": 0.2}, "is_gated": false}'
    chosen, [own] = arms_called(["route", given, given])
    assert chosen == ["route", own.name]
    assert (own.config.strategy, own.config.remedies, own.config.limits.max_drop) == ("stack", ("repair",), 0.2)
    assert not own.is_gated
    _, [changed] = arms_called(['{"directives": {"rank": 4}}'])
    assert changed.config.directives == replace(DEFAULT, rank=4)


def test_an_arm_may_be_an_object_of_a_module_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    (tmp_path / "my_arms.py").write_text(
        "from seal_agent.bench.continual import Arm\nfrom seal_agent.learning.learner import LearnerConfig\n"
        "SMALL = Arm('few probes', LearnerConfig(num_probes=8), is_gated=False)\nCONFIG = LearnerConfig(num_probes=9)\n"
    )
    chosen, own = arms_called(["my_arms:SMALL", "my_arms:CONFIG"])
    assert chosen == ["few probes", "my_arms:CONFIG"]
    assert [arm.config.num_probes for arm in own] == [8, 9]
    with pytest.raises(InputError, match="LARGE"):
        arms_called(["my_arms:LARGE"])
    with pytest.raises(InputError, match="it is a type"):
        arms_called(["my_arms:Arm"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pile", "choose one of 'route'"),
        ("{not json", "it is not JSON"),
        ('{"strategie": "stack"}', "no setting 'strategie'"),
        ('{"strategy": "pile"}', "no strategy called 'pile'"),
        ('{"strategy": 5}', "strategy"),
        ('{"remedies": 5}', "remedies"),
        ('{"num_probes": "many"}', "num_probes"),
        ('{"is_gated": "no"}', "neither true nor false"),
        ('{"limits": {"max_fall": 1}}', "max_fall"),
        ('{"directives": {"rank": -1}}', "rank"),
        ("nowhere:ARM", "cannot be imported"),
    ],
)
def test_what_is_no_arm_is_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        arms_called([name])


@pytest.mark.slow
def test_arms_of_settings_learn_in_folders_of_their_own(tmp_path: Path) -> None:
    chosen, own = arms_called(['{"num_probes": 8}', '{"num_probes": 9}'])
    run = Run(tmp_path / "run")
    measure(ScriptedBackend(tmp_path / "model"), run, [ITEMS[:2]], chosen, own=own)
    assert {key[0] for key in run.rows()} == set(chosen)
    assert len(list((tmp_path / "run" / "homes").iterdir())) == 2


def test_every_arm_is_there() -> None:
    assert names_of_arms() == list(CONTINUAL_ARMS)
    assert {"route", "stack", "stack, gate", "stack, gate, repair", "stack, replay only", "rebuild", "merge"} <= set(
        arms()
    )


@pytest.mark.slow
def test_the_example_puts_a_strategy_and_a_judge_beside_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = [
        {"title": i.title, "context": i.passage, "questions": [{"question": q.question, "answer": q.answer}]}
        for i in ITEMS
        for q in i.questions
    ]
    (tmp_path / "data.json").write_text(json.dumps(data))
    example = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "forgetting_experiment.py"))
    example["main"](str(tmp_path / "data.json"), str(tmp_path / "run"), "scripted")
    printed = capsys.readouterr().out
    assert "| fading, lenient judge | 3 | 2 |" in printed
    assert "| route | 3 | 2 |" in printed
