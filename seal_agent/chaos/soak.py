"""The crash test: learning processes are killed with SIGKILL, and the invariants are checked after every kill.

   seal-agent soak --kills 1000          # resumable from its folder

Worker processes (`workload`) share one data directory and are killed in turn; the last one runs to completion, after
which nothing may be left over. Every kill is a line of `kills.jsonl`. It needs fork and SIGKILL: Linux or macOS.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from seal_agent.chaos.fork_server import ForkServer
from seal_agent.chaos.workload import ACKNOWLEDGED, WHERE, Acknowledged, WorkloadPlan, backend_for, strategy_of
from seal_agent.core.backend import silent
from seal_agent.core.episodes import Progress
from seal_agent.core.errors import InputError, SealError
from seal_agent.core.numbers import MAX_SEED, check_number, check_whole
from seal_agent.core.stacks import AdapterStack
from seal_agent.learning.config import LearnerConfig
from seal_agent.learning.learner import Learner
from seal_agent.maintenance.invariants import invariants
from seal_agent.storage import deletion
from seal_agent.storage.cleanup import (
    LEARNING_SECONDS,
    WRITING_SECONDS,
    Ages,
    adapter_folders,
    clean,
    leftovers,
    referenced_adapters,
)
from seal_agent.storage.database import Home
from seal_agent.storage.files import write_whole
from seal_agent.storage.jobs import LearningQueue
from seal_agent.storage.namespaces import known_namespaces
from seal_agent.storage.run_folder import RunFolder, recorded

KILLS, SUMMARY = "kills", "kills.json"
HOMES = ("route", "stack", "merge", "rebuild")  # the strategies of consecutive data directories
KILLS_PER_HOME = 25
MAX_LEFT = 6  # folders that one killed worker may leave behind; the next one cleans them up
NUM_ASKED = 3  # questions that every stack version must always answer alike
NUM_TOKENS = 12


@dataclass(frozen=True)
class SoakPlan:
    """The number of kills, the model, and the range of seconds of a worker's run in which it is killed."""

    num_kills: int = 1000
    model: str = "scripted"
    seed: int = 0
    min_seconds: float = 0.0
    max_seconds: float = 0.4
    max_disk_event: int = 500

    def __post_init__(self) -> None:
        if not hasattr(os, "fork"):
            raise InputError("the soak kills forked processes; run it on Linux or macOS")
        check_whole("num_kills", self.num_kills, 1)
        check_number("min_seconds", self.min_seconds, 0)
        check_number("max_seconds", self.max_seconds, 0)
        check_whole("max_disk_event", self.max_disk_event, 1)
        check_whole("seed", self.seed, 0, MAX_SEED)
        if self.min_seconds >= self.max_seconds:
            raise InputError(f"num_kills={self.num_kills} and seconds {self.min_seconds}-{self.max_seconds} do not fit")


REAL = SoakPlan(50, "embedded", min_seconds=1.0, max_seconds=40.0, max_disk_event=600)
"""With real weights a worker learns one text in about ten seconds, and has some ten disk events per second."""


@dataclass(frozen=True)
class Kill:
    """One worker, its step when it ended, and the violations found afterwards. `how`: "clock", "disk" or "lived"."""

    number: int
    strategy: str
    how: str
    where: str
    seconds: float
    num_accepted: int
    num_left: int
    violations: tuple[str, ...] = ()


@dataclass
class Witness:
    """What was observed of a data directory: it may grow, but earlier versions stay and answer the same."""

    path: Path
    versions: dict[str, list[str]] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    num_said: int = 0  # lines of the workers' acknowledgements read so far

    @classmethod
    def read(cls, path: Path) -> Witness:
        """The witness stored by an earlier process, or a new one."""
        return cls(path, **json.loads(path.read_text())) if path.exists() else cls(path)

    def save(self) -> None:
        """Store the witness atomically."""
        seen = {"versions": self.versions, "answers": self.answers, "num_said": self.num_said}
        write_whole(self.path, json.dumps(seen).encode())

    def compare(self, home: Home, answers: Mapping[str, str]) -> list[str]:
        """Changes that violate the invariants; then remember the current state."""
        found = []
        said = recorded(home.root, ACKNOWLEDGED, Acknowledged)
        for namespace in {each.namespace for each in said[self.num_said :] if each.forgets}:
            self.versions.pop(namespace, None)  # forgetting rewrites history
            self.answers = {k: v for k, v in self.answers.items() if not k.startswith(f"{namespace}, ")}
        self.num_said = len(said)
        for namespace in known_namespaces(home):
            now = [_digest(repr(version.stack)) for version in home.versions(namespace)]
            seen = self.versions.get(namespace, [])
            if now[: len(seen)] != seen:
                found.append(f"namespace {namespace!r}: versions seen before are gone or changed")
            self.versions[namespace] = now
        for key, answer in answers.items():
            if self.answers.setdefault(key, answer) != answer:
                found.append(f"{key} answers differently than before")
        return found + _unkept(home, said) + _left(home, said)


