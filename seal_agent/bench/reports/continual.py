"""The figures of a continual run: accuracy, backward and forward transfer, forgetting, retained gain; table and plots.

R[t][i] is the share of passage i's questions answered correctly after t edits; passage i is learned as number p(i). ACC
is the mean of the last row, BWT the mean of R[T][i] - R[p(i)][i], FWT of R[p(i)-1][i] - R[0][i] (Lopez-Paz and Ranzato,
arXiv 1706.08840), forgetting that of max over t of R[t][i] - R[T][i]. The retained gain is (last row - row 0) over
(just learned - row 0). Intervals at 95%: Student's t over the sequences' means; for one or two sequences, passages
resampled (for the general questions, which belong to no passage, the range).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median, stdev

from seal_agent.bench.continual import Row
from seal_agent.bench.reports.arms import Interval, bootstrap, pyplot
from seal_agent.retention.statistics import student_quantile

LAST, JUST, FIRST = "last", "just learned", "untouched"


@dataclass(frozen=True)
class Course:
    """The complete rows of one arm on one sequence; `drawn`: the passages that means cover, by default all."""

    rows: Mapping[int, Row]
    drawn: tuple[int, ...] = ()

    @property
    def order(self) -> tuple[int, ...]:
        """The passages in the order of learning."""
        return self.rows[0].items

    @property
    def places(self) -> list[tuple[int, int]]:
        """The passages that means cover, each with the number of its edit."""
        place = {item: number for number, item in enumerate(self.order, 1)}
        return [(place[item], item) for item in self.drawn or self.order]

    @property
    def length(self) -> int:
        """The number of edits."""
        return max(self.rows)

    def accuracy(self, step: int, item: int) -> float | None:
        """The share of questions of `item` answered correctly after `step` edits; None if they were not asked."""
        row = self.rows.get(step)
        if row is None or item not in row.items:
            return None
        place = row.items.index(item)
        return row.right[place] / row.asked[place]

    def nll(self, step: int, item: int) -> float | None:
        """The mean NLL of `item` after `step` edits; None if it was not measured."""
        row = self.rows.get(step)
        return row.nll[row.items.index(item)] if row is not None and item in row.items else None


Value = Callable[[int, int], float | None]
Statistic = Callable[[Course], float | None]


@dataclass(frozen=True)
class ArmReport:
    """One line of the table; None for a figure that does not apply to the arm."""

    arm: str
    length: int
    num_sequences: int
    untouched: Interval
    just_learned: Interval | None
    final: Interval
    gain: Interval
    gain_nll: Interval
    retained: Interval | None
    backward: Interval | None
    forward: Interval | None
    forgetting: Interval | None
    general_change: Interval
    general_nll_change: Interval
    refused: float
    seconds: float
    megabytes: float


def summarise(rows: Mapping[tuple[str, int, int], Row]) -> list[ArmReport]:
    """Every arm by sequence length, over complete sequences."""
    reports = []
    for arm in dict.fromkeys(key[0] for key in rows):
        complete = _complete(rows, arm)
        for length in sorted({s.length for s in complete}):
            reports.append(_report(arm, length, [s for s in complete if s.length == length]))
    return reports


def _complete(rows: Mapping[tuple[str, int, int], Row], arm: str) -> list[Course]:
    found = []
    for number in sorted({key[1] for key in rows if key[0] == arm}):
        mine = {key[2]: row for key, row in rows.items() if key[:2] == (arm, number)}
        if 0 in mine and max(mine) == len(mine[0].items):
            found.append(Course(mine))
    return found


def _report(arm: str, length: int, found: Sequence[Course]) -> ArmReport:
    def over(statistic: Statistic, needs: Callable[[Course], bool]) -> Interval | None:
        fit = [s for s in found if needs(s) and statistic(s) is not None]
        return _interval(fit, statistic) if fit else None

    edits = [row for s in found for step, row in s.rows.items() if step and row.outcome]
    last_rows = [s.rows[s.length] for s in found]
    return ArmReport(
        arm,
        length,
        len(found),
        _interval(found, _untouched),
        over(_just_learned, _has_learned),
        _interval(found, _final),
        _interval(found, lambda s: _final(s) - _untouched(s)),
        _interval(found, lambda s: _mean(s, s.nll, lambda _p: 0) - _mean(s, s.nll, lambda _p: s.length)),
        over(_retained, _has_learned),
        over(_backward, _has_learned),
        over(_forward, _is_full),
        over(_forgetting, _is_full),
        interval([s.rows[s.length].general_right - s.rows[0].general_right for s in found]),
        interval([s.rows[0].general_nll - s.rows[s.length].general_nll for s in found]),
        fmean(row.outcome != "accepted" for row in edits) if edits else 0.0,
        median(row.seconds for row in edits) if edits else 0.0,
        fmean(row.num_bytes for row in last_rows) / length / 1e6,
    )


def interval(values: Sequence[float]) -> Interval:
    """The mean of `values` with its 95% interval by Student's t; for one or two values, their range."""
    mean = fmean(values)
    if len(values) < 3:
        return Interval(mean, min(values), max(values))
    half = student_quantile(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def _interval(found: Sequence[Course], statistic: Statistic) -> Interval:
    """The interval of the sequences' means; `statistic` must be defined for each."""
    values = _values(found, statistic)
    if len(values) >= 3:
        return interval(values)
    items = sorted({item for s in found for item in s.order})

    def mean(chosen: Sequence[int]) -> float | None:
        drawn = [items[n] for n in chosen]
        again = [replace(s, drawn=mine) for s in found if (mine := tuple(i for i in drawn if i in s.order))]
        known = _values(again, statistic)
        return fmean(known) if known else None

    return bootstrap(mean, len(items), seed=0)


def _values(found: Sequence[Course], statistic: Statistic) -> list[float]:
    return [value for s in found if (value := statistic(s)) is not None]


def _mean(s: Course, value: Value, step: Callable[[int], int]) -> float:
    """The mean over the passages of `value` after `step(place)` edits, place from 1."""
    return fmean(v for place, item in s.places if (v := value(step(place), item)) is not None)


def _pairs(s: Course, one: Callable[[int], int], other: Callable[[int], int]) -> float:
    return fmean(
        a - b
        for place, item in s.places
        if (a := s.accuracy(one(place), item)) is not None and (b := s.accuracy(other(place), item)) is not None
    )


def _has_learned(s: Course) -> bool:
    return all(s.accuracy(place, item) is not None for place, item in enumerate(s.order, 1))


def _is_full(s: Course) -> bool:
    return all(s.accuracy(step, item) is not None for step in range(s.length + 1) for item in s.order)


def _untouched(s: Course) -> float:
    return _mean(s, s.accuracy, lambda _p: 0)


def _just_learned(s: Course) -> float:
    return _mean(s, s.accuracy, lambda place: place)


def _final(s: Course) -> float:
    return _mean(s, s.accuracy, lambda _p: s.length)


def _retained(s: Course) -> float | None:
    base, just = _untouched(s), _just_learned(s)
    return (_final(s) - base) / (just - base) if just > base else None


def _backward(s: Course) -> float:
    return _pairs(s, lambda _p: s.length, lambda place: place)


def _forward(s: Course) -> float:
    return _pairs(s, lambda place: place - 1, lambda _p: 0)


def _forgetting(s: Course) -> float:
    drops = []
    for _, item in s.places:
        seen = [v for step in range(1, s.length + 1) if (v := s.accuracy(step, item)) is not None]
        drops.append(max(seen) - seen[-1])
    return fmean(drops)


def markdown(reports: Sequence[ArmReport], facts: Sequence[str]) -> str:
    """The report as Markdown."""
    head = (
        "| arm | edits | sequences | untouched | just learned | final | gain | gain in NLL | retained gain | BWT | FWT "
        "| forgetting | general, right | general, NLL | refused | seconds an edit, median | MB an edit |"
    )
    lines = ["# Continual learning", "", *facts, "", head, "|" + " --- |" * 17]
    for r in reports:
        cells = [
            r.arm,
            str(r.length),
            str(r.num_sequences),
            *(_percent(v) for v in (r.untouched, r.just_learned, r.final, r.gain)),
            _plain(r.gain_nll),
            *(_percent(v) for v in (r.retained, r.backward, r.forward, r.forgetting, r.general_change)),
            _plain(r.general_nll_change),
            f"{100 * r.refused:.0f}%",
            f"{r.seconds:.0f}",
            f"{r.megabytes:.1f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", __doc__.split("\n\n", 1)[1].strip() if __doc__ else "", ""])


