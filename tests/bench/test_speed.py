"""What learning costs: the rig on a real, tiny model, and the figures that are drawn from what it measured."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import DIRECTIVES, ROWS, logits, silent, tiny_engine, tiny_model

from seal_agent.adapters.loading import LoadedModel
from seal_agent.bench.reports import speed
from seal_agent.bench.speed import bench as bench
from seal_agent.bench.speed.bench import LOADING, OURS, PADDED, UNPADDED, Curve
from seal_agent.bench.speed.meter import CLEAR
from seal_agent.bench.speed.rig import Rig, random_model
from seal_agent.core.errors import InputError
from seal_agent.writing.directives import SEAL_PAPER

PUBLISHED = replace(SEAL_PAPER, rank=4, alpha=8, learning_rate=1e-2)


def load() -> LoadedModel:
    return LoadedModel("tiny", tiny_model(), None, torch.device("cpu"), torch.float32)  # type: ignore[arg-type]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tiny_engine(), load, ROWS, tmp_path / "adapters")


class Scripted:
    """A rig with figures of its own: SEAL's loop needs twice the steps of ours, everything else is as fast."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def matrix_speed(self) -> float:
        return 100.0

    def loading(self) -> float:
        return 0.5

    def curve_of_ours(self, _d: object, _e: int, _s: int, _p: object) -> Curve:
        self.calls.append("curve")
        return Curve(OURS, (5, 10), (1.0, 0.25), 80.0, 1.0)

    def curve_as_published(self, _d: object, level: float, _e: int, _s: int, _p: object) -> Curve:
        return Curve(UNPADDED, (10, 30), (0.5, level / 2), 64.0, 1.0)

    def steps_of_ours(self, _d: object, _n: int, _s: int, num_candidates: int = 1) -> bench.Steps:
        self.calls.append("steps")
        return bench.Steps(0.8 * math.sqrt(num_candidates), 80.0 * num_candidates, 10.0, 50.0)

    def steps_as_published(self, _d: object, _n: int, _s: int, *, pad_to: int) -> bench.Steps:
        tokens = max(64, pad_to)
        return bench.Steps(tokens / 100, tokens, 20.0, 40.0)

    def tokens_folded(self, _n: int, _t: int) -> float:
        return 0.01

    def tokens_live(self, num_adapters: int, _t: int) -> float:
        return 0.01 * (1 + num_adapters)

    def reply(self, _t: int, *, is_learning: bool) -> tuple[float, float]:
        return (0.6 if is_learning else 0.4), 0.004


def measured(folder: Path, rounds: int = 1) -> tuple[Scripted, bench.Run]:
    scripted, run = Scripted(), bench.Run(folder)
    bench.measure(scripted, run, bench.PARTS, 16, rounds, seed=0)
    return scripted, run


def test_the_report_compares_at_the_same_nll(tmp_path: Path) -> None:
    _, run = measured(tmp_path)
    report = bench.summarise(run.curves(), run.measured())
    costs = {cost.arm: cost for cost in report.recipe}
    assert costs[OURS].seconds == pytest.approx(8.0)
    assert costs[UNPADDED].num_steps == pytest.approx(20)  # log-linear: halfway from .5 to .125
    assert report.times(UNPADDED) == pytest.approx(20 * 0.64 / 8)
    assert report.times(PADDED) == pytest.approx(20 * 20.48 / 8)
    assert costs[PADDED].useful == pytest.approx(64 / 2048)
    assert costs[OURS].share_of_matrix_speed == pytest.approx(0.5)
    assert {c.num: c.faster for c in report.together}[4] == pytest.approx(2.0)
    last = report.adapters[-1]
    assert (last.num, last.live_times, last.folded_times) == (32, pytest.approx(33), pytest.approx(1))


def test_a_run_goes_on_where_it_was_and_more_rounds_add_to_it(tmp_path: Path) -> None:
    first, run = measured(tmp_path)
    (tmp_path / "metrics.jsonl").write_text("\n".join((tmp_path / "metrics.jsonl").read_text().splitlines()[:-1]))
    again, _ = measured(tmp_path)
    assert first.calls
    assert again.calls == []
    more, run = measured(tmp_path, rounds=2)
    assert more.calls.count("curve") == 0
    assert len({(m.part, m.arm, m.number, m.round) for m in run.measured()}) == len(run.measured())
    assert {m.round for m in run.measured()} == {0, 1}


def test_a_level_that_was_never_reached_gives_a_lower_bound(tmp_path: Path) -> None:
    _, run = measured(tmp_path)
    curves = run.curves()
    never = replace(curves[UNPADDED], nll=(0.5, 0.4))
    report = bench.summarise({**curves, UNPADDED: never}, run.measured())
    cost = next(c for c in report.recipe if c.arm == UNPADDED)
    assert (cost.reached, cost.num_steps, cost.nll) == (False, 30, 0.4)
    assert "more than" in speed.markdown(report, [])


def test_the_step_that_reaches_a_level_lies_between_the_points_around_it() -> None:
    curve = Curve("", (10, 20, 30), (1.0, 2.0, 0.5), 1.0, 1.0)
    assert curve.steps_to(1.5) == 10
    assert curve.steps_to(1.0) == 10
    assert curve.steps_to(0.5) == 30
    assert 20 < (curve.steps_to(0.9) or 0) < 30
    assert curve.steps_to(0.4) is None


