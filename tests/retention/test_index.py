"""The index of the items' vectors on disk: used, brought up to date, built again where it does not fit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from replay import REF, STACK, gate, insert, learned, nearest
from sql import sql

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.edits import Probe
from seal_agent.core.errors import StorageError
from seal_agent.core.messages import Prompt
from seal_agent.retention.items import ReplayStore
from seal_agent.storage.database import Home


def saved(home: Home, backend: ScriptedBackend) -> tuple[ReplayStore, Path]:
    """A store whose index is on disk."""
    store = ReplayStore(home, "n", backend)
    insert(home, store, learned(11))
    nearest(store, learned()[0])
    store.flush()
    (file,) = home.root.glob("replay-*.faiss")
    return store, file


def file_is_used(home: Home, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether a new store finds what is in SQLite, and whether it did so without reading every vector again."""
    store = ReplayStore(home, "n", backend)
    num_read = []
    rows_after = type(store._index)._rows_after

    def counted(index, width):  # type: ignore[no-untyped-def]
        for ids, vectors in rows_after(index, width):
            num_read.append(len(ids))
            yield ids, vectors

    monkeypatch.setattr(type(store._index), "_rows_after", counted)
    for item in gate(store):
        assert nearest(store, item.probe) == item.id
    monkeypatch.undo()
    return sum(num_read) < len(store.items(STACK))


@pytest.mark.slow
def test_an_index_on_disk_is_used_and_brought_up_to_date(
    home: Home, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = saved(home, backend)
    assert file_is_used(home, backend, monkeypatch)
    more = [Probe(Prompt.user(f"Who sees comet {n}?"), "Vera", "edit", f"comet {n}") for n in range(3)]
    insert(home, store, more)
    assert file_is_used(home, backend, monkeypatch)
    assert nearest(store, more[0]) == gate(store)[-3].id


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(bytes(content))


@pytest.mark.slow
@pytest.mark.parametrize(
    "harm",
    [
        Path.unlink,
        flip,
        lambda file: file.write_bytes(b"no index"),
        lambda file: file.write_bytes(file.read_bytes()[:-100]),
        lambda file: file.with_suffix(".json").unlink(),
        lambda file: file.with_suffix(".json").write_text("[]"),
        lambda file: file.with_suffix(".json").write_bytes(b"\xff"),
    ],
    ids=["deleted", "flipped", "garbage", "cut", "no stamp", "other stamp", "damaged stamp"],
)
def test_an_index_that_is_missing_or_damaged_is_built_again(
    home: Home, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Path], object]
) -> None:
    _, file = saved(home, backend)
    harm(file)
    assert not file_is_used(home, backend, monkeypatch)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM replay WHERE id = 7",
        "DELETE FROM replay WHERE id > 20",
        "UPDATE replay SET id = id + 1000 WHERE id < 10",
        "UPDATE replay SET vector = (SELECT b.vector FROM replay AS b WHERE b.id = (replay.id + 5) % 55 + 1)",
    ],
    ids=["one less", "fewer", "other ids", "other vectors"],
)
def test_an_index_that_does_not_fit_the_database_is_built_again(
    home: Home, backend: ScriptedBackend, change: str
) -> None:
    saved(home, backend)
    with sql(home) as db:
        db.execute(change)
    store = ReplayStore(home, "n", backend)
    found = store._index.search(np.stack([i.vector for i in store.items(STACK)]), 1000)
    assert sorted(found) == [item.id for item in store.items(STACK)]
    for item in store.items(STACK):
        assert store._index._index.reconstruct(item.id) == pytest.approx(item.vector, abs=2e-3)


def test_the_index_is_written_when_much_has_changed_and_not_before(
    home: Home, store: ReplayStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seal_agent.retention.index.SAVE_EVERY", 20)
    insert(home, store, learned(3))
    nearest(store, learned()[0])
    assert list(home.root.glob("replay-*")) == []
    insert(home, store, learned(4))
    nearest(store, learned()[0])
    assert len(list(home.root.glob("replay-*"))) == 2


def test_a_disk_that_refuses_the_index_stops_a_flush_but_no_draw(
    home: Home, store: ReplayStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object) -> None:
        raise RuntimeError("no space left")

    monkeypatch.setattr("faiss.write_index", refuse)
    monkeypatch.setattr("seal_agent.retention.index.SAVE_EVERY", 1)
    insert(home, store, learned(1))
    assert nearest(store, learned()[0]) == gate(store)[0].id
    with pytest.raises(StorageError, match="no space left"):
        store.flush()


def test_what_another_process_adds_is_found(home: Home, store: ReplayStore) -> None:
    insert(home, store, learned(2))
    nearest(store, learned()[0])
    other = ReplayStore(Home(home.root), "n", ScriptedBackend(home.root))
    insert(home, other, learned(4))
    assert nearest(store, learned(4)[15]) == gate(store)[9].id


def test_a_transaction_that_fails_leaves_nothing_in_the_index(home: Home, store: ReplayStore) -> None:
    insert(home, store, learned(2))
    nearest(store, learned()[0])

    def fail() -> None:
        with home.transaction() as tx:
            store.insert(tx, learned(6), store.embed(learned(6)), adapter=REF.id)
            raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        fail()
    nearest(store, learned()[0])
    assert store._index.num_items == 10
