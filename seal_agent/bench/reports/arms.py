"""The report of `bench knowledge`: a table with intervals, plots, and SEAL's own numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

from seal_agent.bench.knowledge import BASE, CONTEXT, Result

NUM_RESAMPLES = 2000
INTERVAL = (0.025, 0.975)
SEALS_NUMBERS = """\
SEAL on Qwen2.5-7B, one passage an adapter, GPT-4.1 as the judge (arXiv 2506.10943, table 2): base 32.7%, passage only
33.5%, own implications 39.7%, GPT-4.1's implications 46.3%, SEAL after two rounds 47.0%, passage in context 91.4%;
share of the gap closed by SEAL 24%, right before and wrong after 38%."""


@dataclass(frozen=True)
class Interval:
    """A mean with its 95% bootstrap interval: passages, tasks or contexts resampled."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class ArmReport:
    """One line of the table; `closed_*` is the share of the gap between base and passage-in-context."""

    arm: str
    num_passages: int
    num_questions: int
    accuracy: Interval
    nll: Interval
    closed_accuracy: Interval
    closed_nll: Interval
    lost: int
    were_right: int
    num_words: float
    num_rows: float
    num_tokens: float
    seconds: float
    num_faults: int


Statistic = Callable[[Sequence[int]], float]


def summarise(results: Mapping[tuple[str, int], Result], seed: int = 0) -> list[ArmReport]:
    """Every arm over the passages that base and context have too; arms without such passages are left out."""
    names = list(dict.fromkeys(arm for arm, _ in results))
    common = {item for arm, item in results if arm == BASE} & {item for arm, item in results if arm == CONTEXT}
    return [
        _arm(name, items, results, seed)
        for name in names
        if (items := sorted(item for arm, item in results if arm == name and item in common))
    ]


def markdown(reports: Sequence[ArmReport], title: str, facts: Sequence[str]) -> str:
    """The report as Markdown."""
    head = (
        "| arm | passages | right | NLL, nats/token | gap closed: right | gap closed: NLL | right before, wrong after "
        "| words an answer | rows | tokens | seconds an edit, median | failed |"
    )
    lines = [f"# {title}", "", *facts, "", head, "|" + " --- |" * 12]
    for r in reports:
        lines.append(
            f"| {r.arm} | {r.num_passages} ({r.num_questions} questions) | {percent(r.accuracy)} | {plain(r.nll)} "
            f"| {percent(r.closed_accuracy)} | {percent(r.closed_nll)} | {r.lost} of {r.were_right} "
            f"| {r.num_words:.0f} | {r.num_rows:.0f} | {r.num_tokens:.0f} | {r.seconds:.0f} | {r.num_faults} |"
        )
    return "\n".join([*lines, "", "Brackets: 95% bootstrap intervals, passages resampled.", "", SEALS_NUMBERS, ""])


def plot(reports: Sequence[ArmReport], path: Path) -> None:
    """A PNG of accuracy and NLL of every arm with intervals; needs the extra `bench`."""
    drawing = pyplot()
    figure, axes = drawing.subplots(1, 2, figsize=(11, 1 + 0.35 * len(reports)), sharey=True)
    names = [report.arm for report in reports][::-1]
    for axis, label, values in (
        (axes[0], "right, %", [_scaled(report.accuracy, 100) for report in reports][::-1]),
        (axes[1], "NLL of the gold answer, nats per token", [report.nll for report in reports][::-1]),
    ):
        means = [v.mean for v in values]
        errors = [[v.mean - v.low for v in values], [v.high - v.mean for v in values]]
        axis.barh(names, means, xerr=errors, color="#4c78a8", ecolor="#333333", capsize=2)
        axis.set_xlabel(label)
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    drawing.close(figure)


def _arm(name: str, items: Sequence[int], results: Mapping[tuple[str, int], Result], seed: int) -> ArmReport:
    mine = [results[name, item] for item in items]
    base = [results[BASE, item] for item in items]
    context = [results[CONTEXT, item] for item in items]

    def accuracy(of: Sequence[Result]) -> Statistic:
        return lambda chosen: fmean(float(a.right) for i in chosen for a in of[i].answers)

    def nll(of: Sequence[Result]) -> Statistic:
        return lambda chosen: fmean(a.nll for i in chosen for a in of[i].answers)

    def closed(measure: Callable[[Sequence[Result]], Statistic]) -> Statistic:
        low, here, high = measure(base), measure(mine), measure(context)

        def share(chosen: Sequence[int]) -> float:
            gap = high(chosen) - low(chosen)
            return (here(chosen) - low(chosen)) / gap if gap else 0.0

        return share

    pairs = [
        (b, a)
        for before, after in zip(base, mine, strict=True)
        for b, a in zip(before.answers, after.answers, strict=True)
    ]

    def spread(statistic: Statistic) -> Interval:
        return bootstrap(statistic, len(items), seed)

    return ArmReport(
        name,
        len(items),
        len(pairs),
        accuracy=spread(accuracy(mine)),
        nll=spread(nll(mine)),
        closed_accuracy=spread(closed(accuracy)),
        closed_nll=spread(closed(nll)),
        lost=sum(b.right and not a.right for b, a in pairs),
        were_right=sum(b.right for b, _ in pairs),
        num_words=fmean(a.num_words for _, a in pairs),
        num_rows=fmean(r.num_rows for r in mine),
        num_tokens=fmean(r.num_tokens for r in mine),
        seconds=median(r.write_seconds + r.train_seconds for r in mine),
        num_faults=sum(bool(r.fault) for r in mine),
    )


def bootstrap(
    statistic: Callable[[Sequence[int]], float | None], num_items: int, seed: int, *, num_resamples: int = NUM_RESAMPLES
) -> Interval:
    """`statistic` of all `num_items` items, with its 95% interval by resampling items.

    Resamples for which `statistic` is None are skipped; for all items it must not be None.
    """
    mean = statistic(range(num_items))
    if mean is None:
        raise ValueError("the statistic of all items is None; it must be a number")
    if num_items < 2:
        return Interval(mean, mean, mean)  # every resample would be this one item

    def known(numbers: np.ndarray) -> float:
        value = statistic(numbers.tolist())
        return np.nan if value is None else value

    from scipy.stats import DegenerateDataWarning
    from scipy.stats import bootstrap as resample

    numbers = (np.arange(num_items),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)  # about scipy's own interval, which is not used
        drawn = resample(
            numbers, known, n_resamples=num_resamples, vectorized=False, method="percentile", rng=seed
        ).bootstrap_distribution
    low, high = np.nanquantile(drawn, INTERVAL)
    return Interval(mean, float(low), float(high))


def pyplot() -> Any:
    """Matplotlib's pyplot with a backend for files; raises `ImportError` without the extra `bench`."""
    try:
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot as found
    except ImportError as error:
        raise ImportError("plots need matplotlib; pip install 'seal-agent[bench]'") from error
    return found


def _scaled(value: Interval, by: float) -> Interval:
    return Interval(value.mean * by, value.low * by, value.high * by)


def percent(value: Interval) -> str:
    """A share with its interval, in percent."""
    return f"{100 * value.mean:z.0f}% [{100 * value.low:z.0f}, {100 * value.high:z.0f}]"


def plain(value: Interval) -> str:
    """A value with its interval."""
    return f"{value.mean:z.2f} [{value.low:z.2f}, {value.high:z.2f}]"
