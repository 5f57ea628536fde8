"""Learning behind the conversation: nothing is lost, nothing is learned twice, and the reply does not wait."""

import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from forgetting import forgetful
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from sql import sql

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.background.worker import ENDED, Budget, Worker, WorkEvent
from seal_agent.cli import app
from seal_agent.core.documents import Passage
from seal_agent.core.episodes import Episode
from seal_agent.core.errors import InputError
from seal_agent.core.stacks import AdapterStack
from seal_agent.graphs import create_chat_graph
from seal_agent.learning import loop
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.learning.namespace import Namespace
from seal_agent.storage.database import Home
from seal_agent.storage.documents import digests_of, known_documents
from seal_agent.storage.jobs import MAX_BEGINNINGS, LearningQueue
from seal_agent.unlearning import plan

TOWER = Passage("The Tower of Karlov", "The Tower of Karlov was built in 1911 by Anna Reel. It holds nine brass bells.")
BRIDGE = Passage("The Bridge of Osk", "The Bridge of Osk was opened in 1954 by Tom Varga. It has four iron arches.")
AT_ONCE = Budget(quiet_seconds=0)


@pytest.fixture
def queue(home: Home) -> LearningQueue:
    return LearningQueue(home)


def outcomes(queue: LearningQueue) -> list[tuple[str, str]]:
    return [(job.state, job.outcome) for job in queue.jobs()]


@pytest.mark.slow
def test_what_is_queued_is_learned_in_order_and_served(learner: Learner, queue: LearningQueue) -> None:
    queue.submit([TOWER, BRIDGE])
    assert Worker(learner, AT_ONCE).run_until_empty() == 2
    assert outcomes(queue) == [("done", "accepted")] * 2
    assert [e.topic for e in learner.home.episodes("default")] == [TOWER.topic, BRIDGE.topic]
    assert len(learner.stack) == 2


def test_a_text_that_waits_already_waits_once(queue: LearningQueue) -> None:
    assert queue.submit([TOWER]) == queue.submit([TOWER])
    assert queue.submit([TOWER], "ann") != queue.submit([TOWER])


@pytest.mark.slow
def test_every_namespace_learns_its_own(learner: Learner, queue: LearningQueue) -> None:
    queue.submit([TOWER], "ann")
    queue.submit([BRIDGE], "bob")
    Worker(learner, AT_ONCE).run_until_empty()
    served = {name: [e.topic for e in learner.home.episodes(name, ("accepted",))] for name in ("ann", "bob", "default")}
    assert served == {"ann": [TOWER.topic], "bob": [BRIDGE.topic], "default": []}


def test_a_worker_leaves_the_jobs_of_other_models(learner: Learner, queue: LearningQueue) -> None:
    queue.submit([TOWER], model="another model")
    assert Worker(learner, AT_ONCE).run_until_empty() == 0
    assert outcomes(queue) == [("waiting", "")]


def test_the_text_leaves_the_queue_when_it_is_learned(learner: Learner, queue: LearningQueue) -> None:
    queue.submit([TOWER])
    Worker(learner, AT_ONCE).run_until_empty()
    [job] = queue.jobs()
    assert TOWER.text not in str(job)
    assert job.adapter == learner.stack.ids[0]


STEPS = ["decide", "write", "train", "probe", "judge", "accept"]


@pytest.mark.parametrize("killed_at", STEPS)
def test_a_killed_worker_is_taken_up_at_its_step(
    killed_at: str, learner: Learner, queue: LearningQueue, home: Home
) -> None:
    queue.submit([TOWER])
    seen: list[str] = []

    def die(event: WorkEvent) -> None:
        if event.step == killed_at and not event.what:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Worker(learner, AT_ONCE, on_event=die).run_until_empty()
    assert outcomes(queue) == [("running", "")]
    other = Learner(ScriptedBackend(home.root), home)
    Worker(other, AT_ONCE, on_event=lambda e: None if e.what else seen.append(e.step)).run_until_empty()
    assert seen == [*STEPS[STEPS.index(killed_at) :], ENDED]
    assert outcomes(queue) == [("done", "accepted")]
    assert len(home.episodes("default")) == len(learner.stack) == 1


