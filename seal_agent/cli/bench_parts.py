"""`seal-agent bench`: resumable benchmarks of single parts: deciding, gate, replay store, routing, speed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seal_agent.bench.machine import described
from seal_agent.cli.bench import keep_run, write_report
from seal_agent.cli.bench_options import Out, PassageOptions, RunOptions
from seal_agent.cli.loading import begin_loading
from seal_agent.cli.options import AsJson, Device, HomeFolder, Model, Seed, grouped, write_json, write_table
from seal_agent.cli.progress import Display
from seal_agent.core.errors import InputError
from seal_agent.core.models import EMBEDDED

if TYPE_CHECKING:
    from seal_agent.adapters.loading import LoadedModel
    from seal_agent.bench.decide import ArmResult
    from seal_agent.bench.routing import Routed
    from seal_agent.language.source import Source


def decide(
    out: Out = None,
    save_head: Annotated[
        Path | None, typer.Option("--save-head", help="Write the fitted classifier to this file, for shipping.")
    ] = None,
    model: Model = EMBEDDED,
    home: HomeFolder = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure how well the model decides what to learn. 770 labelled turns, of which 175 choose thresholds."""
    with Display() as display:
        begin_loading(display, model, home)
        from seal_agent.bench import decide as bench_decide
        from seal_agent.deciding import classifier
        from seal_agent.deciding.own_classifier import OwnClassifier
        from seal_agent.factory import open_backend
        from seal_agent.storage import run_folder
        from seal_agent.storage.database import Home

        opened = Home(home)
        backend = open_backend(opened, model, device=device)
        folder = out or opened.root / "bench" / f"decide-{Path(backend.model).name}"
        keep_run(folder)
        fresh, alone, states = bench_decide.heads(backend, folder, display.progress)
        if save_head:
            save_head.write_bytes(classifier.as_bytes(fresh))
        own = OwnClassifier(backend, opened.root / classifier.HEADS_FOLDER)
        own.head(display.progress, may_wait=True)
        labelled = bench_decide.turns()
        run = run_folder.RunFolder(folder, config={"model": backend.model})
        measured = bench_decide.measure(backend, own, labelled, run, display.progress)
    results = bench_decide.report(labelled, measured, states, alone.threshold)
    milliseconds = fmean(m.milliseconds for m in measured)
    if as_json:
        arms = [dataclasses.asdict(result) for result in results]
        write_json({"model": backend.model, "arms": arms, "milliseconds": round(milliseconds, 1), "out": str(folder)})
        return
    columns = ["arm", "threshold", "precision", "at least", "recall", "at least", "wrong by kind"]
    write_table(columns, [_row(result) for result in results])
    tokens = fmean(m.num_tokens for m in measured)
    num_turns = sum(result.num_turns for result in results[-3:])
    print(f"\n{num_turns} turns reported; {milliseconds:.0f} ms and {tokens:.0f} tokens read a turn, 0 written")
    print(f"{backend.model}, {described(device)}, scores in {folder}")


