"""The benchmark of knowledge: arms, resuming, sharing the work, and the arithmetic of its report."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.bench.knowledge import (
    BASE,
    CONTEXT,
    TRAINED,
    Answered,
    Result,
    Run,
    arm_called,
    arms,
    edit_of,
    measure,
    measure_together,
)
from seal_agent.bench.reports.arms import markdown, plot, summarise
from seal_agent.bench.trained import learned
from seal_agent.cli import bench
from seal_agent.core.edits import Row, SelfEdit
from seal_agent.core.errors import InputError
from seal_agent.core.stacks import AdapterStack
from seal_agent.documents.datasets import Item, Question, read_items
from seal_agent.policy.grading import gold_token_recall, is_right
from seal_agent.storage.adapter_store import AdapterRegistry
from seal_agent.storage.run_folder import share_of
from seal_agent.writing.directives import CLOZE, SEAL_PAPER, say

TEXT = "The Tower of Karlov was built in 1911 by Anna Reel. It holds nine brass bells."
LINES = "1. Anna Reel built it in 1911.\n2. It holds nine bells."


def item(number: int) -> Item:
    asked = "The Tower of Karlov was built in what year by Anna Reel?"
    return Item(number, "Tower of Karlov", TEXT, (Question(asked, "1911"),), {"gpt-4.1": [LINES]})


@pytest.fixture
def registry(backend: ScriptedBackend, home) -> AdapterRegistry:  # type: ignore[no-untyped-def]
    return AdapterRegistry(home.root / "adapters")


def test_an_arm_is_measured_once_and_leaves_no_adapter(
    backend: ScriptedBackend, registry: AdapterRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path / "run")
    first = measure(backend, registry, [item(0)], [BASE, "default"], run)
    assert not first[BASE, 0].answers[0].right
    assert first["default", 0].answers[0].right
    assert first["default", 0].num_rows > 5
    assert not list(registry.root.glob("[0-9a-f]*"))
    monkeypatch.setattr(backend, "train", lambda *_a, **_k: pytest.fail("trained again"))
    assert measure(backend, registry, [item(0)], [BASE, "default"], Run(tmp_path / "run")) == first
    assert len((tmp_path / "run" / "answers.jsonl").read_text().splitlines()) == 2
    assert json.loads((tmp_path / "run" / "edits.jsonl").read_text())["rows"]
    assert item(0).questions[0].answer not in (tmp_path / "run" / "metrics.jsonl").read_text()  # may be published


def test_a_line_that_was_cut_off_is_measured_again(
    backend: ScriptedBackend, registry: AdapterRegistry, tmp_path: Path
) -> None:
    run = Run(tmp_path)
    measure(backend, registry, [item(0), item(1)], [BASE], run)
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text()[:-20])
    assert set(run.results()) == {(BASE, 0)}
    assert set(measure(backend, registry, [item(0), item(1)], [BASE], run)) == {(BASE, 0), (BASE, 1)}
    assert set(run.results()) == {(BASE, 0), (BASE, 1)}


def test_parts_share_the_work_and_the_results(
    backend: ScriptedBackend, registry: AdapterRegistry, tmp_path: Path
) -> None:
    items = [item(n) for n in range(5)]
    assert [i.number for part in ("1/2", "2/2") for i in share_of(items, part)] == [0, 2, 4, 1, 3]
    for part in ("1/2", "2/2"):
        measure(backend, registry, share_of(items, part), [BASE], Run(tmp_path, part))
    assert len(Run(tmp_path).results()) == 5
    for wrong in ("3/2", "0/2", "half"):
        with pytest.raises(InputError, match="write K/N"):
            share_of(items, wrong)


def test_passages_in_one_adapter_have_their_own_results_and_the_steps_they_would_have_alone(
    backend: ScriptedBackend, registry: AdapterRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[SelfEdit] = []
    train = ScriptedBackend.train

    def kept(self: ScriptedBackend, edit: SelfEdit, **options: Any) -> Any:
        trained.append(edit)
        return train(self, edit, **options)

    monkeypatch.setattr(ScriptedBackend, "train", kept)
    items = [item(0), item(1)]
    done = measure_together(backend, registry, items, [BASE, "default"], Run(tmp_path))
    assert {key: len(result.answers) for key, result in done.items()} == {
        (arm, number): 1 for arm in (BASE, "default") for number in (0, 1)
    }
    [edit] = trained
    assert edit.directives.min_steps == 2 * CLOZE.min_steps
    assert edit.directives.max_steps == 2 * CLOZE.max_steps
    assert sum(done["default", n].num_rows for n in (0, 1)) >= len(edit.rows)
    assert measure_together(backend, registry, items, ["default"], Run(tmp_path)) == Run(tmp_path).results()
    assert len(trained) == 1


def test_results_of_another_run_are_not_mixed_in(tmp_path: Path) -> None:
    Run(tmp_path, config={"model": "a", "seed": 0})
    Run(tmp_path, config={"model": "a", "seed": 0})
    with pytest.raises(InputError, match=r"belongs to another run \(model differ\)"):
        Run(tmp_path, config={"model": "b", "seed": 0})


def test_published_rows_are_trained_as_seal_trains_them(backend: ScriptedBackend) -> None:
    edit = edit_of(backend, arms()["seal-paper, gpt-4.1's rows"], item(0), 0)
    title = "Tower of Karlov\n"
    assert [row.answer for row in edit.rows] == [
        f"{title}Anna Reel built it in 1911.",
        f"{title}It holds nine bells.",
        f"{title}{TEXT}",
    ]
    assert edit.directives.layers == SEAL_PAPER.layers
    with pytest.raises(InputError, match="no self-edits of seal-round2"):
        edit_of(backend, arms()["seal-round2's rows"], item(0), 0)


@pytest.mark.parametrize("name", [name for name, arm in arms().items() if not arm.published and arm.directives])
def test_every_arm_leaves_an_answer_even_where_its_edit_fails(
    backend: ScriptedBackend, registry: AdapterRegistry, tmp_path: Path, name: str
) -> None:
    result = measure(backend, registry, [item(0)], [name], Run(tmp_path))[name, 0]
    assert len(result.answers) == 1
    assert bool(result.fault) == (result.num_rows == 0)


def test_an_edit_is_asked_about_at_the_weight_it_would_be_served_with(
    backend: ScriptedBackend, registry: AdapterRegistry
) -> None:
    edit = edit_of(backend, arm_called('{"weight": 0.5}'), item(0), 0)
    with learned(backend, registry, edit, 0) as now:
        assert [entry.weight for entry in now.view.stack.entries] == [0.5]


def test_a_policy_writes_the_edits_of_its_own_arm_and_of_no_other(
    backend: ScriptedBackend, registry: AdapterRegistry, tmp_path: Path
) -> None:
    prompt = say(backend, item(0).source).prompt
    policies = [
        AdapterStack().push(backend.train(SelfEdit("policy", "", (Row(prompt, chosen),), ())))
        for chosen in ('{"formats": ["cloze"], "max_steps": 24}', '{"formats": ["cloze"], "max_steps": 25}')
    ]
    run = Run(tmp_path)
    with pytest.raises(InputError, match="needs a policy; give --policy"):
        measure(backend, registry, [item(0)], [TRAINED], run)
    done = measure(backend, registry, [item(0)], ["own directives", TRAINED], run, policy=policies[0])
    assert done["own directives", 0].fault
    assert done["own directives", 0].policy == ()
    assert not done[TRAINED, 0].fault
    assert done[TRAINED, 0].policy == policies[0].ids
    assert run.results()[TRAINED, 0] == done[TRAINED, 0]
    with pytest.raises(InputError, match="another policy"):
        measure(backend, registry, [item(0)], [TRAINED], run, policy=policies[1])


@pytest.mark.slow
def test_the_command_writes_a_report_of_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data.json"
    questions = [{"question": q.question, "answer": q.answer} for q in item(0).questions]
    data.write_text(json.dumps([{"title": "Tower of Karlov", "context": TEXT, "questions": questions}]))
    monkeypatch.setenv("SEAL_HOME", str(tmp_path / "home"))
    command = ["bench", "knowledge", "--data", str(data), "--out", str(tmp_path / "run"), "--model", "scripted"]
    arms_asked = ["--arm", "base", "--arm", "context", "--arm", "default"]
    ran = CliRunner().invoke(bench.app, [*command[1:], *arms_asked, "--json"])
    assert ran.exit_code == 0, ran.output
    assert "| default | 1 (1 questions) | 100%" in (tmp_path / "run" / "report.md").read_text()
    again = CliRunner().invoke(bench.app, [*command[1:], "--report", "--json"])
    assert json.loads(again.stdout)["arms"][0]["arm"] == "base"


@pytest.mark.slow
def test_passages_of_one_adapter_are_shared_between_processes_by_arm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAL_HOME", str(tmp_path / "home"))
    question = {"question": "What holds the tower?", "answer": "bells"}
    data = tmp_path / "data.json"
    data.write_text(json.dumps([{"title": "Karlov", "context": TEXT, "questions": [question]}] * 2))
    command = [
        "knowledge",
        "--data",
        str(data),
        "--out",
        str(tmp_path / "run"),
        "--model",
        "scripted",
        "--single-adapter",
    ]
    ran = CliRunner().invoke(bench.app, [*command, "--arm", "base", "--arm", "default", "--shard", "2/2"])
    assert ran.exit_code == 0, ran.output
    results = [json.loads(line) for line in (tmp_path / "run" / "metrics-2-of-2.jsonl").read_text().splitlines()]
    assert [(result["arm"], result["item"]) for result in results] == [("default", 0), ("default", 1)]


def test_an_arm_that_is_json_is_the_default_edit_with_those_directives(
    backend: ScriptedBackend, registry: AdapterRegistry, tmp_path: Path
) -> None:
    mine = '{"max_steps": 24, "top_layers": 1}'
    assert arm_called(mine).directives == replace(CLOZE, max_steps=24, top_layers=1.0)
    found = measure(backend, registry, [item(0)], [mine], Run(tmp_path))
    assert found[mine, 0].answers[0].right
    with pytest.raises(InputError, match="directive 'steps' does not exist; choose formats"):
        arm_called('{"steps": 3}')


def test_unknown_arms_and_unusable_data_say_what_to_give(
    backend: ScriptedBackend, registry: AdapterRegistry, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no arm called 'magic'; choose base, context, default"):
        measure(backend, registry, [item(0)], ["magic"], Run(tmp_path))
    (tmp_path / "data.json").write_text('[{"title": "a"}]')
    with pytest.raises(InputError, match="give a JSON list of title, context and questions"):
        read_items(tmp_path / "data.json")


@pytest.mark.slow
def test_the_report_says_how_much_of_the_gap_is_closed_and_what_was_lost(tmp_path: Path) -> None:
    def result(arm: str, number: int, right: tuple[bool, bool], nll: float) -> Result:
        given = tuple(Answered(nll, hit, 1) for hit in right)
        return Result(arm, number, given)

    results = {
        (r.arm, r.item): r
        for n in range(4)
        for r in (
            result(BASE, n, (True, False), 8.0),
            result(CONTEXT, n, (True, True), 4.0),
            result("default", n, (n > 0, True), 5.0),
        )
    }
    results["partial", 9] = result("partial", 9, (True, True), 1.0)  # a passage base and context do not have
    reports = {report.arm: report for report in summarise(results)}
    assert set(reports) == {BASE, CONTEXT, "default"}
    default = reports["default"]
    assert default.accuracy.mean == 7 / 8
    assert default.closed_accuracy.mean == pytest.approx(0.75)
    assert default.closed_nll.mean == pytest.approx(0.75)
    assert default.closed_accuracy.low <= 0.75 <= default.closed_accuracy.high
    assert (default.lost, default.were_right) == (1, 4)
    text = markdown(list(reports.values()), "Title", ["seed: 0"])
    assert "| default | 4 (8 questions) | 88%" in text
    assert "1 of 4" in text
    plot(list(reports.values()), tmp_path / "report.png")
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("gold", "answer", "right"),
    [
        ("the Scottish Government", "The Scottish Government can introduce a bill.", True),
        ("the Scottish Government", "A Scottish member can.", False),
        ("1941", "In 1941.\nOr was it 1942?", True),
        ("1941", "I do not know.\n1941", False),
        ("a", "a", True),
    ],
)
def test_an_answer_is_right_when_its_first_line_holds_most_of_the_gold_words(
    gold: str, answer: str, right: bool
) -> None:
    assert is_right(gold, answer) == right
    assert 0 <= gold_token_recall(gold, answer) <= 1
