"""The registry of adapters and how it writes to disk. Tests may run as root: modes stop nobody here."""

import errno
import os
import shutil
import stat
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

from seal_agent.core.errors import AdapterError, StorageError
from seal_agent.core.stacks import AdapterRef
from seal_agent.storage.adapter_store import AdapterRegistry
from seal_agent.storage.files import writable, write_whole


@pytest.fixture
def registry(tmp_path: Path) -> AdapterRegistry:
    return AdapterRegistry(tmp_path / "adapters")


def add(registry: AdapterRegistry, content: str, name: str = "weights.bin") -> AdapterRef:
    def write(folder: Path) -> None:
        (folder / name).write_text(content)

    return registry.add(write, model="m", rank=4, manifest={"parents": ["p"]})


def listing(registry: AdapterRegistry) -> list[str]:
    return sorted(path.name for path in registry.root.iterdir())


def test_an_adapter_is_found_again_with_its_manifest(registry: AdapterRegistry) -> None:
    ref = add(registry, "weights")
    assert registry.get(ref.id[:9]) == ref
    assert (ref.model, ref.rank, registry.manifest(ref.id)["parents"]) == ("m", 4, ["p"])
    assert listing(registry) == [ref.id]
    registry.verify(ref)


def test_the_id_is_the_content(registry: AdapterRegistry) -> None:
    ref = add(registry, "weights")
    assert add(registry, "weights") == ref
    assert len({ref.id, add(registry, "other").id, add(registry, "weights", "renamed.bin").id}) == 3


@pytest.mark.parametrize(
    ("failure", "raised"), [(OSError(28, "No space left on device"), StorageError), (RuntimeError("nan"), RuntimeError)]
)
def test_a_write_that_fails_leaves_nothing_behind(
    registry: AdapterRegistry, failure: Exception, raised: type[Exception]
) -> None:
    def write(folder: Path) -> None:
        (folder / "weights.bin").write_text("half")
        raise failure

    with pytest.raises(raised, match=r"No space left|nan"):
        registry.add(write, model="m", rank=4, manifest={})
    assert listing(registry) == []


def test_a_finished_folder_is_named_on_disk_before_anybody_is_told_of_it(
    registry: AdapterRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rename is only in memory until the folder around it is synced: a power cut would lose an accepted adapter."""
    synced: list[tuple[int, bool]] = []  # the inode, and whether the finished folder was there by then
    fsync = os.fsync

    def note(handle: int) -> None:
        synced.append((os.fstat(handle).st_ino, any(registry.root.glob("[!.]*"))))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", note)
    ref = add(registry, "weights")
    folder = Path(ref.path)
    assert synced[-1] == (registry.root.stat().st_ino, True)
    assert {(path.stat().st_ino, False) for path in (folder, *folder.iterdir())} == set(synced[:-1])


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda folder: (folder / "weights.bin").write_text("weighty"), "damaged"),
        (lambda folder: (folder / "weights.bin").unlink(), "damaged"),
        (lambda folder: (folder / "extra.bin").write_text(""), "damaged"),
        (shutil.rmtree, "missing"),
    ],
    ids=["changed", "file gone", "file added", "folder gone"],
)
def test_verify_finds_a_damaged_folder(registry: AdapterRegistry, harm: Callable[[Path], object], message: str) -> None:
    ref = add(registry, "weights")
    harm(Path(ref.path))
    with pytest.raises(AdapterError, match=message):
        registry.verify(ref)


def test_a_beginning_must_name_exactly_one_adapter(registry: AdapterRegistry) -> None:
    ids = [add(registry, str(number)).id for number in range(17)]  # two of 17 share their first digit
    shared = next(digit for digit in "0123456789abcdef" if sum(i.startswith(digit) for i in ids) > 1)
    for beginning, message in ((shared, r"\d+ adapters begin"), ("xyz", "no adapter"), ("", "no adapter")):
        with pytest.raises(AdapterError, match=message):
            registry.get(beginning)


def test_a_damaged_manifest_is_an_adapter_error(registry: AdapterRegistry) -> None:
    ref = add(registry, "weights")
    (Path(ref.path) / "manifest.json").write_text("{")
    with pytest.raises(AdapterError, match="manifest"):
        registry.get(ref.id)


def test_a_discarded_candidate_is_gone(registry: AdapterRegistry) -> None:
    registry.discard(add(registry, "weights"))
    assert listing(registry) == []


def test_a_folder_that_cannot_be_made_says_where_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageError, match=r"cannot write to .*file.*SEAL_HOME"):
            writable(folder)


def test_a_file_is_the_old_one_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "room" / "keys.json"
    write_whole(path, b"old", mode=0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=r"keys\.json: No space left.*SEAL_HOME"):
            write_whole(path, b"new")
    assert (path.read_bytes(), list(path.parent.iterdir())) == (b"old", [path])
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_full_disk_is_noticed_before_training(registry: AdapterRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")(10**9, 10**9, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage)
    with pytest.raises(StorageError, match="no disk space"):
        registry.add(lambda _folder: pytest.fail("written all the same"), model="m", rank=4, manifest={})
    assert listing(registry) == []