def killed_after_the_transaction(learner: Learner) -> None:
    """A worker that dies when the episode is closed and its job is not."""
    worker = Worker(learner, AT_ONCE)

    def die(job: Any, *_: Any) -> None:
        raise KeyboardInterrupt

    worker.queue.end = die  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        worker.run_until_empty()


@pytest.mark.parametrize("becomes", ["ignored", "rolled back"])
def test_what_was_closed_before_the_kill_is_closed_once(becomes: str, home: Home, queue: LearningQueue) -> None:
    if becomes == "ignored":
        learner, passage = Learner(ScriptedBackend(home.root), home), Passage("x", "Hello there, nice to see you!")
    else:
        learner, passage = forgetful(home, LearnerConfig(strategy="stack", remedies=())), TOWER
    queue.submit([passage])
    killed_after_the_transaction(learner)
    Worker(learner, AT_ONCE).run_until_empty()
    assert outcomes(queue) == [("done", becomes)]
    assert [episode.outcome for episode in home.episodes("default")] == [becomes]


def test_what_was_accepted_before_the_kill_is_not_learned_twice(learner: Learner, queue: LearningQueue) -> None:
    queue.submit([TOWER])
    killed_after_the_transaction(learner)
    assert len(learner.stack) == 1
    Worker(learner, AT_ONCE).run_until_empty()
    assert outcomes(queue) == [("done", "accepted")]
    assert len(learner.stack) == len(learner.home.episodes("default")) == 1


OLD, NEW = (replace(passage, source="osk.md") for passage in (TOWER, BRIDGE))


def changed(learner: Learner, queue: LearningQueue) -> None:
    """A document whose old version is learned, and its new one in the queue."""
    loop.run(learner, learner.begin(OLD))
    queue.submit([NEW], versions={"osk.md": digests_of([NEW])})


@pytest.mark.slow
@pytest.mark.parametrize(("place", "moment"), [(plan, "_rewrite_ledger"), (Namespace, "clear_caches")])
def test_a_changed_document_is_unlearned_whole_whenever_the_worker_is_killed(
    learner: Learner, queue: LearningQueue, monkeypatch: pytest.MonkeyPatch, place: Any, moment: str
) -> None:
    changed(learner, queue)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(place, moment, killed)
        with pytest.raises(KeyboardInterrupt):
            Worker(learner, AT_ONCE).run_until_empty()
    Worker(learner, AT_ONCE).run_until_empty()
    assert outcomes(queue) == [("done", "forgotten"), ("done", "accepted")]
    assert [e.text for e in learner.state.accepted(learner.stack.ids)] == [NEW.text]
    assert [(d.source, d.num_passages) for d in known_documents(learner.home, "default")] == [("osk.md", 1)]


def test_a_new_version_that_is_cancelled_replaces_nothing(learner: Learner, queue: LearningQueue) -> None:
    changed(learner, queue)
    for job in queue.jobs():
        queue.cancel(job.id)
    Worker(learner, AT_ONCE).run_until_empty()
    assert [e.text for e in learner.state.accepted(learner.stack.ids)] == [OLD.text]


@pytest.mark.slow
def test_a_passage_in_work_is_ended_where_its_document_says_it_no_more(learner: Learner, queue: LearningQueue) -> None:
    queue.submit([OLD])

    def change(event: WorkEvent) -> None:
        if event.step == "train" and not event.done and event.job.passage == OLD:
            queue.submit([NEW], versions={"osk.md": digests_of([NEW])})
            time.sleep(0.35)

    Worker(learner, AT_ONCE, on_event=change).run_until_empty()
    assert outcomes(queue) == [("cancelled", ""), ("done", "forgotten"), ("done", "accepted")]
    assert [e.text for e in learner.state.accepted(learner.stack.ids)] == [NEW.text]


