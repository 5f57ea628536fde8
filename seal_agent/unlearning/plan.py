"""The plan of an unlearning: affected adapters, retraining, and one transaction that commits it.

Nothing changes before `commit`. `traces` finds what is affected, `storage.deletion` deletes it.
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
from seal_agent.serving.router import TRAINED
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
    """The changes that forgetting will make."""

    stack: AdapterStack
    ledger: tuple[Line, ...]
    traces: Traces
    held: frozenset[str]
    known: Mapping[str, StackEntry]
    edits: frozenset[str]

    def without(self, stack: AdapterStack) -> AdapterStack:
        """`stack` without the forgotten adapters; those of `held` that remain must be retrained."""
        return traces.without(stack, self.held, self.traces, self.known, self.edits)

    def episode(self, adapter: str) -> Episode:
        """The last episode in which that adapter was accepted."""
        return [e for _, e in self.ledger if e.outcome == "accepted" and e.adapter and e.adapter.id == adapter][-1]


def planned(state: Namespace, texts: set[str]) -> Plan:
    """Plan the forgetting of those texts."""
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
    """For each adapter on disk, those it was trained on top of, folded from or consolidates."""
    made: dict[str, set[str]] = {}
    for adapter, entry in known.items():
        made[adapter] = set(entry.consolidates)
        folder = Path(entry.ref.path)
        if folder.is_dir():
            facts = AdapterRegistry(folder.parent).manifest(adapter)
            made[adapter] |= {*facts.get("parents", ()), *facts.get("folded", ())}
    return made


def trained_anew(state: Namespace, plan: Plan, progress: Progress) -> tuple[dict[str, AdapterRef], list[StackEntry]]:
    """Retrain the affected adapters from the bottom up; returns them by old id, and the new stack."""
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
                continue  # it has no rows of its own
            view = state.backend.with_stack(state.strategy.parent(AdapterStack(tuple(kept))))
            fresh[old] = view.train(edit, seed=episode.seed, progress=progress)
            entry = replace(entry, ref=fresh[old])
        kept.append(entry)
    return fresh, list(traces.replaced(AdapterStack(tuple(kept)), (), fresh).entries)


def route_key(state: Namespace, plan: Plan, episode: Episode) -> str:
    """The routing key of a retrained adapter: its text, and the remaining texts that it took over."""
    known = state.home.route_keys(state.name)
    kept = [known[i] for i in episode.supersedes if i in known and i not in plan.traces.adapters]
    return "\n".join([f"{episode.topic}\n{episode.text}", *kept])


def cleaned_keys(state: Namespace, plan: Plan) -> dict[str, str]:
    """The routing keys that hold lines of what is forgotten, without these lines; not of adapters that go themselves.

    The key of a message may hold the message before it, which it answers.
    """
    forgotten = {line for text in (*plan.traces.texts, *_topics(plan)) for line in text.split("\n")}
    cleaned: dict[str, str] = {}
    for adapter, key in state.home.route_keys(state.name).items():
        if adapter in plan.held:
            continue
        episodes = [e for _, e in plan.ledger if e.adapter and e.adapter.id == adapter]
        own = {line for e in episodes for line in (e.topic, *e.text.split("\n"))}
        text, *questions = key.split(TRAINED)
        kept = "\n".join(line for line in text.split("\n") if line in own or line not in forgotten)
        if kept != text:
            cleaned[adapter] = TRAINED.join([kept, *questions])
    return cleaned


def commit(
    state: Namespace,
    plan: Plan,
    after: AdapterStack,
    fresh: Mapping[str, AdapterRef],
    keys: Mapping[str, str],
    verdict: Verdict | None = None,
) -> int:
    """Commit all changes but the deletion of folders in one transaction; returns the number of deleted replay items.

    `verdict`: the one on retrained adapters.
    """
    home, namespace = state.home, state.name
    runs = runs_that_read(home, namespace, plan.traces.texts)
    with deletion.erasing(home) as tx:
        home.set_stack(tx, namespace, after, expected=plan.stack, reason="unlearned on request")
        _rewrite_versions(tx, state, plan, fresh)
        items: list[int] = []
        for adapter in plan.held:
            if adapter in fresh:
                deletion.rename_adapter(tx, namespace, adapter, fresh[adapter].id)
            else:
                items += deletion.remove_adapter(tx, namespace, adapter)
        home.set_route_keys(tx, namespace, {**cleaned_keys(state, plan), **keys})
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
    """Remove adapters whose folders are deleted from older stack versions."""
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
    """Clear the ledger lines of the forgotten edits, and remove their traces from the others."""
    for number, episode in plan.ledger:
        if episode.text in plan.traces.texts:
            line = traces.redacted(episode)
        else:
            line = traces.cleaned(episode, plan.traces, items)
            if line.adapter and line.adapter.id in fresh:
                line = replace(line, adapter=fresh[line.adapter.id], verdict=verdict or line.verdict)
            elif line.adapter and line.adapter.id in plan.held:
                line = replace(line, outcome="rejected")  # it was not served, and its folder is deleted now
        if line != episode:
            rewrite(tx, number, line)
