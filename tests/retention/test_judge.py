"""The judge: a pure function of scores. Changes are in nats per token, and every answer has one token."""

import math
import random
from collections.abc import Sequence

import pytest

from seal_agent.core.edits import Probe, Stratum
from seal_agent.core.episodes import Probed, Score
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Prompt
from seal_agent.retention.judge import Limits, judge, noise
from seal_agent.retention.statistics import binomial_tail, mean_with_limits, share_at_least, student_quantile

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
    assert student_quantile(0.95, degrees) == pytest.approx(quantile, abs=5e-4)


def test_the_quantile_of_an_alarm_is_right_for_few_documents() -> None:
    assert student_quantile(LIMITS.alarm_confidence, 3) == pytest.approx(5.625, abs=5e-4)


def test_a_tail_holds_all_with_no_count_and_nothing_beyond_the_total() -> None:
    assert (binomial_tail(0, 5, 0.1), binomial_tail(5, 5, 1.0), binomial_tail(3, 10, 0.0)) == (1.0, 1.0, 0.0)


def test_an_edit_that_is_learned_and_forgets_nothing_is_accepted() -> None:
    verdict = judge([*learned(), *replay(spread(0.0, 0.1, 32))], LIMITS)
    assert (verdict.outcome, verdict.num_probes, verdict.num_lost) == ("accept", 32, 0)
    assert verdict.gain == pytest.approx(2.0)
    assert verdict.low < 0 < verdict.high
    assert verdict.by_stratum == {"near": pytest.approx(0.0)}


def test_an_edit_that_brings_too_little_is_rolled_back() -> None:
    verdict = judge([*learned(0.2), *replay(spread(0.0, 0.1, 32))], LIMITS)
    assert verdict.outcome == "reject"
    assert "learned nothing" in verdict.reason


def test_an_edit_that_forgets_is_found_however_much_it_brings() -> None:
    verdict = judge([*learned(9.0), *replay(spread(-0.5, 0.2))], LIMITS)
    assert (verdict.outcome, verdict.num_lost) == ("forgot", 0)
    assert verdict.change == pytest.approx(-0.5)
    assert verdict.high < -LIMITS.max_drop


def test_lost_items_are_not_hidden_by_a_good_mean() -> None:
    changes = [1.2] * 20 + [-1.5] * 12
    verdict = judge([*learned(), *replay(changes)], LIMITS)
    assert (verdict.outcome, verdict.num_lost) == ("forgot", 12)
    assert verdict.change > 0
    assert "12 of 32 known items" in verdict.reason
    assert judge([*learned(), *replay(changes, UNKNOWN)], LIMITS).num_lost == 0  # what was never known is not lost


def test_a_share_among_few_items_is_no_evidence() -> None:
    probes = [*learned(), *replay([1.0] * 30, UNKNOWN), *replay([1.0, 1.0, -1.5])]
    verdict = judge(probes, LIMITS, final=True)
    assert (verdict.outcome, verdict.num_lost) == ("accept", 1)  # a third of the known, but one of three
    assert judge(probes, LIMITS).outcome == "undecided"  # more probes tell more
    assert share_at_least(10, 100, 0.95) == pytest.approx(0.0607, abs=5e-4)  # Wilson's interval, by hand


@pytest.mark.parametrize(("mean", "final"), [(-0.1, "accept"), (-0.4, "forgot")])
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
    assert outcomes == ["accept"] * 3 + ["forgot"] * 5  # from the fourth step on more than half a nat is gone


def test_drift_does_not_count_against_an_edit_that_did_not_add_to_it() -> None:
    def drifted(step: float) -> list[Probed]:
        return [probed(step, n, before=KNOWN - 0.8, best=KNOWN) for n in range(12)]

    assert judge([*learned(), *drifted(0.02)], LIMITS).outcome == "accept"
    verdict = judge([*learned(), *drifted(-0.02)], LIMITS)
    assert verdict.outcome == "forgot"
    assert "drifted" in verdict.reason


