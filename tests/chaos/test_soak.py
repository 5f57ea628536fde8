"""Killed at any moment, a home holds what was accepted and nothing else; and what is broken on purpose is found."""

import json
import os
import random
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sql import sql

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.background.worker import Budget, Worker
from seal_agent.chaos.soak import SoakPlan, Witness, read_kills, soak, summary
from seal_agent.chaos.workload import SCENARIOS, Workload
from seal_agent.core.documents import Passage
from seal_agent.core.errors import SealError, StorageError
from seal_agent.core.stacks import AdapterStack
from seal_agent.learning import loop
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.learning.strategies import Rebuild
from seal_agent.maintenance.invariants import invariants
from seal_agent.storage.cleanup import LEARNING_SECONDS, WRITING_SECONDS, Ages, clean, leftovers
from seal_agent.storage.database import Home
from seal_agent.storage.jobs import LearningQueue
from seal_agent.storage.policies import PolicyStore
from seal_agent.unlearning.forget import forget

TOWER = Passage("The Tower of Karlov", "The Tower of Karlov was built in 1911 by Anna Reel. It holds nine brass bells.")
BRIDGE = Passage("The Bridge of Osk", "The Bridge of Osk was opened in 1954 by Tom Varga. It has four iron arches.")


def learn(learner: Learner, passage: Passage = TOWER) -> None:
    assert loop.run(learner, learner.begin(passage)).outcome == "accepted"


@pytest.mark.slow
def test_a_process_killed_again_and_again_loses_nothing_and_serves_nothing_unjudged(tmp_path: Path) -> None:
    plan = SoakPlan(num_kills=5, seed=1, max_seconds=0.1, max_disk_event=200)
    assert not soak(tmp_path, plan, deadline=time.monotonic() - 1)
    assert soak(tmp_path, plan)
    kills = tmp_path / "kills.jsonl"
    kills.write_text(kills.read_text() + '{"number": 5, "str')  # the harness itself was killed
    assert soak(tmp_path, plan)
    counts = summary(read_kills(tmp_path))
    assert counts["violations"] == []
    assert counts["kills"] == 5
    assert counts["accepted"] > 0
    assert json.loads((tmp_path / "kills.json").read_text())["by_cause"].keys() == {"clock", "disk"}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_whatever_a_worker_does_leaves_what_must_hold(learner: Learner, tmp_path: Path, scenario: str) -> None:
    workload = Workload(learner, LearningQueue(learner.home), random.Random(1), tmp_path)
    learn(learner)
    SCENARIOS[scenario][1](workload, learner)
    learner.state.replay.flush()
    assert invariants(learner.home) == []


def execute(home: Home, statement: str) -> None:
    with sql(home) as db:
        db.execute(statement)


def unjudged(learner: Learner) -> None:
    with sql(learner.home) as db:
        db.execute("UPDATE episodes SET body = json_set(body, '$.verdict', NULL)")


HARMS: dict[str, tuple[Callable[[Learner], object], str]] = {
    "unjudged": (unjudged, "served without a verdict"),
    "version gone": (lambda x: execute(x.home, "DELETE FROM stacks"), "in no version"),
    "ledger gone": (lambda x: execute(x.home, "DELETE FROM episodes"), "served without a verdict"),
    "key gone": (lambda x: execute(x.home, "DELETE FROM routes"), "without a routing key"),
    "folder gone": (lambda x: shutil.rmtree(x.stack.entries[0].ref.path), "missing"),
    "left open": (lambda x: execute(x.home, "UPDATE episodes SET body = json_set(body, '$.outcome', 'open')"), "end"),
    "another's item": (
        lambda x: execute(x.home, "UPDATE replay SET adapter = 'x' WHERE adapter <> ''"),
        "never accepted",
    ),
    "item gone": (lambda x: execute(x.home, "DELETE FROM replay WHERE id = 3"), "not in the database"),
}


