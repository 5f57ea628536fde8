"""`seal-agent bench week`: a simulated week of conversation, then questions about it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seal_agent.bench.machine import described
from seal_agent.cli.bench import facts_of, keep_run
from seal_agent.cli.bench_options import Arms, RunOptions
from seal_agent.cli.loading import begin_loading
from seal_agent.cli.options import Preset, WhenUnknown, grouped, write_json
from seal_agent.cli.progress import Display

if TYPE_CHECKING:
    from seal_agent.core.backend import Backend
    from seal_agent.core.episodes import Progress
    from seal_agent.learning.config import LearnerConfig
    from seal_agent.storage.database import Home
    from seal_agent.storage.run_folder import RunFolder


@grouped
def week(
    data: Annotated[
        Path | None, typer.Option("--data", help="JSON list of weeks.", show_default="the week that is shipped")
    ] = None,
    chosen: Annotated[str, typer.Option("--week", help="Only the week of that id.")] = "",
    turns: Annotated[
        int, typer.Option("--turns", min=0, help="Only the first turns, and the questions they answer; 0: all.")
    ] = 0,
    arm: Arms = None,
    preset: Preset = "default",
    when_unknown: WhenUnknown = "answer",
    *,
    options: RunOptions,
) -> None:
    """What does the agent know after a week of conversation, and did the conversation suffer? Resumable."""
    from seal_agent.bench.week import arms as bench_arms
    from seal_agent.bench.week import data as bench_data
    from seal_agent.bench.week import replay, report
    from seal_agent.storage.database import Home
    from seal_agent.storage.run_folder import RunFolder

    home = Home(options.home)
    weeks = [each.first(turns) for each in bench_data.read_weeks(data, chosen)]
    folder = options.folder(home, "week")
    config: dict[str, Any] = {"model": options.model, "data": str(data or "shipped"), "turns": turns}
    config |= {"seed": options.seed, "weeks": [each.id for each in weeks], "preset": preset}
    config |= {"when_unknown": when_unknown} if when_unknown != "answer" else {}
    run = RunFolder(folder, config=config)
    if not options.report_only:
        names = arm or [*bench_arms.UNTAUGHT, *bench_arms.TAUGHT]
        with replaying(run, home, options, preset, when_unknown) as (backend, settings, progress):
            replay.measure(backend, run, weeks, names, settings, progress)
    reports, learning = report.summarise(run)
    text = report.markdown(reports, learning, facts_of(folder, config))
    (folder / "report.md").write_text(text, encoding="utf-8")
    if options.as_json:
        write_json(
            {
                "folder": str(folder),
                "arms": [dataclasses.asdict(each) for each in reports],
                "learning": dataclasses.asdict(learning) if learning else None,
            }
        )
        return
    print(text)
    print(f"written to {folder}")


@contextlib.contextmanager
def replaying(
    run: RunFolder, home: Home, options: RunOptions, preset: str, when_unknown: str
) -> Iterator[tuple[Backend, LearnerConfig, Progress]]:
    """The backend of a run that replays conversations, the settings of its learner, and its progress display."""
    keep_run(run.folder)
    with Display() as display:
        begin_loading(display, options.model, options.home)
        from seal_agent.bench.week.arms import HOME
        from seal_agent.factory import open_backend
        from seal_agent.learning.config import LearnerConfig
        from seal_agent.writing.directives import PRESETS

        run.note_machine(described(options.device))
        backend = open_backend(home, options.model, device=options.device, adapters=run.folder / HOME)
        settings = LearnerConfig(
            directives=PRESETS[preset],
            seed=options.seed,
            when_unknown=when_unknown,  # type: ignore[arg-type]  # checked by the option
        )
        yield backend, settings, display.progress


def register(app: typer.Typer) -> None:
    """Add the command of this module to `seal-agent bench`."""
    app.command("week")(week)
