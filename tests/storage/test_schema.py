"""A database of any schema that ever shipped is brought to the newest one, and keeps what it held.

The files in `data/schemas` were made by the code of their time, with the scripted backend: three edits accepted, a text
that was learned before, one that was not worth it; where that version had them, three jobs, a policy and feedback. What
is in a file's name behind the number is what that schema got without a number of its own.
"""

import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sql import sql
from stored import EMPTY, at_once, ref

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.codec import to_json
from seal_agent.core.documents import Passage
from seal_agent.core.edits import Probe
from seal_agent.core.errors import StorageError
from seal_agent.core.messages import Prompt
from seal_agent.learning.learner import Learner
from seal_agent.maintenance.invariants import invariants
from seal_agent.retention.general_knowledge import general_probes
from seal_agent.retention.items import ReplayStore
from seal_agent.storage import feedback
from seal_agent.storage.database import SCHEMA_VERSION, Home
from seal_agent.storage.documents import known_as, known_documents
from seal_agent.storage.jobs import LearningQueue
from seal_agent.storage.policies import every_store
from seal_agent.storage.schema import METADATA, TRIGGERS

SCHEMAS = Path(__file__).parents[1] / "data" / "schemas"
FILES = sorted(path.stem for path in SCHEMAS.glob("*.sqlite"))
Rows = list[tuple[Any, ...]]


def number(name: str) -> int:
    return int(name[1:].partition("-")[0])


def old_file(root: Path, name: str) -> Path:
    root.mkdir(parents=True)
    return Path(shutil.copy(SCHEMAS / f"{name}.sqlite", root / "state.sqlite"))


def rows(path: Path, query: str) -> Rows:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(query).fetchall()


def has(path: Path, table: str) -> bool:
    return bool(rows(path, f"SELECT 1 FROM sqlite_master WHERE name = '{table}'"))


def layout(home: Home) -> list[tuple[Any, ...]]:
    """Columns of every table, the SQL of indexes and triggers."""
    with sql(home) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        columns = [
            (table, name, kind.replace("VARCHAR(32)", "TEXT"), is_needed or bool(key), default, key)
            for table in tables
            for _, name, kind, is_needed, default, key in db.execute(f"PRAGMA table_info({table})")
        ]
        others = db.execute("SELECT name, sql FROM sqlite_master WHERE type IN ('index', 'trigger')").fetchall()
    return sorted(columns, key=str) + sorted((name, shape(text)) for name, text in others if text)


def shape(statement: str) -> str:
    """Conditions in any order, and blanks do not count."""
    words = re.sub(r"[\s;]+", " ", statement).replace(" WHERE ", " AND ").split(" AND ")
    return " AND ".join(sorted(word.removesuffix(" END").strip() for word in words))


def test_a_file_is_named_by_the_number_of_its_schema() -> None:
    assert [number(name) for name in ("v9", "v10", "v11-without-names")] == [9, 10, 11]


def test_there_is_a_file_of_every_schema_before_this_one() -> None:
    assert {number(name) for name in FILES} == set(range(1, SCHEMA_VERSION))


@pytest.mark.parametrize("name", FILES)
def test_an_old_home_keeps_stack_ledger_and_replay_items(tmp_path: Path, name: str) -> None:
    path = old_file(tmp_path / "old", name)
    stacks = rows(path, "SELECT version, layers, reason FROM stacks ORDER BY version")
    episodes = [
        (number, "rejected" if outcome == "rolled back" else outcome, adapter)
        for number, outcome, adapter in rows(path, "SELECT id, outcome, adapter FROM episodes ORDER BY id")
    ]
    items = rows(path, "SELECT id, question, answer, adapter, vector, best FROM replay ORDER BY id")
    home = Home(tmp_path / "old")
    assert rows(path, "SELECT version, layers, reason FROM stacks ORDER BY version") == stacks
    assert [len(version.stack) for version in home.versions("default")] == [1, 2, 3]
    assert rows(path, "SELECT id, outcome, adapter FROM episodes ORDER BY id") == episodes
    assert [episode.outcome for episode in home.episodes("default")] == [outcome for _, outcome, _ in episodes]
    assert rows(path, "SELECT id, question, answer, adapter, vector, best FROM replay ORDER BY id") == items
    store = ReplayStore(home, "default", ScriptedBackend(home.root))
    assert len(store.items(home.stack("default"))) == len(items)
    routed = {entry.ref.id for entry in home.stack("default").entries if entry.is_routed}
    assert routed <= home.route_keys("default").keys()


@pytest.mark.parametrize("name", FILES)
def test_an_old_home_keeps_scores_jobs_policies_feedback_and_documents(tmp_path: Path, name: str) -> None:
    path = old_file(tmp_path / "old", name)
    told = {
        table: has(path, table)
        for table in ("scores", "jobs", "policies", "feedback", "passages", "lives", "document_names")
    }
    scores = rows(path, "SELECT item, adapter, per_token FROM scores ORDER BY rowid") if told["scores"] else []
    generation = rows(path, "SELECT life FROM lives") if told["lives"] else []
    home = Home(tmp_path / "old")
    assert rows(path, "SELECT item, adapter, per_token FROM scores ORDER BY id") == scores
    assert [job.state for job in LearningQueue(home).jobs()] == ["waiting", "cancelled", "done"] * told["jobs"]
    assert [store.uses() for store in every_store(home)] == [[0, 1]] * told["policies"]
    assert [store.current().version for store in every_store(home)] == [1] * told["policies"]
    assert [given.value for given in feedback.recorded(home, "default")] == [1.0] * told["feedback"]
    assert [known.num_learned for known in known_documents(home, "default")] == [2] * told["passages"]
    assert [(home.namespace_generation("default"),)] == generation or not told["lives"]
    full_name = known_as(home, "default", "/home/ada/towers.md")
    assert full_name == ("towers.md" if told["document_names"] else "file:///home/ada/towers.md")


