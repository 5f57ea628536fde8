"""Carrying out what is to be forgotten: which adapters hold something of it, those trained anew, one transaction.

Nothing is changed before `commit`. What stands where is decided in `traces`, how it is erased in `storage.deletion`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from seal_agent.core.edits import REPLAYED
from seal_agent.core.episodes import Episode, Progress, Verdict
from seal_agent.core.errors import AdapterError
from seal_agent.core.stacks import AdapterRef, AdapterStack, StackEntry
from seal_agent.policy import feedback
from seal_agent.policy.withdrawal import runs_that_read, withdraw
from seal_agent.storage import deletion, documents, job_rows, stacks
from seal_agent.storage.adapter_store import AdapterRegistry
from seal_agent.storage.connection import Transaction
from seal_agent.storage.ledger import Line, lines, rewrite
from seal_agent.unlearning import traces
from seal_agent.unlearning.traces import Traces

if TYPE_CHECKING:
    from seal_agent.learning.namespace import Namespace


@dataclass(frozen=True)
class Plan:
    """What forgetting will change; nothing of it is done yet."""

    stack: AdapterStack
    ledger: tuple[Line, ...]
    traces: Traces
    held: frozenset[str]
    known: Mapping[str, StackEntry]
    edits: frozenset[str]

    def without(self, stack: AdapterStack) -> AdapterStack:
        """`stack` without what is forgotten; what remains of `held` is to be trained anew."""
        return traces.without(stack, self.held, self.traces, self.known, self.edits)

    def episode(self, adapter: str) -> Episode:
        """The last in which that adapter was accepted."""
        return [e for _, e in self.ledger if e.outcome == "accepted" and e.adapter and e.adapter.id == adapter][-1]


def planned(state: Namespace, texts: set[str]) -> Plan:
    """What forgetting those texts will take."""
    home, namespace = state.home, state.name
    ledger = tuple(lines(home, namespace))
    versions = home.versions(namespace)
    known = {entry.ref.id: entry for version in versions for entry in version.stack.entries}
    episodes = [episode for _, episode in ledger]
    found = traces.traces_of(texts, episodes)
    held = traces.holders(episodes, _made_of(known), found)
    edits = frozenset(e.adapter.id for e in episodes if e.adapter and e.edit and e.outcome == "accepted")
    return Plan(state.stack, ledger, found, held, known, edits)


def _made_of(known: Mapping[str, StackEntry]) -> dict[str, set[str]]:
    """What each adapter on disk was trained on top of, folded from or stands for."""
    made: dict[str, set[str]] = {}
    for adapter, entry in known.items():
        made[adapter] = set(entry.consolidates)
        folder = Path(entry.ref.path)
        if folder.is_dir():
            facts = AdapterRegistry(folder.parent).manifest(adapter)
            made[adapter] |= {*facts.get("parents", ()), *facts.get("folded", ())}
    return made


def trained_anew(state: Namespace, plan: Plan, progress: Progress) -> tuple[dict[str, AdapterRef], list[StackEntry]]:
    """The served stack without what is forgotten, from the bottom up; by old id the adapters trained for it."""
    fresh: dict[str, AdapterRef] = {}
    kept: list[StackEntry] = []
    for entry in plan.without(plan.stack).entries:
        old = entry.ref.id
        if old in plan.held:
            episode = plan.episode(old)
            edit = episode.edit
            if edit is None:
                raise AdapterError(f"adapter {old[:12]} has no edit in the ledger to train it from; roll it back first")
            edit = replace(edit, rows=traces.kept_rows(edit, episode.text, plan.traces))
            if all(row.source in REPLAYED for row in edit.rows):
                continue  # it said nothing of its own
            view = state.backend.with_stack(state.strategy.parent(AdapterStack(tuple(kept))))
            fresh[old] = view.train(edit, seed=episode.seed, progress=progress)
            entry = replace(entry, ref=fresh[old])
        kept.append(entry)
    return fresh, list(traces.replaced(AdapterStack(tuple(kept)), (), fresh).entries)


def route_key(state: Namespace, plan: Plan, episode: Episode) -> str:
    """What routes to an adapter that was trained anew: its text, and what it took over and may keep."""
    known = state.home.route_keys(state.name)
    kept = [known[i] for i in episode.supersedes if i in known and i not in plan.traces.adapters]
    return "\n".join([f"{episode.topic}\n{episode.text}", *kept])


def commit(
    state: Namespace,
    plan: Plan,
    after: AdapterStack,
    fresh: Mapping[str, AdapterRef],
    keys: Mapping[str, str],
    verdict: Verdict | None = None,
) -> int:
    """All that changes on disk but folders, in one transaction; returns how many replay items were removed.

    `verdict`: on what was trained anew.
    """
    home, namespace = state.home, state.name
    runs = runs_that_read(home, namespace, plan.traces.texts)
    with deletion.erasing(home) as tx:
        home.set_stack(tx, namespace, after, expected=plan.stack, reason="forgot what was asked to be forgotten")
        _rewrite_versions(tx, state, plan, fresh)
        items: list[int] = []
        for adapter in plan.held:
            if adapter in fresh:
                deletion.rename_adapter(tx, namespace, adapter, fresh[adapter].id)
            else:
                items += deletion.remove_adapter(tx, namespace, adapter)
        home.set_route_keys(tx, namespace, keys)
        _rewrite_ledger(tx, plan, fresh, items, verdict)
        left = job_rows.remove_texts(home, tx, namespace, plan.traces.texts, _topics(plan))
        feedback.remove(tx, namespace, plan.traces.texts)
        documents.remove_texts(tx, namespace, plan.traces.texts)
        folders = [Path(plan.known[i].ref.path) for i in plan.held if i in plan.known]
        folders += withdraw(home, tx, namespace, runs)
        deletion.mark_for_deletion(tx, [*folders, *left, *state.replay.index_files])
    return len(items)


def _topics(plan: Plan) -> set[str]:
    return {e.topic for _, e in plan.ledger if e.text in plan.traces.texts}


def _rewrite_versions(tx: Transaction, state: Namespace, plan: Plan, fresh: Mapping[str, AdapterRef]) -> None:
    """Older versions without the adapters whose folders go: what they served then cannot be served any more."""
    topics = _topics(plan)
    for version in state.home.versions(state.name):
        stack = traces.replaced(plan.without(version.stack), plan.held, fresh)
        is_about = any(version.reason.endswith(f": {topic}") for topic in topics)
        reason = "accepted: forgotten since" if is_about else version.reason
        stacks.rewrite(tx, state.name, version.version, stack, reason)


def _rewrite_ledger(
    tx: Transaction,
    plan: Plan,
    fresh: Mapping[str, AdapterRef],
    items: Sequence[int],
    verdict: Verdict | None,
) -> None:
    """The forgotten lines without content, the others without what they hold of them."""
    for number, episode in plan.ledger:
        if episode.text in plan.traces.texts:
            line = traces.redacted(episode)
        else:
            line = traces.cleaned(episode, plan.traces, items)
            if line.adapter and line.adapter.id in fresh:
                line = replace(line, adapter=fresh[line.adapter.id], verdict=verdict or line.verdict)
            elif line.adapter and line.adapter.id in plan.held:
                line = replace(line, outcome="rejected")  # it was not served any more, and now its folder goes
        if line != episode:
            rewrite(tx, number, line)
