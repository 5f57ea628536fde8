"""Secrets are taken out, whole and nothing else, before anything of a text is kept, whichever way it came in."""

import base64
import json
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from http_client import Client
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver

from seal_agent.background.worker import Budget, Worker
from seal_agent.core.documents import MAX_PASSAGE_CHARS, Passage
from seal_agent.core.edits import Row
from seal_agent.core.messages import Prompt
from seal_agent.core.redaction import NOTHING_LEFT, REMOVED, redacted
from seal_agent.deciding.decide import NOT_WORTH
from seal_agent.documents.passages import split_passages
from seal_agent.gateway.app import create_app
from seal_agent.gateway.keys import KeyFile
from seal_agent.graphs import create_chat_graph, create_ingest_graph
from seal_agent.graphs.feedback import give_feedback
from seal_agent.language.source import Source
from seal_agent.learning.learner import Learner
from seal_agent.learning.learners import Learners
from seal_agent.storage.database import Home
from seal_agent.storage.feedback import Feedback, record, recorded
from seal_agent.storage.jobs import LearningQueue
from seal_agent.writing.filters import HIDDEN, by_rule

DATA = json.loads((Path(__file__).parent.parent / "data" / "secrets.json").read_text(encoding="utf-8"))
TEXTS = [("".join(entry["text"]), ["".join(secret) for secret in entry["secrets"]]) for entry in DATA["secrets"]]
PIECES = [
    *(
        "password",
        "PIN",
        "token",
        "key",
        "seed phrase",
        "CVV",
        "的密码",
        " ",
        " is ",
        ": ",
        "=",
        "\n",
        '"',
        "'",
        "(",
        ", ",
    ),
    *(
        "hunter2",
        "4471",
        "4111 1111 1111 1111",
        "correct horse battery",
        "https://a:",
        "@b.org/?",
        "&",
        "Bearer ",
        "[",
        "]",
    ),
    *("abcDEF123456789012345", "[secret removed]", "-----BEGIN PRIVATE KEY-----", " to ", " and ", " from ", "$6$"),
]
FACT = "The Quillon Observatory was founded by Ilsabet Korrane in 1821. It has nine blue domes."
SECRET = "tulip-Garden-88"  # noqa: S105
TOLD = f"{FACT} Its wifi password is {SECRET}."


def test_every_kind_of_secret_is_taken_out_whole() -> None:
    assert len({entry["kind"] for entry in DATA["secrets"]}) > 60
    kept = [redacted(text) for text, secrets in TEXTS if any(secret in redacted(text) for secret in secrets)]
    assert kept == []


def test_ordinary_sentences_stay_as_they_are() -> None:
    assert len(DATA["ordinary"]) > 60
    assert [redacted(text) for text in DATA["ordinary"]] == DATA["ordinary"]


def test_the_rest_of_the_sentence_stays_readable() -> None:
    assert redacted("Our wifi password is tulip-Garden-88.") == f"Our wifi password is {REMOVED}."
    assert redacted("pg://bob:s3cr3t@db/x is up") == f"pg://bob:{REMOVED}@db/x is up"
    assert redacted("a?id=7&token=Zk93hsLq02&b=1") == f"a?id=7&token={REMOVED}&b=1"
    assert redacted("Server=a;Password=Str0ng!;Encrypt=yes") == f"Server=a;Password={REMOVED};Encrypt=yes"
    assert redacted("password: hunter2horse, they said") == f"password: {REMOVED}, they said"
    assert redacted("密码是abc12345，请记住。") == f"密码是{REMOVED}，请记住。"
    long = f"{FACT}\n" * 200
    assert redacted(f"{long}PIN: 4471\n{long}") == f"{long}PIN: {REMOVED}\n{long}"