def plot(rows: Mapping[tuple[str, int, int], Row], folder: Path) -> list[Path]:
    """A heat map per arm (mean over sequences, as SEAL's figure 6) and the retention curve; needs the extra `bench`."""
    drawing = pyplot()
    written = []
    names = list(dict.fromkeys(key[0] for key in rows))
    full = {name: [s for s in _complete(rows, name) if _is_full(s)] for name in names}
    full = {name: found for name, found in full.items() if found}
    if full:
        figure, axes = drawing.subplots(1, len(full), figsize=(3.6 * len(full), 3.6), squeeze=False)
        for axis, (name, found) in zip(axes[0], full.items(), strict=True):
            axis.imshow(_matrix(found), cmap="viridis", vmin=0, vmax=1)
            axis.set(title=name, xlabel="passage", ylabel="edits")
        figure.tight_layout()
        written.append(folder / "matrix.png")
        figure.savefig(written[-1], dpi=150)
        drawing.close(figure)
    figure, axis = drawing.subplots(figsize=(7, 4.2))
    for name in names:
        points = _retention(_complete(rows, name))
        if points:
            axis.plot(list(points), list(points.values()), marker="o", markersize=3, label=name)
    axis.set(xlabel="later edits", ylabel="right, share of what was right when just learned")
    if axis.lines:
        axis.legend(fontsize=7)
    figure.tight_layout()
    written.append(folder / "retention.png")
    figure.savefig(written[-1], dpi=150)
    drawing.close(figure)
    return written


def _matrix(found: Sequence[Course]) -> list[list[float]]:
    length = min(s.length for s in found)
    return [
        [fmean(s.accuracy(step, s.order[place]) or 0.0 for s in found) for place in range(length)]
        for step in range(length + 1)
    ]


def _retention(found: Sequence[Course]) -> dict[int, float]:
    """By number of later edits, the share right relative to the share right when just learned."""
    now: dict[int, list[float]] = {}
    then: dict[int, list[float]] = {}
    for s in found:
        for place, item in enumerate(s.order, 1):
            just = s.accuracy(place, item)
            for step in sorted(step for step in s.rows if step >= place):
                value = s.accuracy(step, item)
                if value is not None and just is not None:
                    now.setdefault(step - place, []).append(value)
                    then.setdefault(step - place, []).append(just)
    return {later: fmean(now[later]) / fmean(then[later]) for later in sorted(now) if fmean(then[later])}


def _percent(value: Interval | None) -> str:
    return f"{100 * value.mean:z.1f}% [{100 * value.low:z.1f}, {100 * value.high:z.1f}]" if value else ""


def _plain(value: Interval) -> str:
    return f"{value.mean:z.2f} [{value.low:z.2f}, {value.high:z.2f}]"
