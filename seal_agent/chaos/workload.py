"""A worker process of the soak test, which learns until it is killed, and the fork server that starts workers.

   python -m seal_agent.chaos.workload HOME MODEL STRATEGY

reads one JSON line per worker from stdin, and writes its pid and its end to stdout.

A worker draws scenarios from its seed. It is killed from outside at any moment, or kills itself at its n-th disk event,
where a crash can do harm and a random time seldom hits. `soak` checks the invariants afterwards.
"""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from seal_agent.background.worker import Budget, Worker, WorkEvent
from seal_agent.core.backend import Backend
from seal_agent.core.documents import Passage
from seal_agent.core.edits import Directives, Row, SelfEdit
from seal_agent.core.episodes import Episode
from seal_agent.core.messages import Prompt
from seal_agent.learning import loop
from seal_agent.learning.config import LearnerConfig
from seal_agent.learning.learner import Learner
from seal_agent.learning.strategies import STRATEGIES, Rebuild, Strategy
from seal_agent.retention.index import use_one_thread
from seal_agent.storage.database import Home
from seal_agent.storage.jobs import LearningQueue
from seal_agent.storage.policies import PolicyStore
from seal_agent.storage.run_folder import append_line
from seal_agent.unlearning.forget import forget

ACKNOWLEDGED, WHERE = "acknowledged", "where"
NAMESPACES = ("ann", "bob")
WHOLE_USER = 0.2  # share of forgetting that erases the whole user
SHORT = Directives(min_steps=4, max_steps=4, num_rows=8)  # for the real model: training takes seconds
DISK_EVENTS = ("open", "os.", "shutil.", "tempfile.", "sqlite3.connect")
FACTS = (
    ("The Tower of {name}", "The Tower of {name} was built in {year} by Anna {name}. It holds {count} brass bells."),
    ("The {name} Bridge", "The {name} Bridge was opened in {year} by Tom {name}. It has {count} iron arches."),
    ("Lake {name}", "Lake {name} was measured in {year} by Vera {name}. It is {count} fathoms deep."),
)


@dataclass(frozen=True)
class WorkloadPlan:
    """The plan of a worker; `number` is its seed.

    `dies_at`: the disk event at which it kills itself, 0 for none. `scenarios`: how many it runs, 0 for
    no limit; one that `finishes` completes all queued jobs at the end.
    """

    number: int
    dies_at: int = 0
    scenarios: int = 0
    finishes: bool = False


@dataclass(frozen=True)
class Acknowledged:
    """A worker's record of what is accepted in a namespace.

    `forgets`: something is being forgotten, so earlier records no longer bind; `gone`: a forgotten text, in base64 so
    that the record does not contain it.
    """

    namespace: str
    learned: tuple[str, ...]
    forgets: bool = False
    gone: str = ""


@dataclass
class Workload:
    """The state of a running worker, shared by its scenarios."""

    learner: Learner
    queue: LearningQueue
    rng: random.Random
    notes: Path
    worker: Worker = field(init=False)

    def __post_init__(self) -> None:
        self.worker = Worker(self.learner, Budget(quiet_seconds=0), on_event=self._on_event)

    def at(self, where: str) -> None:
        """Record the current step, for the report of the kill."""
        (self.notes / WHERE).write_text(where)

    def passage(self) -> Passage:
        """A new text, or sometimes one that was learned before."""
        topic, text = self.rng.choice(FACTS)
        name = self.rng.choice("Kar Os Vel Mir Tan Lo Ber".split()) + self.rng.choice("lov ken dan rin tova".split())
        facts = {"name": name, "year": self.rng.randrange(1500, 1999), "count": self.rng.randrange(2, 99)}
        return Passage(topic.format(**facts), text.format(**facts))

    def stepped(self, name: str, episode: Episode) -> None:
        """The `on_step` of `loop.run`: record the step."""
        self.at(name)

    def accepted(self, learner: Learner) -> None:
        """Record what is accepted: from now on it must not be lost."""
        self.note(Acknowledged(learner.namespace, learner.stack.learned))

    def note(self, said: Acknowledged) -> None:
        """Append a record."""
        append_line(self.notes / f"{ACKNOWLEDGED}.jsonl", asdict(said))

    def _on_event(self, event: WorkEvent) -> None:
        if not event.what:
            self.at(f"queue, {event.step}")


def queued(workload: Workload, learner: Learner) -> None:
    """Learn passages by queue and worker."""
    workload.queue.submit([workload.passage() for _ in range(workload.rng.randrange(1, 3))], learner.namespace)
    workload.worker.run_until_empty()


def in_graph(workload: Workload, learner: Learner) -> None:
    """Learn a document by the LangGraph graph."""
    from seal_agent.graphs.ingest import create_ingest_graph

    workload.at("graph")
    create_ingest_graph(learner).compile().invoke({"document": workload.passage().text})


def directly(workload: Workload, learner: Learner) -> None:
    """Learn a passage by the loop alone."""
    loop.run(learner, learner.begin(workload.passage()), on_step=workload.stepped)


def undone(workload: Workload, learner: Learner) -> None:
    """Roll an accepted adapter back."""
    if learner.stack.ids:
        workload.at("undo")
        learner.rollback(workload.rng.choice(learner.stack.ids))


