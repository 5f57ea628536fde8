import json
import shutil
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.codec import to_json
from seal_agent.core.documents import Passage
from seal_agent.core.edits import Probe
from seal_agent.core.episodes import Episode
from seal_agent.core.errors import AdapterError, InputError, StorageError
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.learning import loop
from seal_agent.learning.learner import Learner
from seal_agent.maintenance.invariants import invariants
from seal_agent.retention.general_knowledge import general_probes
from seal_agent.retention.items import ReplayStore
from seal_agent.storage.database import SCHEMA_VERSION, Home, check_namespace, default_home
from seal_agent.storage.jobs import LearningQueue
from seal_agent.unlearning.forget import forget
from seal_agent.unlearning.user import erase

EMPTY = AdapterStack()
NUM_THREADS = 6


def ref(digit: str) -> AdapterRef:
    return AdapterRef(digit * 64, f"/adapters/{digit}", "scripted", 8)


def push(home: Home, stack: AdapterStack, expected: AdapterStack, namespace: str = "n") -> None:
    with home.connect() as db:
        home.set_stack(db, namespace, stack, expected=expected, reason="test")


def at_once(action: Callable[[int], object]) -> list[BaseException]:
    """What `action` raised in threads that start together."""
    barrier = Barrier(NUM_THREADS)

    def wait_and_act(number: int) -> object:
        barrier.wait()
        return action(number)

    with ThreadPoolExecutor(NUM_THREADS) as pool:
        futures = [pool.submit(wait_and_act, number) for number in range(NUM_THREADS)]
    return [error for future in futures if (error := future.exception())]


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
    with home.connect() as db:
        home.append_episode(db, Episode("n", "text", outcome="accepted", adapter=ref("a")))
    again = Home(home.root)
    assert again.stack("n") == EMPTY.push(ref("a"))
    assert again.episodes("n") == [Episode("n", "text", outcome="accepted", adapter=ref("a"))]
    assert (again.stack("other"), again.episodes("other")) == (EMPTY, [])


def test_the_ledger_is_read_by_outcome_in_order(home: Home) -> None:
    with home.connect() as db:
        for text, outcome in (("one", "ignored"), ("two", "accepted"), ("three", "ignored")):
            home.append_episode(db, Episode("n", text, outcome=outcome))
    assert [e.text for e in home.episodes("n")] == ["one", "two", "three"]
    assert [e.text for e in home.episodes("n", ["ignored"])] == ["one", "three"]


@pytest.mark.parametrize("failure", [RuntimeError, sqlite3.OperationalError, KeyboardInterrupt])
def test_a_transaction_that_fails_changes_nothing(home: Home, failure: type[BaseException]) -> None:
    def fail() -> None:
        with home.connect() as db:
            home.set_stack(db, "n", EMPTY.push(ref("a")), expected=EMPTY, reason="test")
            home.append_episode(db, Episode("n", "text"))
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


OLD_TABLES = """
CREATE TABLE stacks (
    namespace TEXT NOT NULL, version INTEGER NOT NULL, layers TEXT NOT NULL, reason TEXT NOT NULL,
    created REAL NOT NULL, PRIMARY KEY (namespace, version));
CREATE TABLE episodes (
    id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, outcome TEXT NOT NULL, adapter TEXT NOT NULL,
    body TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE replay (
    id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, model TEXT NOT NULL, question TEXT NOT NULL,
    answer TEXT NOT NULL, stratum TEXT NOT NULL, document TEXT NOT NULL, adapter TEXT NOT NULL,
    best REAL, worst_change REAL NOT NULL DEFAULT 0, vector BLOB NOT NULL,
    UNIQUE (namespace, model, question, answer, adapter));
CREATE INDEX replay_by_namespace ON replay (namespace, model);
"""
SUPERSEDED = "CREATE TABLE superseded (item INTEGER NOT NULL, adapter TEXT NOT NULL, PRIMARY KEY (item, adapter));"


def old_home(root: Path, version: int, items: list[tuple[object, ...]] = ()) -> None:  # type: ignore[assignment]
    """A folder as an earlier version left it: a ledger of two lines, and replay items."""
    edit = {"topic": "Tower", "passage": "It is old.", "rows": [], "probes": []}
    edit["directives"] = {"rank": 16, "alpha": 32, "learning_rate": 0.001}
    if version == 1:
        edit |= {"num_dropped": 3, "directives": {**edit["directives"], "num_steps": 40}}  # type: ignore[dict-item]
    bodies = [
        {"namespace": "default", "text": "It is old.", "outcome": "accepted", "edit": edit},
        {"namespace": "default", "text": "Hi.", "edit": None},
    ]
    root.mkdir()
    with closing(sqlite3.connect(root / "state.sqlite")) as db, db:
        db.executescript(OLD_TABLES + (SUPERSEDED if version > 1 else ""))
        db.executemany(
            "INSERT INTO episodes (namespace, outcome, adapter, body, created) VALUES ('default', 'open', '', ?, 0)",
            [(json.dumps(body),) for body in bodies],
        )
        db.executemany(
            "INSERT INTO replay (namespace, model, question, answer, stratum, document, adapter, vector) "
            "VALUES ('n', 'scripted', ?, ?, ?, ?, ?, ?)",
            items,
        )
        db.execute(f"PRAGMA user_version = {version}")


