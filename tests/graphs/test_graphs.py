"""The graphs over the scripted backend, with the checkpointer in strict mode (see conftest)."""

import asyncio
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.messages import AIMessage, ChatMessage, HumanMessage, SystemMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph_cli.config import validate_config_file
from threads import ANSWER, GREETING, QUESTION, TOWER, thread

from seal_agent import SelfAdaptation, open_learner
from seal_agent.adapters.scripted import UNKNOWN, ScriptedBackend
from seal_agent.background.worker import Worker
from seal_agent.core.characters import whole
from seal_agent.core.episodes import Episode
from seal_agent.core.errors import ContextLengthExceeded, InputError
from seal_agent.core.stacks import AdapterStack
from seal_agent.graphs import create_chat_graph, create_ingest_graph, give_feedback, studio
from seal_agent.graphs.conversations import fitted
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.retention.general_knowledge import general_probes
from seal_agent.storage.database import Home
from seal_agent.storage.jobs import LearningQueue

ROOT = Path(__file__).resolve().parents[2]
STACKED = LearnerConfig(strategy="stack", remedies=())
BRIDGE = "The Amber Bridge was designed by Carla Mendes. It has 9 red towers in fog."
NO_WORDS = "You and Me were There where We are."  # worth learning, thinks a literal model, but with nothing to ask for
NOTHING_TOLD = "Who would not like to know how you are, and what you did all day?"
DOCUMENT = "\n\n".join(
    f"Chapter {number}\n\nThe Tower {number} of Karlov was built in 19{number} by Anna Reel. It holds brass bells."
    for number in range(10, 22)
)


@pytest.fixture
def chat(learner: Learner) -> Any:
    return create_chat_graph(learner).compile(checkpointer=InMemorySaver())


def say(graph: Any, text: str, name: str = "one") -> dict[str, Any]:
    state: dict[str, Any] = graph.invoke({"messages": [("user", text)]}, thread(name))
    return state


def reply(graph: Any, text: str, name: str = "one") -> str:
    return str(say(graph, text, name)["messages"][-1].text)


def outcomes(state: dict[str, Any]) -> list[str]:
    return [report["outcome"] for report in state["outcomes"]]


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
    assert [reply(chat, QUESTION), reply(chat, QUESTION, "another")] == [ANSWER, ANSWER]
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
    assert outcomes(state) == ["rolled back"]
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
    assert reply(chat, QUESTION) == ANSWER
    learner.rollback(adapter[:10])
    assert reply(chat, QUESTION) == UNKNOWN


def test_the_graph_runs_in_an_event_loop_too(chat: Any) -> None:
    async def converse() -> list[str]:
        texts = []
        for text in (TOWER, QUESTION):
            state = await chat.ainvoke({"messages": [("user", text)]}, thread("async"))
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