def _unkept(home: Home, said: Sequence[Acknowledged]) -> list[str]:
    """Edits that a worker acknowledged as accepted and that are in no version."""
    held = {name: {i for v in home.versions(name) for i in v.stack.learned} for name in known_namespaces(home)}
    kept: dict[str, set[str]] = {}
    for each in said:
        kept[each.namespace] = set() if each.forgets else kept.get(each.namespace, set()) | set(each.learned)
    lost = {i for namespace, ids in kept.items() for i in ids - held.get(namespace, set())}
    return [f"acknowledged as accepted, but in no version: {i[:12]}" for i in sorted(lost)]


def _left(home: Home, said: Sequence[Acknowledged]) -> list[str]:
    """Files that still hold a text acknowledged as forgotten, except leftovers that are cleaned up when old."""
    gone = {base64.b64decode(each.gone) for each in said if each.gone}
    deletion.delete_marked(home)
    swept = leftovers(home, Ages(-1, -1))
    files = [p for p in home.root.rglob("*") if p.is_file() and not any(p.is_relative_to(old) for old in swept)]
    return [f"forgotten, but still in {p.relative_to(home.root)}" for p in files if _holds(p, gone)] if gone else []


def _holds(path: Path, texts: Collection[bytes]) -> bool:
    data = path.read_bytes()
    return any(text in data for text in texts)


def soak(folder: Path, plan: SoakPlan | None = None, *, deadline: float = 0.0, progress: Progress = silent) -> bool:
    """Continue in `folder` until `plan` is done or `time.monotonic()` reaches `deadline`; True if it is done."""
    chosen = plan or SoakPlan()
    run = RunFolder(folder, config={key: value for key, value in asdict(chosen).items() if key != "num_kills"})
    done = run.values(KILLS, Kill)
    while len(done) < chosen.num_kills and not (deadline and time.monotonic() > deadline):
        generation = len(done) // KILLS_PER_HOME
        lived = _Lived(folder, chosen, generation)
        try:
            _live_on(lived, run, done, min((generation + 1) * KILLS_PER_HOME, chosen.num_kills), deadline, progress)
        finally:
            lived.close()
        if len(done) % KILLS_PER_HOME == 0 and not any(kill.violations for kill in done[-KILLS_PER_HOME:]):
            shutil.rmtree(lived.home.root)  # one with violations is kept for inspection
    (folder / SUMMARY).write_text(json.dumps(summary(done), indent=2) + "\n")
    return len(done) >= chosen.num_kills


def read_kills(folder: Path) -> list[Kill]:
    """The kills of a run so far."""
    return recorded(folder, KILLS, Kill)


def summary(kills: list[Kill]) -> dict[str, Any]:
    """The counts of a run."""
    killed = [kill for kill in kills if kill.how != "lived"]
    return {
        "kills": len(killed),
        "violations": [v for kill in kills for v in kill.violations],
        "by_cause": dict(Counter(kill.how for kill in kills)),
        "by_strategy": dict(Counter(kill.strategy for kill in killed)),
        "by_place": dict(Counter(kill.where for kill in killed).most_common()),
        "accepted": sum(kill.num_accepted for kill in kills),
        "most_left_over": max((kill.num_left for kill in kills), default=0),
        "seconds": round(sum(kill.seconds for kill in kills), 1),
    }


def _live_on(lived: _Lived, run: RunFolder, done: list[Kill], end: int, deadline: float, progress: Progress) -> None:
    """Run workers on one data directory until `end` of all kills are done; each kill is stored when it is over."""
    while len(done) < end and not (deadline and time.monotonic() > deadline):
        kill = lived.killed(len(done), is_last=len(done) + 1 == end)
        run.append(KILLS, asdict(kill))
        done.append(kill)
        progress("killing", len(done), lived.plan.num_kills)