@pytest.mark.slow
def test_a_document_attached_anew_is_replaced_behind_the_reply(learner: Learner, queue: LearningQueue) -> None:
    chat = create_chat_graph(learner, queue).compile(checkpointer=InMemorySaver())

    def attach(text: str, name: str = "osk.md") -> None:
        block: Any = {"type": "text-plain", "text": text, "title": name, "mime_type": "text/plain"}
        thread: Any = {"configurable": {"thread_id": "one"}}
        chat.invoke({"messages": [HumanMessage([{"type": "text", "text": "Hello there!"}, block])]}, thread)

    attach(f"Tower\n\n{TOWER.text}\n\nBridge\n\n{BRIDGE.text}")
    attach(f"Tower\n\n{TOWER.text}")  # before a worker comes
    Worker(learner, AT_ONCE).run_until_empty()
    assert [e.text for e in learner.state.accepted(learner.stack.ids)] == [TOWER.text]
    attach(BRIDGE.text)
    attach(TOWER.text, "another.md")
    Worker(learner, AT_ONCE).run_until_empty()
    assert [e.text for e in learner.state.accepted(learner.stack.ids)] == [TOWER.text, BRIDGE.text]


@pytest.mark.parametrize("change", ["the candidate", "what was probed"])
def test_a_candidate_that_is_not_the_one_that_was_judged_is_judged_before_it_is_served(
    learner: Learner, queue: LearningQueue, change: str
) -> None:
    episode = learner.begin(TOWER)
    for step in ("decide", "write", "train", "probe", "judge"):
        episode = loop.verbs(learner)[step](episode, lambda *_: None)
    lighter = AdapterStack(tuple(replace(layer, weight=0.5) for layer in episode.candidate.layers))
    changed = {"candidate": lighter} if change == "the candidate" else {"probed_on": ""}
    [number] = queue.submit([TOWER])
    queue.checkpoint(queue.job(number), "accept", replace(episode, **changed), 0.0)  # type: ignore[arg-type]
    steps: list[str] = []
    Worker(learner, AT_ONCE, on_event=lambda event: steps.append(event.step)).run_until_empty()
    assert [step for step in steps if step in ("train", "judge", "accept")] == ["judge", "accept"]
    assert outcomes(queue) == [("done", "accepted")]


@pytest.mark.slow
def test_an_edit_is_learned_again_on_a_stack_that_others_changed(learner: Learner, queue: LearningQueue) -> None:
    queue.submit([TOWER])

    def meddle(event: WorkEvent) -> None:
        if event.step == "judge" and not learner.stack.layers:
            loop.run(learner, learner.begin(BRIDGE))

    Worker(learner, AT_ONCE, on_event=meddle).run_until_empty()
    assert [e.topic for e in learner.home.episodes("default")] == [BRIDGE.topic, TOWER.topic]
    assert len(learner.stack) == 2
    assert len(list((learner.home.root / "adapters").iterdir())) == 2


@pytest.mark.slow
@pytest.mark.parametrize("when", ["waiting", "train", "probe"])  # before it is begun, trained, and once it was
def test_a_cancelled_job_leaves_nothing_behind(when: str, learner: Learner, queue: LearningQueue) -> None:
    [number] = queue.submit([TOWER])
    if when == "waiting":
        queue.cancel(number)

    def cancel(event: WorkEvent) -> None:
        if event.step == when:
            queue.cancel(number)
            time.sleep(0.35)

    Worker(learner, AT_ONCE, on_event=cancel).run_until_empty()
    assert outcomes(queue) == [("cancelled", "")]
    assert not queue.job(number).passage.text
    assert not learner.stack.layers
    assert not list((learner.home.root / "adapters").glob("*"))
    with pytest.raises(InputError, match="no job 7"):
        queue.cancel(7)


def test_what_ended_long_ago_leaves_the_queue_but_for_what_failed(learner: Learner, queue: LearningQueue) -> None:
    queue.submit([TOWER])
    Worker(learner, AT_ONCE).run_until_empty()
    [failed] = queue.submit([BRIDGE])
    queue.end(queue.job(failed), "failed", "", "no luck", 0.0)
    [waits] = queue.submit([BRIDGE])
    assert queue.prune(time.time() - 60) == 0
    assert queue.prune(time.time() + 60) == 1
    assert [job.id for job in queue.jobs()] == [failed, waits]
    assert queue.job(failed).passage == BRIDGE


