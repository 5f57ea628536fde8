"""`seal-agent improve`: improve the policy that writes edits. `seal-agent bench policy`, `bench selection`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seal_agent.adapters.loading import identity_of
from seal_agent.cli import bench
from seal_agent.cli.bench import keep_run
from seal_agent.cli.loading import begin_loading, load_learner, server_named
from seal_agent.cli.options import (
    AsJson,
    Device,
    HomeFolder,
    Model,
    Namespace,
    Seed,
    check_finite,
    write_json,
    write_table,
)
from seal_agent.cli.progress import Display, follow
from seal_agent.core import interruption
from seal_agent.core.errors import InputError
from seal_agent.core.models import EMBEDDED
from seal_agent.learning import estimates

if TYPE_CHECKING:
    from seal_agent.learning.learner import Learner
    from seal_agent.policy.run import RunSettings
    from seal_agent.storage.policies import PolicyStore

app = typer.Typer(help="Improve the policy that writes the edits.", invoke_without_command=True)
Rounds = Annotated[int, typer.Option("--rounds", min=1, help="Rounds of exploring, learning and the gate.")]
REWARDS = "gold=1"


@app.callback()
def improve(
    context: typer.Context,
    file: Annotated[list[Path] | None, typer.Option("--file", help="A text to learn from; repeatable.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="JSON list of title, context, questions.")] = None,
    ledger: Annotated[bool, typer.Option("--ledger", help="Texts of this namespace's ledger; the default.")] = False,
    rounds: Rounds = 2,
    contexts: Annotated[int, typer.Option("--contexts", min=0, help="Maximum number; 0: all.")] = 0,
    explore: Annotated[
        int, typer.Option("--explore", min=0, help="Number to explore, the first; 0: a random half.")
    ] = 0,
    candidates: Annotated[int, typer.Option("--candidates", min=1, help="Edits for each context.")] = 4,
    temperature: Annotated[
        float, typer.Option("--temperature", callback=check_finite, help="For texts; 4 times as much for settings.")
    ] = 1.0,
    seeds: Annotated[int, typer.Option("--seeds", min=2, help="Training seeds for each edit.")] = 2,
    reward: Annotated[
        list[str] | None, typer.Option("--reward", help="NAME=WEIGHT: gold, self-made, retention, proxy, approval.")
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="Short edits in formats that are quick to write.")] = False,
    minutes: Annotated[
        float, typer.Option("--minutes", callback=check_finite, min=0, help="Limit of the work; 0: none.")
    ] = 0.0,
    after: Annotated[int, typer.Option("--min-new-episodes", min=0, help="Only if this many are new.")] = 0,
    idle: Annotated[
        float,
        typer.Option("--idle", callback=check_finite, min=0, help="Seconds without a conversation; 0: do not wait."),
    ] = 60.0,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the run; an existing run is resumed.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="First continue the last run, if it was stopped.")] = False,
    seed: Seed = 0,
    model: Model = EMBEDDED,
    home: HomeFolder = None,
    namespace: Namespace = "default",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Sample and train edits, imitate those that beat doing nothing; promote a policy that is better on new texts."""
    if context.invoked_subcommand:
        return
    if ledger and (file or data):
        raise InputError("--ledger, --file and --data exclude each other; give one of them")
    from seal_agent.policy.rounds import ImproveConfig
    from seal_agent.policy.run import RunSettings

    config = ImproveConfig(
        num_rounds=rounds, num_candidates=candidates, temperature=temperature, num_seeds=seeds, seed=seed
    )
    settings = RunSettings(config, _weights(reward or [REWARDS]), num_explore=explore, is_fast=fast)
    state: dict[str, Any] = {"num_contexts": contexts, "after_episodes": after, "resume": resume}
    sources = {"data": data, "files": tuple(file or ()), "folder": out}
    interruption.keeps("results are kept; `seal-agent improve --resume` continues")
    with Display(lines=True) as display:
        learner = load_learner(display, model, home, namespace, device, server=server_named())
        result = run(learner, settings, state, display, minutes=minutes, idle=idle, sources=sources)
    if as_json:
        write_json({key: result.get(key) for key in ("outcome", "folder", "rounds")})
    else:
        print(result.get("report", ""), end="")
        print(result["outcome"])


def run(
    learner: Learner,
    settings: RunSettings,
    state: dict[str, Any],
    display: Display,
    *,
    minutes: float,
    idle: float,
    sources: dict[str, Any],
) -> dict[str, Any]:
    """Run the graph on those `graphs.improve.Sources` to its end; returns its last state."""
    from seal_agent.graphs.improve import Sources, create_improve_graph
    from seal_agent.policy import schedule

    display.line(_takes(learner, settings, minutes))
    pause = schedule.waiter(learner.home, idle)
    built = create_improve_graph(learner, settings, minutes=minutes, pause=pause, sources=Sources(**sources))
    graph = built.compile()
    result = dict(state)
    for update in follow(graph, state, display):
        result |= update or {}
    return result


