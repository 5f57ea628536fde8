"""Invariants of a data directory that hold after any crash; read from disk, nothing is changed.

They cover more than the database's own consistency: served adapters were judged, accepted adapters and policies exist,
and SQLite, adapter folders and FAISS agree. Files that are merely superfluous are found by `leftovers`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from seal_agent.core.episodes import Episode
from seal_agent.core.errors import AdapterError, SealError, StorageError
from seal_agent.retention.index import disagreements
from seal_agent.storage.adapter_store import AdapterRegistry
from seal_agent.storage.database import QUARANTINE, Home, StackVersion
from seal_agent.storage.namespaces import known_namespaces
from seal_agent.storage.policies import every_store
from seal_agent.storage.replay_items import adapters_of_namespace


def invariants(home: Home) -> list[str]:
    """The violations, a sentence each; empty if everything holds."""
    found = list(_of_database(home))
    if found:
        return found  # the other checks read the database
    try:
        for namespace in known_namespaces(home):
            versions, ledger = home.versions(namespace), home.episodes(namespace)
            found += [f"namespace {namespace!r}: {each}" for each in _of_namespace(home, namespace, versions, ledger)]
        return [*found, *_of_adapters(home), *_of_policies(home), *disagreements(home)]
    except SealError as error:
        return [*found, str(error)]


def _of_database(home: Home) -> Iterator[str]:
    try:
        for damage in home.damage(5):
            yield f"the database: {damage}"
    except StorageError as error:
        yield f"the database: {error}"


def _of_namespace(home: Home, namespace: str, versions: list[StackVersion], ledger: list[Episode]) -> Iterator[str]:
    accepted = [e for e in ledger if e.outcome == "accepted"]
    judged = {e.adapter.id for e in accepted if e.adapter and (e.verdict or not e.adapter.has_weights)}
    held = {i for version in versions for i in version.stack.ids}
    if [v.version for v in versions] != list(range(1, len(versions) + 1)):
        yield f"its stack has the versions {[v.version for v in versions]}"
    if unjudged := held - judged:
        yield f"served without a verdict: {_short(unjudged)}"
    if lost := judged - held:
        yield f"accepted, but in no version of the stack: {_short(lost)}"
    steps = [v for v in versions if v.reason.startswith(("accepted", "consolidated"))]
    forgets = any(e.outcome == "forgotten" for e in ledger)  # versions of forgotten edits stay, without content
    if len(steps) < len(accepted) or (len(steps) > len(accepted) and not forgets):
        yield f"{len(accepted)} accepted episodes, but {len(steps)} stack versions made by one"
    routed = {entry.ref.id for v in versions for entry in v.stack.entries if entry.is_routed}
    if keyless := routed - home.route_keys(namespace).keys():
        yield f"routed, but without a routing key: {_short(keyless)}"
    if open_ones := [e.topic for e in ledger if e.outcome == "open"]:
        yield f"the ledger holds episodes that did not end: {open_ones}"
    if strayed := adapters_of_namespace(home, namespace) - judged:
        yield f"replay items belong to adapters that were never accepted: {_short(strayed)}"


def _of_adapters(home: Home) -> Iterator[str]:
    """Every adapter in a stack version must be undamaged, because any version can be restored."""
    registry = AdapterRegistry(home.root / "adapters")
    refs = {entry.ref.id: entry.ref for version in home.all_versions() for entry in version.stack.entries}
    for ref in refs.values():
        if (home.root / QUARANTINE / ref.id).exists():
            continue
        if Path(ref.path).parent != registry.root:
            yield f"adapter {ref.short} is outside the data directory, at {ref.path}"
        try:
            registry.verify(ref)
        except AdapterError as error:
            yield str(error)


def _of_policies(home: Home) -> Iterator[str]:
    """Every policy must be undamaged, because any can be chosen; a quarantined one must not be in use."""
    registry = AdapterRegistry(home.root / "adapters")
    for store in every_store(home):
        in_use = store.current()
        for policy in store.versions():
            ref = policy.adapter
            if ref is None or (policy != in_use and (home.root / QUARANTINE / ref.id).exists()):
                continue
            try:
                registry.verify(ref)
            except AdapterError as error:
                yield f"policy {policy.version} of namespace {store.namespace!r}: {error}"


def _short(ids: set[str]) -> str:
    return ", ".join(sorted(i[:12] for i in ids))
