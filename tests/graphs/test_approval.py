"""A person is asked before anything is trained, and what that person says is done."""

from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import ValidationError
from teaching import BRIDGE, TOWER, folders

from seal_agent.adapters.scripted import UNKNOWN, ScriptedBackend
from seal_agent.background.worker import Budget, Worker
from seal_agent.core.documents import Passage
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Message
from seal_agent.graphs import create_chat_graph, create_ingest_graph
from seal_agent.graphs.approval import Approval
from seal_agent.learning import loop
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.learning.learners import Learners
from seal_agent.storage.database import Home
from seal_agent.storage.jobs import LearningQueue

FERRY = Passage("Lantern Ferry", "The Lantern Ferry crosses Lake Vandrel at dawn. It carries forty orange sheep.")
THREAD: Any = {"configurable": {"thread_id": "one"}}


@pytest.fixture
def learner(home: Home, backend: ScriptedBackend) -> Learner:
    return Learner(backend, home, config=LearnerConfig(approval=True))


@pytest.fixture
def graph(learner: Learner) -> Any:
    return create_chat_graph(learner).compile(checkpointer=InMemorySaver())


def ask(graph: Any) -> dict[str, Any]:
    """Tell it something; what the person is shown."""
    state = graph.invoke({"messages": [("user", TOWER.text)]}, THREAD)
    (interrupt,) = state["__interrupt__"]
    assert interrupt.response_schema == Approval.model_json_schema()
    return dict(interrupt.value)


def answer(graph: Any, **said: Any) -> dict[str, Any]:
    state = graph.invoke(Command(resume=said), THREAD)
    return dict(state["outcomes"][0])


def test_nothing_is_trained_before_the_rows_are_approved(graph: Any, learner: Learner) -> None:
    question = ask(graph)
    assert (question["text"], question["topic"]) == (TOWER.text, "The Tower of Karlov")
    assert any("1911" in row["answer"] for row in question["rows"])
    assert (folders(learner) if learner.state.registry.root.is_dir() else [], learner.stack.ids) == ([], ())
    assert answer(graph, decision="approve")["outcome"] == "accepted"
    row = question["rows"][0]
    assert learner.answer([[Message("user", row["prompt"])]]) != [UNKNOWN]


def test_a_rejected_edit_is_written_down_with_the_reason(graph: Any, learner: Learner) -> None:
    ask(graph)
    outcome = answer(graph, decision="reject", reason="that is private")
    assert (outcome["outcome"], outcome["reason"]) == ("declined", "that is private")
    assert [(e.outcome, e.adapter) for e in learner.home.episodes("default")] == [("declined", None)]
    assert learner.stack.ids == ()


def test_while_a_person_is_asked_the_text_is_held_in_the_queue(graph: Any, learner: Learner) -> None:
    queue = LearningQueue(learner.home)
    ask(graph)
    graph.invoke({"messages": [("user", BRIDGE.text)]}, THREAD)  # asked again about the first
    assert [(job.state, job.passage.text, job.thread) for job in queue.jobs()] == [("held", TOWER.text, "one")]
    graph.invoke(Command(resume={"decision": "approve"}), THREAD)
    assert [job.passage.text for job in queue.jobs()] == [BRIDGE.text]
    graph.invoke(Command(resume={"decision": "reject"}), THREAD)
    assert queue.jobs() == []
    assert [episode.outcome for episode in learner.home.episodes("default")] == ["accepted", "declined"]


@pytest.fixture(params=["answered", "another message"])
def go_on(request: pytest.FixtureRequest, graph: Any) -> Any:
    """How the thread goes on after somebody has decided in the queue; its first outcome."""
    if request.param == "answered":
        return lambda decision: answer(graph, decision=decision)
    return lambda _: graph.invoke({"messages": [("user", "Thanks a lot!")]}, THREAD)["outcomes"][0]


def test_what_was_cancelled_in_the_queue_is_not_learned_by_the_thread(graph: Any, learner: Learner, go_on: Any) -> None:
    queue = LearningQueue(learner.home)
    ask(graph)
    queue.cancel(1)
    outcome = go_on("approve")
    assert (outcome["outcome"], "job 1 was cancelled in the queue" in outcome["reason"]) == ("declined", True)
    assert learner.home.episodes("default")[0].outcome == "declined"
    assert (learner.stack.ids, [job.state for job in queue.jobs()]) == ((), ["cancelled"])


@pytest.mark.slow
def test_what_was_approved_in_the_queue_is_said_to_be_learned_there(graph: Any, learner: Learner, go_on: Any) -> None:
    queue = LearningQueue(learner.home)
    ask(graph)
    assert queue.resolve_held("default", "one", approve=True) == 1
    assert Worker(Learner(learner.backend, learner.home), Budget(quiet_seconds=0)).run_until_empty() == 1
    outcome = go_on("reject")
    assert (outcome["outcome"], "job 1 was approved in the queue" in outcome["reason"]) == ("accepted", True)
    assert [e.outcome for e in learner.home.episodes("default") if e.text == TOWER.text] == ["accepted"]
    assert len(learner.stack) == 1