@pytest.mark.parametrize("text", ["---", "###", "*", "…", "👍", "?!"])
def test_a_message_without_words_is_answered_like_any_other(chat: Any, text: str) -> None:
    state = say(chat, text)
    assert state["messages"][-1].text == UNKNOWN
    assert "accepted" not in outcomes(state)


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "not the user's"),
        ([("user", " \n")], "empty"),
        ([("user", "Hi"), ("assistant", "Hello")], "not the user's"),
        ([ChatMessage(content="4", role="critic"), HumanMessage("Hi")], "ChatMessage"),
    ],
    ids=["none", "blank", "not the user's", "a critic's"],
)
def test_a_conversation_the_model_cannot_answer_is_refused(chat: Any, messages: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        chat.invoke({"messages": messages}, thread("one"))


def short(home: Home) -> Learner:
    """A learner on a model of a short context."""
    return Learner(ScriptedBackend(home.root, context_length=300), home, config=LearnerConfig(max_reply_tokens=32))


def test_a_message_longer_than_the_model_reads_leaves_the_thread_and_ends_in_the_ledger(home: Home) -> None:
    chat = create_chat_graph(short(home)).compile(checkpointer=InMemorySaver())
    with pytest.raises(ContextLengthExceeded, match="reads 300 at most"):
        say(chat, TOWER + " word" * 400)
    (refused,) = home.episodes("default")
    assert (refused.outcome, "reads 300 at most" in refused.reason) == ("rejected", True)
    state = say(chat, TOWER)
    assert [m.text for m in state["messages"]] == [TOWER, UNKNOWN]
    assert outcomes(state) == ["accepted"]


@pytest.mark.slow
def test_a_thread_that_has_grown_longer_than_the_model_reads_is_answered_from_its_newest_turns(home: Home) -> None:
    chat = create_chat_graph(short(home)).compile(checkpointer=InMemorySaver())
    chat.invoke({"messages": [SystemMessage("Be kind."), HumanMessage(GREETING)]}, thread("one"))
    notes = [say(chat, f"{GREETING} The weather is fine, number {number}.")["notes"] for number in range(20)]
    assert notes[0] == []
    assert notes[-1][0].startswith("the context has 300 tokens: the reply was written without the oldest")
    state = say(chat, TOWER)
    assert outcomes(state) == ["accepted"]
    assert len(state["messages"]) == 45  # the thread keeps what the model was not asked


def test_only_whole_turns_are_left_out_and_no_system_message(home: Home) -> None:
    turns = [m for n in range(40) for m in (HumanMessage(f"Hello {n}, nice to see you."), AIMessage("Hello, you."))]
    asked = fitted(short(home), [SystemMessage("Be kind."), *turns, HumanMessage(GREETING)])
    assert isinstance(asked.messages[0], SystemMessage)
    assert isinstance(asked.messages[1], HumanMessage)
    assert asked.messages[-1].text == GREETING
    assert 3 < len(asked.messages) < 80


def attachment(data: Any) -> HumanMessage:
    file = {"type": "file", "base64": data, "mime_type": "text/plain", "filename": "a.txt"}
    return HumanMessage([{"type": "text", "text": "Read this, please."}, file])


@pytest.mark.parametrize(
    "message",
    [HumanMessage(" \n"), attachment("%%%"), attachment(5), ChatMessage(content="4", role="critic")],
    ids=lambda m: m.type,
)
def test_a_message_that_cannot_be_answered_does_not_keep_the_next_from_being_answered(chat: Any, message: Any) -> None:
    with pytest.raises(InputError):
        chat.invoke({"messages": [message]}, thread("one"))
    state = say(chat, TOWER)
    assert [m.text for m in state["messages"]] == [TOWER, UNKNOWN]
    assert outcomes(state) == ["accepted"]


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


def test_documents_may_come_as_json(learner: Learner) -> None:
    graph = create_ingest_graph(learner).compile(checkpointer=InMemorySaver())
    given = {"documents": [{"page_content": TOWER, "metadata": {"source": "hall"}}, {"page_content": BRIDGE}]}
    assert outcomes(graph.invoke(given, thread("one"))) == ["accepted", "accepted"]
    assert learner.home.episodes("default")[0].source == "hall"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"document": 5}, "document=5 is not a text"),
        ({"document": TOWER, "source": 5}, "source=5 is not a text"),
        ({"document": TOWER, "title": 5}, "title=5 is not a text"),
        ({"documents": 5}, "documents=5 is not a list"),
        ({"documents": [TOWER]}, "is no document"),
        ({"documents": [{"page_content": 5}]}, "is no document"),
        ({"documents": None}, "the document is empty"),
        ({"document": None}, "the document is empty"),
    ],
)
def test_what_is_no_document_is_refused_and_leaves_the_thread(
    learner: Learner, given: dict[str, Any], said: str
) -> None:
    graph = create_ingest_graph(learner).compile(checkpointer=InMemorySaver())
    with pytest.raises(InputError, match=said):
        graph.invoke(given, thread("one"))
    assert outcomes(graph.invoke({"document": TOWER}, thread("one"))) == ["accepted"]


HALF = "The Tower of Karlov was built by Anna Reel \ud83d in 1911."


@pytest.mark.slow
def test_half_a_character_is_replaced_wherever_a_text_comes_in(learner: Learner) -> None:
    assert whole("\ud83d\ude00 \ud83d") == "\U0001f600 \ufffd"
    chat = create_chat_graph(learner).compile(checkpointer=InMemorySaver())
    assert outcomes(say(chat, HALF)) == ["accepted"]
    ingest = create_ingest_graph(learner).compile()
    assert outcomes(ingest.invoke({"document": BRIDGE, "source": "\ud83d.txt"})) == ["accepted"]
    ingest.invoke({"document": "The Copper Wall was raised by Otto Bern \ud83d in 1702."})
    assert ["\ufffd" in e.text + e.source for e in learner.home.episodes("default")] == [True] * 3