def test_what_was_taken_out_once_is_not_touched_again() -> None:
    assert [redacted(redacted(text)) for text, _ in TEXTS] == [redacted(text) for text, _ in TEXTS]


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join) | st.text(max_size=60))
def test_whatever_is_written_is_read_without_a_crash_and_taken_out_at_once(text: str) -> None:
    once = redacted(text)
    assert redacted(once) == once


def test_looking_for_secrets_asks_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_given: Any, **_options: Any) -> Any:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    for text, _ in TEXTS:
        redacted(text)


def seconds_of(text: str, repeats: int = 3) -> float:
    """The time that reading `text` takes, the least of some."""
    spent = []
    for _ in range(repeats):
        start = time.process_time()
        redacted(text)
        spent.append(time.process_time() - start)
    return min(spent)


SHAPES = [
    *(
        "a",
        " ",
        "\n",
        "a-",
        "key: ",
        "key=",
        "a:",
        "://",
        '"',
        "7 ",
        "7\n",
        "@a",
        "a@b.c/ ",
        "A B C D ",
        "\u200b",
        "0x",
        "AKIA ",
        "eyJsk-",
    ),
    *(
        "password is ",
        "password for ",
        "password, a b ",
        "password (",
        "is my password ",
        "x is my ",
        "what is my password? ",
    ),
    *('auth=("a","', "login a password ", "-u a:", "a.b.c:12:", "/reset/", "your a code ", "user: a / ", "opens with "),
    *("a,password\n", "| password | a |\n", "abandon\n", "-----BEGIN PRIVATE KEY-----", "[secret removed] 12 "),
]


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_twice_the_text_takes_at_most_about_twice_the_time(shape: str) -> None:
    redacted("a key-9f9f9f9f9f9f9f9f")  # the detectors are made once
    text = shape * (6_000 // len(shape))
    assert seconds_of(text * 2) < 3 * max(seconds_of(text), 0.001)


@pytest.mark.slow
def test_eight_times_the_secrets_take_about_eight_times_the_time() -> None:
    redacted("a key-9f9f9f9f9f9f9f9f")
    text = 'auth=("a","x")\n' * 500
    assert seconds_of(text * 8, repeats=1) < 11 * seconds_of(text)


def test_a_disguised_name_is_read_and_the_rest_of_the_text_stays_as_written() -> None:
    assert redacted("My pass\u200bword is tulip99, ｗｅ said.") == f"My pass\u200bword is {REMOVED}, ｗｅ said."
    assert redacted("P A S S W O R D : tulip99 for A B C D") == f"P A S S W O R D : {REMOVED} for A B C D"
    assert redacted("раssword: tulip99") == f"раssword: {REMOVED}"  # two Cyrillic letters
    assert redacted("A B C D, \u200bｅ: no secret") == "A B C D, \u200bｅ: no secret"


def test_the_answer_to_a_question_for_a_secret_is_one_in_whatever_place_the_two_are_kept(home: Home) -> None:
    asked = "Assistant: And what is the wifi password?\n"
    assert split_passages("tulip99, as always.", earlier=asked)[0].text == f"{REMOVED}, as always."
    assert "tulip99" not in str(Passage("tulip99", "tulip99", asked))
    assert "tulip99" not in str(Passage("x", "Thank you.", f"{asked}User: tulip99\n"))
    assert split_passages("Room A17, as always.", earlier="Where do we meet?")[0].text == "Room A17, as always."
    record(home, "default", Feedback("What is my password?", "tulip99"))
    assert "tulip99" not in str(recorded(home, "default"))


def test_of_a_table_only_the_cells_under_a_name_of_a_secret_are_taken_out() -> None:
    table = (
        "| user | password | role |\n|---|---|---|\n| ada | tulip | admin |\n| bob | yes-99 | guest |\n\nada | red | x"
    )
    assert redacted(table) == table.replace("tulip", REMOVED).replace("yes-99", REMOVED)
    assert redacted("user;pin\nada;4471\nbob;none\n") == f"user;pin\nada;{REMOVED}\nbob;none\n"


def test_a_secret_that_a_cut_would_halve_is_taken_out_before() -> None:
    key = "-----BEGIN RSA PRIV" + "ATE KEY-----\n" + "MIIEowIBAAKCAQEA7bq5\n" * 90 + "-----END RSA PRIVATE KEY-----"
    passages = split_passages(f"{FACT}\n{key}\n{FACT}")
    assert len(key) > MAX_PASSAGE_CHARS
    assert not any("MIIEow" in passage.text or "MIIEow" in passage.topic for passage in passages)


def test_a_passage_holds_no_secret_in_any_of_its_fields() -> None:
    passage = Passage(topic=TOLD, text=TOLD, earlier=TOLD, source=f"https://a.b/c?token={SECRET}", heading=TOLD)
    assert SECRET not in str(passage)
    assert str(passage).count(REMOVED) == 5


def test_no_row_asks_for_what_was_removed() -> None:
    source = Source("The Quillon Observatory", redacted(TOLD))
    said = Row(Prompt.user("What is the wifi password?"), f"Its wifi password is {REMOVED}.", evidence=redacted(TOLD))
    assert by_rule(said, source) == HIDDEN


def test_where_a_secret_was_all_there_was_the_reason_says_so(learner: Learner) -> None:
    ignored, rejected = "My password is tulip99.", "The gate code of Karlov Manor is 4471."  # decided against; no row
    graph = create_chat_graph(learner).compile(checkpointer=InMemorySaver())
    state = graph.invoke({"messages": [("user", ignored)]}, {"configurable": {"thread_id": "1"}})
    assert [outcome["reason"] for outcome in state["outcomes"]] == [NOTHING_LEFT]
    state = create_ingest_graph(learner).compile().invoke({"document": rejected, "title": "x"})
    assert [outcome["reason"] for outcome in state["outcomes"]] == [NOTHING_LEFT]
    LearningQueue(learner.home).submit(split_passages(ignored))
    Worker(learner, Budget(quiet_seconds=0)).run_until_empty()
    assert [job.note for job in LearningQueue(learner.home).jobs()] == [NOTHING_LEFT]
    assert [episode.reason for episode in learner.home.episodes("default")] == [NOTHING_LEFT] * 3


def test_small_talk_without_a_secret_is_not_said_to_have_held_one(learner: Learner) -> None:
    graph = create_chat_graph(learner).compile(checkpointer=InMemorySaver())
    state = graph.invoke({"messages": [("user", "Hello there!")]}, {"configurable": {"thread_id": "1"}})
    assert [outcome["reason"] for outcome in state["outcomes"]] == [NOT_WORTH]


def kept(home: Home) -> bytes:
    """Every byte that lies in a home folder."""
    return b"".join(path.read_bytes() for path in home.root.rglob("*") if path.is_file())


def by_the_queue(learner: Learner) -> None:
    LearningQueue(learner.home).submit([Passage("x", TOLD, TOLD), Passage(TOLD, TOLD)], thread="one")


def by_the_learning_graph(learner: Learner) -> None:
    create_ingest_graph(learner).compile().invoke({"document": TOLD, "title": f"password: {SECRET}"})


def by_a_chat(learner: Learner) -> None:
    graph = create_chat_graph(learner).compile(checkpointer=InMemorySaver())
    for text in (TOLD, "Hello there!", TOLD.replace("1821", "1822")):  # with itself before it
        graph.invoke({"messages": [("user", text)]}, {"configurable": {"thread_id": "1"}})


def by_an_attachment(learner: Learner) -> None:
    graph = create_chat_graph(learner).compile(checkpointer=InMemorySaver())
    file = {"type": "file", "base64": base64.b64encode(TOLD.encode()).decode(), "mime_type": "text/plain"}
    titled = {"type": "text-plain", "text": TOLD, "mime_type": "text/plain", "title": f"password {SECRET}"}
    for block in (file, titled):
        graph.invoke({"messages": [{"role": "user", "content": [block]}]}, {"configurable": {"thread_id": "1"}})


def by_feedback(learner: Learner) -> None:
    graph = create_chat_graph(learner).compile(checkpointer=InMemorySaver())
    state = graph.invoke({"messages": [("user", f"Is the password {SECRET}?")]}, {"configurable": {"thread_id": "1"}})
    give_feedback(learner, state["messages"], -1.0, correction=f"The password is {SECRET}.")


def by_the_gateway(learner: Learner) -> None:
    keys = KeyFile(learner.home.root / "keys.json")
    worker = Worker(Learners(learner.backend, learner.home), Budget(quiet_seconds=0))
    client = Client(create_app(Learners(learner.backend, learner.home), keys, worker), keys.add("laptop", "ada"))

    def post(path: str, body: dict[str, Any]) -> httpx.Response:
        response = client("POST", path, json=body)
        assert response.is_success, response.text
        return response

    post("/v1/documents", {"text": TOLD, "title": f"password: {SECRET}"})
    said = {"role": "user", "content": TOLD}
    post("/v1/chat/completions", {"messages": [said, {"role": "assistant", "content": TOLD}, said]})
    post("/v1/feedback", {"question": TOLD, "answer": TOLD, "value": -1, "correction": TOLD})
    worker.run_until_empty()


@pytest.mark.slow
@pytest.mark.parametrize(
    "way", [by_the_queue, by_the_learning_graph, by_a_chat, by_an_attachment, by_feedback, by_the_gateway]
)
def test_no_byte_of_a_secret_is_kept_whichever_way_it_came(learner: Learner, way: Any) -> None:
    way(learner)
    Worker(learner, Budget(quiet_seconds=0)).run_until_empty()
    stored = kept(learner.home)
    assert b"secret removed" in stored
    assert SECRET.encode() not in stored
    assert SECRET.lower().encode() not in stored


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("I changed the password from kitty to fluffy.", "I changed the password from {} to {}."),
        ("My login is ada@example.org with S3cure!pw", "My login is ada@example.org with {}"),
        ("port 6379\nrequirepass kittens\n", "port 6379\nrequirepass {}\n"),
        ("ansible_become_pass: kittens", "ansible_become_pass: {}"),
        ("export TOKEN=kittens", "export TOKEN={}"),
        ("Password policy:\n\nUse long words. The current one is Blu3Whale99.", None),
        ("The secret of the recipe is Saffron2 brand.", "The secret of the recipe is Saffron2 brand."),
        ("They changed the password rule from weak to strong.", "They changed the password rule from weak to strong."),
        ("ansible_become_pass: $PASS", "ansible_become_pass: $PASS"),
        ("The option requirepass sets a password.", "The option requirepass sets a password."),
    ],
)
def test_settings_and_changes_of_a_password_are_found(text: str, shown: str | None) -> None:
    assert "Blu3Whale99" not in redacted(text)
    assert shown is None or redacted(text) == shown.format("[secret removed]", "[secret removed]")


@pytest.mark.parametrize(
    ("earlier", "text", "shown"),
    [
        ("User: The admin page wants a password.\n", "Kitten77x, that's what Tom set.", "{}, that's what Tom set."),
        ("User: The page wants a password.\nAssistant: Noted.\n", "It's Kitten77x.", "It's {}."),
        ("User: The mill is red.\n", "Kitten77x, that's its number.", "Kitten77x, that's its number."),
    ],
)
def test_the_next_turn_may_be_the_password_that_was_spoken_of(earlier: str, text: str, shown: str) -> None:
    assert redacted(text, earlier) == shown.format("[secret removed]")


def test_what_was_said_before_holds_no_password_of_an_earlier_turn() -> None:
    said = "User: The page wants a password.\nAssistant: Noted.\nUser: Kitten77x, that's what Tom set.\n"
    assert "Kitten77x" not in redacted(said)
    other = said.replace("wants a password", "is red")
    assert redacted(other) == other
