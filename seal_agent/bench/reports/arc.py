"""The report of `bench arc`: solved and NLL by arm and set of tasks, paired with in-context, beside SEAL's numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from seal_agent.bench.arc.bench import ARMS, CONTEXT, Result
from seal_agent.bench.reports.arms import Interval, bootstrap, percent, plain, pyplot

SEALS_NUMBERS = """\
SEAL with Llama-3.2-1B-Instruct, 8 tasks filtered by hand that test-time training can solve (arXiv 2506.10943, table 1):
in-context 0%, untrained self-edit 20%, SEAL after ReST-EM 72.5%, oracle test-time training 100%."""


@dataclass(frozen=True)
class ArmReport:
    """One arm on one set of tasks; `change` is its NLL minus that of in-context on the same tasks: lower is better.

    `better` is the share of tasks with a lower NLL than in-context; `won` and `lost` count the tasks solved only by
    this arm and only by in-context.
    """

    tasks: str
    arm: str
    num_tasks: int
    solved: Interval
    nll: Interval
    change: Interval
    better: Interval
    won: int
    lost: int
    num_rows: float
    num_steps: float
    num_tokens: float
    train_seconds: float
    answer_seconds: float
    num_faults: int


def summarise(
    results: Mapping[tuple[str, str], Result], sets: Mapping[str, Sequence[str]], seed: int = 0
) -> list[ArmReport]:
    """Every arm on every set of task ids, over the tasks that in-context has too."""
    reports = []
    for name, ids in sets.items():
        for arm in ARMS:
            common = [task for task in ids if (arm, task) in results and (CONTEXT, task) in results]
            if common:
                reports.append(_arm(name, arm, common, results, seed))
    return reports


def _arm(name: str, arm: str, ids: Sequence[str], results: Mapping[tuple[str, str], Result], seed: int) -> ArmReport:
    mine = [results[arm, task] for task in ids]
    context = [results[CONTEXT, task] for task in ids]
    changes = [after.nll - before.nll for before, after in zip(context, mine, strict=True)]

    def spread(values: Sequence[float]) -> Interval:
        return bootstrap(lambda chosen: fmean(values[n] for n in chosen), len(values), seed)

    pairs = [(before.is_solved, after.is_solved) for before, after in zip(context, mine, strict=True)]
    return ArmReport(
        name,
        arm,
        len(ids),
        solved=spread([float(result.is_solved) for result in mine]),
        nll=spread([result.nll for result in mine]),
        change=spread(changes),
        better=spread([float(change < 0) for change in changes]),
        won=sum(after and not before for before, after in pairs),
        lost=sum(before and not after for before, after in pairs),
        num_rows=fmean(result.num_rows for result in mine),
        num_steps=fmean(result.num_steps for result in mine),
        num_tokens=fmean(result.num_tokens for result in mine),
        train_seconds=median(result.train_seconds for result in mine),
        answer_seconds=median(result.answer_seconds for result in mine),
        num_faults=sum(bool(result.fault) for result in mine),
    )


def markdown(reports: Sequence[ArmReport], facts: Sequence[str]) -> str:
    """The report as Markdown."""
    head = (
        "| tasks | arm | n | solved, two guesses | NLL of the right grid, nats/token | than in context | better on "
        "| won, lost | rows | steps | tokens | seconds to train, median | to answer, median | failed |"
    )
    lines = ["# Few-shot learning: ARC", "", *facts, "", head, "|" + " --- |" * 14]
    for r in reports:
        is_context = r.arm == CONTEXT
        paired = ["–"] * 3 if is_context else [plain(r.change), percent(r.better), f"{r.won}, {r.lost}"]
        cells = [r.tasks, r.arm, r.num_tasks, percent(r.solved), plain(r.nll), *paired]
        costs = (r.num_rows, r.num_steps, r.num_tokens, r.train_seconds, r.answer_seconds, r.num_faults)
        lines.append("| " + " | ".join([*map(str, cells), *(f"{cost:.0f}" for cost in costs)]) + " |")
    return "\n".join([*lines, "", "Brackets: 95% bootstrap intervals, tasks resampled.", "", SEALS_NUMBERS, ""])


def plot(results: Mapping[tuple[str, str], Result], path: Path) -> None:
    """A PNG of every task's NLL after training against its NLL in context; needs the extra `bench`."""
    drawing = pyplot()
    figure, axis = drawing.subplots(figsize=(5, 5))
    top = max((result.nll for result in results.values()), default=1.0)
    axis.plot([0, top], [0, top], color="#999999", linewidth=1)
    for arm in ARMS[1:]:
        trained = [r for (name, task), r in results.items() if name == arm and (CONTEXT, task) in results]
        if trained:
            axis.scatter([results[CONTEXT, r.task].nll for r in trained], [r.nll for r in trained], s=16, label=arm)
    axis.set(xlabel="in context: NLL of the right grid, nats per token", ylabel="after training")
    axis.legend(*axis.get_legend_handles_labels())
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    drawing.close(figure)