@pytest.mark.slow
def test_the_report_says_what_is_met_and_is_plotted(tmp_path: Path) -> None:
    _, run = measured(tmp_path)
    report = bench.summarise(run.curves(), run.measured())
    text = speed.markdown(report, ["model: x  "])
    assert "| 8 candidates at once | at least 3× faster | 2.83× | no |" in text
    assert "| loading from the cache | under 3 s | 0.50 s | yes |" in text
    speed.plot(report, run.curves(), tmp_path / "report.png")
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


def test_one_part_alone_is_reported_alone(tmp_path: Path) -> None:
    run = bench.Run(tmp_path)
    bench.measure(Scripted(), run, [LOADING], 16, 1, seed=0)
    text = speed.markdown(bench.summarise(run.curves(), run.measured()), [])
    assert "Loading the model" in text
    assert "candidates |" not in text
    with pytest.raises(InputError, match="no part everything; choose recipe, together, adapters, loading"):
        bench.measure(Scripted(), run, ["everything"], 16, 1, seed=0)


@pytest.mark.slow
def test_both_loops_learn_the_rows_and_leave_the_models_as_they_were(rig: Rig) -> None:
    before = logits(rig._engine)
    plain = rig._plain.model(torch.tensor([[1, 5, 9]])).logits
    long = replace(DIRECTIVES, max_steps=15, min_steps=15)
    ours = rig.curve_of_ours(long, 10, 0, silent)
    assert ours.steps == (10, 15)
    assert ours.nll[-1] < ours.nll[0]
    assert ours.useful == 1.0
    theirs = rig.curve_as_published(PUBLISHED, 3.9, 4, 0, silent)
    assert theirs.nll[-1] < theirs.nll[0]
    assert theirs.nll[-1] <= 3.9 or theirs.steps[-1] == 40
    assert torch.equal(logits(rig._engine), before)
    assert torch.equal(rig._plain.model(torch.tensor([[1, 5, 9]])).logits, plain)


def test_the_last_point_of_a_curve_is_what_the_stored_update_gives(rig: Rig) -> None:
    """Taken in the loop and afterwards, from the update beside the base, the NLL is the same."""
    long = replace(DIRECTIVES, max_steps=6, min_steps=6)
    inside = rig.curve_of_ours(long, 6, 0, silent)
    outside = rig.curve_of_ours(long, 7, 0, silent)
    assert inside.steps == outside.steps == (6,)
    assert inside.nll[0] == pytest.approx(outside.nll[0], abs=1e-5)


def test_a_reply_beside_learning_is_compared_with_one_without(tmp_path: Path) -> None:
    _, run = measured(tmp_path)
    report = bench.summarise(run.curves(), run.measured())
    assert report.replies
    assert (report.replies.times, report.replies.queued) == (pytest.approx(1.5), 0.004)
    assert "| queueing a text to learn | less than 50 ms | 4.0 ms | yes |" in speed.markdown(report, [])


def test_the_model_answers_as_ever_while_an_edit_is_trained_behind(rig: Rig) -> None:
    before = logits(rig._engine)
    with rig._trained_behind(), rig._engine.lock:
        assert torch.equal(logits(rig._engine), before)


@pytest.mark.slow
def test_padding_is_computed_and_counted(rig: Rig) -> None:
    assert rig.steps_as_published(PUBLISHED, 4, 0, pad_to=0).num_tokens == pytest.approx(4.75)
    assert rig.steps_as_published(PUBLISHED, 1, 0, pad_to=32).num_tokens == 32
    one, three = rig.steps_of_ours(DIRECTIVES, 2, 0), rig.steps_of_ours(DIRECTIVES, 2, 0, 3)
    assert three.num_tokens >= 3 * one.num_tokens
    assert min(one.seconds, one.speed, rig.matrix_speed(), rig.loading()) > 0


@pytest.mark.filterwarnings("ignore:Already found a `peft_config`")
def test_adapters_are_timed_live_and_folded_and_taken_away_again(rig: Rig) -> None:
    before = logits(rig._engine)
    for num in (0, 1, 3):
        assert rig.tokens_folded(num, 2) > 0
        assert rig.tokens_live(num, 2) > 0
    assert torch.equal(logits(rig._engine), before)
    assert not [name for name, _ in rig._plain.model.named_parameters() if "lora" in name]


def test_a_random_model_of_unknown_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no random model of size 3b; choose 135m, 1b, 8b"):
        random_model("3b", tmp_path, "cpu")


def test_settings_are_kept_and_another_model_is_another_run(tmp_path: Path) -> None:
    bench.Run(tmp_path, config={"model": "a"})
    assert json.loads((tmp_path / "config.json").read_text()) == {"model": "a"}
    with pytest.raises(InputError, match="another run"):
        bench.Run(tmp_path, config={"model": "b"})


@pytest.mark.slow
@pytest.mark.skipif(not CLEAR.exists(), reason="the peak is measured on Linux")
def test_the_peak_of_memory_is_that_of_the_work_alone() -> None:
    """In a process of its own: what another test freed would be used again, and nothing would be taken."""
    code = """
import torch
from seal_agent.bench.speed.meter import MIB, clock_of, cost_of
cpu = torch.device("cpu")
for num in (64, 1):
    print(cost_of(lambda: torch.ones(num, MIB // 4), cpu, clock_of(cpu)).peak_mib)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    large, small = map(float, done.stdout.split())
    assert large == pytest.approx(64, abs=8)
    assert small < 16
