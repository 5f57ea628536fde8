"""Selects the best of k candidates, and decides whether it beats doing nothing. Pure statistics on noisy rewards.

Rewards of trained edits are mostly noise (for SEAL's, the mean of three seeds has a reliability of about 0.3), so the
best of five is often just the luckiest. Here every candidate's mean is shrunk towards its context's mean, and that
towards the mean of all contexts, by an amount that the variance between seeds determines (James and Stein; a random
effects model with three levels, its variances estimated by moments). No model, clock, disk or global.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Annotated

from seal_agent.core.errors import InputError
from seal_agent.core.renames import formerly

MARGIN = 1.0  # standard errors by which a winner must beat doing nothing
TIED = 1e-12


@dataclass(frozen=True)
class Contest:
    """The candidates of one context: their rewards, one for each seed, and the reward of doing nothing.

    Candidates that were dropped early have fewer seeds.
    """

    nothing: float
    rewards: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        if not self.rewards or not all(self.rewards):
            raise InputError("every candidate of a contest needs a reward; leave out unmeasured ones")


@dataclass(frozen=True)
class Spread:
    """The variance components of rewards: between `seed`s, `candidates` of a context, and mean gains of `contexts`.

    `gain`: the mean gain of all candidates over doing nothing.
    """

    seed: float
    candidates: float
    contexts: float
    gain: float

    def reliability(self, num_seeds: int) -> float:
        """The share of true variance between the candidates of a context, 0 to 1, for the mean of `num_seeds` seeds."""
        total = self.candidates + self.seed / num_seeds
        return self.candidates / total if total else 1.0


@dataclass(frozen=True)
class Estimate:
    """A candidate's estimated true gain over doing nothing, and its standard error."""

    gain: float
    error: float


@dataclass(frozen=True)
class Choice:
    """The best candidates (several if they tie), the estimate of the first, and whether it is accepted.

    `naive_gain` is its plain mean gain, without shrinkage.
    """

    best: tuple[int, ...]
    estimate: Estimate
    naive_gain: Annotated[float, formerly("naive_gain", "measured")]
    is_accepted: bool


def spread(contests: Sequence[Contest]) -> Spread:
    """The variance components of `contests`, by the method of moments; none is below 0.

    Raises `InputError` if no candidate has two seeds, because noise cannot be estimated then.
    """
    repeated = [rewards for contest in contests for rewards in contest.rewards if len(rewards) > 1]
    if not repeated:
        raise InputError("no candidate was rewarded twice, so its noise is unknown; give two seeds or more")
    seed = sum((len(r) - 1) * variance(r) for r in repeated) / sum(len(r) - 1 for r in repeated)
    between = [(len(c.rewards) - 1, variance(_means(c)) - _noise(c, seed)) for c in contests if len(c.rewards) > 1]
    freedom = sum(degrees for degrees, _ in between)
    candidates = max(sum(degrees * value for degrees, value in between) / freedom, 0.0) if freedom else 0.0
    gains = [fmean(_means(c)) - c.nothing for c in contests]
    within = fmean((candidates + _noise(c, seed)) / len(c.rewards) for c in contests)
    contexts = max(variance(gains) - within, 0.0) if len(gains) > 1 else 0.0
    return Spread(seed, candidates, contexts, fmean(gains))


def estimates(contest: Contest, known: Spread) -> list[Estimate]:
    """The posterior of every candidate's gain: shrunk to its context's mean, which is shrunk to the overall mean."""
    errors = [known.seed / len(rewards) for rewards in contest.rewards]
    precisions = [1 / max(known.candidates + error, TIED) for error in errors]
    gains = [mean - contest.nothing for mean in _means(contest)]
    measured = sum(p * g for p, g in zip(precisions, gains, strict=True)) / sum(precisions)
    trust = known.contexts / max(known.contexts + 1 / sum(precisions), TIED)
    centre, unsure = known.gain + trust * (measured - known.gain), (1 - trust) * known.contexts
    found = []
    for gain, rewards in zip(gains, contest.rewards, strict=True):
        weight = known.reliability(len(rewards))
        remaining = (1 - weight) * known.candidates + (1 - weight) ** 2 * unsure
        found.append(Estimate(centre + weight * (gain - centre), math.sqrt(remaining)))
    return found


def choose(contest: Contest, known: Spread, margin: float = MARGIN) -> Choice:
    """The best candidate, accepted if it beats doing nothing by more than `margin` of its standard errors.

    Margin 0 accepts what is probably better than nothing, which is right for serving; a winner that is imitated should
    be better beyond its noise. The plain mean decides between equal estimates.
    """
    found = estimates(contest, known)
    means = _means(contest)
    top = max((e.gain, m) for e, m in zip(found, means, strict=True))
    best = tuple(
        n for n, (e, m) in enumerate(zip(found, means, strict=True)) if top[0] - e.gain < TIED and top[1] - m < TIED
    )
    estimate = found[best[0]]
    is_accepted = estimate.gain > margin * estimate.error and estimate.gain > 0
    return Choice(best, estimate, means[best[0]] - contest.nothing, is_accepted)


def split_half(contests: Sequence[Contest]) -> float:
    """The correlation of two seeds over candidates, with context means removed: the reliability of one seed.

    The mean over all pairs of seeds that all candidates of a context have. `spearman_brown` extends it to several
    seeds.
    """
    products, squares = 0.0, 0.0
    for contest in contests:
        num_seeds = min(map(len, contest.rewards))
        columns = [_centred([rewards[s] for rewards in contest.rewards]) for s in range(num_seeds)]
        for a, first in enumerate(columns):
            for second in columns[a + 1 :]:
                products += sum(x * y for x, y in zip(first, second, strict=True))
                squares += (sum(x * x for x in first) + sum(y * y for y in second)) / 2
    return products / squares if squares else 0.0


def spearman_brown(reliability: float, times: int) -> float:
    """The reliability of the mean of `times` measurements of which one has `reliability`."""
    return times * reliability / (1 + (times - 1) * reliability)


def _means(contest: Contest) -> list[float]:
    return [fmean(rewards) for rewards in contest.rewards]


def _noise(contest: Contest, seed: float) -> float:
    """The variance of a candidate's mean due to noise, averaged over the candidates."""
    return fmean(seed / len(rewards) for rewards in contest.rewards)


def _centred(values: Sequence[float]) -> list[float]:
    mean = fmean(values)
    return [value - mean for value in values]
