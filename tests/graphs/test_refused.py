"""What a graph refuses: no message, a document that is none, a text of the wrong kind or too long."""

from typing import Any

import pytest
from chatting import BRIDGE, outcomes, say
from langchain_core.messages import AIMessage, ChatMessage, HumanMessage, SystemMessage
from langgraph.checkpoint.memory import InMemorySaver
from threads import GREETING, TOWER, thread

from seal_agent import SelfAdaptation, open_learner
from seal_agent.adapters.scripted import UNKNOWN, ScriptedBackend
from seal_agent.background.worker import Worker
from seal_agent.core.characters import whole
from seal_agent.core.errors import ContextLengthExceeded, InputError
from seal_agent.graphs import create_chat_graph, create_ingest_graph, give_feedback
from seal_agent.graphs.conversations import fitted
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.storage.database import Home


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
