"""Confidence limits of means and shares, computed by scipy: Student's t, the binomial tail, Wilson's limit.

scipy is imported on first use, because the import takes a quarter of a second, and that of `scipy.stats` a second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean


def mean_with_limits(
    values: Sequence[float], clusters: Sequence[str], confidence: float, noise: float = 0.0
) -> tuple[float, float, float]:
    """The mean of the cluster means and its one-sided limits (low, high) at `confidence`, by Student's t.

    Items of one document are correlated, so the document is the unit. `noise`, the standard deviation of one value by
    noise alone, is a lower limit of the spread: a few values may agree by chance.
    """
    grouped: dict[str, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        grouped.setdefault(cluster, []).append(value)
    means = [fmean(group) for group in grouped.values()]
    mean = fmean(means)
    if len(means) < 2:
        return mean, -math.inf, math.inf
    variance = sum((m - mean) ** 2 for m in means) / (len(means) - 1)
    error = max(math.sqrt(variance / len(means)), noise / math.sqrt(len(values)))
    half = student_quantile(confidence, len(means) - 1) * error
    return mean, mean - half, mean + half


def student_quantile(probability: float, degrees: int) -> float:
    """The quantile of Student's t distribution with that many `degrees` of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))


def binomial_tail(count: int, total: int, share: float) -> float:
    """The probability of at least `count` successes in `total` trials, each with probability `share`."""
    from scipy.special import bdtrc

    return float(bdtrc(count - 1, total, share))


def share_at_least(count: int, total: int, confidence: float) -> float:
    """The one-sided lower confidence limit of a share (Wilson 1927)."""
    from scipy.stats import binomtest

    limits = binomtest(count, total, alternative="greater").proportion_ci(confidence, method="wilson")
    return float(limits.low)
