"""The graph that improves the policy: check, prepare, then rounds, then a report.

A cron job or LangGraph's scheduler starts it; the graph itself checks whether there is anything to do. Its state holds
the folder of the run and numbers. A stopped run continues when the graph is started again with its folder.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from seal_agent.core.codec import to_json
from seal_agent.core.episodes import Progress
from seal_agent.core.errors import InputError
from seal_agent.core.numbers import check_number, check_whole
from seal_agent.graphs.learning import Node, StepEvent
from seal_agent.graphs.namespaces import AnyLearner, LearnContext, current
from seal_agent.learning.learner import Learner
from seal_agent.policy import run as runs
from seal_agent.policy import schedule
from seal_agent.policy.knowledge import KnowledgeContext
from seal_agent.policy.report import markdown
from seal_agent.policy.rest_em import Improvement
from seal_agent.policy.run import RunSettings
from seal_agent.policy.withdrawal import FOLDER
from seal_agent.storage.database import Home

Contexts = list[KnowledgeContext]
DATA_FOLDER = "data"
_RUN = re.compile(r"run-\d+")


class ImproveState(TypedDict, total=False):
    """The input of the graph and its progress.

    `data` (a JSON file with questions) or `files` (text), named within the graph's data folder; without either, the
    ledger of the namespace. `num_contexts` of them (0: all). `after_episodes`: do nothing before this many episodes are
    new. `folder`: of the run, within the data directory ("run-0001"); an existing one is resumed. `resume`: continue
    the last unfinished run of the namespace before another is begun. `round`: the current round, `rounds`: the gates'
    results, `report`: the text at the end, `outcome`: the result in a line.
    """

    data: str
    files: list[str]
    num_contexts: int
    after_episodes: int
    folder: str
    resume: bool
    round: int
    rounds: list[dict[str, Any]]
    report: str
    outcome: str


@dataclass(frozen=True)
class Sources:
    """The files that an improvement graph may use, chosen by whoever builds it.

    `data` or `files` replace what a state names, and `folder` is the run's folder. A state may name files in
    `data_folder` (default: "data" in the data directory) and runs of the data directory; any other path is refused,
    because the state comes from the caller of the graph.
    """

    data: Path | None = None
    files: tuple[Path, ...] = ()
    folder: Path | None = None
    data_folder: Path | None = None


def create_improve_graph(
    learner: AnyLearner,
    settings: RunSettings | None = None,
    *,
    minutes: float = 0.0,
    pause: Callable[[], None] | None = None,
    sources: Sources | None = None,
) -> StateGraph[ImproveState, LearnContext, ImproveState, ImproveState]:
    """An uncompiled graph that improves the policy of one namespace; start it with {} or an `ImproveState`.

    The namespace is the learner's; built on `Learners` it is that of the user whom the run names. Between two steps the
    graph pauses while a user talks to a model of this data directory, unless `pause` says otherwise. `minutes` limits
    the time over all starts. `sources` limits the files that it reads and writes. Raises `StorageError` if another
    process improves policies in this data directory.
    """
    check_number("minutes", minutes, 0)
    nodes = _Nodes(learner, settings or RunSettings(), sources or Sources(), minutes, pause)
    builder = StateGraph(ImproveState, context_schema=LearnContext)
    builder.add_node("check", nodes.check)
    for name, verb in (
        ("prepare", nodes.prepare),
        ("explore", nodes.explore),
        ("learn", nodes.learn),
        ("gate", nodes.gate),
        ("report", nodes.report),
    ):
        builder.add_node(name, _alone(learner, name, verb))
    builder.add_edge(START, "check")
    builder.add_conditional_edges("check", lambda state: END if state["outcome"] else "prepare", ["prepare", END])
    builder.add_edge("prepare", "explore")
    builder.add_edge("explore", "learn")
    builder.add_edge("learn", "gate")
    builder.add_conditional_edges("gate", nodes.after_gate, ["explore", "report"])
    builder.add_edge("report", END)
    return builder


class _Nodes:
    """The nodes of one graph, and its open runs by namespace and folder; a run is closed after its report."""

    def __init__(
        self,
        learner: AnyLearner,
        settings: RunSettings,
        sources: Sources,
        minutes: float,
        pause: Callable[[], None] | None,
    ) -> None:
        self.learner = learner
        self.settings = settings
        self.sources = sources
        self.minutes = minutes
        self.pause = pause
        self._open: dict[tuple[str, Path], Improvement[KnowledgeContext]] = {}

    def folder_of(self, state: ImproveState) -> Path:
        return self.sources.folder or _run_folder(self.learner.home, state["folder"])

    def opened(self, state: ImproveState) -> Improvement[KnowledgeContext]:
        chosen, folder = current(self.learner), self.folder_of(state)
        if (chosen.namespace, folder) not in self._open:
            assembled = runs.assemble(chosen, folder, minutes=self.minutes, pause=self.pause)
            self._open[chosen.namespace, folder] = assembled
        return self._open[chosen.namespace, folder]

    def close(self, namespace: str) -> None:
        for key in [key for key in self._open if key[0] == namespace]:
            self._open.pop(key, None)

    def check(self, state: ImproveState) -> dict[str, Any]:
        chosen = current(self.learner)
        for name in ("num_contexts", "after_episodes"):
            check_whole(name, state.get(name, 0), 0)
        self.close(chosen.namespace)  # another process may have continued the run since
        stopped = runs.unfinished(chosen.home, chosen.namespace) if state.get("resume") else None
        known = self.folder_of(state) if self.sources.folder or state.get("folder") else stopped
        if known and (known / "begun.jsonl").exists():
            return {"folder": str(known), "round": 1, "outcome": ""}
        now = chosen.home.num_episodes(chosen.namespace)
        before = runs.num_episodes_before(chosen.home, chosen.namespace)
        if not schedule.has_news(now, before, state.get("after_episodes", 0)):
            wanted = state["after_episodes"]
            return {"outcome": f"nothing to do: {now - before} of {wanted} new episodes"}
        folder = known or runs.next_folder(chosen.home)
        runs.begin(chosen, folder, _contexts(chosen, self.sources, state), self.settings)
        return {"folder": str(folder), "round": 1, "outcome": ""}

    def prepare(self, state: ImproveState, progress: Progress) -> dict[str, Any]:
        runs.prepare(current(self.learner), self.folder_of(state), progress, pause=self.pause)
        return {"rounds": []}

    def explore(self, state: ImproveState, progress: Progress) -> dict[str, Any]:
        self.opened(state).explore(state["round"], progress)
        return {}

    def learn(self, state: ImproveState, progress: Progress) -> dict[str, Any]:
        self.opened(state).learn(state["round"], progress)
        return {}

    def gate(self, state: ImproveState, progress: Progress) -> dict[str, Any]:
        gated = self.opened(state).gate(state["round"], progress)
        return {"round": state["round"] + 1, "rounds": [*state["rounds"], to_json(gated)]}

    def report(self, state: ImproveState, progress: Progress) -> dict[str, Any]:
        run = self.opened(state)
        reported = run.report(progress)
        text = markdown(run.rounds(), reported, _facts(run, state["folder"]))
        (self.folder_of(state) / "report.md").write_text(text, encoding="utf-8")
        number = run.store.current().version
        self.close(run.store.namespace)
        taken = " (taken back: worse on the third set)" if reported.is_withdrawn else ""
        return {"report": text, "outcome": f"policy {number} is in use{taken}"}

    def after_gate(self, state: ImproveState) -> str:
        return "explore" if state["round"] <= self.opened(state).config.num_rounds else "report"


def _run_folder(home: Home, name: str) -> Path:
    """The folder of a run of this data directory, named as "run-0001" or by its path."""
    root = (home.root / FOLDER).resolve()
    folder = (root / name).resolve()
    if folder.parent != root or not _RUN.fullmatch(folder.name):
        raise InputError(f"{name!r} is not a run of this data directory; name one as in 'run-0001', or none")
    return folder


def _within(root: Path, name: str) -> Path:
    """The file of that name in the data folder; raises `InputError` for any other place."""
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise InputError(f"{name!r} is not in the graph's data folder; put the file there, or name another")
    return path


def _contexts(learner: Learner, given: Sources, state: ImproveState) -> Contexts:
    """The contexts that the graph was built with, or those that the state names; of the ledger, the latest."""
    num = state.get("num_contexts", 0)
    root = given.data_folder or learner.home.root / DATA_FOLDER
    data = [given.data] if given.data else [_within(root, state["data"])] if state.get("data") else []
    files = given.files or [_within(root, name) for name in state.get("files", ())]
    if data and files:
        raise InputError("data and files are both given; give one of them")
    if data:
        return runs.of_data(data[0])[: num or None]
    if files:
        return runs.of_files(files)[: num or None]
    return runs.of_ledger(learner.home, learner.namespace)[-num:]


def _alone(learner: AnyLearner, name: str, verb: Callable[[ImproveState, Progress], dict[str, Any]]) -> Node:
    """A node that runs one step while no other process improves a policy, with progress on the custom stream."""

    def node(state: ImproveState) -> dict[str, Any]:
        writer = get_stream_writer()

        def emit(what: str = "", done: int = 0, total: int = 0) -> None:
            writer(asdict(StepEvent(name, what, done, total)))

        emit()
        start = time.perf_counter()
        with schedule.only_process(learner.home):
            update = verb(state, emit)
        writer(asdict(replace(StepEvent(name), seconds=round(time.perf_counter() - start, 3))))
        return update

    return node


def _facts(run: Improvement[KnowledgeContext], folder: str) -> list[str]:
    parts, store = run.parts, run.store
    return [
        f"model: {store.model}, namespace {store.namespace}  ",
        f"contexts: {len(parts.explore)} explored, {len(parts.gate)} gate, {len(parts.report)} only reported  ",
        f"candidates: {run.config.num_candidates} a context at temperature {run.config.temperature}  ",
        f"training seeds: {run.config.num_seeds}; seed of the run: {run.config.seed}  ",
        f"minutes of work: {run.minutes:.1f}; folder: {folder}  ",
    ]