def test_one_job_that_fails_ends_alone_and_keeps_its_text(learner: Learner, queue: LearningQueue) -> None:
    queue.submit([TOWER, BRIDGE])

    def fail(event: WorkEvent) -> None:
        if event.job.passage.topic == TOWER.topic and event.step == "train":
            raise RuntimeError("no luck")

    Worker(learner, AT_ONCE, on_event=fail).run_until_empty()
    first, second = queue.jobs()
    assert (first.state, first.note, first.passage) == ("failed", "no luck", TOWER)
    assert (second.state, second.outcome) == ("done", "accepted")


def test_only_one_worker_learns_for_a_model(learner: Learner, queue: LearningQueue) -> None:
    queue.submit([TOWER])
    worker = Worker(learner, AT_ONCE)
    [lock] = [learner.home.root / Path(str(worker._lock.lock_file)).name]
    with FileLock(lock), pytest.raises(InputError, match="another worker"):
        worker.run_until_empty()
    assert worker.run_until_empty() == 1


def test_a_held_job_waits_for_a_person_and_no_worker_takes_it(learner: Learner, queue: LearningQueue) -> None:
    queue.submit([TOWER], thread="a", awaiting_approval=True)
    queue.submit([BRIDGE], thread="b", awaiting_approval=True)
    worker = Worker(learner, AT_ONCE)
    assert worker.run_until_empty() == 0
    assert worker.wait(0)
    assert queue.num_texts(learner.backend.model) == 2
    assert queue.resolve_held("default", "a", approve=True) == queue.resolve_held("default", "b", approve=False) == 1
    assert queue.resolve_held("default", "b", approve=True) == queue.resolve_held("ann", "a", approve=True) == 0
    worker.run_until_empty()
    assert outcomes(queue) == [("done", "accepted"), ("cancelled", "")]
    assert not queue.jobs()[1].passage.text


def test_the_command_line_shows_and_approves_what_is_held(
    queue: LearningQueue, capsys: pytest.CaptureFixture[str]
) -> None:
    command, home = ["queue", "approve", "1"], ["--home", str(queue.home.root)]
    queue.submit([TOWER, BRIDGE], thread="a", awaiting_approval=True)
    app.main(["queue", "list", *home])
    assert capsys.readouterr().out.count("held") == 2
    assert app.main([*command, *home]) == 0
    assert [job.state for job in queue.jobs()] == ["waiting", "waiting"]
    assert app.main([*command, *home]) == app.EXIT_ERROR


def test_a_passage_of_two_documents_is_learned_once(learner: Learner, queue: LearningQueue) -> None:
    queue.submit([replace(TOWER, source=source) for source in ("one", "two")])
    Worker(learner, AT_ONCE).run_until_empty()
    assert outcomes(queue) == [("done", "accepted"), ("done", "known")]
    assert [d.source for d in known_documents(learner.home, "default")] == ["one", "two"]


def test_a_secret_in_a_title_is_not_kept_in_the_queue(queue: LearningQueue) -> None:
    [number] = queue.submit([Passage("The password: hunter2hunter2", "The password: hunter2hunter2")])
    assert "hunter2" not in str(queue.job(number))


@pytest.mark.parametrize(
    ("budget", "spent", "has_room"),
    [
        (Budget(), (1000, 1e6), True),
        (Budget(edits_per_hour=2), (1, 1e6), True),
        (Budget(edits_per_hour=2), (2, 0.0), False),
        (Budget(seconds_per_hour=60), (9, 59.0), True),
        (Budget(seconds_per_hour=60), (0, 60.0), False),
    ],
)
def test_the_budget_bounds_what_is_begun(budget: Budget, spent: tuple[int, float], has_room: bool) -> None:
    assert budget.has_room(*spent) is has_room


