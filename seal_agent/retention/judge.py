"""Did an edit forget? Pure statistics on scores before and after it. No model, clock, disk or global.

The statistic is the paired change of a gold answer's log-likelihood in nats per token. With 25 items it shows what
counts of exact matches show with hundreds (docs/log/retention.md). Three rules can say "forgot", each at a confidence
corrected for the number of looks and rules: the mean fell since before the edit; the mean drifted below the best
scores so far; too many single items were lost, which a mean hides. `seal_agent/bench/gate.py` measures their error
rates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Protocol

from seal_agent.core.episodes import Probed, Verdict, VerdictOutcome
from seal_agent.core.errors import InputError
from seal_agent.core.numbers import check_number, check_whole
from seal_agent.retention.statistics import binomial_tail, mean_with_limits

NUM_RULES = 3  # mean, drift, lost items: each can say "forgot"
MIN_P_TO_ACCEPT_EARLY = 0.5  # least p-value of the losses for accepting before all probes are drawn


@dataclass(frozen=True)
class Limits:
    """What an edit may cost and must gain; in nats per token unless stated otherwise.

    `min_gain`: least mean gain on the edit's own probes. `max_drop`: largest fall of the mean of the replay probes.
    `max_drift`: largest distance of the known items' mean below the mean of their best scores. `math.inf` switches
    either of the last two off. `lost_by`: an edit loses a known item if it takes the item this far below its best
    (`is_lost`). `max_lost`: share of the known items that an edit may lose. `known_above`: an item is known if its best
    score is above this. `noise`: standard deviation of the change of an unchanged item, measured by `noise()`.
    `confidence`: one-sided, of accepting, and of "forgot" by all rules in all `num_looks` draws of probes together.

    The defaults were chosen with `seal_agent/bench/gate.py` on 300 edits that lose nothing, after 50 other edits. Such
    edits lie 0.42 below their best scores on average. With twice the expected noise 4% of them lose too many items;
    with `max_lost` 0.01 it would be 11%.
    """

    min_gain: float = 0.25
    max_drop: float = 0.2
    max_drift: float = 0.5
    lost_by: float = 1.0
    max_lost: float = 0.015
    known_above: float = -1.5
    noise: float = 0.0
    confidence: float = 0.95
    num_looks: int = 3

    def __post_init__(self) -> None:
        for name in ("min_gain", "lost_by", "noise"):
            check_number(name, getattr(self, name), 0)
        for name in ("max_drop", "max_drift"):
            check_number(name, getattr(self, name), 0, or_infinite=True)
        check_number("max_lost", self.max_lost, 0, 1)
        check_number("known_above", self.known_above)
        check_number("confidence", self.confidence, 0.5, 1, above=True, below=True)
        check_whole("num_looks", self.num_looks, 1)

    @property
    def alarm_confidence(self) -> float:
        """The confidence that one rule needs in one look (Bonferroni, valid for any correlation of looks and rules)."""
        return 1 - (1 - self.confidence) / (self.num_looks * NUM_RULES)


@dataclass(frozen=True)
class RetentionStats:
    """Statistics of the replay probes, in nats per token.

    `mean`, `low` and `high`: the mean change with its limits at the confidence of accepting. `upper_change` and
    `upper_drift`: upper limits, at the confidence of an alarm, of the mean change and of the mean distance to the
    best scores. `lost` of `known` items are lost; `p_value`: the probability of lost items in that many documents if
    the tolerated share is lost.
    """

    mean: float = 0.0
    low: float = 0.0
    high: float = 0.0
    upper_change: float = 0.0
    upper_drift: float = 0.0
    lost: int = 0
    known: int = 0
    p_value: float = 1.0


def change(probed: Probed) -> float:
    """The change of the gold answer's log-likelihood, in nats per token."""
    return probed.after.per_token - probed.before.per_token


def _documents(probed: Sequence[Probed]) -> list[str]:
    return [p.probe.document or str(number) for number, p in enumerate(probed)]