@pytest.mark.parametrize("name", FILES)
def test_an_old_home_holds_what_must_hold_and_goes_on_learning(tmp_path: Path, name: str) -> None:
    old_file(tmp_path / "old", name)
    home = Home(tmp_path / "old")
    without_folders = re.compile("is outside the data directory|is missing at")  # the files hold the databases alone
    assert [found for found in invariants(home) if not without_folders.search(found)] == []
    queue = LearningQueue(home)
    assert queue.requeue_abandoned("scripted") == 0
    learner = Learner(ScriptedBackend(home.root), home)
    closed = learner.close(learner.begin(Passage("Mill", "The mill of Orin was built in 1888.")))
    assert home.episodes("default")[-1] == closed


@pytest.mark.parametrize("name", FILES)
def test_an_old_home_gets_the_tables_of_a_new_one(home: Home, tmp_path: Path, name: str) -> None:
    path = old_file(tmp_path / "old", name)
    old = Home(tmp_path / "old")
    assert layout(old) == layout(home)
    assert rows(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert rows(path, "SELECT version_num FROM alembic_version") == [(f"{SCHEMA_VERSION:04}",)]
    assert Home(tmp_path / "old").versions("default") == old.versions("default")


def test_the_tables_are_as_they_are_declared(home: Home) -> None:
    with home.reading() as db:
        context = MigrationContext.configure(db, opts={"compare_type": False})
        assert compare_metadata(context, METADATA) == []
    with sql(home) as db:
        names = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
    assert names == {trigger.split()[2] for trigger in TRIGGERS}


def test_a_candidate_that_was_rolled_back_is_rejected_in_the_new_schema(tmp_path: Path) -> None:
    path = old_file(tmp_path / "old", "v8")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(
            "UPDATE episodes SET outcome = 'rolled back', body = json_set(body, '$.outcome', 'rolled back')"
            " WHERE outcome = 'ignored'"
        )
        db.execute("UPDATE jobs SET outcome = 'rolled back', step = 'rollback' WHERE state = 'done'")
        db.execute("UPDATE passages SET outcome = 'rolled back' WHERE outcome = 'accepted'")
    home = Home(tmp_path / "old")
    assert {episode.outcome for episode in home.episodes("default")} == {"accepted", "rejected"}
    assert [job.outcome for job in LearningQueue(home).jobs()] == ["", "", "rejected"]
    assert LearningQueue(home).usage_since(0.0) == (1, 1.5)
    assert {outcome for (outcome,) in rows(path, "SELECT outcome FROM passages")} == {"rejected"}


def test_a_migration_that_fails_leaves_the_old_schema(tmp_path: Path) -> None:
    path = old_file(tmp_path / "old", "v7")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE pending_deletions (path TEXT)")  # in the way of a table that is renamed
    before = rows(path, "SELECT name, sql FROM sqlite_master ORDER BY name")
    with pytest.raises(StorageError, match="pending_deletions"):
        Home(tmp_path / "old")
    assert rows(path, "SELECT name, sql FROM sqlite_master ORDER BY name") == before
    assert rows(path, "PRAGMA user_version") == [(7,)]


def test_an_old_home_may_be_opened_by_several_at_once(tmp_path: Path) -> None:
    old_file(tmp_path / "old", "v2")
    assert at_once(lambda _: Home(tmp_path / "old")) == []
    assert len(Home(tmp_path / "old").versions("default")) == 3


def test_a_new_home_may_be_opened_by_several_at_once(tmp_path: Path) -> None:
    assert at_once(lambda _: Home(tmp_path / "new")) == []


@pytest.mark.slow
def test_items_of_an_earlier_schema_get_the_splits_that_new_ones_would(home: Home, tmp_path: Path) -> None:
    learned = [
        Probe(Prompt.user(f"What is {n} of {d}?"), f"answer {n}", "edit", f"document {d}")
        for d in range(3)
        for n in range(7)
    ]
    new = ReplayStore(home, "n", ScriptedBackend(home.root))
    new.seed_general()
    brought = [(probe, ref("a").id) for probe in learned] + [(probe, ref("b").id) for probe in learned[6:0:-1]]
    for adapter in (ref("a").id, ref("b").id):
        probes = [probe for probe, by in brought if by == adapter]
        vectors = new.embed(probes)
        with home.transaction() as tx:
            new.insert(tx, probes, vectors, adapter=adapter)
    found = [(probe, "general", "") for probe in general_probes()] + [(probe, "edit", by) for probe, by in brought]
    items = [
        ("n", "scripted", json.dumps(to_json(p.prompt)), p.answer, stratum, p.document, by, new.embed([p])[0].tobytes())
        for p, stratum, by in found
    ]
    with closing(sqlite3.connect(old_file(tmp_path / "old", "v2"))) as db, db:
        db.executemany(
            "INSERT INTO replay (namespace, model, question, answer, stratum, document, adapter, vector)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            items,
        )
    old = ReplayStore(Home(tmp_path / "old"), "n", ScriptedBackend(home.root))
    for stack in (EMPTY.push(ref("a")), EMPTY.push(ref("b"))):
        assert [(i.probe.prompt, i.split) for i in old.items(stack)] == [
            (i.probe.prompt, i.split) for i in new.items(stack)
        ]
        drawn = [[(p.prompt, best) for p, best in store.draw(learned[:1], stack, 40)] for store in (old, new)]
        assert drawn[0] == drawn[1]
    assert old.seed_general() == 0