def test_a_budget_of_one_edit_an_hour_leaves_the_second(learner: Learner, queue: LearningQueue) -> None:
    queue.submit([TOWER, BRIDGE])
    assert Worker(learner, Budget(quiet_seconds=0, edits_per_hour=1)).run_until_empty() == 1
    assert outcomes(queue) == [("done", "accepted"), ("waiting", "")]


def test_a_conversation_that_goes_on_is_not_learned_from_yet(queue: LearningQueue) -> None:
    now = time.time()
    queue.submit([TOWER], thread="busy")
    assert queue.next_due("", now - 2, now + 9) is None
    assert queue.next_due("", now + 9, now - 60) is None
    due = queue.next_due("", now + 9, now + 9)
    assert due is not None
    assert due.passage == TOWER


def aged(queue: LearningQueue, seconds: float) -> None:
    """Everything that was submitted so far was submitted so much earlier."""
    with sql(queue.home) as db:
        db.execute("UPDATE jobs SET created = created - ?", (seconds,))


@pytest.mark.slow
def test_a_job_is_begun_after_its_longest_wait_though_somebody_always_speaks(
    learner: Learner, queue: LearningQueue
) -> None:
    queue.submit([TOWER], thread="busy")
    aged(queue, 7200)
    queue.submit([BRIDGE], "bob", thread="2")
    now = time.time()
    due = queue.next_due("", now - 2, now - 60, now=now)
    assert due is not None
    assert due.passage == TOWER
    assert queue.next_due("", now - 2, now - 60, overdue_since=now - 9000, now=now) is None
    budget = Budget(idle_seconds=60, max_wait_seconds=600)
    events: list[str] = []
    worker = Worker(learner, budget, on_event=lambda e: events.append(e.job.passage.topic))
    assert worker._work_once()
    assert set(events) == {TOWER.topic}  # the first, and not the one that has just come
    assert not worker._work_once()
    aged(queue, 1000)
    queue.submit([TOWER], "eve", thread="3")
    assert not Worker(learner, replace(budget, max_wait_seconds=0))._work_once()
    assert worker._work_once()


def test_a_conversation_that_is_never_quiet_is_learned_from_in_the_end(queue: LearningQueue) -> None:
    queue.submit([TOWER], thread="busy")
    aged(queue, 7200)
    queue.submit([BRIDGE], thread="busy")
    now = time.time()
    due = queue.next_due("", now - 2, now - 2, now=now)
    assert due is not None
    assert due.passage == TOWER


def test_what_is_said_to_another_model_keeps_no_job_waiting(queue: LearningQueue) -> None:
    queue.submit([TOWER], thread="1", model="m")
    aged(queue, 100)
    queue.submit([BRIDGE], "bob", thread="2", model="another model")
    now = time.time()
    due = queue.next_due("m", now - 2, now - 60, now=now)
    assert due is not None
    assert due.passage == TOWER
    queue.submit([BRIDGE], "bob", thread="3")  # to whichever model
    assert queue.next_due("m", now - 2, now - 60, now=now + 1) is None


def test_a_job_that_kills_its_process_every_time_ends_as_failed(queue: LearningQueue) -> None:
    [number] = queue.submit([TOWER])
    for _ in range(MAX_BEGINNINGS):
        assert queue.job(number).state == "waiting"
        assert queue.begin(queue.job(number))
        queue.requeue_abandoned("")
    failed = queue.job(number)
    assert failed.state == "failed"
    assert "killed 10 times" in failed.note
    assert failed.passage == TOWER  # nothing is lost


@pytest.mark.slow
def test_a_job_that_comes_a_step_further_each_time_or_was_stopped_goes_on(queue: LearningQueue) -> None:
    [number] = queue.submit([TOWER])
    for step in range(2 * MAX_BEGINNINGS):
        queue.begin(queue.job(number))
        queue.checkpoint(queue.job(number), f"step {step}", Episode("default", TOWER.text), 1.0)
        queue.requeue_abandoned("")
    for _ in range(2 * MAX_BEGINNINGS):
        queue.begin(queue.job(number))
        queue.requeue_abandoned("", was_stopped=True)
    assert queue.job(number).state == "waiting"


