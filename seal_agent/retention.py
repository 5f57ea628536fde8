"""Did it forget? Pure statistics on scores before and after an edit. No model, clock, disk or global.

The quantity is the paired change of a gold answer's log-likelihood in nats per token: exact-match counts
need hundreds of items to see what this sees with 25 (../shared/FACTS.md, 'Statistics of "it forgot"').
A mean can hide one lost fact, so items that fall by more than a nat below their best are counted too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

from seal_agent.errors import InputError
from seal_agent.types import Probed, Verdict


@dataclass(frozen=True)
class Limits:
    """What an edit may cost and must bring; nats per token unless it says otherwise.

    `min_gain`: least mean gain on the edit's own probes. `max_drop`: the mean change on the replay probes
    may be this far below zero. `lost_by`: a known item counts as lost when it falls this far below the
    best it ever had. `max_lost`: the share of the known items that may be lost; so few items that chance
    could have done it are no evidence. `known_above`: an item is known when its best score lies above this.
    `confidence`: one-sided, of every limit.
    """

    min_gain: float = 0.25
    max_drop: float = 0.2
    lost_by: float = 1.0
    max_lost: float = 0.2
    known_above: float = -1.5
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if min(self.min_gain, self.max_drop, self.lost_by) < 0:
            raise InputError("min_gain, max_drop and lost_by are sizes in nats; give numbers of 0 or more")
        if not (0 <= self.max_lost <= 1 and 0.5 < self.confidence < 1):
            raise InputError("max_lost is a share from 0 to 1 and confidence lies between 0.5 and 1")


def change(probed: Probed) -> float:
    """How much likelier the gold answer became, in nats per token."""
    return probed.after.per_token - probed.before.per_token


def mean_with_limits(values: Sequence[float], clusters: Sequence[str], confidence: float) -> tuple[float, float, float]:
    """The mean of the clusters' means and its one-sided limits (low, high) at `confidence`.

    Items of one document stand or fall together, so the document is the unit. The quantile is Student's t
    by Cornish and Fisher's expansion: at .95 within 0.02 of the table from 3 degrees of freedom on.
    """
    grouped: dict[str, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        grouped.setdefault(cluster, []).append(value)
    means = [fmean(group) for group in grouped.values()]
    mean = fmean(means)
    if len(means) < 2:
        return mean, -math.inf, math.inf
    variance = sum((m - mean) ** 2 for m in means) / (len(means) - 1)
    half = student_quantile(confidence, len(means) - 1) * math.sqrt(variance / len(means))
    return mean, mean - half, mean + half


def student_quantile(probability: float, degrees: int) -> float:
    """Quantile of Student's t; exact for 1 and 2 degrees of freedom, else Abramowitz and Stegun 26.7.5."""
    if degrees == 1:
        return math.tan(math.pi * (probability - 0.5))
    if degrees == 2:
        return (2 * probability - 1) * math.sqrt(2 / (4 * probability * (1 - probability)))
    z = NormalDist().inv_cdf(probability)
    return (
        z
        + (z**3 + z) / (4 * degrees)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * degrees**3)
    )


def num_lost(replay: Sequence[Probed], limits: Limits) -> tuple[int, int]:
    """(lost, known): items that were known at their best, and those of them now too far below it."""
    lost = known = 0
    for probed in replay:
        best = max(probed.before.per_token, probed.best if probed.best is not None else -math.inf)
        if best >= limits.known_above:
            known += 1
            lost += best - probed.after.per_token > limits.lost_by
    return lost, known


def share_at_least(count: int, total: int, confidence: float) -> float:
    """The one-sided lower limit of a share (Wilson 1927)."""
    z = NormalDist().inv_cdf(confidence)
    share = count / total
    centre = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max((centre - spread) / (1 + z * z / total), 0.0)


def judge(probed: Sequence[Probed], limits: Limits, *, final: bool = False) -> Verdict:
    """Accept, roll back, or undecided: more probes are needed.

    With `final` there are no more probes, and an undecided mean counts as kept when the mean itself lies
    within the limit. Raises `InputError` without a probe of the edit itself: nothing would show that
    anything was learned.
    """
    own = [p for p in probed if p.probe.stratum == "edit"]
    replay = [p for p in probed if p.probe.stratum != "edit"]
    if not own:
        raise InputError("an edit without probes of its own cannot be judged; give it at least one")
    if not all(math.isfinite(p.before.logprob + p.after.logprob) for p in probed):
        return Verdict("rollback", "the scores are not numbers: training diverged", 0.0, num_probes=len(replay))
    gain = fmean(change(p) for p in own)
    strata = {p.probe.stratum for p in replay}
    by_stratum: dict[str, float] = {
        s: round(fmean(change(p) for p in replay if p.probe.stratum == s), 4) for s in sorted(strata)
    }
    if not replay:
        kept: tuple[float, float, float] = (0.0, 0.0, 0.0)
    else:
        kept = mean_with_limits(
            [change(p) for p in replay], [p.probe.document or str(i) for i, p in enumerate(replay)], limits.confidence
        )
    mean, low, high = kept
    lost, known = num_lost(replay, limits)

    def verdict(outcome: str, reason: str) -> Verdict:
        return Verdict(
            outcome,  # type: ignore[arg-type]
            reason,
            gain,
            mean,
            low if math.isfinite(low) else mean,
            high if math.isfinite(high) else mean,
            len(replay),
            lost,
            by_stratum,
        )

    if gain < limits.min_gain:
        return verdict("rollback", f"learned nothing: gain {gain:+.2f} nats per token is below {limits.min_gain}")
    if high < -limits.max_drop:
        return verdict(
            "rollback", f"forgot: the replay set changed by {mean:+.2f} nats per token (at most {high:+.2f})"
        )
    if known and share_at_least(lost, known, limits.confidence) > limits.max_lost:
        return verdict("rollback", f"forgot: {lost} of {known} known items fell by more than {limits.lost_by} nat")
    if low >= -limits.max_drop or not replay:
        return verdict("accept", f"learned ({gain:+.2f} nats per token) and kept ({mean:+.2f}, at least {low:+.2f})")
    if not final:
        return verdict(
            "undecided", f"the replay set changed by {mean:+.2f} nats per token, between {low:+.2f} and {high:+.2f}"
        )
    if mean >= -limits.max_drop:
        return verdict("accept", f"learned ({gain:+.2f}) and, as far as all probes tell, kept ({mean:+.2f})")
    return verdict("rollback", f"forgot, as far as all probes tell: the replay set changed by {mean:+.2f}")