def noise(first: Sequence[Probed] | Sequence[float], second: Sequence[Probed] | Sequence[float]) -> float:
    """Standard deviation of the change of an unchanged item, in nats per token, for `Limits.noise`.

    It takes two scorings of the same items by the same stack: scores per token, or probes, of which `before` counts.
    It is the root mean square, because the true change is 0 and a bias of the scorer is noise too. Usually 0.
    """
    pairs = list(zip(map(_score_of, first), map(_score_of, second), strict=True))
    if not pairs:
        raise InputError("noise cannot be measured without items; score at least one item twice")
    return math.sqrt(fmean((b - a) ** 2 for a, b in pairs))


def _score_of(scored: Probed | float) -> float:
    return scored.before.per_token if isinstance(scored, Probed) else scored


def best_of(probed: Probed) -> float:
    """The item's best score before the edit ended, in nats per token."""
    return max(probed.before.per_token, probed.best if probed.best is not None else -math.inf)


def is_lost(probed: Probed, limits: Limits) -> bool:
    """Whether the edit took an item too far below its best score, and mostly by itself.

    An item that was that far below before the edit was lost by an earlier one; it counts there, and for the drift. At
    least half of the fall must come from this edit, because any edit pushes items near the threshold over it. A fall
    within three standard deviations of noise is no loss; noise exceeds that in one of 700 unchanged items.
    """
    best, far = best_of(probed), max(limits.lost_by, 3 * limits.noise)
    crossed = best - probed.after.per_token > far >= best - probed.before.per_token
    return crossed and -change(probed) >= far / 2


def p_value_of_losses(lost: Sequence[bool], documents: Sequence[str], tolerated: float) -> float:
    """The probability of losses in at least as many documents, if the share `tolerated` of all items were lost.

    Items of one document are correlated, so documents with a lost item are counted. At the tolerated share their mean
    number is at most that share times the number of items, however the losses cluster. Of all independent documents
    with that mean the binomial has the heaviest tail (Hoeffding 1956, theorem 4).
    """
    num_documents = len(set(documents))
    num_losing = len({document for document, gone in zip(documents, lost, strict=True) if gone})
    return binomial_tail(num_losing, num_documents, min(tolerated * len(lost) / num_documents, 1.0))


def retention_stats(replay: Sequence[Probed], limits: Limits) -> RetentionStats:
    """Statistics of the replay probes; without probes, no change."""
    if not replay:
        return RetentionStats()
    changes, documents = [change(p) for p in replay], _documents(replay)
    mean, low, high = mean_with_limits(changes, documents, limits.confidence, limits.noise)
    surely_changed = mean_with_limits(changes, documents, limits.alarm_confidence, limits.noise)[2]
    known = [p for p in replay if best_of(p) >= limits.known_above]
    figures = RetentionStats(mean, low, high, surely_changed)
    if not known:
        return figures
    documents = _documents(known)
    distances = [p.after.per_token - best_of(p) for p in known]
    lost = [is_lost(p, limits) for p in known]
    return replace(
        figures,
        upper_drift=mean_with_limits(distances, documents, limits.alarm_confidence, limits.noise)[2],
        lost=sum(lost),
        known=len(known),
        p_value=p_value_of_losses(lost, documents, limits.max_lost),
    )


def alarm(figures: RetentionStats, limits: Limits) -> str:
    """The reason why the edit forgot with the confidence of an alarm; "" if there is none.

    Drift counts against an edit only if the edit added to it; otherwise one bad edit would block all later ones. The
    maximum of ten noisy scores is biased upward by about one `noise`; the drift limit is widened by that.
    """
    if figures.upper_change < -limits.max_drop:
        surely = figures.upper_change
        return f"the replay set changed by {figures.mean:+z.2f} nats per token (surely below {surely:+z.2f})"
    if figures.p_value < 1 - limits.alarm_confidence:
        return f"{figures.lost} of {figures.known} known items fell by more than {limits.lost_by} nat"
    if figures.mean < 0 and figures.upper_drift < -limits.max_drift - limits.noise:
        return f"the replay set drifted below its best (surely below {figures.upper_drift:+z.2f} nats per token)"
    return ""