def _takes(learner: Learner, settings: RunSettings, minutes: float) -> str:
    """The cost of a run, announced before the number of contexts is known."""
    config = settings.improve
    num_edits = config.num_rounds * config.num_candidates
    cost = estimates.cost_of_an_edit(learner.home, learner.backend)
    bound = f"at most {minutes:g} minutes of work" if minutes else "--minutes sets a limit"
    return (
        f"{num_edits} edits are trained for each context that is explored, {config.num_seeds} times each: "
        f"{estimates.duration(num_edits * config.num_seeds * cost.seconds)} and "
        f"{estimates.size(config.num_candidates * cost.megabytes)} a context at most; {bound}; "
        "it can be stopped and resumed"
    )


@app.command("list")
def list_policies(
    model: Model = EMBEDDED, home: HomeFolder = None, namespace: Namespace = "default", as_json: AsJson = False
) -> None:
    """List the versions of the policy, and which one is in use."""
    store = _store(home, namespace, model)
    current = store.current().version
    versions = [
        {
            "version": policy.version,
            "in_use": policy.version == current,
            "parent": policy.parent,
            "adapter": policy.adapter.id if policy.adapter else "",
            "reason": policy.reason,
        }
        for policy in store.versions()
    ]
    if as_json:
        write_json({"policies": versions})
        return
    rows = [
        [str(v["version"]), "in use" if v["in_use"] else "", str(v["parent"]), str(v["adapter"])[:12], str(v["reason"])]
        for v in versions
    ]
    write_table(["version", "", "from", "adapter", "what it learned from"], rows)


@app.command("use")
def use_policy(
    version: Annotated[int, typer.Argument(min=0, max=2**63 - 1)],
    model: Model = EMBEDDED,
    home: HomeFolder = None,
    namespace: Namespace = "default",
    as_json: AsJson = False,
) -> None:
    """Use that version to write edits from now on; 0 is the base model."""
    policy = _store(home, namespace, model).use(version)
    if as_json:
        write_json({"version": policy.version})
    else:
        print(f"policy {policy.version} writes the edits of {namespace} from now on")


def _store(home: Path | None, namespace: str, model: str) -> PolicyStore:
    """The policies of a namespace, for the model's identity as a backend reports it."""
    from seal_agent.storage.database import Home
    from seal_agent.storage.policies import PolicyStore

    return PolicyStore(Home(home), namespace, identity_of(model))


def _weights(rewards: list[str]) -> tuple[tuple[str, float], ...]:
    found = []
    for each in rewards:
        name, _, weight = each.partition("=")
        try:
            found.append((name, float(weight or 1)))
        except ValueError as error:
            raise InputError(f"reward {each!r} does not fit; write NAME=WEIGHT such as gold=1") from error
    return tuple(found)


@bench.app.command("policy")
def bench_policy_command(
    data: Annotated[Path, typer.Option("--data", help="JSON list of title, context, questions.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the run; it is resumed from there.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Passages; 0: all.")] = 0,
    explore: Annotated[int, typer.Option("--explore", min=1, help="Number to explore, the first.")] = 40,
    candidates: Annotated[int, typer.Option("--candidates", min=1, help="Edits for each context.")] = 4,
    temperature: Annotated[
        float, typer.Option("--temperature", callback=check_finite, help="For texts; 4 times as much for settings.")
    ] = 1.0,
    rounds: Rounds = 2,
    fast: Annotated[bool, typer.Option("--fast", help="Short edits in formats that are quick to write.")] = False,
    minutes: Annotated[
        float, typer.Option("--minutes", callback=check_finite, min=0, help="Limit of the work; 0: none.")
    ] = 0.0,
    seed: Seed = 0,
    model: Model = EMBEDDED,
    home: HomeFolder = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure whether the policy that writes self-edits improves: explore, learn, and compare on held-out passages."""
    from seal_agent.factory import open_backend
    from seal_agent.learning.learner import Learner
    from seal_agent.policy.rounds import ImproveConfig
    from seal_agent.policy.run import RunSettings
    from seal_agent.storage.database import Home

    opened = Home(home)
    folder = out or opened.root / "bench" / f"policy-{Path(model).name}"
    config = ImproveConfig(num_rounds=rounds, num_candidates=candidates, temperature=temperature, seed=seed)
    settings = RunSettings(config, num_explore=explore, is_fast=fast)
    keep_run(folder)
    with Display(lines=True) as display:
        begin_loading(display, model, home)
        backend = open_backend(opened, model, device=device, adapters=folder)
        learner = Learner(backend, Home(folder), "bench")  # the policies belong to the run and not to the user
        sources = {"data": data, "folder": folder}
        state = {"num_contexts": limit}
        result = run(learner, settings, state, display, minutes=minutes, idle=0.0, sources=sources)
    if as_json:
        write_json({key: result.get(key) for key in ("outcome", "folder", "rounds")})
    else:
        print(result["report"], end="")
        print(f"written to {folder}")


@bench.app.command("selection")
def bench_selection_command(
    rewards: Annotated[
        Path, typer.Option("--rewards", help="JSON list of baseline_accuracy and edits (accuracy_by_seed).")
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the report.")] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Measure whether the selector chooses better candidates than the plain best of k."""
    from seal_agent.bench import policy as bench_policy

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
