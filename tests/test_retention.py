"""The judge: a pure function of scores. Changes are in nats per token, and every answer has one token."""

import math
import random
from collections.abc import Sequence

import pytest

from seal_agent.errors import InputError
from seal_agent.retention import Limits, judge, mean_with_limits, share_at_least, student_quantile
from seal_agent.types import Probe, Probed, Prompt, Score, Stratum

LIMITS = Limits()
KNOWN, UNKNOWN = -0.5, -3.0


def probed(
    change: float, number: int = 0, *, stratum: Stratum = "near", before: float = KNOWN, best: float | None = None
) -> Probed:
    probe = Probe(Prompt.user(f"Question {number}?"), "answer", stratum, f"document {number}", number)
    return Probed(probe, Score(before, 1), Score(before + change, 1), best)


def learned(gain: float = 2.0) -> list[Probed]:
    return [probed(gain, n, stratum="edit", before=-4.0) for n in range(4)]


def replay(changes: Sequence[float], before: float = KNOWN) -> list[Probed]:
    return [probed(change, number, before=before) for number, change in enumerate(changes)]


def spread(mean: float, half: float, num: int = 10) -> list[float]:
    return [mean + (half if number % 2 else -half) for number in range(num)]


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [(1, 6.314), (2, 2.920), (3, 2.353), (5, 2.015), (10, 1.812), (30, 1.697), (127, 1.657)],
)
def test_student_quantile_agrees_with_the_table(degrees: int, quantile: float) -> None:
    assert student_quantile(0.95, degrees) == pytest.approx(quantile, abs=0.02)


def test_an_edit_that_is_learned_and_forgets_nothing_is_accepted() -> None:
    verdict = judge([*learned(), *replay(spread(0.0, 0.1, 32))], LIMITS)
    assert (verdict.outcome, verdict.num_probes, verdict.num_lost) == ("accept", 32, 0)
    assert verdict.gain == pytest.approx(2.0)
    assert verdict.low < 0 < verdict.high
    assert verdict.by_stratum == {"near": pytest.approx(0.0)}


def test_an_edit_that_brings_too_little_is_rolled_back() -> None:
    verdict = judge([*learned(0.2), *replay(spread(0.0, 0.1, 32))], LIMITS)
    assert verdict.outcome == "rollback"
    assert "learned nothing" in verdict.reason


def test_an_edit_that_forgets_is_rolled_back_however_much_it_brings() -> None:
    verdict = judge([*learned(9.0), *replay(spread(-0.5, 0.2))], LIMITS)
    assert (verdict.outcome, verdict.num_lost) == ("rollback", 0)
    assert verdict.change == pytest.approx(-0.5)
    assert verdict.high < -LIMITS.max_drop


def test_lost_items_are_not_hidden_by_a_good_mean() -> None:
    changes = [1.2] * 20 + [-1.5] * 12
    verdict = judge([*learned(), *replay(changes)], LIMITS)
    assert (verdict.outcome, verdict.num_lost) == ("rollback", 12)
    assert verdict.change > 0
    assert "12 of 32 known items" in verdict.reason
    assert judge([*learned(), *replay(changes, UNKNOWN)], LIMITS).num_lost == 0  # what was never known is not lost


def test_a_share_among_few_items_is_no_evidence() -> None:
    verdict = judge([*learned(), *replay([1.0] * 30, UNKNOWN), *replay([1.0, 1.0, -1.5])], LIMITS)
    assert (verdict.outcome, verdict.num_lost) == ("accept", 1)  # a third of the known, but one of three
    assert share_at_least(10, 100, 0.95) == pytest.approx(0.0607, abs=5e-4)  # Wilson's interval, by hand


@pytest.mark.parametrize(("mean", "final"), [(-0.1, "accept"), (-0.4, "rollback")])
def test_an_unclear_mean_asks_for_more_probes_until_there_are_none(mean: float, final: str) -> None:
    probes = [*learned(), *replay(spread(mean, 0.9), UNKNOWN)]
    assert judge(probes, LIMITS).outcome == "undecided"
    assert judge(probes, LIMITS, final=True).outcome == final


def test_items_of_one_document_count_as_one_observation() -> None:
    values = [0.3, -0.5, 0.1, 0.4]
    documents = ["a", "b", "c", "d"]
    alone = mean_with_limits(values, documents, 0.95)
    eightfold = mean_with_limits(values * 8, documents * 8, 0.95)
    independent = mean_with_limits(values * 8, [str(n) for n in range(32)], 0.95)
    assert eightfold == pytest.approx(alone)
    assert eightfold[2] - eightfold[1] > 3 * (independent[2] - independent[1])


def test_one_document_proves_nothing() -> None:
    probes = [Probed(Probe(Prompt.user(str(n)), "a", "near", "same"), Score(-1, 1), Score(-1, 1)) for n in range(50)]
    verdict = judge([*learned(), *probes], LIMITS)
    assert verdict.outcome == "undecided"
    assert math.isfinite(verdict.low)
    assert math.isfinite(verdict.high)


def test_drift_in_small_steps_is_caught_against_the_best_ever() -> None:
    step, best = -0.15, KNOWN
    outcomes = []
    for number in range(8):
        before = best + number * step
        drifting = [probed(step, n, before=before, best=best) for n in range(12)]
        forgetful = [probed(step, n, before=before) for n in range(12)]
        outcomes.append(judge([*learned(), *drifting], LIMITS).outcome)
        assert judge([*learned(), *forgetful], LIMITS).outcome == "accept"
    assert outcomes == ["accept"] * 6 + ["rollback"] * 2  # from the seventh step on more than 1 nat is gone


def test_the_judge_depends_on_nothing_but_its_arguments() -> None:
    probes = [*learned(), *replay(spread(-0.1, 0.5, 21)), *replay([0.2, -0.3], UNKNOWN)]
    shuffled = random.Random(1).sample(probes, len(probes))
    first, second = judge(probes, LIMITS), judge(shuffled, LIMITS)
    assert judge(probes, LIMITS) == first
    assert (second.outcome, second.num_lost) == (first.outcome, first.num_lost)
    assert (second.change, second.low) == pytest.approx((first.change, first.low))


@pytest.mark.parametrize("final", [False, True])
def test_an_adapter_whose_scores_are_not_numbers_is_rolled_back(final: bool) -> None:
    nan = float("nan")
    healthy = replay(spread(0.0, 0.1, 32))
    for probes in ([*learned(nan), *healthy], [*learned(), *healthy, *replay([nan])], learned(nan)):
        assert judge(probes, LIMITS, final=final).outcome == "rollback"


def test_an_edit_without_probes_of_its_own_cannot_be_judged() -> None:
    with pytest.raises(InputError, match="probes of its own"):
        judge(replay([0.0]), LIMITS)


@pytest.mark.parametrize(
    "wrong", [{"min_gain": -1.0}, {"max_drop": -0.1}, {"max_lost": 1.1}, {"confidence": 0.5}, {"confidence": 1.0}]
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        Limits(**wrong)
