"""The graph that improves the policy which writes the edits: check, prepare, then rounds, then a report.

A cron job or LangGraph's scheduler starts it; whether there is anything to do it finds out itself. Its state holds the
folder of the run and numbers: a run that was stopped goes on when the graph is started again with its folder.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from seal_agent.core.codec import to_json
from seal_agent.core.episodes import Progress
from seal_agent.core.errors import InputError
from seal_agent.graphs.learning import Node, StepEvent
from seal_agent.graphs.namespaces import AnyLearner, LearnContext, current
from seal_agent.learning.learner import Learner
from seal_agent.policy import run as runs
from seal_agent.policy import schedule
from seal_agent.policy.knowledge import KnowledgeContext
from seal_agent.policy.report import markdown
from seal_agent.policy.rest_em import Improvement
from seal_agent.policy.run import RunSettings

Contexts = list[KnowledgeContext]


class ImproveState(TypedDict, total=False):
    """What to learn from, and how far it is.

    `data` (a JSON file with questions) or `files` (text); without both the ledger of the namespace. `num_contexts` of
    them; 0: all. `after_episodes`: do nothing before so many are new. `folder`: of the run; an existing one is resumed.
    `resume`: go on with the last run of the namespace, where it was stopped, before another is begun.
    `round` is the one in work, `rounds` what the gates said, `report` the text at the end, `outcome` what became of it.
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


def create_improve_graph(
    learner: AnyLearner,
    settings: RunSettings | None = None,
    *,
    minutes: float = 0.0,
    pause: Callable[[], None] | None = None,
) -> StateGraph[ImproveState, LearnContext, ImproveState, ImproveState]:
    """An uncompiled graph that improves the policy of one namespace; start it with {} or an `ImproveState`.

    The namespace is the learner's; built on `Learners` it is that of the user whom the run names. It waits between
    two steps while somebody talks to a model of this home, unless `pause` says otherwise; `minutes` bound the run over
    all its starts. Raises `StorageError` where another process improves policies of this home.
    """
    defaults = settings or RunSettings()

    open_runs: dict[tuple[str, str], Improvement[KnowledgeContext]] = {}  # by namespace and folder, until the report

    def opened(state: ImproveState) -> Improvement[KnowledgeContext]:
        chosen, folder = current(learner), state["folder"]
        if (chosen.namespace, folder) not in open_runs:
            assembled = runs.assemble(chosen, Path(folder), minutes=minutes, pause=pause)
            open_runs[chosen.namespace, folder] = assembled
        return open_runs[chosen.namespace, folder]

    def close(namespace: str) -> None:
        for key in [key for key in open_runs if key[0] == namespace]:
            open_runs.pop(key, None)

    def check(state: ImproveState) -> dict[str, Any]:
        chosen = current(learner)
        close(chosen.namespace)  # another process may have gone on with the run since
        stopped = runs.unfinished(chosen.home, chosen.namespace) if state.get("resume") else None
        known = state.get("folder") or str(stopped or "")
        if known and (Path(known) / "begun.jsonl").exists():
            return {"folder": known, "round": 1, "outcome": ""}
        now = chosen.home.num_episodes(chosen.namespace)
        before = runs.num_episodes_before(chosen.home, chosen.namespace)
        if not schedule.has_news(now, before, state.get("after_episodes", 0)):
            wanted = state["after_episodes"]
            return {"outcome": f"nothing to do: {now - before} of {wanted} new episodes"}
        folder = Path(known or runs.next_folder(chosen.home))
        runs.begin(chosen, folder, _contexts(chosen, state), defaults)
        return {"folder": str(folder), "round": 1, "outcome": ""}

    def prepare(state: ImproveState, progress: Progress) -> dict[str, Any]:
        runs.prepare(current(learner), Path(state["folder"]), progress, pause=pause)
        return {"rounds": []}

    def explore(state: ImproveState, progress: Progress) -> dict[str, Any]:
        opened(state).explore(state["round"], progress)
        return {}

    def learn(state: ImproveState, progress: Progress) -> dict[str, Any]:
        opened(state).learn(state["round"], progress)
        return {}

    def gate(state: ImproveState, progress: Progress) -> dict[str, Any]:
        gated = opened(state).gate(state["round"], progress)
        return {"round": state["round"] + 1, "rounds": [*state["rounds"], to_json(gated)]}

    def report(state: ImproveState, progress: Progress) -> dict[str, Any]:
        run = opened(state)
        reported = run.report(progress)
        text = markdown(run.rounds(), reported, _facts(run, state["folder"]))
        (Path(state["folder"]) / "report.md").write_text(text, encoding="utf-8")
        number = run.store.current().version
        close(run.store.namespace)
        taken = " (taken back: worse on the third set)" if reported.is_withdrawn else ""
        return {"report": text, "outcome": f"policy {number} is in use{taken}"}

    def after_gate(state: ImproveState) -> str:
        return "explore" if state["round"] <= opened(state).config.num_rounds else "report"

    builder = StateGraph(ImproveState, context_schema=LearnContext)
    builder.add_node("check", check)
    for name, verb in (
        ("prepare", prepare),
        ("explore", explore),
        ("learn", learn),
        ("gate", gate),
        ("report", report),
    ):
        builder.add_node(name, _alone(learner, name, verb))
    builder.add_edge(START, "check")
    builder.add_conditional_edges("check", lambda state: END if state["outcome"] else "prepare", ["prepare", END])
    builder.add_edge("prepare", "explore")
    builder.add_edge("explore", "learn")
    builder.add_edge("learn", "gate")
    builder.add_conditional_edges("gate", after_gate, ["explore", "report"])
    builder.add_edge("report", END)
    return builder


def _contexts(learner: Learner, state: ImproveState) -> Contexts:
    """The contexts that the state names; of a ledger the latest."""
    num = state.get("num_contexts", 0)
    if state.get("data") and state.get("files"):
        raise InputError("contexts come from data or from files; give one of them")
    if state.get("data"):
        return runs.of_data(Path(state["data"]))[: num or None]
    if state.get("files"):
        return runs.of_files([Path(path) for path in state["files"]])[: num or None]
    return runs.of_ledger(learner.home, learner.namespace)[-num:]


def _alone(learner: AnyLearner, name: str, verb: Callable[[ImproveState, Progress], dict[str, Any]]) -> Node:
    """A node that runs one verb while no other process improves a policy, with its progress on the custom stream."""

    def node(state: ImproveState) -> dict[str, Any]:
        writer = get_stream_writer()

        def emit(what: str = "", done: int = 0, total: int = 0) -> None:
            writer(asdict(StepEvent(name, what, done, total)))

        emit()
        start = time.perf_counter()
        with schedule.alone(learner.home):
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
