"""`seal-agent bench`: the benchmarks, each resumable, each one table."""

from __future__ import annotations

import dataclasses
import platform
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

import typer

from seal_agent.adapters.loading import EMBEDDED
from seal_agent.cli_options import AsJson, Device, HomeFolder, Model, write_json, write_table
from seal_agent.cli_progress import Display

if TYPE_CHECKING:
    from seal_agent.bench_decide import ArmResult

app = typer.Typer(help="Benchmarks.")


@app.command("decide")
def decide(
    out: Annotated[
        Path | None, typer.Option("--out", help="Where the scores go; the run is resumed from there.")
    ] = None,
    model: Model = EMBEDDED,
    home: HomeFolder = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Does the model know when to learn? 350 labelled turns; half choose thresholds, half are reported."""
    with Display() as display:
        display.busy("loading the model")
        from seal_agent import bench_decide
        from seal_agent.agent import open_backend
        from seal_agent.home import Home

        opened = Home(home)
        backend = open_backend(opened, model, device=device)
        labelled = bench_decide.turns()
        scores = out or opened.root / "bench" / f"decide-{Path(backend.model).name}.jsonl"
        measured = bench_decide.measure(backend, labelled, scores, display.progress)
    results = bench_decide.report(labelled, measured)
    milliseconds = fmean(m.milliseconds for m in measured)
    if as_json:
        arms = [dataclasses.asdict(result) for result in results]
        write_json(
            {"model": backend.model, "arms": arms, "milliseconds": round(milliseconds, 1), "scores": str(scores)}
        )
        return
    columns = ["arm", "threshold", "precision", "at least", "recall", "at least", "wrong by kind"]
    write_table(columns, [_row(result) for result in results])
    tokens = fmean(m.num_tokens for m in measured)
    print(f"\n{results[0].num_turns} turns reported; {milliseconds:.0f} ms and {tokens:.0f} tokens of text a turn")
    print(f"{backend.model}, {platform.machine()}, scores in {scores}")


def _row(result: ArmResult) -> list[str]:
    shares = (result.precision, result.precision_low, result.recall, result.recall_low)
    wrong = ", ".join(f"{kind} {errors}" for kind, errors in result.wrong_by_kind.items())
    return [result.arm, result.threshold, *(f"{share:.3f}" for share in shares), wrong]