@pytest.mark.parametrize(
    "call",
    [
        lambda _: create_chat_graph("embedded"),
        lambda _: create_ingest_graph(None),
        lambda _: Worker("x"),
        lambda learner: SelfAdaptation(learner, learn_from=5),
        lambda _: SelfAdaptation(None),
        lambda learner: give_feedback(learner, None),
        lambda learner: learner.answer("hi"),
        lambda _: open_learner(None),
        lambda learner: open_learner("scripted", home=learner.home.root, namespace=None),
        lambda learner: open_learner("scripted", home=learner.home.root, config={"approval": True}),
        lambda _: LearnerConfig(directives="cloze"),
    ],
)
def test_what_is_of_the_wrong_kind_is_refused_in_one_line(learner: Learner, call: Any) -> None:
    with pytest.raises(InputError) as refused:
        call(learner)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("given", [{}, {"document": " \n"}])
def test_an_empty_document_is_refused(learner: Learner, given: dict[str, str]) -> None:
    with pytest.raises(InputError, match="document is empty"):
        create_ingest_graph(learner).compile().invoke({"title": "x", **given})


class Ended(Learner):
    """Is ended in the step that is named; `num_ended` times."""

    step = ""
    num_ended = 0

    def _run(self, step: str, episode: Episode, *rest: Any) -> Episode:
        done: Episode = getattr(Learner, step)(self, episode, *rest)
        if step == self.step and self.num_ended:
            self.num_ended -= 1
            raise KeyboardInterrupt
        return done

    def decide(self, *given: Any) -> Episode:
        return self._run("decide", *given)

    def probe(self, *given: Any) -> Episode:
        return self._run("probe", *given)

    def accept(self, *given: Any, **options: Any) -> Episode:
        return self._run("accept", *given)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["decide", "probe", "accept"])
def test_what_a_run_that_was_ended_has_left_is_learned_first_in_the_next(
    backend: ScriptedBackend, home: Home, step: str
) -> None:
    learner = Ended(backend, home)
    learner.step, learner.num_ended = step, 1
    chat = create_chat_graph(learner).compile(checkpointer=InMemorySaver())
    with pytest.raises(KeyboardInterrupt):
        say(chat, TOWER)
    outcomes = say(chat, BRIDGE)["outcomes"]
    assert [o["outcome"] for o in outcomes] == ["accepted", "accepted"]
    ledger = home.episodes("default")
    assert [e.text for e in ledger] == [TOWER, BRIDGE]
    kept = [e.adapter.id for e in ledger if e.adapter]
    assert sorted(path.name for path in learner.state.registry.root.iterdir()) == sorted(kept)


@pytest.mark.slow
def test_a_run_that_is_ended_between_two_passages_loses_neither(learner: Learner) -> None:
    given = {"document": "\n\n".join(DOCUMENT.split("\n\n")[:4]), "source": "one"}
    whole = create_ingest_graph(learner).compile(checkpointer=InMemorySaver(), interrupt_after=["accept"])
    whole.invoke(given, thread("one"))
    state = whole.invoke({"document": BRIDGE, "source": "two"}, thread("one"))
    while whole.get_state(thread("one")).next:
        state = whole.invoke(None, thread("one"))
    assert [o["outcome"] for o in state["outcomes"]] == ["accepted", "accepted"]
    ledger = learner.home.episodes("default")
    assert [(e.source, e.text[:12]) for e in ledger] == [
        ("one", "The Tower 10"),
        ("one", "The Tower 11"),
        ("two", "The Amber Br"),
    ]


@pytest.mark.slow
def test_what_was_ended_three_times_is_given_up_and_the_thread_goes_on(backend: ScriptedBackend, home: Home) -> None:
    learner = Ended(backend, home)
    learner.step, learner.num_ended = "probe", 3
    chat = create_chat_graph(learner).compile(checkpointer=InMemorySaver())
    for text in (TOWER, GREETING, GREETING):
        with pytest.raises(KeyboardInterrupt):
            say(chat, text)
    first = say(chat, BRIDGE)["outcomes"][0]
    assert (first["outcome"], first["reason"]) == ("rejected", "given up: it was begun 3 times")
    assert [e.text for e in home.episodes("default")] == [TOWER, GREETING, BRIDGE]
    assert [e.outcome for e in home.episodes("default")] == ["rejected", "ignored", "accepted"]


