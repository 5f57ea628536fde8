"""`seal-agent doctor --repair`: rebuilds what it can and moves the rest to `quarantine/`, with a message.

The ledger says what every adapter was trained on and what the stack was before and after, so versions, routing keys and
manifests are rebuilt from it. An adapter with damaged weights leaves the stack, and its text is queued again. Nothing
that could be examined later is deleted. No model is loaded.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from seal_agent.core.codec import to_json
from seal_agent.core.documents import passage_of
from seal_agent.core.episodes import Episode
from seal_agent.core.errors import AdapterError
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.retention.index import is_whole
from seal_agent.storage import routes, salvage, stacks
from seal_agent.storage.adapter_store import AdapterRegistry, content_hash, write_manifest
from seal_agent.storage.database import DATABASE, QUARANTINE, Home
from seal_agent.storage.jobs import LearningQueue
from seal_agent.storage.namespaces import known_namespaces
from seal_agent.storage.policies import Policy, every_store, remove_line, unreadable_policies


def repair(root: Path) -> list[str]:
    """Repair the data directory at `root`; returns a line for every repair, none if all was well.

    No other process may use it meanwhile.
    """
    done = list(_database(root))
    home = Home(root)
    for namespace in known_namespaces(home):
        done += _versions(home, namespace)
        done += _keys(home, namespace)
    done += _adapters(home)
    done += _policies(home)
    return [*done, *_indexes(home)]


def _database(root: Path) -> Iterator[str]:
    """Quarantine a damaged database, and copy its readable rows to a new one."""
    path = root / DATABASE
    if not path.exists() or salvage.is_sound(path):
        return
    kept = _put_aside(root, path)
    for journal in root.glob(f"{DATABASE}-*"):
        _put_aside(root, journal)
    yield f"the database was damaged: it was moved to {kept}, and its readable rows were copied"
    yield from salvage.copy_readable(kept, Home(root))


def _versions(home: Home, namespace: str) -> Iterator[str]:
    """Rebuild damaged or lost stack versions from the ledger, else from the version before."""
    ledger = home.episodes(namespace, ("accepted",))
    below = AdapterStack()
    for number, stack in stacks.damaged_versions(home, namespace).items():
        if stack is not None:
            below = stack
            continue
        below, how = _from_ledger(ledger, number, below)
        with home.transaction() as tx:
            stacks.rebuild(tx, namespace, number, below, how)
        yield f"version {number} of the stack of namespace {namespace!r} was damaged: {how}"


def _from_ledger(ledger: Sequence[Episode], number: int, below: AdapterStack) -> tuple[AdapterStack, str]:
    for episode in ledger:
        if episode.parent == below:
            kind = "accepted" if episode.text else "consolidated"
            return episode.candidate, f"{kind}: {episode.topic} (rebuilt from the ledger)"
    return below, f"rebuilt as it was before version {number}"


def _keys(home: Home, namespace: str) -> Iterator[str]:
    """Rebuild routing keys from the texts that the adapters learned."""
    sound = routes.sound_keys(home, namespace)
    routed = {y.ref.id for v in home.versions(namespace) for y in v.stack.entries if y.is_routed}
    texts: dict[str, str] = {}
    for episode in home.episodes(namespace, ("accepted",)):
        if episode.adapter:
            replaced = [sound.get(i, texts.get(i, "")) for i in episode.supersedes]
            texts[episode.adapter.id] = "\n".join([f"{episode.topic}\n{episode.text}", *replaced]).strip()
    mended = {i: texts[i] for i in sorted(routed) if i not in sound and i in texts}
    with home.transaction() as tx:
        home.set_route_keys(tx, namespace, mended)
    for adapter in mended:
        yield f"the routing key of adapter {adapter[:12]} was damaged: rebuilt from the text it learned"


def _adapters(home: Home) -> Iterator[str]:
    """Rebuild manifests from the ledger; quarantine adapters with damaged weights, and queue their texts again."""
    registry = AdapterRegistry(home.root / "adapters")
    for namespace in known_namespaces(home):
        learned = {e.adapter.id: e for e in home.episodes(namespace, ("accepted",)) if e.adapter}
        for episode in learned.values():
            ref = episode.adapter
            if ref is None or not _is_damaged(registry, ref):
                continue
            if Path(ref.path).is_dir() and content_hash(Path(ref.path)) == ref.id:
                write_manifest(Path(ref.path), _manifest(episode, ref))
                yield f"the manifest of adapter {ref.short} was damaged: rebuilt from the ledger"
            elif ref.id in home.stack(namespace).ids:
                yield _quarantined(home, namespace, episode, ref)


def _is_damaged(registry: AdapterRegistry, ref: AdapterRef) -> bool:
    try:
        registry.verify(ref)
    except AdapterError:
        return True
    return False


def _manifest(episode: Episode, ref: AdapterRef) -> dict[str, object]:
    edit = episode.edit
    facts = {"directives": to_json(edit.directives), "num_rows": len(edit.rows)} if edit else {"num_rows": 0}
    return {
        "id": ref.id,
        "model": ref.model,
        "rank": ref.rank,
        "parents": [entry.ref.id for entry in episode.parent.entries if not entry.is_routed],
        "topic": edit.topic if edit else episode.topic,
        "seed": episode.seed,
        "num_tokens": 0,
        "is_rebuilt": True,
        **facts,
    }


def _quarantined(home: Home, namespace: str, episode: Episode, ref: AdapterRef) -> str:
    if Path(ref.path).is_dir():
        _put_aside(home.root, Path(ref.path))
    home.rollback(namespace, ref.id, "damaged")
    if not episode.text:
        return f"adapter {ref.short} ({episode.topic}) was damaged: quarantined, its parts are served again"
    LearningQueue(home).submit([passage_of(episode)], namespace, thread=episode.thread, model=episode.model)
    return f"adapter {ref.short} ({episode.topic}) was damaged: quarantined, and its text is queued to be learned again"


def _policies(home: Home) -> Iterator[str]:
    """Quarantine a damaged policy; if it was in use, the previous one is used again."""
    yield from _policy_lines(home)
    registry = AdapterRegistry(home.root / "adapters")
    for store in every_store(home):
        for policy in store.versions():
            if policy.adapter and _is_damaged(registry, policy.adapter):
                yield from _mended_policy(home, store.namespace, policy, policy.adapter)
        whole = {p.version for p in store.versions() if not (p.adapter and _is_damaged(registry, p.adapter))}
        in_use = store.uses()[-1]
        if in_use not in whole:
            before = next(number for number in reversed(store.uses()) if number in whole)
            store.use(before, f"policy {in_use} was damaged")
            yield f"policy {in_use} of namespace {store.namespace!r} was in use: policy {before} writes the edits again"


def _policy_lines(home: Home) -> Iterator[str]:
    """Quarantine an unreadable row of the table as text."""
    folder = home.root / QUARANTINE
    for line in unreadable_policies(home):
        folder.mkdir(exist_ok=True)
        name = _unused(folder, f"policy-{line.version}.txt")
        name.write_text(f"{line.namespace}\n{line.version}\n{line.adapter}\n{line.reason}\n", encoding="utf-8")
        with home.transaction() as tx:
            remove_line(tx, line)
        yield (
            f"policy {line.version} of namespace {line.namespace!r} was damaged: its row was quarantined as {name.name}"
        )


def _mended_policy(home: Home, namespace: str, policy: Policy, ref: AdapterRef) -> Iterator[str]:
    """Rebuild the manifest if the weights are undamaged, else quarantine the folder, if it exists."""
    folder, name = Path(ref.path), f"policy {policy.version} of namespace {namespace!r}"
    if folder.is_dir() and content_hash(folder) == ref.id:
        facts = {"id": ref.id, "model": ref.model, "rank": ref.rank, "parents": [], "is_rebuilt": True}
        write_manifest(folder, {**facts, "topic": policy.reason})
        yield f"the manifest of {name} was damaged: rebuilt"
    elif folder.is_dir():
        _put_aside(home.root, folder)
        yield f"{name} was damaged: quarantined"
    elif not (home.root / QUARANTINE / ref.id).exists():
        (home.root / QUARANTINE / ref.id).mkdir(parents=True)
        yield f"{name} is missing: it can no longer be chosen"


def _indexes(home: Home) -> Iterator[str]:
    for path in sorted(home.root.glob("replay-*.faiss")):
        if not is_whole(path):
            path.unlink()
            path.with_suffix(".json").unlink(missing_ok=True)
            yield f"{path.name} was damaged: it is rebuilt when needed"


def _put_aside(root: Path, path: Path) -> Path:
    """Move a path into the quarantine, under a name that is free there."""
    folder = root / QUARANTINE
    folder.mkdir(exist_ok=True)
    target = _unused(folder, path.name)
    shutil.move(path, target)
    return target


def _unused(folder: Path, name: str) -> Path:
    """`name` in the folder, with a number appended if it is taken."""
    number, target = 0, folder / name
    while target.exists():
        number += 1
        target = folder / f"{name}.{number}"
    return target
