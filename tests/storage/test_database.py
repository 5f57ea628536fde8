import shutil
import sqlite3
from pathlib import Path

import pytest
from stored import EMPTY, NUM_THREADS, at_once, ref

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.documents import Passage
from seal_agent.core.episodes import Episode
from seal_agent.core.errors import AdapterError, InputError, StorageError
from seal_agent.core.stacks import AdapterStack
from seal_agent.learning import loop
from seal_agent.learning.learner import Learner
from seal_agent.maintenance.invariants import invariants
from seal_agent.storage.database import SCHEMA_VERSION, Home, check_namespace, default_home
from seal_agent.unlearning.forget import forget
from seal_agent.unlearning.user import erase


def push(home: Home, stack: AdapterStack, expected: AdapterStack, namespace: str = "n") -> None:
    with home.transaction() as tx:
        home.set_stack(tx, namespace, stack, expected=expected, reason="test")


def test_every_version_of_a_stack_is_kept(home: Home) -> None:
    one = EMPTY.push(ref("a"))
    two = one.push(ref("b"), 0.5)
    for stack, expected in ((one, EMPTY), (two, one), (EMPTY, two)):
        push(home, stack, expected)
    versions = home.versions("n")
    assert [(v.version, v.stack) for v in versions] == [(1, one), (2, two), (3, EMPTY)]
    assert home.stack("n") == EMPTY


def test_state_survives_in_a_second_home(home: Home) -> None:
    push(home, EMPTY.push(ref("a")), EMPTY)
    with home.transaction() as tx:
        home.append_episode(tx, Episode("n", "text", outcome="accepted", adapter=ref("a")))
    again = Home(home.root)
    assert again.stack("n") == EMPTY.push(ref("a"))
    assert again.episodes("n") == [Episode("n", "text", outcome="accepted", adapter=ref("a"))]
    assert (again.stack("other"), again.episodes("other")) == (EMPTY, [])


def test_the_ledger_is_read_by_outcome_in_order(home: Home) -> None:
    with home.transaction() as tx:
        for text, outcome in (("one", "ignored"), ("two", "accepted"), ("three", "ignored")):
            home.append_episode(tx, Episode("n", text, outcome=outcome))
    assert [e.text for e in home.episodes("n")] == ["one", "two", "three"]
    assert [e.text for e in home.episodes("n", ["ignored"])] == ["one", "three"]


@pytest.mark.parametrize("failure", [RuntimeError, sqlite3.OperationalError, KeyboardInterrupt])
def test_a_transaction_that_fails_changes_nothing(home: Home, failure: type[BaseException]) -> None:
    def fail() -> None:
        with home.transaction() as tx:
            home.set_stack(tx, "n", EMPTY.push(ref("a")), expected=EMPTY, reason="test")
            home.append_episode(tx, Episode("n", "text"))
            raise failure("crash")

    with pytest.raises((failure, StorageError), match="crash"):
        fail()
    assert (home.versions("n"), home.episodes("n")) == ([], [])


def test_a_change_on_a_stale_stack_is_refused(home: Home) -> None:
    push(home, EMPTY.push(ref("a")), EMPTY)
    with pytest.raises(StorageError, match="changed by another process"):
        push(Home(home.root), EMPTY.push(ref("b")), EMPTY)
    assert home.stack("n").ids == (ref("a").id,)


def test_of_several_changes_at_once_one_wins_and_the_others_are_told_why(home: Home) -> None:
    errors = at_once(lambda number: push(home, EMPTY.push(ref(str(number))), EMPTY))
    assert len(home.versions("n")) == 1
    assert len(errors) == NUM_THREADS - 1
    assert all(isinstance(e, StorageError) and "changed by another process" in str(e) for e in errors), errors


def test_a_new_home_may_be_opened_by_several_at_once(tmp_path: Path) -> None:
    assert [e for n in range(5) for e in at_once(lambda _, n=n: Home(tmp_path / str(n)))] == []


def test_undo_takes_off_the_one_adapter_that_is_named(home: Home) -> None:
    stack = EMPTY.push(ref("a")).push(ref("b"))
    push(home, stack, EMPTY)
    for beginning in ("", "c"):
        with pytest.raises(AdapterError, match="0 adapters"):
            home.rollback("n", beginning)
    assert home.rollback("n", "aa").ids == home.stack("n").ids == (ref("b").id,)
    assert home.versions("n")[0].stack == stack


def test_a_home_of_a_newer_version_is_refused_untouched(home: Home) -> None:
    with sqlite3.connect(home.database) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    with pytest.raises(StorageError, match=f"schema {SCHEMA_VERSION + 1}"):
        Home(home.root)


@pytest.mark.parametrize("harm", ["garbage", "folder"])
def test_a_damaged_database_is_a_storage_error(tmp_path: Path, harm: str) -> None:
    database = tmp_path / "state.sqlite"
    database.mkdir() if harm == "folder" else database.write_bytes(b"no database" * 200)
    with pytest.raises(StorageError, match=r"state\.sqlite"):
        Home(tmp_path)


def test_a_file_in_the_place_of_the_home_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="SEAL_HOME"):
        Home(tmp_path / "file")


def test_the_default_home_is_the_one_in_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEAL_HOME", str(tmp_path / "mine"))
    assert Home().root == default_home() == tmp_path / "mine"


@pytest.mark.parametrize("namespace", ["", "a\nb", "x" * 201])
def test_a_namespace_is_printable_and_short(namespace: str) -> None:
    with pytest.raises(InputError, match="namespace"):
        check_namespace(namespace)


def test_a_home_that_was_moved_or_copied_finds_its_own_adapters(learner: Learner, home: Home, tmp_path: Path) -> None:
    done = loop.run(learner, learner.begin(Passage("Tower", "The Tower was built in 1911 by Anna Reel.")))
    assert done.outcome == "accepted"
    copied = Home(shutil.copytree(home.root, tmp_path / "copy"))
    again = Learner(ScriptedBackend(copied.root), copied)
    assert [Path(entry.ref.path).parent for entry in again.stack.entries] == [copied.root / "adapters"]
    assert not invariants(copied)
    forget(again, edit=again.stack.ids[0])
    learner.state.registry.verify(learner.stack.entries[0].ref)  # the original is as it was
    erase(copied, again.namespace)
    shutil.move(home.root, tmp_path / "moved")
    moved = Home(tmp_path / "moved")
    assert not invariants(moved)
    assert erase(moved, "default")
    assert not list((moved.root / "adapters").glob("[!.]*"))
