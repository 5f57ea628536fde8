"""`seal-agent bench selection`: does the selector choose better edits than the plain best of k?

It uses published rewards (SEAL's 250 edits, three seeds each), so nothing is trained. Every rule sees all seeds but
one, chooses in every context, and is judged on the left-out seed, each seed in turn. The variances are estimated
from the visible seeds; the margins, 0 and 1, were fixed before any rule was scored on a left-out seed. Contexts
are resampled for the intervals, because the three turns of one context are not independent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from seal_agent.bench.reports.arms import Interval, bootstrap
from seal_agent.core.errors import InputError
from seal_agent.policy import selection
from seal_agent.policy.selection import Choice, Contest, Estimate, Spread

NUM_RESAMPLES = 4000
NOTHING, RANDOM, BEST = "do nothing", "any edit", "best of k, plain mean"
ABOVE, SERVED, LEARNED = "best of k where above nothing", "shrunk, margin 0", "shrunk, margin 1"

Rule = Callable[[Contest, Spread], Choice]


@dataclass(frozen=True)
class RuleReport:
    """One line of the table; all figures on left-out seeds.

    `reward`: of the chosen edit, or of doing nothing. `against_best`: the paired difference to the plain best of k.
    `kept`: the share of choices that are an edit. Of those, `gain` is the mean gain over doing nothing,
    `gain_against_best` the excess over the plain best's gain, `worse` the share that is worse than doing nothing, and
    `promised` the gain that the rule itself expected.
    """

    rule: str
    reward: Interval
    against_best: Interval
    kept: float
    gain: Interval
    gain_against_best: Interval
    worse: float
    promised: float


@dataclass(frozen=True)
class Reliability:
    """The reliability of rewards, by variances and by the correlation of seeds, for 1 to `k` seeds."""

    by_variances: tuple[float, ...]
    by_seeds: tuple[float, ...]
    spread: Spread


@dataclass(frozen=True)
class _Judged:
    """One choice, judged on the left-out seed; without an edit the gain is 0."""

    reward: float
    gain: float
    promised: float
    worse: float
    is_kept: bool


def read_contests(path: Path) -> list[Contest]:
    """The contests of a JSON file in SEAL's format: baseline_accuracy, and edits with accuracy_by_seed."""
    try:
        data: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        contests = [
            Contest(float(c["baseline_accuracy"]), tuple(tuple(map(float, e["accuracy_by_seed"])) for e in c["edits"]))
            for c in data
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"cannot use {path} ({error!r}); give a JSON list of baseline_accuracy and edits (accuracy_by_seed)"
        ) from error
    num_seeds = {len(rewards) for contest in contests for rewards in contest.rewards}
    if len(contests) < 2 or len(num_seeds) != 1 or min(num_seeds) < 3:
        raise InputError(f"{path} has {len(contests)} contexts with {num_seeds} seeds; give two or more with 3 or more")
    return contests


def rules() -> dict[str, Rule]:
    """All rules by name, in the order of the table."""
    return {
        NOTHING: _nothing,
        RANDOM: _any,
        BEST: lambda contest, _: _plain(contest, is_always=True),
        ABOVE: lambda contest, _: _plain(contest, is_always=False),
        SERVED: lambda contest, known: selection.choose(contest, known, margin=0),
        LEARNED: lambda contest, known: selection.choose(contest, known),
    }


def reliability(contests: Sequence[Contest]) -> Reliability:
    """The reliability of one seed, and of means of several."""
    known, single = selection.spread(contests), selection.split_half(contests)
    counts = range(1, 1 + min(len(rewards) for contest in contests for rewards in contest.rewards))
    return Reliability(
        tuple(known.reliability(n) for n in counts),
        tuple(selection.spearman_brown(single, n) for n in counts),
        known,
    )


def measure(contests: Sequence[Contest], seed: int = 0) -> list[RuleReport]:
    """Every rule, applied without one seed and judged on it; ties count as the mean of the tied edits."""
    num_seeds = len(contests[0].rewards[0])
    seen = [[_without(contest, left) for contest in contests] for left in range(num_seeds)]
    known = [selection.spread(contests_seen) for contests_seen in seen]
    judged = {
        name: [
            [_judged(rule(seen[left][n], known[left]), contest, left) for left in range(num_seeds)]
            for n, contest in enumerate(contests)
        ]
        for name, rule in rules().items()
    }
    return [_report(name, judged[name], judged[BEST], seed) for name in judged]


