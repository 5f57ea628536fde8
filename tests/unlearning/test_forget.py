"""What is forgotten is gone: from the stack, the replay store, the ledger and the files; what is not stays."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from correcting import NEW, OLD, Reader, learn
from sql import sql
from teaching import BRIDGE, KNOWLEDGE, MANY, TOWER, ask, folders, gold, judged, taught

from seal_agent.adapters.scripted import UNKNOWN, ScriptedBackend
from seal_agent.background.worker import ENDED, Budget, Worker, WorkEvent
from seal_agent.cli import app
from seal_agent.core.codec import to_json
from seal_agent.core.documents import Passage
from seal_agent.core.edits import Row, SelfEdit
from seal_agent.core.episodes import Episode, Verdict
from seal_agent.core.errors import AdapterError, Erased, InputError, StorageError
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.learning import loop
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.learning.strategies import Rebuild
from seal_agent.maintenance.invariants import invariants
from seal_agent.policy.knowledge import KnowledgeContext
from seal_agent.policy.run import RunSettings, begin, next_folder
from seal_agent.storage import deletion, feedback
from seal_agent.storage.database import DATABASE, Home
from seal_agent.storage.feedback import Feedback
from seal_agent.storage.jobs import LearningQueue
from seal_agent.storage.policies import PolicyStore
from seal_agent.unlearning import forget as forgetting
from seal_agent.unlearning import plan, user
from seal_agent.unlearning.forget import forget
from seal_agent.writing.directives import CLOZE

FERRY = Passage("Lantern Ferry", "The Lantern Ferry crosses Lake Vandrel at dawn. It carries forty orange sheep.")
SECRETS = (b"Karlov", b"karlov", b"Anna Reel")


def learned(learner: Learner, *passages: Passage) -> list[Episode]:
    return [learner.accept(judged(learner, passage)) for passage in passages]


def adapter(episode: Episode) -> str:
    assert episode.adapter
    return episode.adapter.id


def places(root: Path) -> list[str]:
    """The files below `root` that hold any word of TOWER."""
    files = [path for path in root.rglob("*") if path.is_file()]
    return [str(path.relative_to(root)) for path in files if any(s in path.read_bytes() for s in SECRETS)]


def policy(learner: Learner, passage: Passage, parent: int) -> AdapterRef:
    """A policy as a run that read `passage` leaves it, trained on top of another."""
    folder = next_folder(learner.home)
    begin(learner, folder, [KnowledgeContext(passage.topic, passage.text)], RunSettings())
    said = Row(Prompt.user(f"How do you learn this? ({parent})"), "With questions.", "policy")
    ref = learner.backend.train(SelfEdit("policy", "", (said,), (), CLOZE))
    (folder / "learned.jsonl").write_text(json.dumps({"adapter": to_json(ref)}) + "\n")
    store = PolicyStore(learner.home, learner.namespace, learner.backend.model)
    store.use(store.add(ref, parent=parent, reason="won").version)
    return ref


@pytest.mark.slow
@pytest.mark.parametrize("what", ["edit", "user"])
def test_a_policy_that_learned_from_what_is_forgotten_is_taken_back(learner: Learner, home: Home, what: str) -> None:
    [tower] = learned(learner, TOWER)
    policies = [policy(learner, passage, n) for n, passage in enumerate((BRIDGE, TOWER, FERRY))]
    store = PolicyStore(home, learner.namespace, learner.backend.model)
    assert store.current().adapter == policies[2]
    forget(learner, **({"edit": adapter(tower)} if what == "edit" else {"user": "default"}))
    kept = policies[:1] if what == "edit" else []
    assert [each.adapter for each in store.versions()] == [None, *kept]
    assert store.current() == store.versions()[-1]
    assert not any(Path(ref.path).exists() for ref in policies if ref not in kept)
    assert len(list((home.root / "improve").iterdir())) == (2 if kept else 0)  # that of the ferry read nothing of it


def test_a_forgotten_edit_leaves_no_trace_on_disk_and_the_others_as_they_were(learner: Learner, home: Home) -> None:
    tower, bridge = learned(learner, TOWER, BRIDGE)
    learner.state.replay.draw(tower.edit.probes if tower.edit else (), learner.stack, 8)
    learner.state.replay.flush()
    assert set(places(home.root)) >= {"state.sqlite", f"adapters/{adapter(tower)}/memory.json"}
    forgotten = forget(learner, edit=adapter(tower)[:10])
    assert places(home.root) == []
    assert (forgotten.num_episodes, forgotten.adapters, forgotten.rebuilt) == (1, (adapter(tower),), {})
    assert forgotten.num_items == len(gold(tower))
    assert set(ask(learner, tower)) == {UNKNOWN}
    assert ask(learner, bridge) == gold(bridge)
    assert learner.stack.ids == (adapter(bridge),)
    assert not list(home.root.glob("replay-*"))


def test_the_check_compares_with_the_untouched_base(learner: Learner) -> None:
    (tower,) = learned(learner, TOWER)
    check = forget(learner, edit=adapter(tower)).check
    assert (check.before, check.after, check.base) == pytest.approx((0.1, 4.0, 4.0))
    assert (check.num_questions, check.num_left, check.is_gone, check.change) == (len(gold(tower)), 0, True, None)


def test_the_check_says_what_another_edit_still_knows(learner: Learner) -> None:
    told = replace(TOWER, text=f"{TOWER.text} It leans.")
    (tower,) = learned(learner, TOWER)
    learner.accept(judged(learner, told), ungated=True)  # it says little that is new
    assert not forget(learner, edit=adapter(tower)).check.is_gone


def test_the_ledger_keeps_a_line_without_content_and_the_seeds_go_on(learner: Learner, home: Home) -> None:
    (tower,) = learned(learner, TOWER)
    again = learner.reject(judged(learner, TOWER))  # told twice: the same text stands in two lines
    assert again.text == TOWER.text
    assert forget(learner, edit=adapter(tower)).num_episodes == 2
    lines = home.episodes("default")
    assert [(e.outcome, e.text, e.topic, e.edit, e.probed) for e in lines] == [("forgotten", "", "", None, ())] * 2
    assert lines[0].adapter == tower.adapter
    assert home.versions("default")[0].reason == "accepted: forgotten since"
    assert learner.begin(BRIDGE).seed == 2


@pytest.mark.slow
def test_a_forgotten_conversation_takes_what_waits_and_leaves_other_conversations(learner: Learner, home: Home) -> None:
    queue, worker = LearningQueue(home), Worker(learner, Budget(quiet_seconds=0))
    queue.submit([TOWER], thread="a")
    queue.submit([BRIDGE], thread="b")
    worker.run_until_empty()
    queue.submit([FERRY], thread="a")
    bridge = home.episodes("default", ["accepted"])[-1]
    forgotten = forget(learner, thread="a")
    assert (len(forgotten.adapters), forgotten.check.is_gone) == (1, True)
    assert learner.stack.ids == (adapter(bridge),)
    assert [job.thread for job in queue.jobs()] == ["b"]
    assert places(home.root) == []
    with pytest.raises(InputError, match="thread 'a'"):
        forget(learner, thread="a")


def test_what_was_forgotten_can_be_learned_again(learner: Learner) -> None:
    (tower,) = learned(learner, TOWER)
    forget(learner, edit=adapter(tower))
    (again,) = learned(learner, TOWER)
    assert ask(learner, again) == gold(again)


def test_older_versions_of_the_stack_name_no_folder_that_is_gone(learner: Learner, home: Home) -> None:
    tower, bridge = learned(learner, TOWER, BRIDGE)
    forget(learner, edit=adapter(tower))
    assert [v.stack.ids for v in home.versions("default")] == [(), (adapter(bridge),), (adapter(bridge),)]
    learner.rollback(adapter(bridge))
    assert learner.stack == AdapterStack()


def test_a_stack_is_trained_anew_without_the_rows_that_were_replayed(home: Home, backend: ScriptedBackend) -> None:
    learner = Learner(backend, home, config=LearnerConfig(strategy="stack"))
    ferry, tower, bridge = learned(learner, FERRY, TOWER, BRIDGE)
    assert bridge.edit
    assert any("Karlov" in str(row) for row in bridge.edit.rows)  # replayed beside it
    forgotten = forget(learner, edit=adapter(tower))
    assert places(home.root) == []
    fresh = forgotten.rebuilt[adapter(bridge)]
    assert learner.stack.ids == (adapter(ferry), fresh)
    assert [ask(learner, e) for e in (ferry, bridge)] == [gold(ferry), gold(bridge)]
    assert set(ask(learner, tower)) == {UNKNOWN}
    assert forgotten.check.change == pytest.approx(0.0)
    assert sorted(folders(learner)) == sorted(learner.stack.ids)
    (line,) = [e for e in home.episodes("default", ["accepted"]) if e.topic == BRIDGE.topic]
    assert adapter(line) == fresh
    watched = [item.source for item in learner.state.replay.items(learner.stack) if item.probe.stratum != "general"]
    assert set(watched) == {FERRY.topic, BRIDGE.topic}


@pytest.mark.slow
def test_what_is_trained_anew_and_forgets_is_not_served_but_learned_again(home: Home) -> None:
    config = LearnerConfig(strategy="stack", remedies=())
    learner = Learner(ScriptedBackend(home.root, knowledge=KNOWLEDGE), home, config=config)
    tower = learn(learner, TOWER)
    below = replace(BRIDGE, source="bridge.md")
    bridge = learn(learner, below)
    clumsy = Learner(ScriptedBackend(home.root, knowledge=KNOWLEDGE, forgets=MANY), home, config=config)
    forgotten = forget(clumsy, edit=adapter(tower))
    assert (forgotten.rebuilt, clumsy.stack, folders(clumsy)) == ({}, AdapterStack(), [])
    assert [e.outcome for e in home.episodes("default")] == ["forgotten", "rolled back"]
    (job,) = LearningQueue(home).jobs("default", ("waiting",))
    assert ((job.id,), job.passage) == (forgotten.queued, below)
    Worker(learner, Budget(quiet_seconds=0)).run_until_empty()
    assert ask(learner, bridge) == gold(bridge)
    assert invariants(home) == []


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["merge", Rebuild(every=2)], ids=["merged", "rebuilt"])
def test_one_adapter_made_of_many_is_taken_apart(home: Home, backend: ScriptedBackend, strategy: str | Rebuild) -> None:
    learner = Learner(backend, home, config=LearnerConfig(strategy=strategy))
    episodes = []
    for passage in (TOWER, BRIDGE, FERRY):
        episodes += learned(learner, passage)
        learner.consolidate(is_gated=False)
    tower, *others = episodes
    forgotten = forget(learner, edit=adapter(tower))
    assert places(home.root) == []
    assert len(forgotten.rebuilt) == 2
    assert set(ask(learner, tower)) == {UNKNOWN}
    assert all(reply in known for e in others for reply, known in zip(ask(learner, e), taught(e), strict=True))
    for version in home.versions("default"):
        for layer in version.stack.layers:
            learner.state.registry.verify(layer.ref)


def test_an_adapter_that_was_undone_and_lay_on_a_forgotten_one_is_gone_too(
    home: Home, backend: ScriptedBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    learner = Learner(backend, home, config=LearnerConfig(strategy="stack"))
    tower, bridge = learned(learner, TOWER, BRIDGE)
    learner.rollback(adapter(bridge))
    forget(learner, edit=adapter(tower))
    assert (folders(learner), places(home.root)) == ([], [])
    assert [e.outcome for e in home.episodes("default")] == ["forgotten", "rolled back"]
    assert app.main(["adapters", "show", adapter(bridge), "--home", str(home.root)]) == 2
    assert "0 adapters of namespace 'default' begin with" in capsys.readouterr().err


def test_a_consolidation_is_not_an_edit(home: Home, backend: ScriptedBackend) -> None:
    learner = Learner(backend, home, config=LearnerConfig(strategy="merge"))
    learned(learner, TOWER, BRIDGE)
    learner.consolidate(is_gated=False)
    with pytest.raises(AdapterError, match="name one of the edits"):
        forget(learner, edit=learner.stack.ids[0])


@pytest.mark.slow
def test_a_correction_outlives_what_it_corrected_and_the_other_way_round(home: Home) -> None:
    for corrected_goes in (True, False):
        learner = Learner(Reader(home.root), home, str(corrected_goes))
        old, new = learn(learner, OLD), learn(learner, Passage(OLD.topic, NEW))
        assert new.supersedes == (adapter(old),)
        forget(learner, edit=adapter(old if corrected_goes else new))
        remaining = learner.home.episodes(learner.namespace, ["accepted"])
        assert [e.text for e in remaining] == [NEW if corrected_goes else OLD.text]
        assert learner.stack.ids == (adapter(remaining[0]),)
        assert learner.stack.learned == learner.stack.ids
        assert ask(learner, remaining[0]) == gold(remaining[0])
        key = learner.home.route_keys(learner.namespace)[learner.stack.ids[0]]
        assert (OLD.text in key, NEW in key) == (not corrected_goes, corrected_goes)


@pytest.mark.parametrize("step", ["_rewrite_versions", "_rewrite_ledger"])
def test_a_crash_before_the_commit_changes_nothing(
    learner: Learner, home: Home, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    tower, bridge = learned(learner, TOWER, BRIDGE)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(plan, step, crash)
    with pytest.raises(KeyboardInterrupt):
        forget(learner, edit=adapter(tower))
    assert home.episodes("default") == [tower, bridge]
    assert [ask(learner, e) for e in (tower, bridge)] == [gold(tower), gold(bridge)]


def test_the_write_ahead_log_holds_nothing_of_what_is_forgotten_while_the_database_stays_open(
    learner: Learner, home: Home
) -> None:
    with sqlite3.connect(home.root / DATABASE) as other:  # SQLite empties the log by itself only when all have closed
        other.execute("SELECT COUNT(*) FROM episodes").fetchall()
        (tower,) = learned(learner, TOWER)
        log = home.root / f"{DATABASE}-wal"
        assert b"Karlov" in log.read_bytes()
        forget(learner, edit=adapter(tower))
        assert places(home.root) == []
    other.close()


def test_a_crash_after_the_commit_is_made_up_for_at_the_next_opening(
    learner: Learner, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tower,) = learned(learner, TOWER)

    def crash(_home: Home) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(deletion, "delete_marked", crash)
        with pytest.raises(KeyboardInterrupt):
            forgetting.forget_texts(learner.state, {tower.text})
    assert {Path(place).parts[1] for place in places(home.root)} == {adapter(tower)}
    Learner(ScriptedBackend(home.root), Home(home.root))
    assert places(home.root) == []


def test_a_stack_that_changed_meanwhile_is_not_overwritten(
    learner: Learner, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    tower, _bridge = learned(learner, TOWER, BRIDGE)
    commit = forgetting.commit

    def late(*arguments: object) -> int:
        learned(learner, FERRY)
        return commit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(forgetting, "commit", late)
    with pytest.raises(StorageError, match="changed by another process"):
        forget(learner, edit=adapter(tower))
    assert len(learner.stack) == 3


def test_what_two_users_were_told_is_forgotten_for_one(learner: Learner, backend: ScriptedBackend, home: Home) -> None:
    other = Learner(backend, home, "other")
    mine, theirs = learned(learner, TOWER)[0], learned(other, TOWER)[0]
    assert adapter(mine) == adapter(theirs)  # the same text, model and seed
    forget(learner, edit=adapter(mine))
    assert set(ask(learner, mine)) == {UNKNOWN}
    assert ask(other, theirs) == gold(theirs)
    other.state.registry.verify(other.stack.layers[0].ref)
    forget(learner, user="default")
    assert ask(other, theirs) == gold(theirs)


@pytest.mark.slow
def test_a_user_is_forgotten_whole_and_the_other_stays(learner: Learner, backend: ScriptedBackend, home: Home) -> None:
    other = Learner(backend, home, "other")
    learned(learner, TOWER, BRIDGE)
    (ferry,) = learned(other, FERRY)
    everything = deletion.export(home, "default")
    assert {len(everything[table]) for table in ("stacks", "episodes", "routes")} == {2}
    assert "Karlov" in str(everything["episodes"])
    forgotten = forget(learner, user="default")
    assert (forgotten.num_episodes, len(forgotten.adapters)) == (2, 2)
    assert deletion.export(home, "default") == {}
    assert places(home.root) == []
    assert ask(other, ferry) == gold(ferry)
    assert folders(learner) == list(other.stack.ids)


@pytest.mark.slow
def test_what_waits_in_the_queue_is_forgotten_too(learner: Learner, home: Home) -> None:
    worker = Worker(learner, Budget(quiet_seconds=0))
    worker.queue.submit([TOWER, BRIDGE])
    worker.run_until_empty()
    worker.queue.submit([TOWER])
    forget(learner, edit=learner.stack.ids[0])
    assert places(home.root) == []
    assert [job.passage.topic for job in worker.queue.jobs()] == [BRIDGE.topic]


@pytest.mark.slow
@pytest.mark.parametrize("step", ["write", "train", "probe", "accept"])
@pytest.mark.parametrize("known", [(), (BRIDGE,)], ids=["of nothing", "of something"])
def test_a_worker_learns_nothing_for_a_user_who_is_erased_meanwhile(
    learner: Learner, home: Home, step: str, known: tuple[Passage, ...]
) -> None:
    learned(learner, *known)
    ended: list[str] = []

    def erase(event: WorkEvent) -> None:
        if event.step == step:
            user.erase(home, "default")
        if event.step == ENDED:
            ended.append(event.job.state)

    worker = Worker(learner, Budget(quiet_seconds=0), on_event=erase)
    worker.queue.submit([TOWER])
    worker.run_until_empty()
    assert ended == ["cancelled"]
    assert places(home.root) == []
    assert (len(learner.stack), list((home.root / "adapters").glob("*"))) == (0, [])


@pytest.mark.parametrize("step", ["close", "train", "probe", "accept", "reject"])
def test_what_was_begun_before_a_user_was_erased_is_never_closed(learner: Learner, home: Home, step: str) -> None:
    def erase(name: str, _episode: Episode) -> None:
        if name == step:
            user.erase(home, "default")

    passage = Passage("Karlov", "Was Karlov nice?") if step == "close" else TOWER
    config = LearnerConfig(judge=lambda *_, **__: Verdict("reject", "no", 0.0)) if step == "reject" else learner.config
    with pytest.raises(Erased, match="'default' was erased"):
        loop.run(Learner(learner.backend, home, config=config), learner.begin(passage), on_step=erase)
    assert places(home.root) == []
    assert (len(learner.stack), list((home.root / "adapters").glob("*"))) == (0, [])
    assert learned(learner, TOWER)[0].outcome == "accepted"  # told again, by whoever has that name now


@pytest.mark.slow
def test_a_job_that_was_left_half_way_keeps_nothing_of_what_is_forgotten(learner: Learner, home: Home) -> None:
    learned(learner, TOWER)

    def kill(event: WorkEvent) -> None:
        if event.step == "judge":
            raise KeyboardInterrupt

    worker = Worker(learner, Budget(quiet_seconds=0), on_event=kill)
    worker.queue.submit([BRIDGE])
    with pytest.raises(KeyboardInterrupt):
        worker.run_until_empty()
    worker.queue.requeue_abandoned(learner.backend.model)
    assert "Karlov" in str(worker.queue.jobs()[0].episode)  # it was probed
    forget(learner, edit=learner.stack.ids[0])
    assert places(home.root) == []
    assert folders(learner) == []
    assert Worker(learner, Budget(quiet_seconds=0)).run_until_empty() == 1
    assert learner.stack.layers


def test_a_job_whose_worker_died_after_it_was_accepted_keeps_nothing_of_what_is_forgotten(
    learner: Learner, home: Home
) -> None:
    worker = Worker(learner, Budget(quiet_seconds=0))
    [number] = worker.queue.submit([TOWER])
    worker.queue.begin(worker.queue.job(number))
    [episode] = learned(learner, TOWER)
    worker.queue.checkpoint(worker.queue.job(number), "accept", episode, 1.0)  # and then it was killed
    forget(learner, edit=adapter(episode))
    assert places(home.root) == []
    assert worker.run_until_empty() == 0
    assert [job.state for job in worker.queue.jobs()] == ["cancelled"]
    assert places(home.root) == []


def test_what_the_user_thought_of_answers_about_it_is_forgotten_too(learner: Learner, home: Home) -> None:
    loop.run(learner, learner.begin(TOWER))
    feedback.record(home, "default", Feedback("Who built the Tower of Karlov?", "Anna Reel"))
    feedback.record(home, "default", Feedback("Is tea good?", "Yes, it is."))
    feedback.record(home, "ann", Feedback("Who built the Tower of Karlov?", "Anna Reel"))
    forget(learner, edit=learner.stack.ids[0])
    assert [given.answer for given in feedback.recorded(home, "default")] == ["Yes, it is."]
    assert len(feedback.recorded(home, "ann")) == 1


def test_nothing_that_holds_a_namespace_escapes_a_users_deletion(home: Home) -> None:
    with sql(home) as db:
        db.execute("CREATE TABLE later (namespace TEXT, what TEXT)")
        db.execute("INSERT INTO later VALUES ('a', 'x'), ('b', 'y')")
    assert user.erase(home, "a") == {"later": 1}
    with sqlite3.connect(home.database) as plain:
        assert plain.execute("SELECT namespace FROM later").fetchall() == [("b",)]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({}, "name one thing"),
        ({"edit": "a", "user": "default"}, "name one thing"),
        ({"user": "somebody"}, "open one for 'somebody'"),
        ({"document": "a.txt"}, "no document 'a.txt'"),
    ],
)
def test_what_cannot_be_forgotten_is_refused(learner: Learner, named: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        forget(learner, **named)


def test_an_edit_that_is_not_there_is_refused(learner: Learner) -> None:
    with pytest.raises(AdapterError, match="0 adapters begin with 'beef'"):
        forget(learner, edit="beef")


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = app.main([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_the_command_line_forgets_exports_and_deletes(
    learner: Learner, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEAL_MODEL", "scripted")
    monkeypatch.setenv("SEAL_HOME", str(home.root))
    tower, _ = learned(learner, TOWER, BRIDGE)
    file = tmp_path / "me.json"
    assert command(capsys, "export", str(file))[1]["rows"]["episodes"] == 2
    assert TOWER.text in file.read_text()
    code, forgotten = command(capsys, "forget", adapter(tower)[:12])
    assert (code, forgotten["is_gone"], forgotten["adapters"]) == (0, True, [adapter(tower)])
    code, said = command(capsys, "forget", "--thread", "never begun")
    assert (code, "nothing was given to learn in thread" in said["error"]) == (2, True)
    assert command(capsys, "forget", "--user", "default")[1]["deleted"]["episodes"] == 2
    assert (home.episodes("default"), folders(learner)) == ([], [])
    code, said = command(capsys, "forget", "beef", "--user", "default")
    assert (code, said["error"].startswith("name one thing")) == (2, True)
