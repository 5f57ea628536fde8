"""`seal-agent queue`: list, approve and cancel jobs, and run a worker."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seal_agent.cli.loading import announce_head, announce_waiting, load_learner
from seal_agent.cli.options import (
    AsJson,
    ChatTemplate,
    Device,
    HomeFolder,
    Model,
    Namespace,
    Recall,
    Seed,
    Strategy,
    Writer,
    check_finite,
    write_json,
    write_table,
)
from seal_agent.cli.progress import Display
from seal_agent.core import interruption
from seal_agent.core.models import EMBEDDED

if TYPE_CHECKING:
    from seal_agent.storage.jobs import Job

app = typer.Typer(help="The queue of texts to learn: list, approve, cancel, run a worker.")
Number = Annotated[int, typer.Argument(metavar="JOB", min=1, max=2**63 - 1, help="The job's number.")]
Threads = Annotated[int, typer.Option("--threads", min=0, max=1024, help="Number of cores; 0: all.")]
Nice = Annotated[int, typer.Option("--nice", min=0, max=19, help="Niceness of the process.")]
PerHour = Annotated[int, typer.Option("--edits-per-hour", min=0, help="Limit of edits per hour; 0: none.")]
SecondsPerHour = Annotated[
    float,
    typer.Option(
        "--seconds-per-hour", callback=check_finite, min=0, help="Limit of learning seconds per hour; 0: none."
    ),
]
Idle = Annotated[
    float,
    typer.Option(
        "--idle", callback=check_finite, min=0, help="Begin a job only after this many seconds without messages."
    ),
]
Forever = Annotated[bool, typer.Option("--forever", help="Keep waiting for jobs when the queue is empty.")]


@app.command("list")
def list_jobs(
    home: HomeFolder = None,
    namespace: Namespace = "default",
    every: Annotated[bool, typer.Option("--all", help="Also show jobs that have ended.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the jobs of a namespace that wait for a person or a worker, run, or failed."""
    from seal_agent.storage.database import Home
    from seal_agent.storage.jobs import OPEN, LearningQueue

    jobs = LearningQueue(Home(home)).jobs(namespace, () if every else (*OPEN, "failed"))
    if as_json:
        write_json({"namespace": namespace, "jobs": [as_row(job, _waits_for(job, home)) for job in jobs]})
    elif not jobs:
        print("nothing waits")
    else:
        rows = [as_row(job, _waits_for(job, home)) for job in jobs]
        names = ["job", "topic", "state", "step", "outcome", "note", "seconds", "submitted"]
        write_table(names, [[str(row[name]) for name in names] for row in rows])


@app.command()
def approve(job: Number, home: HomeFolder = None, as_json: AsJson = False) -> None:
    """Release a held job, with the others of its text; use `queue cancel` to decline."""
    from seal_agent.core.errors import InputError
    from seal_agent.storage.database import Home
    from seal_agent.storage.jobs import LearningQueue

    queue = LearningQueue(Home(home))
    held = queue.job(job)
    if not queue.resolve_held(held.namespace, held.thread, approve=True):
        raise InputError(f"job {job} is {held.state} and does not wait for approval; see `seal-agent queue list`")
    if as_json:
        write_json([as_row(each) for each in queue.jobs(held.namespace, threads=[held.thread])])
    else:
        print(f"job {job} waits to be learned")


@app.command()
def cancel(job: Number, home: HomeFolder = None, as_json: AsJson = False) -> None:
    """Cancel a job: a waiting or held one at once, a running one before its next step."""
    from seal_agent.storage.database import Home
    from seal_agent.storage.jobs import LearningQueue

    cancelled = LearningQueue(Home(home)).cancel(job)
    if as_json:
        write_json(as_row(cancelled))
    else:
        print(f"job {job} is cancelled" if cancelled.state == "cancelled" else f"job {job} ends before its next step")


@app.command()
def work(
    forever: Forever = False,
    threads: Threads = 0,
    nice: Nice = 10,
    edits_per_hour: PerHour = 0,
    seconds_per_hour: SecondsPerHour = 0.0,
    idle: Idle = 0.0,
    seed: Seed = 0,
    strategy: Strategy = "route",
    recall: Recall = "weights",
    writer: Writer = None,
    model: Model = EMBEDDED,
    home: HomeFolder = None,
    device: Device = "auto",
    chat_template: ChatTemplate = None,
    as_json: AsJson = False,
) -> None:
    """Learn all queued texts, of every namespace, in this process; then end, or wait for more."""
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # torch reads it when it is loaded
    if nice and hasattr(os, "nice"):
        os.nice(nice)
    interruption.keeps("no job was begun; run the same command to continue")
    with Display(lines=True) as display:
        from seal_agent.background.worker import ENDED, Budget, Worker, WorkEvent
        from seal_agent.learning.learner import LearnerConfig

        how: Any = recall  # checked by the option
        config = LearnerConfig(seed=seed, strategy=strategy, recall=how, writer=writer)
        learner = load_learner(display, model, home, "default", device, chat_template, config)
        announce_head(display, learner.backend, learner.home)
        announce_waiting(display, learner.backend, learner.home)
        ended: list[dict[str, Any]] = []

        def on_event(event: WorkEvent) -> None:
            job = event.job
            if event.step != ENDED:
                interruption.keeps(f"{len(ended)} jobs are done; run the same command to resume job {job.id}")
                display.progress(f"job {job.id}, {job.passage.topic}: {event.step}", event.done, event.total)
                return
            ended.append(as_row(job))
            interruption.keeps(f"{len(ended)} jobs are done; run the same command for the others")
            display.line(f"job {job.id}, {job.passage.topic}: {job.outcome or job.state}: {job.note}")

        budget = Budget(idle_seconds=idle, seconds_per_hour=seconds_per_hour, edits_per_hour=edits_per_hour)
        worker = Worker(learner, budget, on_event=on_event)
        if forever:
            worker.run_forever()
        else:
            worker.run_until_empty()
    num_left = worker.queue.num_open(learner.backend.model)
    if as_json:
        write_json({"jobs": ended})
    elif num_left:
        print(f"the budget of this hour is spent, and {num_left} jobs wait; run this later, or with a larger budget")
    elif not ended:
        print("nothing to learn now")


def _waits_for(job: Job, home: Path | None) -> str:
    """Why a job waits, if no person or worker seems to be about to take it."""
    from seal_agent.background.worker import has_worker
    from seal_agent.storage.database import Home

    if job.state == "held":
        return f"waits for a person: `seal-agent queue approve {job.id}`"
    if job.state == "waiting" and job.model and not has_worker(Home(home).root, job.model):
        return f"no worker learns for {job.model}; start one: `seal-agent queue work --model MODEL`"
    return ""


def as_row(job: Job, waits_for: str = "") -> dict[str, Any]:
    """A job as a row of output, without its text."""
    return {
        "job": job.id,
        "namespace": job.namespace,
        "topic": job.passage.topic,
        "state": job.state,
        "step": job.step if job.state in ("held", "waiting", "running") else "",
        "outcome": job.outcome,
        "note": job.note or waits_for,
        "seconds": round(job.seconds, 1),
        "submitted": datetime.fromtimestamp(job.created).astimezone().isoformat(timespec="seconds"),
    }
