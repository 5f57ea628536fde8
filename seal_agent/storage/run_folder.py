"""The folder of a resumable run: its settings, and results as JSON lines.

A stopped run can be resumed, and several processes can share it: each appends to files of its own part, and all read
the files of every part.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from seal_agent.core.codec import from_json
from seal_agent.core.errors import InputError, StorageError

T = TypeVar("T")


def share_of(work: Sequence[T], part: str) -> list[T]:
    """The items of `work` for part "K/N", K from 1; all of them for ""."""
    if not part:
        return list(work)
    try:
        k, n = (int(number) for number in part.split("/"))
    except ValueError:
        k = n = 0
    if not 1 <= k <= n:
        raise InputError(f"part {part!r} does not fit; write K/N such as 1/2")
    return list(work[k - 1 :: n])


@dataclass(frozen=True)
class Machine:
    """The machine of a run in words, and the digest of this package's code."""

    name: str
    code: str = ""

    def __str__(self) -> str:
        return f"{self.name} (code {self.code})" if self.code else self.name


@lru_cache(maxsize=1)
def code_digest() -> str:
    """A digest of all files of this package; it distinguishes results of different code with equal version."""
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    found = [Path(folder, name) for folder, _, names in os.walk(package, followlinks=True) for name in names]
    for path in sorted(path for path in found if path.suffix == ".py"):
        digest.update(f"{path.relative_to(package)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:8]


class RunFolder:
    """A folder with `config.json` and, for each kind of result, JSON lines by part."""

    def __init__(self, folder: Path, part: str = "", config: Mapping[str, Any] | None = None) -> None:
        """Open or begin a run; raises `InputError` if the folder holds one with other settings."""
        self.folder = folder
        self._suffix = f"-{part.replace('/', '-of-')}" if part else ""
        self._check(json.loads(json.dumps(dict(config or {}))))

    def _check(self, config: dict[str, Any]) -> None:
        """Refuse to mix results of another model, data or seed."""
        path = self.folder / "config.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
            there = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StorageError(f"cannot use {path} ({error}); give another --out") from error
        if there != config:
            differs = ", ".join(key for key in {*there, *config} if there.get(key) != config.get(key))
            raise InputError(f"{path} belongs to another run ({differs} differ); give another --out")

    def values(self, name: str, kind: type[T]) -> list[T]:
        """The results under `name` of all parts, without an incomplete last line.

        Raises `StorageError` for lines of another form.
        """
        return recorded(self.folder, name, kind)

    def note_machine(self, name: str) -> None:
        """Record the current machine; a run resumed elsewhere, or with other code, lists both."""
        machine = Machine(name, code_digest())
        if machine not in self.values("machines", Machine):
            self.append("machines", asdict(machine))

    def append(self, name: str, data: Mapping[str, Any]) -> None:
        """Append one line in a single write."""
        append_line(self.folder / f"{name}{self._suffix}.jsonl", data)


def append_line(path: Path, data: Mapping[str, Any]) -> None:
    """Append one line of JSON in a single write, after removing an incomplete last line."""
    try:
        with path.open("a+b") as file:
            _drop_half_a_line(file)
            file.write(f"{json.dumps(dict(data))}\n".encode())
    except FileNotFoundError as error:
        raise StorageError(
            f"{path.parent} is gone: it was deleted, or a text of the run was forgotten; begin another run"
        ) from error
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error}; free space or give another --out") from error


def recorded(folder: Path, name: str, kind: type[T]) -> list[T]:
    """The results of a run under `name`, of all parts, without checks or writes."""
    found: list[T] = []
    for path in sorted({*folder.glob(f"{name}.jsonl"), *folder.glob(f"{name}-*-of-*.jsonl")}):
        try:
            whole = path.read_text(encoding="utf-8").rpartition("\n")[0]
            found += [from_json(kind, json.loads(line)) for line in whole.splitlines() if line.endswith("}")]
        except (OSError, ValueError, InputError) as error:
            raise StorageError(
                f"cannot use {path} ({error}); give another --out, or delete the file to begin again"
            ) from error
    return found


def _drop_half_a_line(file: BinaryIO) -> None:
    """Remove the incomplete last line of a process that was killed."""
    if not file.tell():
        return
    file.seek(-1, 2)
    if file.read(1) != b"\n":
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