class _Lived:
    """One data directory with its fork server and its witness."""

    def __init__(self, folder: Path, plan: SoakPlan, generation: int) -> None:
        self.plan = plan
        self.strategy = HOMES[generation % len(HOMES)]
        self.home = Home(folder / f"home-{generation}")
        self._queue = LearningQueue(self.home)
        self._witness = Witness.read(folder / f"witness-{generation}.json")
        self._backend = backend_for(self.home, plan.model, 1)
        self._fork_server = ForkServer(self.home.root, plan.model, self.strategy)

    def close(self) -> None:
        """End the fork server."""
        self._fork_server.close()

    def killed(self, number: int, *, is_last: bool) -> Kill:
        """Start a worker, kill it, and check the invariants; the worker after the last kill may complete."""
        plan, rng = self.plan, random.Random(f"{self.plan.seed}-{number}")
        start, before = time.monotonic(), _num_accepted(self.home)
        how = "clock" if rng.random() < 0.5 else "disk"
        seed = plan.seed * 1_000_003 + number
        pid = self._fork_server.start(
            WorkloadPlan(seed, 0 if how == "clock" else rng.randrange(1, plan.max_disk_event))
        )
        if how == "clock":
            time.sleep(rng.uniform(plan.min_seconds, plan.max_seconds))
            with suppress(ProcessLookupError):  # it has ended by itself, which is reported below
                os.kill(pid, signal.SIGKILL)
        code = self._fork_server.ended()
        where = _where(self.home)
        found = [] if code == -signal.SIGKILL else [f"the worker ended by itself: {_last_words(self.home)}"]
        found += self._asked()
        num_left = grow_old(self.home)
        if num_left > MAX_LEFT:
            found.append(f"{num_left} folders are left over")
        found += self._ended_in_peace(seed + 1) if is_last else []
        self._witness.save()
        seconds = round(time.monotonic() - start, 3)
        num_accepted = _num_accepted(self.home) - before
        return Kill(number, self.strategy, how, where, seconds, num_accepted, num_left, tuple(found))

    def _ended_in_peace(self, seed: int) -> list[str]:
        """Violations after a worker that completed all queued jobs: failed jobs, unnamed folders."""
        self._fork_server.start(WorkloadPlan(seed, scenarios=1, finishes=True))
        if self._fork_server.ended():
            return [f"the last worker failed: {_last_words(self.home)}"]
        found = self._asked()
        jobs = self._queue.jobs(states=("failed", "waiting", "running"))
        found += [f"job {job.id} is {job.state} at the end: {job.note}" for job in jobs]
        grow_old(self.home)
        clean(self.home)
        named = referenced_adapters(self.home)
        strayed = [path.name[:12] for path in adapter_folders(self.home.root) if path.name not in named]
        return found + [f"unnamed adapters are left over: {strayed}"] * bool(strayed)

    def _asked(self) -> list[str]:
        """The invariants violated now."""
        try:
            return [*invariants(self.home), *self._witness.compare(self.home, self._answers())]
        except SealError as error:
            return [str(error)]

    def _answers(self) -> dict[str, str]:
        """The answers of the newest and one older stack version of every namespace, by namespace and version."""
        said = {}
        for namespace in known_namespaces(self.home):
            learner = Learner(self._backend, self.home, namespace, LearnerConfig(strategy=strategy_of(self.strategy)))
            versions = self.home.versions(namespace)
            for version in {v.version: v for v in [*versions[-1:], *versions[len(versions) // 2 :][:1]]}.values():
                said[f"{namespace}, version {version.version}"] = _digest(_answered(learner, version.stack))
        return said


def _answered(learner: Learner, stack: AdapterStack) -> str:
    edits = [e.edit for e in learner.state.accepted(stack.learned) if e.edit and e.edit.probes]
    questions = [edit.probes[0].prompt.messages for edit in edits[:NUM_ASKED] if edit.probes[0].prompt.messages]
    return repr(learner.state.answer_with(stack, questions, max_new_tokens=NUM_TOKENS)) if questions else ""


def grow_old(home: Home) -> int:
    """Age everything on disk by a day; returns how many leftovers that makes."""
    past = time.time() - LEARNING_SECONDS - WRITING_SECONDS
    for path in [*home.root.glob(".*"), *(home.root / "adapters").glob("*"), *(home.root / "adapters").glob(".*")]:
        os.utime(path, (past, past))
    return len(leftovers(home))


def _num_accepted(home: Home) -> int:
    return sum(len(home.episodes(name, ("accepted",))) for name in known_namespaces(home))


def _where(home: Home) -> str:
    path = home.root / WHERE
    return (path.read_text() if path.exists() else "") or "between two steps"


def _last_words(home: Home) -> str:
    path = home.root / "soak.err"
    return path.read_text().strip()[-300:] if path.exists() else ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