def test_what_the_thread_decided_cannot_be_approved_in_the_queue(graph: Any, learner: Learner) -> None:
    ask(graph)
    answer(graph, decision="reject")
    with pytest.raises(InputError, match="there is no job 1"):
        LearningQueue(learner.home).job(1)


def test_rows_changed_by_a_person_are_what_is_learned(graph: Any, learner: Learner) -> None:
    kept = ask(graph)["rows"][0]
    by_hand = {"prompt": "How many bells are in the Tower of Karlov?", "answer": "Twelve."}
    assert answer(graph, decision="edit", rows=[kept, by_hand])["outcome"] == "accepted"
    (episode,) = learner.home.episodes("default")
    assert episode.edit
    rows = [(row.question, row.answer, row.source) for row in episode.edit.rows if row.source != "rehearsal"]
    assert rows == [
        (kept["prompt"], kept["answer"], "cloze"),
        (by_hand["prompt"], by_hand["answer"], "by hand"),
    ]
    assert learner.answer([[Message("user", by_hand["prompt"])]]) == [by_hand["answer"]]
    assert by_hand["prompt"] in [probe.prompt.messages[-1].content for probe in episode.edit.probes]
    taken_out = [probe for probe in episode.edit.probes if "nine" in probe.answer]
    assert taken_out == []


def test_taking_every_row_out_is_a_no(graph: Any) -> None:
    ask(graph)
    assert answer(graph, decision="edit", rows=[])["outcome"] == "declined"


@pytest.mark.parametrize(
    "said",
    [
        {"decision": "maybe"},
        {"decision": "edit", "rows": [{"prompt": "x", "answer": ""}]},
        {"decision": "approve", "x": 1},
    ],
)
def test_an_answer_that_does_not_fit_can_be_given_again(graph: Any, said: dict[str, Any]) -> None:
    ask(graph)
    with pytest.raises(ValidationError):
        answer(graph, **said)
    assert answer(graph, decision="approve")["outcome"] == "accepted"


def tell(graph: Any, text: str, thread: Any = THREAD) -> dict[str, Any]:
    """What the person is asked about after a message."""
    (interrupt,) = graph.invoke({"messages": [("user", text)]}, thread)["__interrupt__"]
    return dict(interrupt.value)


@pytest.mark.slow
def test_a_message_while_an_edit_waits_leaves_it_waiting_and_is_asked_about_next(
    graph: Any, learner: Learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ask(graph)
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "write", None)  # nothing is written again
        assert [tell(graph, text) for text in (BRIDGE.text, BRIDGE.text)] == [first, first]
    state = graph.invoke(Command(resume={"decision": "approve"}), THREAD)
    assert state["__interrupt__"][0].value["text"] == BRIDGE.text
    graph.invoke(Command(resume={"decision": "reject", "reason": "no"}), THREAD)
    ledger = learner.home.episodes("default")
    assert [(e.text, e.outcome) for e in ledger] == [(TOWER.text, "accepted"), (BRIDGE.text, "declined")]


@pytest.mark.slow
def test_an_edit_that_waited_while_others_learned_is_written_anew(graph: Any, learner: Learner) -> None:
    ask(graph)
    other = Learner(learner.backend, learner.home)
    loop.run(other, other.begin(BRIDGE))
    assert tell(graph, "Hello there, nice to see you!")["text"] == TOWER.text  # on the new stack
    loop.run(other, other.begin(FERRY))
    state = graph.invoke(Command(resume={"decision": "approve"}), THREAD)
    assert state["__interrupt__"][0].value["text"] == TOWER.text  # the stack was changed again: it is asked about anew
    graph.invoke(Command(resume={"decision": "approve"}), THREAD)
    assert [e.text for e in other.state.accepted(other.stack.ids)] == [BRIDGE.text, FERRY.text, TOWER.text]
    assert sorted(folders(other)) == sorted(other.stack.ids)


@pytest.mark.slow
def test_a_document_given_while_another_waits_is_asked_about_next(learner: Learner) -> None:
    graph = create_ingest_graph(learner).compile(checkpointer=InMemorySaver())
    graph.invoke({"document": TOWER.text, "source": "one"}, THREAD)
    state = graph.invoke({"document": BRIDGE.text, "source": "two"}, THREAD)
    assert state["__interrupt__"][0].value["text"] == TOWER.text
    graph.invoke(Command(resume={"decision": "approve"}), THREAD)
    graph.invoke(Command(resume={"decision": "approve"}), THREAD)
    assert [e.source for e in learner.home.episodes("default")] == ["one", "two"]