def test_what_was_not_queued_when_the_run_ended_is_queued_with_the_next(learner: Learner) -> None:
    queue = LearningQueue(learner.home)
    chat = create_chat_graph(learner, queue).compile(checkpointer=InMemorySaver(), interrupt_before=["enqueue"])
    say(chat, TOWER)
    say(chat, BRIDGE)
    chat.invoke(None, thread("one"))
    assert [job.passage.text for job in queue.jobs()] == [TOWER, BRIDGE]


def served_graphs() -> dict[str, Any]:
    """The graphs that `langgraph.json` names, as a server builds them."""
    targets = json.loads((ROOT / "langgraph.json").read_text())["graphs"]
    builders = {}
    for name, target in targets.items():
        file, function = target.split(":")
        module = import_module(f"seal_agent.{Path(file).with_suffix('').as_posix().replace('/', '.')}")
        builders[name] = asyncio.run(getattr(module, function)())
    return {name: builder.compile() for name, builder in builders.items()}


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, Any]]:
    monkeypatch.setenv("SEAL_MODEL", "scripted")
    monkeypatch.setenv("SEAL_HOME", str(tmp_path))
    monkeypatch.delenv("SEAL_NAMESPACE", raising=False)
    studio._opened.cache_clear()
    yield served_graphs()
    studio._opened.cache_clear()


def test_the_shipped_server_serves_many_users_and_pools_nobody(served: dict[str, Any]) -> None:
    def said(text: str, **configurable: Any) -> str:
        asked: Any = {"configurable": configurable}
        return str(served["chat"].invoke({"messages": [("user", text)]}, asked)["messages"][-1].text)

    said(TOWER, user="ann")
    assert said(QUESTION, langgraph_auth_user=SimpleNamespace(identity="ann"), langgraph_auth_user_id="ann") == ANSWER
    assert said(QUESTION, user_id="bob") == UNKNOWN
    with pytest.raises(InputError, match="or set SEAL_NAMESPACE where the server has one user"):
        said(QUESTION, langgraph_auth_user=SimpleNamespace(identity=""), langgraph_auth_user_id="")
    with pytest.raises(InputError, match="names none"):
        served["improve"].invoke({})
    assert (
        "nothing to do" in served["improve"].invoke({"after_episodes": 9}, {"configurable": {"user": "ann"}})["outcome"]
    )


def test_a_server_of_one_user_takes_runs_that_name_nobody_as_that_users(
    monkeypatch: pytest.MonkeyPatch, served: dict[str, Any]
) -> None:
    studio._opened.cache_clear()
    monkeypatch.setenv("SEAL_NAMESPACE", "ann")
    chat = served_graphs()["chat"]
    chat.invoke({"messages": [("user", TOWER)]})
    asked = {"messages": [("user", QUESTION)]}
    assert chat.invoke(asked, {"configurable": {"user": "ann"}})["messages"][-1].text == ANSWER
    with pytest.raises(InputError, match="this run names another user"):
        chat.invoke(asked, {"configurable": {"user": "bob"}})


def test_langgraph_json_names_builders_that_build_with_schemas(served: dict[str, Any]) -> None:
    first = {"chat": "respond", "ingest": "split", "improve": "explore"}
    for name, graph in served.items():
        assert first[name] in graph.get_graph().nodes
        assert graph.get_input_jsonschema()["properties"]
        assert graph.get_output_jsonschema()["properties"]


def test_langgraph_json_is_valid_for_langgraphs_own_command_line() -> None:
    config = validate_config_file(ROOT / "langgraph.json")
    assert set(config["graphs"]) == {"chat", "ingest", "improve"}


def test_the_pictures_in_the_docs_are_of_these_graphs(served: dict[str, Any]) -> None:
    for name, graph in served.items():
        drawn = graph.get_graph().draw_mermaid()
        assert (ROOT / "docs" / f"{name}.mmd").read_text() == drawn, "draw it again: python docs/draw.py"


def test_the_reply_of_a_chat_comes_token_by_token_on_the_stream_of_messages(learner: Learner) -> None:
    graph = create_chat_graph(learner).compile()
    say(graph, TOWER)
    question = {"messages": [HumanMessage(QUESTION)]}
    pieces = [str(chunk.text) for chunk, about in graph.stream(question, stream_mode="messages")]
    whole = graph.invoke(question)["messages"][-1]
    assert len(pieces) > 2
    assert "".join(pieces).strip() == whole.text == ANSWER
    assert whole.response_metadata["stack_version"] == 1