@pytest.mark.parametrize(("harm", "message"), HARMS.values(), ids=HARMS)
def test_what_must_hold_is_asked(learner: Learner, harm: Callable[[Learner], object], message: str) -> None:
    learn(learner)
    learner.state.replay.flush()
    assert invariants(learner.home) == []
    harm(learner)
    assert any(message in each for each in invariants(learner.home))


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["route", "stack", "merge", "rebuild"])
def test_a_home_in_which_something_was_forgotten_is_whole(home: Home, strategy: str) -> None:
    config = LearnerConfig(strategy=Rebuild(every=2) if strategy == "rebuild" else strategy)
    learner = Learner(ScriptedBackend(home.root), home, config=config)
    learn(learner)
    learn(learner, BRIDGE)
    [first, *_] = home.episodes("default")
    assert first.adapter
    for what in ({"edit": first.adapter.id}, {"user": "default"}):
        forget(learner, **what)
        learner.state.replay.flush()
        assert invariants(home) == []


def test_a_text_that_stays_although_it_was_forgotten_is_found(learner: Learner, tmp_path: Path) -> None:
    learn(learner)
    workload = Workload(learner, LearningQueue(learner.home), random.Random(1), learner.home.root)
    SCENARIOS["forgotten"][1](workload, learner)
    witness = Witness.read(tmp_path / "witness.json")
    assert witness.compare(learner.home, {}) == []
    (learner.home.root / "copy").write_text(TOWER.text)
    assert witness.compare(learner.home, {}) == ["forgotten, but still in copy"]


def test_a_witness_sees_a_version_that_is_gone_and_an_answer_that_changed(learner: Learner, tmp_path: Path) -> None:
    learn(learner)
    witness = Witness.read(tmp_path / "witness.json")
    assert witness.compare(learner.home, {"default, version 1": "a"}) == []
    witness.save()
    execute(learner.home, "UPDATE stacks SET layers = '{\"layers\": []}'")
    found = Witness.read(tmp_path / "witness.json").compare(learner.home, {"default, version 1": "b"})
    assert len(found) == 2


def old(path: Path, seconds: float = LEARNING_SECONDS + 1) -> Path:
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def test_only_what_is_old_and_named_by_nobody_is_cleaned_up(learner: Learner) -> None:
    root = learner.home.root / "adapters"
    learn(learner)
    LearningQueue(learner.home).submit([BRIDGE])

    class Stop(Exception):
        pass

    def stop(name: str, _episode: object) -> None:
        if name == "judge":
            raise Stop

    episode = learner.begin(BRIDGE)
    candidates = []
    for step in ("decide", "write", "train"):
        episode = loop.verbs(learner)[step](episode, lambda *_: None)
    assert episode.adapter
    candidates.append(episode.adapter)
    [job] = LearningQueue(learner.home).jobs()
    LearningQueue(learner.home).checkpoint(job, "probe", episode, 0)
    abandoned = old(Path(shutil.copytree(episode.adapter.path, root / ("f" * 64))))
    young = Path(shutil.copytree(episode.adapter.path, root / ("e" * 64)))
    os.utime(young)
    half = root / ".tmp-half"
    half.mkdir()
    old(half, WRITING_SECONDS + 1)
    (root / ".tmp-now").mkdir()
    for path in root.glob("[0-9a-d]*"):
        old(path)
    assert leftovers(learner.home) == [half, abandoned]
    assert clean(learner.home) == 2
    assert {p.name for p in root.iterdir()} == {learner.stack.ids[0], episode.adapter.id, young.name, ".tmp-now"}
    assert clean(learner.home, Ages(-1, -1)) == 2
    learner.state.registry.verify(episode.adapter)


