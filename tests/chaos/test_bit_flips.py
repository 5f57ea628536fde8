"""A damaged byte is noticed before it is served; what can be rebuilt is rebuilt, the rest is put aside."""

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sql import sql

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.background.worker import Budget, Worker
from seal_agent.chaos.bit_flips import flipped, harmless
from seal_agent.cli.app import main
from seal_agent.core.documents import Passage
from seal_agent.core.edits import Probe, Row, SelfEdit
from seal_agent.core.errors import AdapterError, SealError, StorageError
from seal_agent.core.messages import Prompt
from seal_agent.learning import loop
from seal_agent.learning.learner import Learner
from seal_agent.maintenance.doctor import check_adapters, check_policies
from seal_agent.maintenance.invariants import invariants
from seal_agent.maintenance.repair import repair
from seal_agent.storage import salvage
from seal_agent.storage.database import Home
from seal_agent.storage.jobs import LearningQueue
from seal_agent.storage.policies import Policy, PolicyStore

TOWER = Passage("The Tower of Karlov", "The Tower of Karlov was built in 1911 by Anna Reel. It holds nine brass bells.")
BRIDGE = Passage("The Bridge of Osk", "The Bridge of Osk was opened in 1954 by Tom Varga. It has four iron arches.")


@pytest.fixture
def taught(learner: Learner) -> Learner:
    for passage in (TOWER, BRIDGE):
        assert loop.run(learner, learner.begin(passage)).outcome == "accepted"
    learner.state.replay.flush()
    return learner


@pytest.mark.slow
def test_any_flipped_byte_gives_the_same_answers_or_a_clear_error(taught: Learner, tmp_path: Path) -> None:
    results = flipped(taught.home.root, tmp_path / "copy", num_flips=150, seed=1)
    assert [each for each in results if not harmless(each)] == []
    assert len({each.file.rpartition("/")[2] for each in results}) >= 5
    assert any(each.error for each in results)


def spoil(path: Path, offset: int = 40) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def again(learner: Learner) -> Learner:
    return Learner(ScriptedBackend(learner.home.root), Home(learner.home.root))


def folder(learner: Learner) -> Path:
    return Path(learner.stack.entries[0].ref.path)


@pytest.mark.parametrize("file", ["manifest.json", "manifest.sha256", "memory.json"])
def test_a_damaged_adapter_is_not_served(taught: Learner, file: str) -> None:
    spoil(folder(taught) / file)
    with pytest.raises(SealError, match=r"damaged|readable"):
        again(taught).state.nll([TOWER.text], ["nine"])


def test_a_manifest_is_rebuilt_from_the_ledger(taught: Learner) -> None:
    before = taught.state.registry.manifest(taught.stack.ids[0])
    spoil(folder(taught) / "manifest.json")
    assert any("manifest" in line for line in repair(taught.home.root))
    after = taught.state.registry.manifest(taught.stack.ids[0])
    assert {k: v for k, v in before.items() if k != "num_tokens"}.items() <= after.items()
    assert invariants(taught.home) == []


@pytest.mark.slow
def test_a_damaged_adapter_is_put_aside_and_learned_again(taught: Learner) -> None:
    [first, second] = taught.stack.ids
    spoil(folder(taught) / "memory.json")
    [line] = repair(taught.home.root)
    assert first[:12] in line
    assert (taught.home.root / "quarantine" / first).is_dir()
    assert taught.stack.ids == (second,)
    assert taught.home.versions("default")[-1].reason.startswith("damaged")
    Worker(again(taught), Budget(quiet_seconds=0)).run_until_empty()
    assert len(taught.stack) == 2
    assert invariants(taught.home) == []
    assert repair(taught.home.root) == []


def test_a_passage_that_is_learned_again_keeps_its_document_and_what_was_said_before(learner: Learner) -> None:
    passage = replace(TOWER, source="tower.md", earlier="User: What is new?\n", heading="Towers")
    assert loop.run(learner, learner.begin(passage, thread="one")).outcome == "accepted"
    spoil(folder(learner) / "memory.json")
    repair(learner.home.root)
    [job] = LearningQueue(learner.home).jobs("default")
    assert (job.passage, job.thread) == (passage, "one")