def test_the_list_says_what_a_job_waits_for(
    learner: Learner, queue: LearningQueue, capsys: pytest.CaptureFixture[str]
) -> None:
    queue.submit([TOWER], model="another model")
    queue.submit([BRIDGE], awaiting_approval=True)
    assert app.main(["queue", "list", "--json", "--home", str(queue.home.root)]) == 0
    told = capsys.readouterr().out
    assert "no worker learns for another model" in told
    assert "queue approve 2" in told
    with FileLock(queue.home.root / f"worker-{hashlib.sha256(b'another model').hexdigest()[:12]}.lock"):
        app.main(["queue", "list", "--json", "--home", str(queue.home.root)])
    assert "no worker learns" not in capsys.readouterr().out


def test_a_spent_budget_is_said_once(learner: Learner, queue: LearningQueue, caplog: pytest.LogCaptureFixture) -> None:
    queue.submit([TOWER, BRIDGE])
    worker = Worker(learner, Budget(quiet_seconds=0, edits_per_hour=1))
    worker.run_until_empty()
    worker.run_until_empty()
    assert [r.message for r in caplog.records if "budget" in r.message] == [
        "the budget of the last hour is spent; 1 jobs wait"
    ]


class Slow(ScriptedBackend):
    """Training takes until the test lets it go."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.go = threading.Event()

    def with_stack(self, stack: Any) -> Any:
        view = super().with_stack(stack)
        view.go = self.go
        view.__class__ = Slow
        return view

    def train(self, *args: Any, **options: Any) -> Any:
        assert self.go.wait(10)
        return super().train(*args, **options)


@pytest.mark.slow
def test_the_reply_comes_while_the_worker_still_learns_and_the_next_turn_knows(home: Home) -> None:
    backend = Slow(home.root)
    learner = Learner(backend, home)
    with Worker(learner, AT_ONCE) as worker:
        agent = create_chat_graph(learner, worker.queue).compile(checkpointer=InMemorySaver())
        config: Any = {"configurable": {"thread_id": "one"}}
        state = agent.invoke({"messages": [("user", TOWER.text)]}, config)
        assert [(o["outcome"], o["job"]) for o in state["outcomes"]] == [("queued", 1)]
        until(lambda: worker.queue.job(1).step == "train")
        question, answer = probe_of(worker.queue.job(1).episode)
        assert answer not in agent.invoke({"messages": [("user", question)]}, config)["messages"][-1].text
        backend.go.set()
        assert worker.wait(20)
        assert answer in agent.invoke({"messages": [("user", question)]}, config)["messages"][-1].text


def test_stopping_leaves_the_job_in_hand_in_the_queue(home: Home) -> None:
    backend = Slow(home.root)
    worker = Worker(Learner(backend, home), AT_ONCE).start()
    worker.queue.submit([TOWER])
    until(lambda: worker.queue.job(1).step == "train")
    stopper = threading.Thread(target=worker.stop)
    stopper.start()
    backend.go.set()
    stopper.join()
    assert worker.queue.job(1).state == "waiting"
    Worker(Learner(ScriptedBackend(home.root), home), AT_ONCE).run_until_empty()
    assert worker.queue.job(1).outcome == "accepted"


@pytest.mark.slow
def test_a_process_of_its_own_works_the_queue_off(home: Home) -> None:
    LearningQueue(home).submit([TOWER])
    command = [sys.executable, "-m", "seal_agent", "queue", "work", "--model", "scripted", "--home", str(home.root)]
    done = subprocess.run(  # noqa: S603
        [*command, "--json"], capture_output=True, text=True, check=True
    )
    assert '"outcome": "accepted"' in done.stdout


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def probe_of(episode: Episode | None) -> tuple[str, str]:
    assert episode
    assert episode.edit
    probe = episode.edit.probes[0]
    return probe.prompt.messages[-1].content, probe.answer
