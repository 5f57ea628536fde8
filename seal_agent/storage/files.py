"""Crash-safe writing to disk: staging folder, fsync, rename."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seal_agent.core.errors import StorageError

HINT = "free space or set SEAL_HOME to another folder"


def writable(folder: Path) -> Path:
    """The folder, created if missing; raises `StorageError` if it is not writable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".write-test-"):
            pass
    except OSError as error:
        raise StorageError(
            f"cannot write to {folder}: {error.strerror or error}; set SEAL_HOME to a folder you own"
        ) from error
    return folder


def require_space(folder: Path, num_bytes: int, what: str) -> None:
    """Raise `StorageError` unless `num_bytes` are free on the disk of `folder`."""
    free = shutil.disk_usage(writable(folder)).free
    if free < num_bytes:
        raise StorageError(
            f"no disk space for {what}: {num_bytes / 1e6:.0f} MB needed, {free / 1e6:.0f} MB free in {folder}; {HINT}"
        )


@contextmanager
def staging_folder(parent: Path) -> Iterator[Path]:
    """A temporary folder in `parent`, to be filled and passed to `publish`; it is always removed afterwards."""
    staging = Path(tempfile.mkdtemp(prefix=".tmp-", dir=writable(parent)))
    try:
        yield staging
    except OSError as error:
        raise StorageError(f"cannot write in {parent}: {error.strerror or error}; {HINT}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def publish(staging: Path, target: Path) -> None:
    """Rename `staging` to `target` atomically; an existing target, which has the same content, is kept."""
    for path in (*staging.rglob("*"), staging):
        _fsync(path)
    try:
        staging.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        os.utime(target)  # mark it as recently used
    _fsync(target.parent)


def write_whole(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Replace the content of `path` atomically: a reader or a crash sees the old file or the new one.

    `mode` is the permission of a new file, before the umask. Raises `StorageError` if it cannot be written.
    """
    staging = writable(path.parent) / f".tmp-{secrets.token_hex(8)}"
    try:
        with os.fdopen(os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        staging.replace(path)
        _fsync(path.parent)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}; {HINT}") from error
    finally:
        staging.unlink(missing_ok=True)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