def test_a_damaged_database_of_an_older_schema_is_copied_into_the_tables_of_this_one(tmp_path: Path) -> None:
    path = Path(shutil.copy(Path(__file__).parents[1] / "data" / "schemas" / "v6.sqlite", tmp_path / "old.sqlite"))
    with closing(sqlite3.connect(path)) as db:
        [page] = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'feedback'").fetchone()
        [size] = db.execute("PRAGMA page_size").fetchone()
        checksums = db.execute("SELECT * FROM seals ORDER BY kind, name").fetchall()
        generations = db.execute("SELECT * FROM lives").fetchall()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    assert not salvage.is_sound(path)
    home = Home(tmp_path / "new")
    assert ["feedback" in line for line in salvage.copy_readable(path, home)] == [True]
    assert [job.state for job in LearningQueue(home).jobs()] == ["waiting", "cancelled", "done"]
    assert [version.version for version in home.versions("default")] == [1, 2, 3]
    with sql(home) as db:
        assert db.execute("SELECT * FROM checksums ORDER BY kind, name").fetchall() == checksums
        assert db.execute("SELECT * FROM namespace_generations").fetchall() == generations


def probe_of(learner: Learner) -> Probe:
    [episode, _] = learner.home.episodes("default")
    assert episode.edit
    return episode.edit.probes[0]


def change(learner: Learner, statement: str) -> None:
    """As a flipped byte would: the checksum stays."""
    with sql(learner.home) as db:
        db.execute("DROP TRIGGER stack_changed")
        db.execute("DROP TRIGGER stack_deleted")
        db.execute("DROP TRIGGER route_changed")
        db.execute("DROP TRIGGER route_deleted")
        db.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE stacks SET layers = replace(layers, '\"weight\": 1.0', '\"weight\": 9.0')",
        "UPDATE stacks SET layers = replace(layers, 'entries', 'entrees') WHERE version = 1",
        "DELETE FROM stacks WHERE version = 2",
        "UPDATE routes SET key = replace(key, 'Karlov', 'Parlov')",
        "DELETE FROM routes",
    ],
    ids=["weight", "no JSON of ours", "last version", "key", "keys gone"],
)
def test_what_decides_what_is_served_is_rebuilt_from_the_ledger(taught: Learner, statement: str) -> None:
    stack, keys = taught.stack, taught.home.route_keys("default")
    change(taught, statement)
    with pytest.raises(StorageError, match="doctor --repair"):
        again(taught).state.nll([TOWER.text], ["nine"])
    assert repair(taught.home.root)
    assert (again(taught).stack, again(taught).home.route_keys("default")) == (stack, keys)
    assert invariants(taught.home) == []


def test_a_broken_database_is_put_aside_and_what_can_be_read_is_kept(taught: Learner) -> None:
    stack = taught.stack
    data = bytearray(taught.home.database.read_bytes())
    with sql(taught.home) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'scores'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    data[(page - 1) * size : (page - 1) * size + 64] = random.Random(0).randbytes(64)
    taught.home.database.write_bytes(data)
    assert invariants(taught.home) != []
    assert any("scores" in line for line in repair(taught.home.root))
    assert taught.stack == stack
    assert invariants(taught.home) == []
    assert list((taught.home.root / "quarantine").glob("state.sqlite*"))


@pytest.fixture
def promoted(taught: Learner) -> PolicyStore:
    """Two policies, the second of which writes."""
    store = PolicyStore(taught.home, "default", taught.backend.model)
    for number, answer in enumerate(("one", "two"), 1):
        row = Row(Prompt.user("How to learn it?"), answer, "directives")
        store.add(taught.backend.train(SelfEdit("policy", "", (row,), ())), parent=number - 1, reason=f"round {number}")
        store.use(number)
    assert invariants(taught.home) == []
    return store


def policy_folder(store: PolicyStore, number: int) -> Path:
    ref = store.version(number).adapter
    assert ref
    return Path(ref.path)


