"""`seal-agent bench policy`: which edit a policy should learn from."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from seal_agent import cli_bench
from seal_agent.cli_options import AsJson, Seed, write_json
from seal_agent.cli_progress import Display


@cli_bench.app.command("policy")
def bench(
    rewards: Annotated[
        Path, typer.Option("--rewards", help="JSON list of baseline_accuracy and edits (accuracy_by_seed).")
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Folder for report.md.")] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Does the selector choose better edits than the plain best of k? Judged on the seed it did not see."""
    from seal_agent import bench_policy

    with Display() as display:
        display.busy("choosing, and resampling contexts")
        contests = bench_policy.read_contests(rewards)
        reports = bench_policy.measure(contests, seed)
        reliability = bench_policy.reliability(contests)
    facts = [f"rewards: {rewards}  ", f"contexts: {len(contests)}, every seed left out once; bootstrap seed {seed}  "]
    text = bench_policy.markdown(reports, reliability, facts)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.md").write_text(text, encoding="utf-8")
    if as_json:
        write_json({"rules": [dataclasses.asdict(r) for r in reports], "reliability": dataclasses.asdict(reliability)})
    else:
        print(text)
