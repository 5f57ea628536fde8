"""`seal-agent bench locomo`: conversations of the LoCoMo benchmark, learned session by session, then questions."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from seal_agent.cli.bench import facts_of
from seal_agent.cli.bench_options import Arms, RunOptions
from seal_agent.cli.bench_week import replaying
from seal_agent.cli.options import Preset, WhenUnknown, grouped, write_json


@grouped
def locomo(
    data: Annotated[
        list[Path], typer.Option("--data", help="A file of LoCoMo: one conversation, or all ten; repeatable.")
    ],
    chosen: Annotated[str, typer.Option("--conversation", help="Only the conversation of that id.")] = "",
    sessions: Annotated[
        int, typer.Option("--sessions", min=0, help="Only the first sessions, and the questions they answer; 0: all.")
    ] = 0,
    arm: Arms = None,
    learn_all: Annotated[
        bool, typer.Option("--learn-all", help="Learn every turn; default: the model decides.")
    ] = False,
    preset: Preset = "default",
    when_unknown: WhenUnknown = "answer",
    *,
    options: RunOptions,
) -> None:
    """What does the agent know of a long conversation that others wrote? F1 and exact match by category. Resumable.

    The data is at https://github.com/snap-research/locomo; it is not shipped.
    """
    from seal_agent.bench.locomo import data as bench_data
    from seal_agent.bench.locomo import replay, report, scoring
    from seal_agent.bench.week import arms as bench_arms
    from seal_agent.storage.database import Home
    from seal_agent.storage.run_folder import RunFolder

    home = Home(options.home)
    conversations = [each.first(sessions) for each in bench_data.read_conversations(data, chosen)]
    names = arm or [*bench_arms.UNTAUGHT, *bench_arms.TAUGHT]
    bench_arms.check(names)
    folder = options.folder(home, "locomo")
    config: dict[str, Any] = {"model": options.model, "data": [str(path) for path in data], "sessions": sessions}
    config |= {"conversations": [each.id for each in conversations], "seed": options.seed, "preset": preset}
    config |= {"learn_all": learn_all, "when_unknown": when_unknown}
    run = RunFolder(folder, config=config)
    if not options.report_only:
        scoring.stemmer()
        with replaying(run, home, options, preset, when_unknown) as (backend, settings, progress):
            replay.measure(backend, run, conversations, names, settings, progress, learn_all=learn_all)
    reports, learning, left_out = report.summarise(run)
    text = report.markdown(reports, learning, left_out, facts_of(folder, config))
    (folder / "report.md").write_text(text, encoding="utf-8")
    if options.as_json:
        write_json(
            {
                "folder": str(folder),
                "arms": [dataclasses.asdict(each) for each in reports],
                "learning": dataclasses.asdict(learning) if learning else None,
                "left_out": [dataclasses.asdict(each) for each in left_out],
            }
        )
        return
    print(text)
    print(f"written to {folder}")


def register(app: typer.Typer) -> None:
    """Add the command of this module to `seal-agent bench`."""
    app.command("locomo")(locomo)