def test_a_new_version_of_a_document_that_waits_ends_the_old_one_with_that_reason(learner: Learner) -> None:
    graph = create_ingest_graph(learner).compile(checkpointer=InMemorySaver())
    graph.invoke({"document": TOWER.text, "source": "one"}, THREAD)
    state = graph.invoke({"document": BRIDGE.text, "source": "one"}, THREAD)
    assert state["__interrupt__"][0].value["text"] == BRIDGE.text
    given_up, forgotten = state["outcomes"]
    assert given_up["reason"] == "given up: its document was changed before it was learned"
    assert (given_up["outcome"], forgotten["outcome"]) == ("rejected", "forgotten")
    graph.invoke(Command(resume={"decision": "approve"}), THREAD)
    assert [e.outcome for e in learner.home.episodes("default")] == ["forgotten", "accepted"]


def test_a_no_that_was_not_written_down_when_the_run_was_ended_stays_a_no(learner: Learner) -> None:
    graph = create_chat_graph(learner).compile(checkpointer=InMemorySaver(), interrupt_before=["close"])
    ask(graph)
    graph.invoke(Command(resume={"decision": "reject", "reason": "that is private"}), THREAD)
    state = graph.invoke({"messages": [("user", BRIDGE.text)]}, THREAD)
    assert state["__interrupt__"][0].value["text"] == BRIDGE.text
    assert [(e.text, e.outcome, e.reason) for e in learner.home.episodes("default")] == [
        (TOWER.text, "declined", "that is private")
    ]


def test_what_waits_in_a_thread_is_not_learned_for_another_user(backend: ScriptedBackend, home: Home) -> None:
    learners = Learners(backend, home, LearnerConfig(approval=True))
    graph = create_chat_graph(learners).compile(checkpointer=InMemorySaver())
    ann, bob = ({"configurable": {"thread_id": "one", "user": user}} for user in ("ann", "bob"))
    tell(graph, TOWER.text, ann)
    with pytest.raises(InputError, match="the text of another user"):
        graph.invoke({"messages": [("user", BRIDGE.text)]}, bob)
    assert tell(graph, BRIDGE.text, ann)["text"] == TOWER.text


def test_each_passage_of_a_document_is_asked_about(learner: Learner) -> None:
    graph = create_ingest_graph(learner).compile(checkpointer=InMemorySaver())
    text = f"One\n\n{TOWER.text}\n\nTwo\n\nThe Amber Bridge was designed by Carla Mendes. It has 9 red towers."
    graph.invoke({"document": text}, THREAD)
    graph.invoke(Command(resume={"decision": "reject"}), THREAD)
    state = graph.invoke(Command(resume={"decision": "approve"}), THREAD)
    assert [report["outcome"] for report in state["outcomes"]] == ["declined", "accepted"]
    assert [r["outcome"] for r in graph.invoke({"document": text}, THREAD)["outcomes"]] == ["known"] * 2


def test_a_dry_run_says_what_would_be_learned_and_trains_nothing(home: Home, backend: ScriptedBackend) -> None:
    learner = Learner(backend, home, config=LearnerConfig(dry_run=True))
    (outcome,) = create_ingest_graph(learner).compile().invoke({"document": TOWER.text})["outcomes"]
    assert (outcome["outcome"], outcome["adapter"]) == ("dry run", "")
    assert any("1911" in row["answer"] for row in outcome["rows"])
    assert not learner.state.registry.root.exists()
    real = Learner(backend, home)
    outcomes = create_ingest_graph(real).compile().invoke({"document": TOWER.text})["outcomes"]
    assert [outcome["outcome"] for outcome in outcomes] == ["accepted"]


def test_a_thread_is_not_resumed_for_another_user(graph: Any, learner: Learner, backend: ScriptedBackend) -> None:
    ask(graph)
    other = Learner(backend, learner.home, "other", learner.config)
    theirs = create_chat_graph(other).compile(checkpointer=graph.checkpointer)
    with pytest.raises(InputError, match="the text of another user"):
        theirs.invoke(Command(resume={"decision": "approve"}), THREAD)


@pytest.mark.parametrize("said", [{"decision": "approve"}, {"decision": "reject"}, {"decision": "edit", "rows": []}])
def test_nobody_decides_about_what_another_user_said(
    backend: ScriptedBackend, home: Home, said: dict[str, Any]
) -> None:
    many = Learners(backend, home, LearnerConfig(approval=True))
    graph = create_chat_graph(many).compile(checkpointer=InMemorySaver())

    def run(user: str, given: Any) -> Any:
        return graph.invoke(given, {"configurable": {"thread_id": "one", "user": user}})

    assert run("ada", {"messages": [("user", TOWER.text)]})["__interrupt__"]
    with pytest.raises(InputError, match="the text of another user"):
        run("bob", Command(resume=said))
    assert run("ada", None)["__interrupt__"]  # she is asked as if he had not answered
    assert not home.episodes("ada")
    assert run("ada", Command(resume={"decision": "approve"}))["outcomes"][0]["outcome"] == "accepted"
