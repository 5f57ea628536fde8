"""`seal-agent soak`: kill worker processes at random and check the invariants; resumable, with a report."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seal_agent.cli.options import AsJson, Seed, check_finite, write_json
from seal_agent.cli.progress import Display
from seal_agent.core import interruption

if TYPE_CHECKING:
    from collections.abc import Callable

    from seal_agent.core.episodes import Progress

    Part = Callable[[Path, float, Progress], dict[str, Any]]

REPORT = "report.md"
Out = Annotated[Path, typer.Option("--out", help="The folder of the run; an existing run is resumed.")]
Kills = Annotated[int, typer.Option("--kills", min=0, help="Kills with the scripted backend.")]
RealKills = Annotated[int, typer.Option("--real-kills", min=0, help="Kills with the embedded model.")]
Flips = Annotated[int, typer.Option("--flips", min=0, help="Bytes to flip in a data directory, one at a time.")]
Poisoned = Annotated[
    Path | None, typer.Option("--poison", help="Poisoned documents, as JSON; for the scripted and the real model.")
]
Minutes = Annotated[
    float, typer.Option("--minutes", callback=check_finite, min=0, help="Time limit; run it again to continue.")
]


def soak(
    out: Out = Path("soak"),
    kills: Kills = 1000,
    real_kills: RealKills = 50,
    flips: Flips = 1000,
    poison: Poisoned = None,
    minutes: Minutes = 60.0,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Kill worker processes at random and check the invariants after each kill; exit code 2 if one is violated."""
    deadline = time.monotonic() + 60 * minutes
    results: dict[str, dict[str, Any]] = {}
    interruption.keeps(f"results are saved in {out}; run the same command to continue")
    with Display(lines=True) as display:
        display.line(f"at most {minutes:g} minutes; it can be stopped, and the same command continues")
        for name, part in parts(kills, real_kills, flips, poison, seed).items():
            results[name] = part(
                out / name,
                deadline,
                lambda what, done, total, name=name: display.progress(f"{name}: {what}", done, total),  # type: ignore[misc]
            )
            display.line(f"{name}: {headline(results[name])}")
    (out / REPORT).write_text(report(results), encoding="utf-8")
    if as_json:
        write_json(results)
    else:
        print(report(results))
    if any(result["violations"] for result in results.values()):
        raise typer.Exit(2)


def parts(kills: int, real_kills: int, flips: int, poison: Path | None, seed: int) -> dict[str, Part]:
    """The parts of the run, by name."""
    from dataclasses import replace

    from seal_agent.chaos.soak import REAL, SoakPlan, read_kills, summary
    from seal_agent.chaos.soak import soak as kill

    def killing(plan: SoakPlan) -> Part:
        def part(folder: Path, deadline: float, progress: Progress) -> dict[str, Any]:
            is_done = kill(folder, plan, deadline=deadline, progress=progress)
            return {"is_done": is_done, **summary(read_kills(folder))}

        return part

    plans = {
        "scripted": SoakPlan(max(kills, 1), seed=seed),
        "real": replace(REAL, num_kills=max(real_kills, 1), seed=seed),
    }
    wanted = {"damage": flips, "scripted": kills, "real": real_kills}
    every = {"damage": damaging(flips, seed), **{name: killing(plan) for name, plan in plans.items()}}
    chosen = {name: part for name, part in every.items() if wanted[name]}
    if poison is None:
        return chosen
    return {"poison": poisoning(poison, "scripted"), **chosen, "poison, real": poisoning(poison, "embedded")}


def poisoning(documents: Path, model: str) -> Part:
    """Learn every document in its own namespace, within the time limit; results are lines of `effects.jsonl`."""

    def part(folder: Path, deadline: float, progress: Progress) -> dict[str, Any]:
        from seal_agent.chaos.injection import measured, poison_summary, read_poison
        from seal_agent.factory import open_backend
        from seal_agent.learning.learner import Learner
        from seal_agent.storage.database import Home

        home = Home(folder / "home")
        backend = open_backend(Home() if model != "scripted" else home, model, adapters=home.root)
        learner = Learner(backend, home)
        return poison_summary(measured(learner, read_poison(documents), folder, deadline, progress))

    return part


def damaging(num_flips: int, seed: int) -> Part:
    """Flip bytes of a data directory with two learned texts; it takes seconds and is not resumed."""

    def part(folder: Path, _deadline: float, progress: Progress) -> dict[str, Any]:
        from seal_agent.chaos.bit_flips import flip_summary, flipped
        from seal_agent.chaos.workload import WorkloadPlan, backend_for, run_workload
        from seal_agent.storage.database import Home

        shutil.rmtree(folder, ignore_errors=True)
        home = Home(folder / "home")
        run_workload(backend_for(home, "scripted", 1), home, WorkloadPlan(seed, scenarios=6, finishes=True), "route")
        return flip_summary(flipped(home.root, folder / "copy", num_flips=num_flips, seed=seed, progress=progress))

    return part


def headline(result: dict[str, Any]) -> str:
    """The result of one part in a line."""
    counts = ", ".join(f"{name} {value}" for name, value in result.items() if isinstance(value, (int, float)))
    return f"{len(result['violations'])} violations; {counts}"


def report(results: dict[str, dict[str, Any]]) -> str:
    """The results of all parts as Markdown."""
    lines = ["# Soak", ""]
    for name, result in results.items():
        lines += [f"## {name}", "", headline(result), ""]
        for key, value in result.items():
            if isinstance(value, dict) and value:
                lines += [f"- {key}: " + ", ".join(f"{k} {v}" for k, v in value.items())]
        lines += [f"- VIOLATION: {each}" for each in result["violations"]] + [""]
    return "\n".join(lines)