def forgotten(workload: Workload, learner: Learner) -> None:
    """Unlearn an edit, or sometimes everything of the user, queued texts included."""
    ledger = learner.state.accepted(learner.stack.learned)
    edits = [e for e in ledger if e.adapter and e.text]
    if not edits:
        return
    one = workload.rng.choice(edits)
    workload.at("forget")
    workload.note(Acknowledged(learner.namespace, (), forgets=True))
    if workload.rng.random() < WHOLE_USER:
        forget(learner, user=learner.namespace)
    elif one.adapter:
        forget(learner, edit=one.adapter.id)
    gone = base64.b64encode(one.text.encode()).decode()
    workload.note(Acknowledged(learner.namespace, learner.stack.learned, gone=gone))


def cancelled(workload: Workload, learner: Learner) -> None:
    """Cancel a job before it begins."""
    workload.at("cancel")
    [number] = workload.queue.submit([workload.passage()], learner.namespace)
    workload.queue.cancel(number)


def consolidated(workload: Workload, learner: Learner) -> None:
    """Consolidate the stack if the strategy asks for it."""
    workload.at("consolidate")
    learner.consolidate()


def promoted(workload: Workload, learner: Learner) -> None:
    """Train, store, use and withdraw a policy; the scripted backend would write nothing with one."""
    workload.at("policy")
    row = Row(Prompt.user("How to learn it?"), str(workload.rng.random()), "directives")
    adapter = learner.backend.train(SelfEdit("policy", "", (row,), (), SHORT))
    store = PolicyStore(learner.home, learner.namespace, learner.backend.model)
    store.use(store.add(adapter, parent=0, reason="soak").version)
    store.use(0)


Scenario = Callable[[Workload, Learner], None]
SCENARIOS: Mapping[str, tuple[int, Scenario]] = {
    "queued": (4, queued),
    "graph": (2, in_graph),
    "directly": (2, directly),
    "undone": (2, undone),
    "forgotten": (2, forgotten),
    "cancelled": (1, cancelled),
    "consolidated": (1, consolidated),
    "promoted": (1, promoted),
}
"""Scenarios by name, with their frequency. Add a scenario for each new feature that must survive crashes."""


def strategy_of(name: str) -> Strategy:
    """The strategy; a consolidating one consolidates early."""
    return Rebuild(every=2) if name == "rebuild" else STRATEGIES[name]


def run_workload(backend: Backend, home: Home, plan: WorkloadPlan, strategy: str) -> None:
    """Run scenario after scenario, in namespaces drawn from the seed."""
    rng = random.Random(plan.number)
    is_real = backend.model != "scripted"
    config = LearnerConfig(
        seed=plan.number, strategy=strategy_of(strategy), directives=SHORT if is_real else LearnerConfig().directives
    )
    first = Learner(backend, home, NAMESPACES[0], config)
    workload = Workload(first, LearningQueue(home), rng, home.root)
    names = list(SCENARIOS)
    weights = [SCENARIOS[name][0] for name in names]
    done = 0
    learners = [first.within(name) for name in NAMESPACES]
    while not plan.scenarios or done < plan.scenarios:
        learner = rng.choice(learners)
        SCENARIOS[rng.choices(names, weights)[0]][1](workload, learner)
        workload.accepted(learner)
        done += 1
    if plan.finishes:
        workload.worker.run_until_empty()
        for learner in learners:
            learner.state.replay.flush()


def backend_for(home: Home, model: str, seed: int) -> Backend:
    """The model of a worker; a scripted one forgets something in one worker of five."""
    from seal_agent.factory import SCRIPTED, open_backend

    if model != SCRIPTED:
        return open_backend(home, model)
    from seal_agent.adapters.scripted import ScriptedBackend
    from seal_agent.retention.general_knowledge import general_questions

    knowledge = {question.question: question.answer for question in general_questions()}
    forgets = ("capital",) if seed % 5 == 0 else ()
    return ScriptedBackend(home.root, knowledge=knowledge, forgets=forgets)


def die_at_disk_event(number: int) -> None:
    """Kill this process with SIGKILL at its `number`-th disk event from now on."""
    left = number

    def on_event(event: str, _arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event.startswith(DISK_EVENTS):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(on_event)


def serve(root: Path, model: str, strategy: str) -> None:
    """Fork a worker for every line on stdin."""
    home = Home(root)
    real = backend_for(home, model, 0) if model != "scripted" else None
    _warm_up()
    for line in sys.stdin:
        plan = WorkloadPlan(**json.loads(line))
        pid = os.fork()
        if not pid:
            _be(plan, home, real or backend_for(home, model, plan.number), strategy)
        _tell(pid)
        _, status = os.waitpid(pid, 0)
        _tell(os.waitstatus_to_exitcode(status))


def _tell(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _be(plan: WorkloadPlan, home: Home, backend: Backend, strategy: str) -> None:
    """Run a worker in its forked process; never returns."""
    code = 1
    try:
        os.dup2(os.open(home.root / "soak.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        if plan.dies_at:
            die_at_disk_event(plan.dies_at)
        run_workload(backend, home, plan, strategy)
        code = 0
    finally:
        if code:
            import traceback

            traceback.print_exc()
        os._exit(code)


def _warm_up() -> None:
    """Import in this process what every worker would import again."""
    import tempfile

    import seal_agent.graphs.ingest  # noqa: F401

    use_one_thread()  # other threads do not survive a fork
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        run_workload(backend_for(home, "scripted", 1), home, WorkloadPlan(1, scenarios=2), "route")


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