HARMS: dict[str, Callable[[Path], object]] = {
    "damaged": lambda folder: spoil(folder / "memory.json"),
    "missing": shutil.rmtree,
}


@pytest.mark.slow
@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
def test_a_policy_that_is_lost_is_noticed_and_the_one_before_it_writes_again(
    promoted: PolicyStore, harm: Callable[[Path], object]
) -> None:
    harm(policy_folder(promoted, 2))
    [wrong] = invariants(promoted.home)
    assert wrong.startswith("policy 2 of namespace 'default'")
    [check] = [each for each in check_policies(promoted.home.root) if each.status == "fail"]
    assert "--repair" in check.advice
    lines = repair(promoted.home.root)
    assert "policy 2 of namespace 'default' was in use: policy 1 writes the edits again" in lines
    assert promoted.current().version == 1
    assert invariants(promoted.home) == repair(promoted.home.root) == []
    assert [check.status for check in check_policies(promoted.home.root)] == ["ok"]
    with pytest.raises(AdapterError, match="missing"):
        promoted.use(2)


def test_without_a_whole_policy_the_base_model_writes(promoted: PolicyStore) -> None:
    for number in (1, 2):
        shutil.rmtree(policy_folder(promoted, number))
    assert "policy 0 writes" in repair(promoted.home.root)[-1]
    assert promoted.current() == Policy()
    assert check_policies(promoted.home.root) == []


@pytest.mark.slow
def test_the_manifest_of_a_policy_is_rebuilt(promoted: PolicyStore) -> None:
    spoil(policy_folder(promoted, 2) / "manifest.json")
    assert repair(promoted.home.root) == ["the manifest of policy 2 of namespace 'default' was damaged: rebuilt"]
    assert promoted.current().version == 2
    assert invariants(promoted.home) == []


@pytest.mark.slow
def test_a_line_of_a_policy_that_cannot_be_read_is_put_aside(promoted: PolicyStore) -> None:
    with sql(promoted.home) as db:
        db.execute("UPDATE policies SET adapter = replace(adapter, '{', '[') WHERE version = 2")
    with pytest.raises(StorageError, match="doctor --repair"):
        promoted.current()
    assert invariants(promoted.home)
    assert [check.status for check in check_policies(promoted.home.root)] == ["fail"]
    repair(promoted.home.root)
    assert promoted.current().version == 1
    assert list((promoted.home.root / "quarantine").glob("policy-*.txt"))
    assert invariants(promoted.home) == []


def test_an_index_that_is_damaged_is_built_again(taught: Learner) -> None:
    [path] = taught.home.root.glob("replay-*.faiss")
    spoil(path)
    assert any(path.name in line for line in repair(taught.home.root))
    assert not path.exists()
    assert again(taught).state.replay.draw([probe_of(taught)], taught.stack, 4)


def test_a_sound_home_is_left_alone(taught: Learner) -> None:
    before = {p: p.read_bytes() for p in taught.home.root.rglob("*") if p.is_file() and "sqlite" not in p.name}
    assert repair(taught.home.root) == []
    assert {p: p.read_bytes() for p in before} == before


def test_sql_that_changes_on_purpose_needs_no_seal(taught: Learner) -> None:
    with sql(taught.home) as db:
        db.execute("UPDATE stacks SET reason = 'rewritten'")
        db.execute("DELETE FROM stacks WHERE version = 2")
    assert len(taught.stack) == 1


@pytest.mark.slow
def test_the_doctor_finds_the_damage_and_mends_it(taught: Learner, capsys: pytest.CaptureFixture[str]) -> None:
    change(taught, "UPDATE stacks SET layers = replace(layers, '1.0', '9.0') WHERE version = 2")
    assert any(check.name == "stack" and check.status == "fail" for check in check_adapters(taught.home.root))
    main(["doctor", "--repair", "--home", str(taught.home.root)])
    assert "version 2 of the stack" in capsys.readouterr().out
    assert [check.status for check in check_adapters(taught.home.root)] == ["ok"]