def gate(
    num: Annotated[int, typer.Option("--edits", min=20, help="Simulated edits per condition.")] = 2000,
    seed: Annotated[int, typer.Option("--seed", min=1, help="Seed 0 chose the constants; do not report it.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Measure the judge's error rates by simulation: false alarms, and detections at true losses of 0 to 20 points."""
    with Display() as display:
        from seal_agent.bench import gate as bench_gate

        report = bench_gate.run(num, seed, display.progress)
    if as_json:
        write_json(dataclasses.asdict(report))
    else:
        print(bench_gate.as_markdown(report))


def replay(
    items: Annotated[
        list[int] | None, typer.Option("--items", min=1000, help="Items in the store; repeatable.")
    ] = None,
    out: Out = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Measure the time of drawing probes as the replay store grows to a million items, without a model."""
    from seal_agent.bench import replay as bench_replay
    from seal_agent.storage import run_folder
    from seal_agent.storage.database import Home

    folder = out or Home(home).root / "bench" / "replay"
    config: dict[str, Any] = {"dimensions": bench_replay.DIMENSIONS, "adapters": bench_replay.NUM_ADAPTERS}
    run = run_folder.RunFolder(folder, config=config)
    run.note_machine(described())
    keep_run(folder)
    with Display() as display:
        results = bench_replay.measure(run, items or bench_replay.SIZES, display.progress)

    def text(facts: list[str]) -> str:
        return "\n".join(["# The replay store", "", *facts, "", bench_replay.as_markdown(results)])

    write_report(folder, config, results, text, lambda: None, as_json)


@grouped
def routing(
    passages: PassageOptions,
    keys: Annotated[
        list[int] | None, typer.Option("--num-adapters", min=1, help="Number of learned passages; repeatable.")
    ] = None,
    seed: Seed = 0,
    model: Model = EMBEDDED,
    home: HomeFolder = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure whether questions reach their adapter, and general questions none. Nothing is trained."""
    with Display() as display:
        begin_loading(display, model, home)
        from seal_agent.bench import routing as bench_routing
        from seal_agent.factory import open_backend
        from seal_agent.storage.database import Home

        items = passages.items()
        backend = open_backend(Home(home), model, device=device)
        results = bench_routing.measure(
            backend, items, keys or [min(8, len(items)), len(items)], seed, display.progress
        )
    if as_json:
        write_json({"model": backend.model, "seed": seed, "rows": [dataclasses.asdict(result) for result in results]})
        return
    columns = ["passages", "questions", "routed by", "its own", "another's", "general ones routed", "ms a question"]
    write_table(columns, [_routed(result) for result in results])
    print(f"\n{backend.model}, {described(device)}")


@grouped
def speed(
    data: Annotated[
        Path | None,
        typer.Option("--data", help="JSON list of title, context, questions; default: the demo's document."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="recipe, together, adapters, loading or replies; repeatable."),
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Runs of every arm.")] = 5,
    offset: Annotated[int, typer.Option("--offset", min=0, help="Number of the passage in the data.")] = 0,
    num_rows: Annotated[int, typer.Option("--rows", min=4, help="Maximum number of rows of the edit.")] = 128,
    random: Annotated[str, typer.Option("--random", help="135m, 1b or 8b: random weights instead of --model.")] = "",
    shared: Annotated[
        bool, typer.Option("--shared", help="The CPU is shared: count processor seconds instead of wall-clock time.")
    ] = False,
    *,
    options: RunOptions,
) -> None:
    """Measure the cost of learning against SEAL's loop, of K candidates at once, of many adapters, and of loading."""
    from seal_agent.bench.reports import speed as speed_report
    from seal_agent.bench.speed import bench
    from seal_agent.storage.database import Home

    home, seed, device = Home(options.home), options.seed, options.device
    name = f"random-{random}" if random else options.model
    folder = options.folder(home, "speed", name)
    config = {"model": name, "data": str(data or "demo"), "passage": offset, "rows": num_rows, "seed": seed}
    config |= {"device": device, "seconds": "of the processor" if shared else "of the clock"}
    run = bench.Run(folder, config=config)
    if not options.report_only:
        run.note_machine(described(device))
        keep_run(folder)
        with Display() as display:
            begin_loading(display, options.model, options.home)
            load = partial(_loader(random, options.model), home.root / "models", device=device)
            source = _passage(data, offset)
            from seal_agent.bench.speed.rig import Rig

            rig = Rig.open(load, source, folder / "adapters", num_rows=num_rows, seed=seed, is_shared=shared)
            bench.measure(rig, run, only or bench.PARTS, rig.num_rows, rounds, seed, display.progress)
    curves, report = run.curves(), bench.summarise(run.curves(), run.measured())

    def text(facts: list[str]) -> str:
        return speed_report.markdown(report, facts)

    def plot() -> None:
        speed_report.plot(report, curves, folder / "report.png")

    write_report(folder, config, [report], text, plot, options.as_json)


def _loader(random: str, model: str) -> Callable[..., LoadedModel]:
    """The function that loads `model`, or a model of random weights of the size `random`."""
    from seal_agent.adapters.loading import load_model
    from seal_agent.bench.speed.rig import random_model

    return partial(random_model, random) if random else partial(load_model, model)


def _passage(data: Path | None, number: int) -> Source:
    """Passage `number` of the data; without data, the demo's document."""
    from seal_agent.bench import demo
    from seal_agent.documents import datasets
    from seal_agent.language.source import Source

    if data is None:
        return Source(*demo.document())
    items = datasets.read_items(data, limit=1, offset=number)
    if not items:
        raise InputError(f"{data} has no passage {number}; choose a smaller --offset")
    return items[0].source


def _row(result: ArmResult) -> list[str]:
    shares = (result.precision, result.precision_low, result.recall, result.recall_low)
    wrong = ", ".join(f"{kind} {errors}" for kind, errors in result.wrong_by_kind.items())
    return [result.arm, result.threshold, *(f"{share:.3f}" for share in shares), wrong]


def _routed(result: Routed) -> list[str]:
    shares = (f"{share:.1%}" for share in (result.own, result.other, result.general))
    return [str(result.num_keys), str(result.num_questions), result.rule, *shares, f"{result.milliseconds:.0f}"]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `seal-agent bench`."""
    for command in (decide, gate, replay, routing, speed):
        app.command(command.__name__)(command)
