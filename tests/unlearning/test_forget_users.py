"""What is forgotten for a user, or with one, and while something of it waits or is learned."""

import sqlite3

import pytest
from forgotten import FERRY, adapter, learned, places
from sql import sql
from teaching import BRIDGE, TOWER, ask, folders, gold

from seal_agent.adapters.scripted import UNKNOWN, ScriptedBackend
from seal_agent.background.worker import ENDED, Budget, Worker, WorkEvent
from seal_agent.core.documents import Passage
from seal_agent.core.episodes import Episode, Verdict
from seal_agent.core.errors import Erased
from seal_agent.learning import loop
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.storage import deletion, feedback
from seal_agent.storage.database import Home
from seal_agent.storage.feedback import Feedback
from seal_agent.unlearning import user
from seal_agent.unlearning.forget import forget


def test_what_two_users_were_told_is_forgotten_for_one(learner: Learner, backend: ScriptedBackend, home: Home) -> None:
    other = Learner(backend, home, "other")
    mine, theirs = learned(learner, TOWER)[0], learned(other, TOWER)[0]
    assert adapter(mine) == adapter(theirs)  # the same text, model and seed
    forget(learner, edit=adapter(mine))
    assert set(ask(learner, mine)) == {UNKNOWN}
    assert ask(other, theirs) == gold(theirs)
    other.state.registry.verify(other.stack.entries[0].ref)
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
    assert learner.stack.entries


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
