"""API keys, each bound to one namespace; only their hashes are stored.

A key is 256 random bits, so one round of SHA-256 protects it as well as a slower hash.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seal_agent.core.codec import from_json
from seal_agent.core.errors import InputError, StorageError
from seal_agent.storage.database import check_namespace
from seal_agent.storage.files import write_whole

PREFIX = "sk-seal-"
FILE = "gateway-keys.json"


@dataclass(frozen=True)
class Key:
    """A key as stored."""

    name: str
    namespace: str
    sha256: str
    created: float


class KeyFile:
    """The keys in one file, which is read again after a change, so that a running gateway accepts new keys at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_at = -1
        self._keys: dict[str, Key] = {}

    def namespace_of(self, secret: str) -> str | None:
        """The namespace of a key; None if the key is unknown."""
        key = self._load().get(_hash(secret))
        return key.namespace if key else None

    def all(self) -> list[Key]:
        """Every key, oldest first."""
        return sorted(self._load().values(), key=lambda key: key.created)

    def add(self, name: str, namespace: str) -> str:
        """Create a key, which is returned only here; raises `InputError` for a name that is taken."""
        if not name.strip() or any(key.name == name for key in self.all()):
            raise InputError(f"the key name {name!r} is empty or taken; choose another, or remove that key first")
        secret = PREFIX + secrets.token_urlsafe(32)
        self._save([*self.all(), Key(name, check_namespace(namespace), _hash(secret), time.time())])
        return secret

    def remove(self, name: str) -> None:
        """Revoke a key; it is refused from the next request on."""
        kept = [key for key in self.all() if key.name != name]
        if len(kept) == len(self.all()):
            raise InputError(f"there is no key named {name!r}; see `seal-agent gateway keys list`")
        self._save(kept)

    def _load(self) -> dict[str, Key]:
        try:
            changed = self.path.stat().st_mtime_ns
            if changed != self._read_at:
                lines: list[dict[str, Any]] = json.loads(self.path.read_text(encoding="utf-8"))
                self._keys = {key.sha256: key for key in (from_json(Key, line) for line in lines)}
                self._read_at = changed
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise StorageError(
                f"cannot read the keys in {self.path}: {error}; restore the file or remove it"
            ) from error
        return self._keys

    def _save(self, keys: list[Key]) -> None:
        write_whole(self.path, json.dumps([asdict(key) for key in keys], indent=2).encode(), mode=0o600)
        self._read_at = -1


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