def markdown(reports: Sequence[RuleReport], known: Reliability, facts: Sequence[str]) -> str:
    """The report as Markdown."""
    head = (
        "| chosen by | reward on the seed left out | difference to the plain best | edits kept "
        "| their gain over nothing | more than the plain best's | worse than nothing | gain promised |"
    )
    lines = ["# Choosing among noisy edits", "", *facts, "", head, "|" + " --- |" * 8]
    for r in reports:
        cells = [r.rule, _shown(r.reward), _shown(r.against_best, "+"), f"{r.kept:.0%}"]
        if r.kept:
            cells += [_shown(r.gain, "+"), _shown(r.gain_against_best, "+"), f"{r.worse:.0%}", f"{r.promised:+.3f}"]
        lines.append(f"| {' | '.join([*cells, *['–'] * (8 - len(cells))])} |")
    shares = ", ".join(
        f"{n} seed{'s' * (n > 1)} {a:.2f} / {b:.2f}"
        for n, (a, b) in enumerate(zip(known.by_variances, known.by_seeds, strict=True), 1)
    )
    s = known.spread
    variances = (
        f"Variances: one seed {s.seed:.4f}, candidates {s.candidates:.4f}, contexts' gains {s.contexts:.4f}; "
        f"mean gain {s.gain:+.3f}."
    )
    return "\n".join(
        [
            *lines,
            "",
            "Brackets: 95% bootstrap intervals, contexts resampled; differences are paired.",
            "",
            f"Reliability of a candidate's mean within its context, by variances / by correlating seeds: {shares}.  ",
            variances,
            "",
        ]
    )


def _nothing(_contest: Contest, _known: Spread) -> Choice:
    return Choice((0,), Estimate(0.0, 0.0), 0.0, is_accepted=False)


def _any(contest: Contest, _known: Spread) -> Choice:
    gain = fmean(map(fmean, contest.rewards)) - contest.nothing
    return Choice(tuple(range(len(contest.rewards))), Estimate(gain, 0.0), gain, is_accepted=True)


def _plain(contest: Contest, *, is_always: bool) -> Choice:
    means = [fmean(rewards) for rewards in contest.rewards]
    best = tuple(n for n, mean in enumerate(means) if max(means) - mean < selection.TIED)
    gain = max(means) - contest.nothing
    return Choice(best, Estimate(gain, 0.0), gain, is_accepted=is_always or gain > 0)


def _without(contest: Contest, left: int) -> Contest:
    return Contest(contest.nothing, tuple((*r[:left], *r[left + 1 :]) for r in contest.rewards))


def _judged(choice: Choice, contest: Contest, left: int) -> _Judged:
    if not choice.is_accepted:
        return _Judged(contest.nothing, 0.0, 0.0, 0.0, is_kept=False)
    unseen = [contest.rewards[n][left] for n in choice.best]
    worse = fmean(float(reward < contest.nothing) for reward in unseen)
    reward = fmean(unseen)
    return _Judged(reward, reward - contest.nothing, choice.estimate.gain, worse, is_kept=True)


def _report(name: str, mine: list[list[_Judged]], best: list[list[_Judged]], seed: int) -> RuleReport:
    rewards = [(sum(j.reward for j in turns), len(turns)) for turns in mine]
    best_rewards = [(sum(j.reward for j in turns), len(turns)) for turns in best]
    gains, best_gains = _kept_gains(mine), _kept_gains(best)

    def over(statistic: Callable[[Sequence[int]], float]) -> Interval:
        return bootstrap(statistic, len(mine), seed, num_resamples=NUM_RESAMPLES)

    kept = [j for turns in mine for j in turns if j.is_kept]
    return RuleReport(
        name,
        over(lambda chosen: _ratio(rewards, chosen)),
        over(lambda chosen: _ratio(rewards, chosen) - _ratio(best_rewards, chosen)),
        len(kept) / sum(map(len, mine)),
        over(lambda chosen: _ratio(gains, chosen)),
        over(lambda chosen: _ratio(gains, chosen) - _ratio(best_gains, chosen)),
        fmean(j.worse for j in kept) if kept else 0.0,
        fmean(j.promised for j in kept) if kept else 0.0,
    )


def _kept_gains(judged: list[list[_Judged]]) -> list[tuple[float, int]]:
    """For every context the sum of the gains of kept edits, and their number."""
    return [(sum(j.gain for j in turns if j.is_kept), sum(j.is_kept for j in turns)) for turns in judged]


def _ratio(sums: Sequence[tuple[float, int]], chosen: Sequence[int]) -> float:
    """The mean over the chosen contexts; 0 for none."""
    total = num = 0.0
    for n in chosen:
        total += sums[n][0]
        num += sums[n][1]
    return total / num if num else 0.0


def _shown(value: Interval, sign: str = "") -> str:
    return f"{value.mean:{sign}.3f} [{value.low:{sign}.3f}, {value.high:{sign}.3f}]"
