"""The report of `bench speed`: tables, targets beside results, and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seal_agent.bench.reports.arms import pyplot
from seal_agent.bench.speed.bench import OURS, PADDED, PAPER_LENGTH, TOKENS, UNPADDED, Curve, Report

NAMES = {PADDED: f"SEAL as published, padded to {PAPER_LENGTH}", UNPADDED: "SEAL without padding", OURS: "ours"}
METHOD = """\
Medians over rounds in which the arms alternated. NLL: nats per token of the rows' answers, mean over the rows. The
level is what ours reaches with its default recipe; the step at which another loop reaches it is interpolated between
two measured points. Padded, SEAL's loop is timed but not run to the level: it is taken to need as many steps as
without padding. Useful: tokens that are no padding. Peak memory: beyond the model, while training; "?" where the
system does not tell. Matrix speed: the products of a step (attention left out, padding counted) per second, as a share
of a large square product's in the same dtype, measured right before and after. One after the other: K times a step
of one. SEAL's loop: r 32, α 64, q and v only, lr 1e-3, 10 epochs, batch 1, loss on all tokens (arXiv 2506.10943,
appendix B); there 30 to 45 s an edit on two H100s."""


def markdown(report: Report, facts: Sequence[str]) -> str:
    """The report as Markdown."""
    parts = ["# Speed", "", *facts, ""]
    if report.machine:
        parts += [f"Matrix speed of the machine: {report.machine / 1e9:.0f} GFLOP/s.", ""]
    for table in (
        _targets(report),
        _recipe(report),
        _together(report),
        _adapters(report),
        _loading(report),
        _replies(report),
    ):
        parts += [*table, ""] if table else []
    return "\n".join([*parts, METHOD, ""])


def _targets(report: Report) -> list[str]:
    costs = {cost.arm: cost for cost in report.recipe}
    folded = {cost.num: cost.folded_times for cost in report.adapters}
    together = {cost.num: cost.faster for cost in report.together}
    rows = []
    for arm, least in ((PADDED, 20), (UNPADDED, 3)):
        if found := report.times(arm):
            more = "" if costs[arm].reached else "more than "
            rows.append((f"{NAMES[arm]}: time of ours", f"at least {least}×", f"{more}{found:.1f}×", found >= least))
    if OURS in costs:
        useful, share = costs[OURS].useful, costs[OURS].share_of_matrix_speed
        rows.append(("useful tokens", "at least 95%", f"{100 * useful:.1f}%", useful >= 0.95))
        rows.append(("matrix speed in a step", "at least 40%", f"{100 * share:.0f}%", share >= 0.4))
    if 8 in together:
        rows.append(("8 candidates at once", "at least 3× faster", f"{together[8]:.2f}×", together[8] >= 3))
    if 32 in folded:
        rows.append(("a token under 32 folded", "at most 1.15×", f"{folded[32]:.2f}×", folded[32] <= 1.15))
    if report.loading:
        rows.append(("loading from the cache", "under 3 s", f"{report.loading:.2f} s", report.loading < 3))
    if report.replies:
        queued = 1000 * report.replies.queued
        rows.append(("queueing a text to learn", "less than 50 ms", f"{queued:.1f} ms", queued < 50))
    lines = [f"| {what} | {asked} | {found} | {'yes' if met else 'no'} |" for what, asked, found, met in rows]
    return ["| | asked for | found | met |", "|" + " --- |" * 4, *lines] if lines else []


def _recipe(report: Report) -> list[str]:
    if not report.recipe:
        return []
    lines = [
        f"To the same NLL, {report.level:.3f}:",
        "",
        "| loop | steps | tokens a step | useful | s a step | seconds | times ours | NLL | peak, MiB | matrix speed |",
        "|" + " --- |" * 10,
    ]
    for c in report.recipe:
        more = "" if c.reached else "> "
        peak = f"{c.peak_mib:.0f}" if c.peak_mib >= 0 else "?"
        lines.append(
            f"| {NAMES[c.arm]} | {more}{c.num_steps:.0f} | {c.num_tokens:.0f} | {100 * c.useful:.1f}% "
            f"| {c.step_seconds:.3g} | {more}{c.seconds:.3g} | {more}{report.times(c.arm):.1f} | {c.nll:.3f} | {peak} "
            f"| {100 * c.share_of_matrix_speed:.0f}% |"
        )
    return lines


def _together(report: Report) -> list[str]:
    if not report.together:
        return []
    lines = [
        "| candidates | a step of each, one after the other, s | at once, s | times faster | share of matrix speed |",
        "|" + " --- |" * 5,
    ]
    return lines + [
        f"| {c.num} | {c.apart:.3g} | {c.at_once:.3g} | {c.faster:.2f} | {100 * c.share_of_matrix_speed:.0f}% |"
        for c in report.together
    ]


def _adapters(report: Report) -> list[str]:
    if not report.adapters:
        return []
    lines = ["| adapters | live, ms a token | times none | folded, ms a token | times none |", "|" + " --- |" * 5]
    return lines + [
        f"| {c.num} | {1000 * c.live:.1f} | {c.live_times:.2f} | {1000 * c.folded:.1f} | {c.folded_times:.2f} |"
        for c in report.adapters
    ]


def _loading(report: Report) -> list[str]:
    if not report.loading:
        return []
    return [f"Loading the model from the cache: {report.loading:.2f} s, imports not counted."]


def _replies(report: Report) -> list[str]:
    if not (found := report.replies):
        return []
    text = (
        f"A reply of {TOKENS} tokens takes {found.quiet:.2f} s, and {found.learning:.2f} s ({found.times:.2f} times) "
        "while an edit is trained: it waits for the current step. "
        f"Queueing a text: {1000 * found.queued:.1f} ms."
    )
    return [text]


def plot(report: Report, curves: Mapping[str, Curve], path: Path) -> None:
    """A PNG of NLL against seconds, joint candidates, and token time under adapters; needs the extra `bench`."""
    drawing = pyplot()
    figure, axes = drawing.subplots(1, 3, figsize=(15, 4))
    _plot_recipe(axes[0], report, curves)
    together, adapters = report.together, report.adapters
    axes[1].plot([c.num for c in together], [c.faster for c in together], "o-", color="#4c78a8")
    axes[1].set(xlabel="candidates at once", ylabel="times faster than one after the other")
    for name, color in (("live", "#e45756"), ("folded", "#4c78a8")):
        times = [getattr(c, f"{name}_times") for c in adapters]
        axes[2].plot([c.num for c in adapters], times, "o-", color=color, label=name)
    axes[2].set(xlabel="adapters", ylabel="time a token, times that of none")
    if adapters:
        axes[2].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    drawing.close(figure)


def _plot_recipe(axis: Any, report: Report, curves: Mapping[str, Curve]) -> None:
    for cost in report.recipe:
        curve = curves[UNPADDED if cost.arm == PADDED else cost.arm]
        axis.plot([s * cost.step_seconds for s in curve.steps], curve.nll, "o-", markersize=3, label=NAMES[cost.arm])
    axis.set(xlabel="seconds", ylabel="NLL of the rows, nats per token")
    if report.recipe:
        axis.axhline(report.level, color="#999999", linewidth=0.8)
        axis.set_xscale("log")
        axis.legend(fontsize=7)
