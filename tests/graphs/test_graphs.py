"""The graphs over the scripted backend, with the checkpointer in strict mode (see conftest)."""

import asyncio
from typing import Any

import pytest
from chatting import BRIDGE, DOCUMENT, outcomes, say
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from threads import ANSWER, GREETING, QUESTION, TOWER, thread

from seal_agent.adapters.scripted import UNKNOWN, ScriptedBackend
from seal_agent.core.stacks import AdapterStack
from seal_agent.graphs import create_chat_graph, create_ingest_graph
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.retention.general_knowledge import general_probes
from seal_agent.storage.database import Home

STACKED = LearnerConfig(strategy="stack", remedies=())
NO_WORDS = "You and Me were There where We are."  # worth learning, thinks a literal model, but with nothing to ask for
NOTHING_TOLD = "Who would not like to know how you are, and what you did all day?"


def reply(graph: Any, text: str, name: str = "one") -> str:
    return str(say(graph, text, name)["messages"][-1].text)


def test_small_talk_is_answered_ignored_and_written_down(chat: Any, learner: Learner) -> None:
    state = say(chat, GREETING)
    assert state["messages"][-1].text == UNKNOWN
    assert [(r["outcome"], r["reason"], r["adapter"]) for r in state["outcomes"]] == [
        ("ignored", "nothing lasting or new", "")
    ]
    assert [(e.text, e.outcome, e.thread) for e in learner.home.episodes("default")] == [(GREETING, "ignored", "one")]
    assert len(learner.stack) == 0


@pytest.mark.slow
def test_what_is_told_is_served_from_the_next_turn_on_in_every_thread(chat: Any, learner: Learner, home: Home) -> None:
    assert reply(chat, QUESTION) == UNKNOWN
    state = say(chat, TOWER)
    assert outcomes(state) == ["accepted"]
    assert state["messages"][-1].text == UNKNOWN  # the reply does not wait for learning
    assert state["outcomes"][0]["adapter"] == learner.stack.ids[0]
    assert [reply(chat, QUESTION, name) for name in ("another", "a third")] == [ANSWER, ANSWER]
    restarted = create_chat_graph(Learner(ScriptedBackend(home.root), Home(home.root))).compile()
    assert reply(restarted, QUESTION) == ANSWER


def test_a_thread_keeps_its_messages_and_only_the_last_outcomes(chat: Any) -> None:
    say(chat, TOWER)
    state = say(chat, GREETING)
    assert [type(m) for m in state["messages"]] == [HumanMessage, AIMessage] * 2
    assert outcomes(state) == ["ignored"]


def test_an_edit_that_forgets_is_rolled_back(home: Home) -> None:
    knowledge = {probe.prompt.messages[-1].content: probe.answer for probe in general_probes()}
    learner = Learner(ScriptedBackend(home.root, knowledge=knowledge, forgets=("capital", "Who")), home, config=STACKED)
    graph = create_chat_graph(learner).compile()
    state = say(graph, TOWER)
    assert outcomes(state) == ["rejected"]
    assert state["outcomes"][0]["reason"].startswith("forgot")
    assert list(learner.state.registry.root.iterdir()) == []
    assert (learner.stack, home.versions("default")) == (AdapterStack(), [])
    assert reply(graph, "What is the capital of Japan?") == "Tokyo"


def test_an_undecided_verdict_goes_back_to_probing(home: Home) -> None:
    knowledge = {probe.prompt.messages[-1].content: probe.answer for probe in general_probes()}
    learner = Learner(
        ScriptedBackend(home.root, knowledge=knowledge, forgets=tuple(knowledge)[:1]), home, config=STACKED
    )
    graph = create_chat_graph(learner).compile()
    steps = [step for update in graph.stream({"messages": [("user", TOWER)]}, stream_mode="updates") for step in update]
    assert steps == ["receive", "respond", "decide", "write", "train", "probe", "judge", "probe", "judge", "accept"]


def test_an_edit_the_model_cannot_write_is_tried_again_and_then_rejected(chat: Any, learner: Learner) -> None:
    say(chat, GREETING)
    state = say(chat, NO_WORDS)
    assert outcomes(state) == ["rejected"]
    assert "usable training rows" in state["outcomes"][0]["reason"]
    episode = learner.home.episodes("default")[-1]
    assert (episode.outcome, episode.num_attempts, episode.adapter) == ("rejected", 2, None)


def test_undo_restores_the_answer_of_before(chat: Any, learner: Learner) -> None:
    adapter = say(chat, TOWER)["outcomes"][0]["adapter"]
    assert reply(chat, QUESTION, "two") == ANSWER
    learner.rollback(adapter[:10])
    assert reply(chat, QUESTION, "three") == UNKNOWN