def test_an_item_is_lost_once() -> None:
    lost_before = [probed(-0.1, n, before=KNOWN - 1.5, best=KNOWN) for n in range(10)]
    healthy = [probed(0.0, n + 10, best=KNOWN) for n in range(50)]
    assert judge([*learned(), *lost_before, *healthy], LIMITS).num_lost == 0
    losing = [probed(-1.6, n, best=KNOWN) for n in range(10)]
    assert judge([*learned(), *losing, *healthy], LIMITS).num_lost == 10


def test_an_edit_is_not_blamed_for_the_last_step_of_a_long_fall() -> None:
    edge = [probed(-0.2, n, before=KNOWN - 0.9, best=KNOWN) for n in range(10)]
    assert judge([*learned(), *edge], LIMITS).num_lost == 0
    second_half = [probed(-0.6, n, before=KNOWN - 0.6, best=KNOWN) for n in range(10)]
    assert judge([*learned(), *second_half], LIMITS).num_lost == 10


def test_losses_in_one_document_are_one_loss() -> None:
    def spread_over(num_documents: int) -> list[Probed]:
        lost = [probed(-2.0, n % num_documents) for n in range(8)]
        return [*learned(), *lost, *(probed(0.2, n) for n in range(8, 100))]

    assert judge(spread_over(8), LIMITS).outcome == "forgot"
    assert judge(spread_over(1), LIMITS, final=True).outcome == "accept"


def test_a_lost_item_is_looked_into_even_when_the_mean_is_good() -> None:
    probes = [*learned(), *replay([0.5] * 28 + [-1.5])]
    assert judge(probes, LIMITS).outcome == "undecided"
    assert judge(probes, LIMITS, final=True).outcome == "accept"


def test_more_looks_need_stronger_evidence() -> None:
    probes = [*learned(), *replay([0.3] * 29 + [-1.5] * 4)]
    assert binomial_tail(4, 33, 0.02) == pytest.approx(0.0042, abs=1e-4)
    assert judge(probes, Limits(max_lost=0.02, num_looks=3)).outcome == "forgot"  # .05 / 3 rules / 3 looks = .0056
    assert judge(probes, Limits(max_lost=0.02, num_looks=5)).outcome == "undecided"  # .05 / 3 / 5 = .0033


def test_noise_is_measured_by_scoring_twice() -> None:
    assert noise([-1.0, -2.0], [-1.0, -2.0]) == 0.0
    assert noise([-1.0, -2.0], [-1.3, -1.6]) == pytest.approx(math.sqrt((0.09 + 0.16) / 2))
    assert noise(replay([9.0, 9.0]), replay([0.0, 0.0], KNOWN - 0.1)) == pytest.approx(0.1)  # only `before` counts
    with pytest.raises(InputError, match="without items"):
        noise([], [])


def test_a_change_within_the_noise_is_no_evidence() -> None:
    falling = [*learned(), *replay([-0.3] * 8)]  # without any spread: eight that agree by chance
    assert judge(falling, LIMITS).outcome == "forgot"
    assert judge(falling, Limits(noise=0.5)).outcome == "undecided"
    losing = [*learned(), *replay([0.5] * 28 + [-1.2] * 4)]
    assert judge(losing, LIMITS).num_lost == 4
    assert judge(losing, Limits(noise=0.5)).num_lost == 0


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
        assert judge(probes, LIMITS, final=final).outcome == "reject"


def test_an_edit_without_probes_of_its_own_cannot_be_judged() -> None:
    with pytest.raises(InputError, match="probes of its own"):
        judge(replay([0.0]), LIMITS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_gain": -1.0},
        {"max_drop": -0.1},
        {"max_drift": -0.1},
        {"noise": -0.1},
        {"max_lost": 1.1},
        {"confidence": 0.5},
        {"confidence": 1.0},
        {"num_looks": 0},
    ],
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        Limits(**wrong)