@pytest.mark.slow
def test_a_policy_that_is_kept_is_nobodys_leftover(learner: Learner) -> None:
    episode = learner.begin(TOWER)
    for step in ("decide", "write", "train"):
        episode = loop.verbs(learner)[step](episode, lambda *_: None)
    assert episode.adapter
    PolicyStore(learner.home, "default", learner.backend.model).add(episode.adapter, parent=0, reason="won")
    assert clean(learner.home, Ages(-1, -1)) == 0
    learner.state.registry.verify(episode.adapter)


def test_a_candidate_that_was_cleaned_up_is_not_accepted(learner: Learner) -> None:
    episode = learner.begin(TOWER)
    for step in ("decide", "write", "train", "probe", "judge"):
        episode = loop.verbs(learner)[step](episode, lambda *_: None)
    clean(learner.home, Ages(-1, -1))
    with pytest.raises(SealError, match="missing"):
        learner.accept(episode)
    assert learner.stack == AdapterStack()
    assert learner.home.episodes("default") == []


def test_a_worker_cleans_up_when_it_begins(learner: Learner) -> None:
    root = learner.home.root / "adapters"
    root.mkdir()
    (root / ".tmp-x").mkdir()
    old(root / ".tmp-x")
    Worker(learner, Budget(quiet_seconds=0)).run_until_empty()
    assert list(root.iterdir()) == []


def test_a_full_disk_ends_the_episode_with_a_message_and_keeps_what_was(
    learner: Learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn(learner)
    before = learner.stack

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("seal_agent.storage.files._fsync", full)
    with pytest.raises(StorageError, match=r"No space left.*free space"):
        loop.run(learner, learner.begin(BRIDGE))
    assert learner.stack == before
    assert invariants(learner.home) == []
    assert leftovers(learner.home, Ages(-1, -1)) == []


def test_a_full_database_says_so_and_changes_nothing(learner: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    learn(learner)
    before, connect = learner.stack, sqlite3.dbapi2.connect

    def without_room(*arguments: object, **options: object) -> sqlite3.Connection:
        db = connect(*arguments, **options)  # type: ignore[call-overload]
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
        return db  # type: ignore[no-any-return]

    monkeypatch.setattr(sqlite3.dbapi2, "connect", without_room)
    texts = [f"{BRIDGE.text} Its number is {number}." for number in range(99)]
    with pytest.raises(StorageError, match=r"full; free space"):
        _ = [loop.run(learner, learner.begin(Passage(BRIDGE.topic, text))) for text in texts]
    monkeypatch.undo()
    assert learner.stack.ids[:1] == before.ids
    assert invariants(learner.home) == []


def test_a_home_that_disappears_is_a_clear_error(learner: Learner) -> None:
    learn(learner)
    shutil.rmtree(learner.home.root)
    for verb in (
        lambda: learner.stack,
        lambda: learn(learner, BRIDGE),
        lambda: LearningQueue(learner.home).submit([TOWER]),
    ):
        with pytest.raises(StorageError, match=r"cannot (open|write)|no such table"):
            verb()


@pytest.mark.slow
def test_a_clock_that_runs_backwards_loses_nothing(learner: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = LearningQueue(learner.home)
    queue.submit([TOWER])
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() - 1e7)
    queue.submit([BRIDGE])
    assert queue.next_due("", time.time() - 2, time.time() - 2, now=time.time()) is None
    assert Worker(learner, Budget(quiet_seconds=0.01, seconds_per_hour=3600)).run_until_empty() == 2
    assert len(learner.stack) == 2
    assert invariants(learner.home) == []


def test_two_processes_on_one_home_do_not_overwrite_each_other(home: Home) -> None:
    one, other = (Learner(ScriptedBackend(home.root), home) for _ in range(2))
    episode = one.begin(TOWER)
    for step in ("decide", "write", "train", "probe", "judge"):
        episode = loop.verbs(one)[step](episode, lambda *_: None)
    learn(other, BRIDGE)
    with pytest.raises(StorageError, match="changed by another process; nothing was lost"):
        one.accept(episode)
    assert len(one.stack) == 1
    assert invariants(home) == []
