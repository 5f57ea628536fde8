"""A person is asked before anything is trained, and what that person says is done."""

from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import ValidationError
from test_learner import TOWER, folders

from seal_agent.adapters.scripted import UNKNOWN, ScriptedBackend
from seal_agent.errors import InputError
from seal_agent.graphs import create_chat_graph, create_ingest_graph
from seal_agent.graphs.approval import Approval
from seal_agent.home import Home
from seal_agent.learner import Learner, LearnerConfig
from seal_agent.types import Message

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
    assert (folders(learner) if learner.registry.root.is_dir() else [], learner.stack.ids) == ([], ())
    assert answer(graph, decision="approve")["outcome"] == "accepted"
    row = question["rows"][0]
    assert learner.answer([[Message("user", row["prompt"])]]) != [UNKNOWN]


def test_a_rejected_edit_is_written_down_with_the_reason(graph: Any, learner: Learner) -> None:
    ask(graph)
    outcome = answer(graph, decision="reject", reason="that is private")
    assert (outcome["outcome"], outcome["reason"]) == ("declined", "that is private")
    assert [(e.outcome, e.adapter) for e in learner.home.episodes("default")] == [("declined", None)]
    assert learner.stack.ids == ()


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
    assert not learner.registry.root.exists()
    real = Learner(backend, home)
    outcomes = create_ingest_graph(real).compile().invoke({"document": TOWER.text})["outcomes"]
    assert [outcome["outcome"] for outcome in outcomes] == ["accepted"]


def test_a_thread_is_not_resumed_for_another_user(graph: Any, learner: Learner, backend: ScriptedBackend) -> None:
    ask(graph)
    other = Learner(backend, learner.home, "other", learner.config)
    theirs = create_chat_graph(other).compile(checkpointer=graph.checkpointer)
    with pytest.raises(InputError, match="resumed for 'other'"):
        theirs.invoke(Command(resume={"decision": "approve"}), THREAD)