class Judge(Protocol):
    """Decides what happens to an edit: a pure function of the scores."""

    def __call__(self, probed: Sequence[Probed], limits: Limits, *, final: bool = False) -> Verdict:
        """The verdict; with `final` it is never "undecided"."""


def judge(probed: Sequence[Probed], limits: Limits, *, final: bool = False) -> Verdict:
    """Accept, reject, forgot, or undecided (more probes are needed).

    "reject": nothing was learned, or training diverged. "forgot": the replay set shows it. With `final` there are no
    more probes; without an alarm the edit is accepted if the mean itself is within its limit. Raises `InputError`
    without a probe of the edit itself, because nothing would show that anything was learned.
    """
    own = [p for p in probed if p.probe.stratum == "edit"]
    replay = [p for p in probed if p.probe.stratum != "edit"]
    if not own:
        raise InputError("an edit without probes of its own cannot be judged; give it at least one")
    if not _are_finite(probed):
        return _diverged(len(replay))
    gain = fmean(change(p) for p in own)
    figures = retention_stats(replay, limits)
    outcome, reason = _outcome(gain, figures, limits, final=final or not replay)
    return _verdict(outcome, reason, gain, figures, replay)


def judge_consolidation(probed: Sequence[Probed], limits: Limits) -> Verdict:
    """Accept or forgot, for a stack that was only made smaller: no gain is required and no probes are left to draw."""
    if not _are_finite(probed):
        return _diverged(len(probed))
    figures = retention_stats(probed, limits)
    why = alarm(figures, limits)
    if not why and figures.mean < -limits.max_drop:
        why = f"the replay set changed by {figures.mean:+z.2f} nats per token"
    reason = f"forgot: {why}" if why else f"kept ({figures.mean:+z.2f} nats per token)"
    return _verdict("forgot" if why else "accept", reason, 0.0, figures, probed)


def _are_finite(probed: Sequence[Probed]) -> bool:
    return all(math.isfinite(p.before.logprob + p.after.logprob) for p in probed)


def _diverged(num_probes: int) -> Verdict:
    return Verdict("reject", "the scores are not numbers: training diverged", 0.0, num_probes=num_probes)


def _verdict(
    outcome: VerdictOutcome, reason: str, gain: float, figures: RetentionStats, replay: Sequence[Probed]
) -> Verdict:
    return Verdict(
        outcome,
        reason,
        gain,
        figures.mean,
        figures.low if math.isfinite(figures.low) else figures.mean,
        figures.high if math.isfinite(figures.high) else figures.mean,
        len(replay),
        figures.lost,
        _by_stratum(replay),
    )


def _outcome(gain: float, figures: RetentionStats, limits: Limits, *, final: bool) -> tuple[VerdictOutcome, str]:
    if gain < limits.min_gain:
        return "reject", f"learned nothing: gain {gain:+z.2f} nats per token is below {limits.min_gain}"
    why = alarm(figures, limits)
    if why:
        return "forgot", f"forgot: {why}"
    mean, low, high = figures.mean, figures.low, figures.high
    if low >= -limits.max_drop and figures.p_value >= MIN_P_TO_ACCEPT_EARLY:
        return "accept", f"learned ({gain:+z.2f} nats per token) and kept ({mean:+z.2f}, at least {low:+z.2f})"
    if not final:
        return "undecided", (
            f"the replay set changed by {mean:+z.2f} nats per token, between {low:+z.2f} and {high:+z.2f}; "
            f"{figures.lost} of {figures.known} known items were lost"
        )
    if mean >= -limits.max_drop:
        return "accept", f"learned ({gain:+z.2f}) and, as far as all probes tell, kept ({mean:+z.2f})"
    return "forgot", f"forgot, as far as all probes tell: the replay set changed by {mean:+z.2f}"


def _by_stratum(replay: Sequence[Probed]) -> dict[str, float]:
    strata = sorted({p.probe.stratum for p in replay})
    return {s: round(fmean(change(p) for p in replay if p.probe.stratum == s), 4) for s in strata}