def test_a_home_that_was_moved_or_copied_finds_its_own_adapters(learner: Learner, home: Home, tmp_path: Path) -> None:
    done = loop.run(learner, learner.begin(Passage("Tower", "The Tower was built in 1911 by Anna Reel.")))
    assert done.outcome == "accepted"
    copied = Home(shutil.copytree(home.root, tmp_path / "copy"))
    again = Learner(ScriptedBackend(copied.root), copied)
    assert [Path(layer.ref.path).parent for layer in again.stack.layers] == [copied.root / "adapters"]
    assert not invariants(copied)
    forget(again, edit=again.stack.ids[0])
    learner.state.registry.verify(learner.stack.layers[0].ref)  # the original is as it was
    erase(copied, again.namespace)
    shutil.move(home.root, tmp_path / "moved")
    moved = Home(tmp_path / "moved")
    assert not invariants(moved)
    assert erase(moved, "default")
    assert not list((moved.root / "adapters").glob("[!.]*"))


def schema(home: Home) -> list[tuple[str, ...]]:
    """The columns of every table, and the indexes."""
    with home.connect() as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        columns = [
            (table, *row[1:])
            for table in tables
            for row in sorted(db.execute(f"PRAGMA table_info({table})").fetchall())
        ]
        return columns + db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' ORDER BY name").fetchall()


@pytest.mark.parametrize("version", [1, 2])
def test_a_home_of_an_earlier_schema_is_brought_up_to_date_and_keeps_its_ledger(
    home: Home, tmp_path: Path, version: int
) -> None:
    old_home(tmp_path / "old", version)
    again = Home(tmp_path / "old")
    assert [episode.text for episode in again.episodes("default")] == ["It is old.", "Hi."]
    with again.connect() as db:
        for table in ("superseded", "scores", "routes"):
            assert db.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (0,)
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert [line[:4] for line in schema(again)] == [line[:4] for line in schema(home)]


def test_a_home_without_versions_of_documents_in_its_queue_gets_them(home: Home, tmp_path: Path) -> None:
    old = Home(tmp_path / "old")
    LearningQueue(old).submit([Passage("Tower", "The Tower was built in 1911.", source="tower.md")])
    with old.connect() as db:
        for column in ("document", "keep"):
            db.execute(f"ALTER TABLE jobs DROP COLUMN {column}")
        db.execute("PRAGMA user_version = 6")
    [job] = LearningQueue(Home(tmp_path / "old")).jobs()
    assert (job.passage.source, job.document, job.keep) == ("tower.md", "", None)
    assert [line[:4] for line in schema(old)] == [line[:4] for line in schema(home)]


def test_items_of_an_earlier_schema_get_the_splits_that_new_ones_would(home: Home, tmp_path: Path) -> None:
    learned = [
        Probe(Prompt.user(f"What is {n} of {d}?"), f"answer {n}", "edit", f"document {d}")
        for d in range(3)
        for n in range(7)
    ]
    new = ReplayStore(home, "n", ScriptedBackend(home.root))
    new.seed_general()
    brought = [(probe, ref("a").id) for probe in learned] + [(probe, ref("b").id) for probe in learned[6:0:-1]]
    with home.connect() as db:
        for adapter in (ref("a").id, ref("b").id):
            probes = [probe for probe, by in brought if by == adapter]
            new.insert(db, probes, new.embed(probes), adapter=adapter)
    rows = [(probe, "general", "") for probe in general_probes()] + [(probe, "edit", by) for probe, by in brought]
    items = [
        (
            json.dumps(to_json(probe.prompt)),
            probe.answer,
            stratum,
            probe.document,
            adapter,
            new.embed([probe])[0].tobytes(),
        )
        for probe, stratum, adapter in rows
    ]
    old_home(tmp_path / "old", 2, items)
    old = ReplayStore(Home(tmp_path / "old"), "n", ScriptedBackend(home.root))
    for stack in (EMPTY.push(ref("a")), EMPTY.push(ref("b"))):
        assert [(i.probe, i.split) for i in old.items(stack)] == [(i.probe, i.split) for i in new.items(stack)]
        assert old.draw(learned[:1], stack, 40) == new.draw(learned[:1], stack, 40)
    assert old.seed_general() == 0


def test_an_old_home_may_be_opened_by_several_at_once(tmp_path: Path) -> None:
    old_home(tmp_path / "old", 2)
    assert at_once(lambda _: Home(tmp_path / "old")) == []


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old_home(tmp_path / "old", 2)
    with monkeypatch.context() as patch:
        patch.setattr("seal_agent.storage.database.SCHEMA", "CREATE NONSENSE")
        with pytest.raises(StorageError, match="NONSENSE"):
            Home(tmp_path / "old")
    assert len(Home(tmp_path / "old").episodes("default")) == 2
