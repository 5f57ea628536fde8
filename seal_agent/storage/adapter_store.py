"""Adapters on disk: `adapters/<content-hash>/`, written once and never changed.

The id is the SHA-256 of the folder's weights and configuration. So a damaged folder is detected, and a server that
caches by path never uses stale weights. Which adapters are served is not known here: that is the stack, in the
database.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seal_agent.core.errors import AdapterError
from seal_agent.core.stacks import AdapterRef
from seal_agent.storage.files import publish, require_space, staging_folder

MANIFEST = "manifest.json"
TEXT_FILE = "text.json"  # of an adapter without weights
MANIFEST_SUM = "manifest.sha256"  # in the format of sha256sum; older adapters have none
MIN_FREE_BYTES = 64 << 20


@dataclass(frozen=True)
class AdapterRegistry:
    """The folder of content-hashed adapters."""

    root: Path

    def add(self, write: Callable[[Path], None], *, model: str, rank: int, manifest: dict[str, Any]) -> AdapterRef:
        """Store what `write(folder)` writes; if it fails nothing is left behind."""
        require_space(self.root, MIN_FREE_BYTES, "an adapter")
        with staging_folder(self.root) as staging:
            write(staging)  # may add entries to `manifest`
            digest = content_hash(staging)
            facts = {"id": digest, "model": model, "rank": rank, **manifest}
            write_manifest(staging, facts)
            if (self.root / digest).is_dir() and content_hash(self.root / digest) != digest:
                shutil.rmtree(self.root / digest)  # damaged: replace it
            publish(staging, self.root / digest)
        return self.get(digest)

    def add_text(self, episode_id: str, text: str, *, model: str) -> AdapterRef:
        """Store an adapter without weights for a text that is only recalled; the folder does not hold the text."""
        facts = {"episode": episode_id, "text": hashlib.sha256(text.encode()).hexdigest()}

        def write(folder: Path) -> None:
            (folder / TEXT_FILE).write_text(json.dumps(facts) + "\n", encoding="utf-8")

        return self.add(write, model=model, rank=0, manifest={"kind": "text"})

    def get(self, adapter_id: str) -> AdapterRef:
        """The adapter whose id begins with `adapter_id`; raises `AdapterError` unless there is exactly one."""
        matches = [p for p in self._folders() if p.name.startswith(adapter_id)] if adapter_id else []
        if len(matches) != 1:
            what = "no adapter" if not matches else f"{len(matches)} adapters"
            raise AdapterError(f"{what} begin with {adapter_id!r}; see `seal-agent adapters list`")
        facts = self.manifest(matches[0].name)
        return AdapterRef(matches[0].name, str(matches[0]), str(facts["model"]), int(facts["rank"]))

    def manifest(self, adapter_id: str) -> dict[str, Any]:
        """The facts recorded with the adapter: model, parents, edit, seed, tokens."""
        return read_manifest(self.root / adapter_id)

    def verify(self, ref: AdapterRef) -> None:
        """Raise `AdapterError` unless the folder's content matches its id."""
        if not Path(ref.path).is_dir():
            raise AdapterError(f"adapter {ref.short} is missing at {ref.path}; restore the folder or roll back")
        if content_hash(Path(ref.path)) != ref.id:
            raise AdapterError(f"adapter {ref.short} at {ref.path} is damaged; restore the folder or roll back")
        read_manifest(Path(ref.path))

    def discard(self, ref: AdapterRef) -> None:
        """Delete a candidate that will never be served."""
        shutil.rmtree(ref.path, ignore_errors=True)

    def _folders(self) -> list[Path]:
        return sorted(p for p in self.root.iterdir() if not p.name.startswith(".")) if self.root.is_dir() else []


def content_hash(folder: Path) -> str:
    """SHA-256 of the names and bytes of all files but the manifest and its checksum."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.name not in (MANIFEST, MANIFEST_SUM)):
        data = path.read_bytes()
        digest.update(f"{path.name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def write_manifest(folder: Path, facts: dict[str, Any]) -> None:
    """Write the manifest of an adapter and its checksum."""
    data = (json.dumps(facts, indent=2, sort_keys=True) + "\n").encode()
    (folder / MANIFEST).write_bytes(data)
    (folder / MANIFEST_SUM).write_text(f"{hashlib.sha256(data).hexdigest()}  {MANIFEST}\n")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read a manifest; raises `AdapterError` if it is damaged."""
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
        facts: dict[str, Any] = json.loads(data)
        is_whole = _is_noted(path, data)
    except (OSError, ValueError) as error:
        raise AdapterError(
            f"adapter {folder.name[:12]} has no readable {MANIFEST}; restore {path} or run `seal-agent doctor --repair`"
        ) from error
    if not is_whole:
        raise AdapterError(f"{path} is damaged; restore it or run `seal-agent doctor --repair`")
    return facts


def _is_noted(path: Path, data: bytes) -> bool:
    """Whether `data` matches the recorded checksum of a manifest."""
    noted = path.with_name(MANIFEST_SUM)
    return not noted.exists() or noted.read_text() == f"{hashlib.sha256(data).hexdigest()}  {MANIFEST}\n"