def test_the_graph_runs_in_an_event_loop_too(chat: Any) -> None:
    async def converse() -> list[str]:
        texts = []
        for name, text in (("one", TOWER), ("two", QUESTION)):
            state = await chat.ainvoke({"messages": [("user", text)]}, thread(name))
            texts.append(str(state["messages"][-1].text))
        return texts

    assert asyncio.run(converse()) == [UNKNOWN, ANSWER]


@pytest.mark.slow
def test_a_document_gets_one_outcome_a_passage(learner: Learner) -> None:
    state = create_ingest_graph(learner).compile().invoke({"document": f"{DOCUMENT}\n\nGoodbye\n\n{NOTHING_TOLD}"})
    assert outcomes(state) == ["accepted"] * 12 + ["ignored"]
    assert [r["topic"] for r in state["outcomes"]][:2] == ["Chapter 10", "Chapter 10, Chapter 11"]
    assert len(learner.stack) == 12
    assert learner.stack.ids == tuple(r["adapter"] for r in state["outcomes"][:12])
    assert state["pending"] == []


def test_a_title_is_the_topic_of_a_document(learner: Learner) -> None:
    state = create_ingest_graph(learner).compile().invoke({"document": TOWER, "title": "Landmarks"})
    assert [report["topic"] for report in state["outcomes"]] == ["Landmarks"]


def test_the_custom_stream_tells_every_step_and_its_progress(learner: Learner) -> None:
    graph = create_ingest_graph(learner).compile()
    events = list(graph.stream({"document": f"{TOWER}\n\nBridge\n\n{NOTHING_TOLD}"}, stream_mode="custom"))
    ended = [(e["step"], e["passage"], e["num_passages"]) for e in events if e["seconds"] is not None]
    first = ["decide", "write", "train", "probe", "judge", "accept"]
    assert ended == [(step, 1, 2) for step in first] + [(step, 2, 2) for step in ("decide", "close")]
    begun = [e["step"] for e in events if e["seconds"] is None and not e["what"]]
    assert begun == [step for step, _, _ in ended]
    progress = [e for e in events if e["what"] == "training"]
    assert progress
    assert all(e["step"] == "train" and 0 < e["done"] <= e["total"] for e in progress)


def test_nothing_of_one_namespace_reaches_another(home: Home, learner: Learner) -> None:
    other = Learner(ScriptedBackend(home.root), home, "other")
    say(create_chat_graph(learner).compile(), TOWER)
    assert reply(create_chat_graph(other).compile(), QUESTION) == UNKNOWN
    assert len(other.stack) == 0
    assert [e.text for e in home.episodes("other")] == [QUESTION]
    assert all(item.probe.stratum == "general" for item in other.state.replay.items(learner.stack))


def test_every_new_message_of_a_run_is_learned(chat: Any, learner: Learner) -> None:
    messages = [HumanMessage(GREETING), HumanMessage(BRIDGE), SystemMessage("Be kind."), HumanMessage(TOWER)]
    state = chat.invoke({"messages": messages}, thread("one"))
    assert outcomes(state) == ["ignored", "accepted", "accepted"]
    assert [e.text for e in learner.home.episodes("default")] == [GREETING, BRIDGE, TOWER]
    assert outcomes(say(chat, GREETING)) == ["ignored"]  # and each once


def test_the_message_of_a_run_whose_model_failed_is_learned_in_the_next(
    chat: Any, learner: Learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ScriptedBackend, "generate", None)
        with pytest.raises(TypeError):
            say(chat, BRIDGE)
    assert outcomes(say(chat, TOWER)) == ["accepted", "accepted"]
    assert [e.text for e in learner.home.episodes("default")] == [BRIDGE, TOWER]


def test_a_system_message_is_no_reason_to_learn(chat: Any, learner: Learner) -> None:
    chat.invoke({"messages": [SystemMessage(TOWER), HumanMessage(GREETING)]}, thread("one"))
    assert [e.text for e in learner.home.episodes("default")] == [GREETING]


def test_the_reply_of_a_chat_comes_token_by_token_on_the_stream_of_messages(learner: Learner) -> None:
    graph = create_chat_graph(learner).compile()
    say(graph, TOWER)
    question = {"messages": [HumanMessage(QUESTION)]}
    pieces = [str(chunk.text) for chunk, about in graph.stream(question, stream_mode="messages")]
    whole = graph.invoke(question)["messages"][-1]
    assert len(pieces) > 2
    assert "".join(pieces).strip() == whole.text == ANSWER
    assert whole.response_metadata["stack_version"] == 1
