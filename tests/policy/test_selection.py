"""Choosing among noisy candidates: shrinkage, the accept threshold, and the bench on published rewards."""

import json
import random
from pathlib import Path
from statistics import fmean

import pytest

from seal_agent.bench import policy
from seal_agent.bench.policy import BEST, LEARNED, NOTHING, SERVED, measure, read_contests
from seal_agent.cli import app
from seal_agent.core.errors import InputError
from seal_agent.policy.selection import Contest, Spread, choose, estimates, spearman_brown, split_half, spread


def simulated(
    num: int, *, candidates: float, noise: float, gain: float, seed: int = 1, num_seeds: int = 3
) -> list[Contest]:
    """Contests of five candidates with normal merits and noise of those standard deviations."""
    rng = random.Random(seed)
    found = []
    for _ in range(num):
        merits = [gain + rng.gauss(0, candidates) for _ in range(5)]
        found.append(Contest(0.0, tuple(tuple(rng.gauss(m, noise) for _ in range(num_seeds)) for m in merits)))
    return found


def test_variances_and_reliability_are_those_that_made_the_rewards() -> None:
    contests = simulated(600, candidates=0.1, noise=0.2, gain=0.3)
    known = spread(contests)
    assert known.seed == pytest.approx(0.04, rel=0.1)
    assert known.candidates == pytest.approx(0.01, rel=0.2)
    assert known.contexts < 0.002
    assert known.gain == pytest.approx(0.3, abs=0.02)
    assert known.reliability(3) == pytest.approx(0.43, abs=0.05)
    assert spearman_brown(split_half(contests), 3) == pytest.approx(known.reliability(3), abs=0.05)


def test_a_candidate_with_fewer_seeds_is_drawn_further_to_the_mean() -> None:
    known = Spread(seed=1.0, candidates=1.0, contexts=1.0, gain=0.0)
    lucky, proven, rest = estimates(Contest(0.0, ((2.0,), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))), known)
    assert rest.gain < lucky.gain < proven.gain < 2.0
    assert lucky.error > proven.error


def test_without_noise_the_best_is_taken_as_it_was_measured() -> None:
    contests = [Contest(0.0, ((0.1, 0.1), (0.3, 0.3))), Contest(0.0, ((0.2, 0.2), (-0.1, -0.1)))]
    choice = choose(contests[0], spread(contests))
    assert (choice.best, choice.is_accepted) == ((1,), True)
    assert (choice.estimate.gain, choice.estimate.error) == pytest.approx((0.3, 0.0), abs=1e-6)


def test_what_beats_doing_nothing_only_by_luck_is_refused() -> None:
    known = spread(simulated(200, candidates=0.02, noise=0.5, gain=0.0))
    lucky = Contest(0.0, ((0.4, 0.3, 0.5), (0.0, -0.2, 0.1), (-0.4, -0.1, -0.3)))
    assert not choose(lucky, known).is_accepted
    assert choose(lucky, Spread(0.01, 0.1, 0.01, 0.0)).is_accepted
    assert not choose(Contest(0.0, ((0.0, 0.0),)), Spread(0.0, 0.0, 0.0, 0.0), margin=0).is_accepted


def test_candidates_that_tie_are_all_named() -> None:
    known = Spread(1.0, 1.0, 1.0, 0.0)
    assert choose(Contest(0.0, ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0))), known).best == (0, 1)


def test_noise_that_was_never_measured_is_an_error() -> None:
    with pytest.raises(InputError, match="two seeds"):
        spread([Contest(0.0, ((1.0,), (2.0,)))])


@pytest.mark.slow
def test_no_rule_sees_the_seed_it_is_judged_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "NUM_RESAMPLES", 100)
    reports = {r.rule: r for r in measure(simulated(300, candidates=0.0, noise=1.0, gain=0.0))}
    assert reports[BEST].promised > 0.6  # the luckiest of five
    for report in reports.values():
        assert abs(report.reward.mean) < 0.1  # and nothing of it on another seed
    assert reports[LEARNED].kept < 0.1


def test_where_most_edits_harm_the_threshold_keeps_the_good_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "NUM_RESAMPLES", 200)
    reports = {r.rule: r for r in measure(simulated(150, candidates=0.3, noise=0.4, gain=-0.2))}
    assert reports[SERVED].against_best.low > 0
    assert reports[LEARNED].gain_against_best.low > 0
    assert reports[LEARNED].worse < reports[SERVED].worse < reports[BEST].worse
    assert abs(reports[SERVED].promised - reports[SERVED].gain.mean) < abs(
        reports[BEST].promised - reports[BEST].gain.mean
    )
    assert reports[NOTHING].kept == 0


@pytest.mark.slow
def test_the_command_reads_published_rewards_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contests = simulated(12, candidates=0.2, noise=0.2, gain=0.1)
    data = [
        {"baseline_accuracy": c.nothing, "edits": [{"text": "", "accuracy_by_seed": list(r)} for r in c.rewards]}
        for c in contests
    ]
    path = tmp_path / "rewards.json"
    path.write_text(json.dumps(data))
    assert read_contests(path) == contests
    assert app.main(["bench", "selection", "--rewards", str(path), "--out", str(tmp_path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    by_rule = {report["rule"]: report for report in shown["rules"]}
    everything = fmean(value for c in contests for r in c.rewards for value in r)
    assert by_rule["any edit"]["reward"]["mean"] == pytest.approx(everything)
    assert "Reliability" in (tmp_path / "report.md").read_text()


def test_rewards_in_another_form_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rewards.json"
    path.write_text('[{"baseline_accuracy": 0.1, "edits": [{"accuracy_by_seed": [0.1, 0.2]}]}]')
    with pytest.raises(InputError, match="3 or more"):
        read_contests(path)
    with pytest.raises(InputError, match="cannot use"):
        read_contests(tmp_path / "nothing.json")
