"""Why an answer is what it is: from the question to the stack version, the adapters, their edits, rows and verdicts.

It reads the data directory only and loads no model, so it names the active adapters, not the answer. Its source is the
ledger; the checksums in `storage` protect the stack versions and keys against changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from seal_agent.core.edits import Row
from seal_agent.core.episodes import Correction, Episode, Verdict
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterStack, StackEntry
from seal_agent.learning.learner import Learner
from seal_agent.storage.database import Home, StackVersion


@dataclass(frozen=True)
class Origin:
    """One adapter: its training text and rows, the conversation they came from, and its verdict.

    `num_rows` counts rows by the format or tool that made them; `probed` is the mean score before and after in nats per
    token, by stratum. `consolidates`: the origins of the adapters that a consolidated adapter was made from. `writer`:
    who wrote the rows in the model's place; "" for the model itself, and for rules.
    """

    adapter: str
    weight: float
    is_routed: bool
    since_version: int
    topic: str
    text: str
    thread: str
    model: str
    seed: int
    rows: tuple[Row, ...]
    num_rows: Mapping[str, int]
    corrections: tuple[Correction, ...]
    probed: Mapping[str, tuple[float, float]]
    verdict: Verdict | None
    consolidates: tuple[Origin, ...] = ()
    writer: str = ""


@dataclass(frozen=True)
class Explanation:
    """The adapters that answer a question, or that a version holds; without origins the base model answers alone."""

    namespace: str
    version: int
    reason: str
    question: str
    origins: tuple[Origin, ...]
    num_served: int


def why(learner: Learner, question: str, *, version: int = 0) -> Explanation:
    """The adapters that answer `question` in a version of the learner's stack, by default the newest.

    Raises `InputError` for a version that does not exist.
    """
    found = _version(learner.home, learner.namespace, version)
    state = learner.state
    [used] = state.recalled(state.view(found.stack), [Prompt.user(question)])
    called = {*used.stack.ids, *(fact.adapter for fact in used.facts)}
    active = AdapterStack(tuple(entry for entry in found.stack.entries if entry.ref.id in called))
    return _explained(learner.home, learner.namespace, found, active, question)


def why_version(home: Home, namespace: str, version: int = 0) -> Explanation:
    """All adapters of a version of the stack (0: the newest)."""
    found = _version(home, namespace, version)
    return _explained(home, namespace, found, found.stack, "")


def _version(home: Home, namespace: str, number: int) -> StackVersion:
    versions = home.versions(namespace)
    if not versions and not number:
        return StackVersion(0, AdapterStack(), "nothing was learned yet", 0.0)
    matching = [v for v in versions if v.version == number] if number else versions[-1:]
    if not matching:
        raise InputError(f"namespace {namespace!r} has versions 1 to {len(versions)}, not {number}; choose one of them")
    return matching[0]


def _explained(home: Home, namespace: str, version: StackVersion, active: AdapterStack, question: str) -> Explanation:
    ledger = {e.adapter.id: e for e in home.episodes(namespace, ("accepted",)) if e.adapter}
    since: dict[str, int] = {}
    for each in home.versions(namespace):
        for adapter in each.stack.learned:
            since.setdefault(adapter, each.version)
    origins = tuple(_origin(entry, ledger, since) for entry in active.entries)
    return Explanation(namespace, version.version, version.reason, question, origins, len(version.stack))


def _origin(entry: StackEntry, ledger: Mapping[str, Episode], since: Mapping[str, int]) -> Origin:
    episode = ledger.get(entry.ref.id)
    if episode is None:
        raise InputError(f"the ledger has no episode of adapter {entry.ref.short}; it was written by something else")
    parts = {y.ref.id: y for y in episode.parent.entries if y.ref.id in entry.consolidates}
    rows = episode.edit.rows if episode.edit else ()
    return Origin(
        entry.ref.id,
        entry.weight,
        entry.is_routed,
        since[entry.ref.id],
        episode.topic,
        episode.text,
        episode.thread,
        episode.model,
        episode.seed,
        rows,
        dict(Counter(row.source for row in rows)),
        episode.corrections,
        _means(episode),
        episode.verdict,
        tuple(_origin(part, ledger, since) for part in parts.values()),
        episode.edit.writer if episode.edit else "",
    )


def _means(episode: Episode) -> dict[str, tuple[float, float]]:
    groups: dict[str, list[tuple[float, float]]] = {}
    for probed in episode.probed:
        groups.setdefault(probed.probe.stratum, []).append((probed.before.per_token, probed.after.per_token))
    return {
        stratum: (
            round(sum(before for before, _ in pairs) / len(pairs), 4),
            round(sum(after for _, after in pairs) / len(pairs), 4),
        )
        for stratum, pairs in groups.items()
    }
