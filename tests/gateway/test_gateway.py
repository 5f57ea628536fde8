"""The gateway over the scripted backend: who may ask, what is answered by which version, what is learned behind it."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from http_client import Client

from seal_agent.adapters.scripted import UNKNOWN, ScriptedBackend
from seal_agent.background.worker import Budget, Worker
from seal_agent.core.errors import InputError, ServerError
from seal_agent.core.messages import Generated, Prompt, ToolCall
from seal_agent.core.stacks import AdapterStack
from seal_agent.core.tool_format import TAGGED
from seal_agent.documents.files import document_of
from seal_agent.documents.passages import split_passages
from seal_agent.gateway.app import create_app
from seal_agent.gateway.keys import KeyFile
from seal_agent.gateway.limits import GatewayLimits, RateLimit
from seal_agent.learning.learner import Learner
from seal_agent.learning.learners import Learners
from seal_agent.storage.database import Home
from seal_agent.storage.documents import known_documents
from seal_agent.storage.jobs import LearningQueue

TEXT = "The Quillon Observatory was founded by Ilsabet Korrane in 1821. It has nine blue domes."
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
HILL = "The hill of Orlen was bought by Greta Sund in 1871."
OTHER = "The Pellen Bridge was opened by Tom Varga in 1954. It has four iron arches."
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
STRICT = {"type": "function", "function": {**WEATHER["function"], "strict": True}}
REPLIES = {
    "Will it rain": f"Let me see. {TAGGED.written(ToolCall('weather', json.dumps({'city': 'Rome'})))}",
    "Force": ' {"city": "Rome"}',
    "It rains": "Take an umbrella.",
}


def nested(depth: int) -> dict[str, Any]:
    """A schema of so many levels."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth // 2):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def schema_format(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


CALLING = {
    "role": "assistant",
    "tool_calls": [{"id": "1", "function": {"name": "a", "arguments": '{"a": ' * 80 + "1" + "}" * 80}}],
}


class Breaking(ScriptedBackend):
    """Loses its server in mid-stream, at the word that says so."""

    def with_stack(self, stack: AdapterStack) -> "Breaking":
        return Breaking(self._home, replies=self._replies, stack=super().with_stack(stack).stack)

    def stream(self, prompt: Prompt, **options: Any) -> Iterator[Generated]:
        for piece in super().stream(prompt, **options):
            if piece.startswith("BREAK"):
                raise ServerError("the server was lost in mid-reply; ask again")
            yield piece


Make = Callable[..., Client]


@pytest.fixture
def keys(home: Home) -> KeyFile:
    return KeyFile(home.root / "keys.json")


@pytest.fixture
def make(home: Home, keys: KeyFile) -> Iterator[Make]:
    """A gateway, and the client of somebody in the namespace "ada"."""
    workers: list[Worker] = []

    def made(
        backend: Any = None,
        limits: GatewayLimits | None = None,
        *,
        needs_approval: bool = False,
        learns: bool = True,
        clock: Any = None,
    ) -> Client:
        model = backend or ScriptedBackend(home.root, replies={"Hello": "Good day. "})
        learners = Learners(model, home)
        worker = Worker(learners, Budget(quiet_seconds=0))
        if learns:
            workers.append(worker.start())
        limits = limits or GatewayLimits(burst=1000)
        app = create_app(learners, keys, worker, limits, needs_approval=needs_approval, clock=clock or time.monotonic)
        client = Client(app, keys.add(f"laptop {len(keys.all())}", "ada"))
        client.workers = workers
        return client

    yield made
    for worker in workers:
        worker.stop()


@pytest.fixture
def ada(make: Make) -> Client:
    return make()


def learned(client: Client) -> dict[str, Any]:
    """An adapter that was learned from a document."""
    job = client("POST", "/v1/documents", json={"text": TEXT}).json()
    assert client.waited(job["id"])["outcomes"][0]["outcome"] == "accepted"
    (adapter,) = client("GET", "/v1/adapters").json()["data"]
    return dict(adapter)


def events(response: httpx.Response) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_a_reply_is_openais_with_the_version_of_the_stack(ada: Client) -> None:
    response = ada.chat()
    body = response.json()
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "Good day."}
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"] == {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
    assert ada.chat(max_tokens=1).json()["choices"][0]["finish_reason"] == "length"
    assert (body["model"], body["system_fingerprint"]) == ("scripted", "seal-v0")
    assert (response.headers["x-seal-stack-version"], response.headers["x-seal-adapters"]) == ("0", "")


@pytest.mark.slow
def test_what_a_document_says_is_known_in_its_namespace_and_in_no_other(ada: Client, home: Home, keys: KeyFile) -> None:
    adapter = learned(ada)
    episode = home.episodes("ada", ["accepted"])[-1]
    assert episode.edit
    probe = episode.edit.probes[0]
    asked = {"messages": [{"role": "user", "content": probe.prompt.messages[-1].content}]}
    reply = ada.chat(**asked)
    assert reply.json()["choices"][0]["message"]["content"] == probe.answer
    assert reply.json()["system_fingerprint"] == "seal-v1"
    assert reply.headers["x-seal-adapters"] == adapter["id"][:12]
    bob = Client(ada.app, keys.add("bob", "bob"))
    assert bob.chat(**asked).json()["choices"][0]["message"]["content"] == UNKNOWN
    for path in ("/v1/adapters", "/v1/documents"):
        assert bob("GET", path).json()["data"] == []
    assert bob("POST", f"/v1/adapters/{adapter['id']}/rollback").status_code == 404


@pytest.mark.slow
def test_an_adapter_that_is_rolled_back_answers_no_more(ada: Client) -> None:
    adapter = learned(ada)
    for few in ("a", adapter["id"][:7]):
        assert ada("POST", f"/v1/adapters/{few}/rollback").status_code == 404
    assert len(ada("GET", "/v1/adapters").json()["data"]) == 1
    assert ada("POST", f"/v1/adapters/{adapter['id'][:12]}/rollback").json()["adapters"] == []
    assert ada("GET", "/v1/adapters").json()["data"] == []
    assert ada.chat().json()["system_fingerprint"] == "seal-v2"


@pytest.mark.slow
def test_a_document_that_is_deleted_is_unlearned_whichever_of_its_copies_is_named(ada: Client, keys: KeyFile) -> None:
    first = ada("POST", "/v1/documents", json={"text": TEXT}).json()["id"]
    ada.waited(first)
    again = ada("POST", "/v1/documents", json={"text": TEXT}).json()["id"]
    assert ada.waited(again)["outcomes"][0]["outcome"] == "known"
    (adapter,) = ada("GET", "/v1/adapters").json()["data"]
    bob = Client(ada.app, keys.add("bob", "bob"))
    assert bob("DELETE", f"/v1/documents/{again}").status_code == 404
    gone = ada("DELETE", f"/v1/documents/{again}")
    assert gone.json() == {
        "id": again,
        "object": "document.deleted",
        "deleted": True,
        "adapters": [adapter["id"]],
        "is_gone": True,
    }
    assert ada("GET", "/v1/adapters").json()["data"] == []
    assert ada("GET", f"/v1/documents/{again}").status_code == 404
    anew = ada("POST", "/v1/documents", json={"text": TEXT}).json()["id"]
    assert ada.waited(anew)["outcomes"][0]["outcome"] == "accepted"


@pytest.mark.slow
def test_a_message_is_learned_from_behind_its_reply(ada: Client) -> None:
    response = ada.chat(messages=[{"role": "user", "content": TEXT}], learn=True)
    assert response.json()["system_fingerprint"] == "seal-v0"
    assert ada.waited(response.headers["x-seal-learning"])["outcomes"][0]["outcome"] == "accepted"
    assert ada.chat().json()["system_fingerprint"] == "seal-v1"
    assert "x-seal-learning" not in ada.chat().headers


def test_a_stream_holds_the_reply_in_pieces(make: Make, home: Home) -> None:
    client = make(ScriptedBackend(home.root, replies={"Hello": "Good day to you"}))
    response = client.chat(stream=True, stream_options={"include_usage": True})
    first, *pieces, last, usage = events(response)
    assert response.headers["x-seal-stack-version"] == "0"
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert "".join(piece["choices"][0]["delta"]["content"] for piece in pieces).strip() == "Good day to you"
    assert (last["choices"][0]["finish_reason"], last["object"]) == ("stop", "chat.completion.chunk")
    assert len(pieces) == 4
    assert (usage["choices"], usage["usage"]["completion_tokens"]) == ([], 4)


@pytest.mark.slow
def test_a_streamed_message_is_learned_from_when_the_stream_has_ended(make: Make, home: Home) -> None:
    client = make(Breaking(home.root))
    events(client.chat(messages=[{"role": "user", "content": TEXT}], stream=True, learn=True))
    (job,) = client("GET", "/v1/documents").json()["data"]
    assert client.waited(job["id"])["status"] == "done"


def test_a_server_lost_before_the_first_word_is_a_status_and_later_the_last_event(make: Make, home: Home) -> None:
    client = make(Breaking(home.root, replies={"Hello": "BREAK", "Bye": "Good BREAK"}))
    at_once = client.chat(stream=True)
    assert (at_once.status_code, at_once.json()["error"]["type"]) == (503, "server_error")
    later = client.chat(messages=[{"role": "user", "content": "Bye"}], stream=True)
    assert events(later)[-1]["error"]["message"] == "the server was lost in mid-reply; ask again"


@pytest.mark.slow
def test_nothing_is_learned_before_a_person_agrees(make: Make) -> None:
    client = make(needs_approval=True)
    first, second = (client("POST", "/v1/documents", json={"text": text}).json()["id"] for text in (TEXT, OTHER))
    waiting = client("GET", "/v1/approvals").json()["data"]
    assert [(job["id"], job["text"]) for job in waiting] == [(first, TEXT), (second, OTHER)]
    assert client("POST", f"/v1/approvals/{second}/reject").json()["status"] == "rejected"
    client("POST", f"/v1/approvals/{first}/approve")
    assert client.waited(first)["outcomes"][0]["outcome"] == "accepted"
    assert client("POST", f"/v1/approvals/{second}/approve").status_code == 400
    assert client("GET", "/v1/approvals").json()["data"] == []


def test_what_waits_and_what_is_held_outlives_the_gateway(make: Make, home: Home, keys: KeyFile) -> None:
    ended, asking = make(learns=False), make(learns=False, needs_approval=True)
    queued = ended("POST", "/v1/documents", json={"text": TEXT, "title": "Quillon"}).json()
    held = asking("POST", "/v1/documents", json={"text": OTHER}).json()
    assert (queued["status"], held["status"]) == ("queued", "waiting for approval")
    client = make()
    assert client.waited(queued["id"])["outcomes"][0]["outcome"] == "accepted"
    shown = client("GET", "/v1/documents").json()["data"]
    assert [(text["id"], text["status"]) for text in shown] == [(held["id"], held["status"]), (queued["id"], "done")]
    assert [text["id"] for text in client("GET", "/v1/approvals").json()["data"]] == [held["id"]]
    bob = Client(client.app, keys.add("bob", "bob"))
    assert bob("GET", f"/v1/documents/{held['id']}").status_code == 404
    assert bob("POST", f"/v1/approvals/{held['id']}/approve").status_code == 400
    assert bob("GET", "/v1/approvals").json()["data"] == []
    assert len(home.stack("ada")) == 1


@pytest.mark.slow
def test_a_text_of_many_passages_is_one_document_with_a_report_for_each(make: Make, home: Home) -> None:
    client = make(learns=False)
    long = f"Quillon\n\n{TEXT}\n\nPellen\n\n{OTHER}"
    given = client("POST", "/v1/documents", json={"text": long}).json()
    assert client("POST", "/v1/documents", json={"text": long}).json()["id"] == given["id"]
    assert [text["status"] for text in client("GET", "/v1/documents").json()["data"]] == ["queued"]
    done = make().waited(given["id"])
    assert [outcome["outcome"] for outcome in done["outcomes"]] == ["accepted", "accepted"]
    assert [outcome["adapter"] for outcome in done["outcomes"]] == list(home.stack("ada").ids)


FERRY = "The Lantern Ferry crosses Lake Vandrel at dawn. It carries forty orange sheep."


def post(client: Client, *texts: str, **fields: str) -> dict[str, Any]:
    """A document in sections."""
    text = "\n\n".join(f"Section {text.split()[1]}\n\n{text}" for text in texts)
    posted = client("POST", "/v1/documents", json={"text": text, **fields})
    assert posted.status_code == 202, posted.text
    return dict(posted.json())


def known(home: Home) -> list[str]:
    """What is learned and served for ada, oldest first."""
    learner = Learner(ScriptedBackend(home.root), home, "ada")
    return [e.text for e in learner.state.accepted(learner.stack.ids)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [{"title": "ferry.md"}, {"source": "https://x.org/ferry.md", "title": "Ferry"}], ids=str
)
def test_a_changed_document_replaces_its_old_version(ada: Client, home: Home, name: dict[str, str]) -> None:
    first = ada.waited(post(ada, TEXT, OTHER, **name)["id"])
    assert [o["outcome"] for o in first["outcomes"]] == ["accepted", "accepted"]
    second = ada.waited(post(ada, TEXT, FERRY, **name)["id"])
    assert [o["outcome"] for o in second["outcomes"]] == ["forgotten", "known", "accepted"]
    assert known(home) == [TEXT, FERRY]
    third = ada.waited(post(ada, FERRY, **name)["id"])
    assert [o["outcome"] for o in third["outcomes"]] == ["forgotten", "known"]
    assert known(home) == [FERRY]
    assert "Quillon" not in str([e.text for e in home.episodes("ada")])
    assert len(known_documents(home, "ada")) == 1
    ada("DELETE", f"/v1/documents/{third['id']}")
    assert (known(home), known_documents(home, "ada")) == ([], [])


@pytest.mark.slow
def test_a_document_of_an_older_version_of_the_package_is_replaced_and_deleted_by_its_id(
    make: Make, home: Home
) -> None:
    queue = LearningQueue(home)
    former = document_of(f"{TEXT} {OTHER}", kind="document ferry.md").source
    passages = [replace(split_passages(text)[0], source=former) for text in (TEXT, OTHER)]
    queue.submit(passages, "ada", thread="job-1", model="scripted")
    client = make()
    client.waited("job-1")
    client.waited(post(client, TEXT, FERRY, title="ferry.md")["id"])
    assert known(home) == [TEXT, FERRY]
    assert client("DELETE", "/v1/documents/job-1").status_code == 200
    assert (known(home), known_documents(home, "ada")) == ([], [])


@pytest.mark.slow
def test_documents_of_different_names_and_of_none_replace_nothing(ada: Client, home: Home) -> None:
    for text, name in ((TEXT, {"title": "a"}), (OTHER, {"title": "b"}), (FERRY, {})):
        ada.waited(post(ada, text, **name)["id"])
    assert known(home) == [TEXT, OTHER, FERRY]


@pytest.mark.slow
def test_a_new_version_replaces_one_that_still_waits(make: Make, home: Home) -> None:
    client = make(learns=False)
    first = post(client, TEXT, OTHER, title="ferry.md")
    assert post(client, TEXT, OTHER, title="ferry.md") == first  # the same is not taken twice
    second = post(client, OTHER, FERRY, title="ferry.md")
    assert client("GET", f"/v1/documents/{first['id']}").json()["status"] == "replaced"
    third = post(client, TEXT, OTHER, title="ferry.md")  # back to the first
    assert len({first["id"], second["id"], third["id"]}) == 3
    make().waited(third["id"])
    assert known(home) == [TEXT, OTHER]


@pytest.mark.slow
def test_what_was_learned_of_a_version_that_is_replaced_twice_before_the_worker_comes_stays(
    make: Make, home: Home
) -> None:
    client = make()
    client.waited(post(client, TEXT, title="ferry.md")["id"])
    asleep = make(learns=False)
    for worker in client.workers:
        worker.stop()
    post(asleep, OTHER, title="ferry.md")
    last = post(asleep, TEXT, OTHER, title="ferry.md")
    make().waited(last["id"])
    assert known(home) == [TEXT, OTHER]


@pytest.mark.slow
def test_a_version_that_waits_for_approval_replaces_nothing_before_it_is_approved(make: Make, home: Home) -> None:
    client = make(needs_approval=True)
    first = post(client, TEXT, title="ferry.md")["id"]
    client("POST", f"/v1/approvals/{first}/approve")
    client.waited(first)
    second, third = (post(client, text, title="ferry.md")["id"] for text in (OTHER, FERRY))
    assert [(each["id"], each["text"]) for each in client("GET", "/v1/approvals").json()["data"]] == [(third, FERRY)]
    assert client("GET", f"/v1/documents/{second}").json()["status"] == "replaced"
    assert known(home) == [TEXT]
    assert client("POST", f"/v1/approvals/{third}/reject").json()["status"] == "rejected"
    assert known(home) == [TEXT]
    fourth = post(client, OTHER, title="ferry.md")["id"]
    client("POST", f"/v1/approvals/{fourth}/approve")
    client.waited(fourth)
    assert known(home) == [OTHER]


def test_a_page_is_read_as_what_it_is(make: Make, home: Home) -> None:
    client = make(learns=False)
    page = {"text": f"<html><body><nav>Home</nav><p>{TEXT}</p></body></html>"}
    for number, kind in enumerate((None, "text/html", "text/html; charset=utf-8", "html")):
        posted = {**page, "title": f"page {number}"} | ({"content_type": kind} if kind else {})
        assert client("POST", "/v1/documents", json=posted).status_code == 202
    table = "| Room | Floor |\n|---|---|\n| Lark | 2 |\n"
    client("POST", "/v1/documents", json={"text": table, "title": "rooms.md"})
    assert [job.passage.text for job in LearningQueue(home).jobs("ada")] == [TEXT] * 4 + ["Lark, floor: 2."]
    refused = client("POST", "/v1/documents", json={"text": TEXT, "content_type": "application/json"})
    assert (refused.status_code, "give text, Markdown, HTML" in refused.text) == (400, True)
    empty = client("POST", "/v1/documents", json={"text": "<html><body><nav>Home</nav></body></html>"})
    assert (empty.status_code, "the document is empty" in empty.text) == (400, True)


def test_documents_are_listed_in_pages_the_newest_first(make: Make, keys: KeyFile) -> None:
    client = make(learns=False)
    given = [client("POST", "/v1/documents", json={"text": f"{TEXT} {n}."}).json()["id"] for n in range(5)]
    pages, after = [], ""
    for _ in range(3):
        page = client("GET", f"/v1/documents?limit=2&after={after}").json()
        pages.append([text["id"] for text in page["data"]])
        after = pages[-1][-1]
        assert page["has_more"] is (len(pages) < 3)
    assert pages == [given[4:2:-1], given[2:0:-1], given[:1]]
    assert client("GET", "/v1/documents?limit=0").status_code == 400
    assert client("GET", "/v1/documents?after=job-7").status_code == 400
    bob = Client(client.app, keys.add("bob", "bob"))
    assert bob("GET", f"/v1/documents?after={given[0]}").status_code == 400
    assert bob("GET", "/v1/documents").json() == {"object": "list", "data": [], "has_more": False}


@pytest.mark.slow
def test_a_document_that_was_learned_is_known(ada: Client) -> None:
    learned(ada)
    again = ada("POST", "/v1/documents", json={"text": TEXT}).json()
    assert ada.waited(again["id"])["outcomes"][0]["outcome"] == "known"


def test_a_message_is_learned_after_what_was_said_before_it(make: Make, home: Home) -> None:
    before = [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "On a hill."}]
    make(learns=False).chat(messages=[*before, {"role": "user", "content": TEXT}], learn=True)
    [job] = LearningQueue(home).jobs("ada")
    assert "On a hill." in job.passage.earlier
    assert job.passage.source == ""


def test_every_message_since_the_last_reply_is_learned(make: Make, home: Home) -> None:
    said = [
        ("user", "Where is it?"),
        ("assistant", "On a hill."),
        ("user", TEXT),
        ("system", "Be kind."),
        ("user", HILL),
    ]
    messages = [{"role": role, "content": content} for role, content in said]
    client = make(learns=False)
    text = client.chat(messages=messages, learn=True).headers["x-seal-learning"]
    assert [job.passage.text for job in LearningQueue(home).jobs("ada")] == [TEXT, HILL]
    assert client("GET", f"/v1/documents/{text}").json()["num_passages"] == 2


@pytest.mark.parametrize("header", ["", "Bearer sk-seal-wrong", "Basic {secret}", "Bearer"])
def test_without_a_key_nothing_is_told(ada: Client, header: str) -> None:
    secret = ada.headers["authorization"].removeprefix("Bearer ")
    ada.headers = {"authorization": header.format(secret=secret)}
    for method, path in [("GET", "/v1/models"), ("POST", "/v1/chat/completions"), ("GET", "/v1/adapters")]:
        response = ada(method, path)
        assert (response.status_code, response.json()["error"]["type"]) == (401, "authentication_error")
    assert ada("GET", "/health").status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"messages": []}, 400, "messages"),
        ({"messages": [{"role": "user", "content": " "}]}, 400, "the last message must be the user's"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, 400, "the last message must be the user's"),
        ({"messages": [{"role": "tool", "content": "x"}]}, 400, "tool_call_id"),
        (
            {"messages": [{"role": "user", "content": "x", "name": "ann"}]},
            400,
            "messages.0: names are not shown to the model",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "messages.0.content"),
        (
            {"messages": [{"role": "user", "content": [PICTURE]}]},
            400,
            "type 'image_url', and this model reads text only",
        ),
        ({"max_tokens": -1}, 400, "max_tokens: -1 is not a valid length; give 1 or more"),
        ({"model": "gpt-9"}, 404, "the model 'gpt-9' does not exist; use 'scripted'"),
        ({"tools": [{"type": "function"}]}, 400, "tools.0.function"),
        ({"tools": [WEATHER, WEATHER]}, 400, "two tools are called 'weather'"),
        ({"tools": [STRICT]}, 400, "set tool_choice"),
        ({"tools": [WEATHER], "response_format": {"type": "json_object"}}, 400, "response_format"),
        ({"tool_choice": "required"}, 400, "none is given"),
        ({"response_format": {"type": "json_schema"}}, 400, "response_format: json_schema requires"),
        ({"logprobs": True, "top_p": 0.9}, 400, "logprobs, top_p: not supported"),
        ({"function_call": "auto"}, 400, "function_call: not supported"),
        ({"guided_json": {}}, 400, "guided_json: not supported"),
        ({"max_tokens": 10**6}, 400, "more than the gateway's 1024"),
        ({"stream": True, "n": 2}, 400, "n=1"),
        ({"temperature": 3}, 400, "temperature"),
    ],
)
def test_a_request_that_cannot_be_answered_as_asked_is_refused(
    ada: Client, body: dict[str, Any], status: int, message: str
) -> None:
    response = ada.chat(**body)
    assert response.status_code == status
    assert message in response.json()["error"]["message"]


def test_what_changes_nothing_may_be_said(ada: Client) -> None:
    body = {
        "top_p": 1.0,
        "logprobs": False,
        "user": "ann",
        "tools": None,
        "presence_penalty": 0,
        "n": None,
        "stop": None,
    }
    assert ada.chat(**body).status_code == 200


def test_the_field_at_fault_is_named_as_a_client_reads_it(ada: Client) -> None:
    assert ada.chat(top_p=0.5).json()["error"]["param"] == "top_p"
    assert ada.chat(temperature=3).json()["error"]["param"] == "temperature"


@pytest.mark.slow
def test_openais_own_client_calls_tools_and_streams_them(make: Make, home: Home) -> None:
    openai, httpx2 = pytest.importorskip("openai"), pytest.importorskip("httpx2")
    client = make(ScriptedBackend(home.root, replies=REPLIES))

    async def ask(text: str, **options: Any) -> Any:
        transport = httpx2.ASGITransport(client.app)
        http = httpx2.AsyncClient(transport=transport)
        key = client.headers["authorization"].removeprefix("Bearer ")
        async with openai.AsyncOpenAI(base_url="http://gateway/v1", api_key=key, http_client=http) as ai:
            messages = [{"role": "user", "content": text}]
            create = ai.chat.completions.create
            options = {"model": "scripted", "extra_body": {"learn": False}, **options}
            reply = (await create(messages=messages, **options)).choices[0]
            if reply.message.tool_calls:
                result = {"role": "tool", "tool_call_id": reply.message.tool_calls[0].id, "content": "It rains"}
                told = [*messages, reply.message.model_dump(), result]
                then = (await create(messages=told, **options)).choices[0].message.content
            else:
                then = ""
            chunks = [c.choices[0] async for c in await create(messages=messages, stream=True, **options)]
            return reply, then, chunks

    for text, choice in (("Will it rain", "auto"), ("Force", {"type": "function", "function": {"name": "weather"}})):
        reply, then, chunks = asyncio.run(ask(text, tools=[WEATHER], tool_choice=choice))
        assert reply.finish_reason == "tool_calls"
        assert reply.message.tool_calls[0].function.name == "weather"
        assert json.loads(reply.message.tool_calls[0].function.arguments) == {"city": "Rome"}
        assert then.startswith("Take") or choice != "auto"
        calls = [c.delta.tool_calls[0].function for c in chunks if c.delta.tool_calls]
        assert calls[0].name == "weather"
        assert json.loads("".join(call.arguments for call in calls)) == {"city": "Rome"}
        assert chunks[-1].finish_reason == "tool_calls"
    reply, _, _ = asyncio.run(ask("Will it rain", tools=[WEATHER], tool_choice="none"))
    assert reply.finish_reason == "stop"
    with pytest.raises(openai.BadRequestError, match="top_p"):
        asyncio.run(ask("Hello", top_p=0.3))


def test_a_reply_is_held_to_the_schema_that_is_asked_for(make: Make, home: Home) -> None:
    held: list[Any] = []

    class Watched(ScriptedBackend):
        def with_stack(self, stack: AdapterStack) -> "Watched":
            return self

        def generate(self, prompts: Any, *, grammars: Any = (), **options: Any) -> Any:
            held.extend(grammars)
            return super().generate(prompts, grammars=grammars, **options)

    client = make(Watched(home.root, replies={"Hello": '{"city": "Rome"}'}))
    schema = WEATHER["function"]["parameters"]
    asked = {"type": "json_schema", "json_schema": {"name": "city", "schema": schema, "strict": True}}
    content = client.chat(response_format=asked).json()["choices"][0]["message"]["content"]
    assert json.loads(content) == {"city": "Rome"}
    [grammar] = held
    assert all(word in grammar.lark for word in ('"required": ["city"]', '"additionalProperties": false', "maxLength"))


def test_text_in_parts_and_a_system_prompt_are_understood(ada: Client) -> None:
    parts = [{"type": "text", "text": "Hello"}, {"type": "text", "text": " you"}]
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}]
    assert ada.chat(messages=messages, n=2).json()["choices"][1]["message"]["content"] == "Good day."


def test_a_body_beyond_the_limit_and_one_that_is_no_json_are_refused(make: Make) -> None:
    client = make(limits=GatewayLimits(max_body=300))
    assert client("POST", "/v1/documents", json={"text": "x" * 400}).status_code == 413
    assert client("POST", "/v1/documents", content=b"{").status_code == 400
    assert client("POST", "/v1/documents", json={"text": " "}).status_code == 400


def test_a_key_that_asks_too_often_is_told_how_long_to_wait(make: Make) -> None:
    now = [0.0]
    client = make(limits=GatewayLimits(per_minute=6, burst=2), clock=lambda: now[0])
    assert [client.chat().status_code for _ in range(3)] == [200, 200, 429]
    assert client.chat().headers["retry-after"] == "10"
    now[0] = 10.0
    assert client.chat().status_code == 200


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    rate = RateLimit(GatewayLimits(per_minute=60, burst=2))
    assert [rate.wait("key", 1000.0) for _ in range(3)] == [0, 0, 1]


def test_when_too_much_waits_documents_are_refused_and_replies_are_not(make: Make) -> None:
    client = make(limits=GatewayLimits(max_waiting=1, burst=100), needs_approval=True)
    client("POST", "/v1/documents", json={"text": TEXT})
    assert client("POST", "/v1/documents", json={"text": OTHER}).status_code == 429
    reply = client.chat(learn=True)
    assert (reply.status_code, reply.headers["x-seal-learning"]) == (200, "busy")


def test_what_a_user_made_of_an_answer_is_kept_in_the_users_namespace(ada: Client, keys: KeyFile) -> None:
    wrong = {"question": "Who built it?", "answer": "Karl", "value": -1, "correction": "Anna Reel"}
    given = ada("POST", "/v1/feedback", json=wrong)
    assert (given.status_code, [each["value"] for each in given.json()["data"]]) == (201, [-1.0, 1.0])
    assert ada("GET", "/v1/feedback").json()["data"] == given.json()["data"]
    assert Client(ada.app, keys.add("bob", "bob"))("GET", "/v1/feedback").json()["data"] == []
    assert ada("POST", "/v1/feedback", json={**wrong, "value": 2}).json()["error"]["param"] == "value"


def test_models_and_wrong_addresses(ada: Client) -> None:
    assert [model["id"] for model in ada("GET", "/v1/models").json()["data"]] == ["scripted"]
    assert ada("GET", "/v1/nothing").json()["error"]["message"] == "the gateway has no GET /v1/nothing"
    assert ada("GET", "/v1/chat/completions").status_code == 405
    assert ada("GET", "/v1/documents/job-1").status_code == 404


def test_keys_are_stored_as_hashes_and_known_at_once(tmp_path: Path) -> None:
    running, other = KeyFile(tmp_path / "keys.json"), KeyFile(tmp_path / "keys.json")
    assert running.namespace_of("sk-seal-x") is None
    secret = other.add("laptop", "ada")
    assert running.namespace_of(secret) == "ada"
    assert secret not in other.path.read_text()
    assert other.path.stat().st_mode & 0o077 == 0
    with pytest.raises(InputError, match="taken"):
        other.add("laptop", "bob")
    other.remove("laptop")
    assert running.namespace_of(secret) is None
    with pytest.raises(InputError, match="no key named"):
        other.remove("laptop")


def test_a_prompt_that_is_too_long_is_refused_before_the_model_works(home: Home, make: Make) -> None:
    """In OpenAI's form, by the gateway's own limit or by the model's context, tools included, streamed or not."""
    long = [{"role": "user", "content": "Hello " * 40}]
    by_the_gateway = make(limits=GatewayLimits(burst=1000, max_prompt_tokens=30))
    by_the_model = make(Unasked(home.root, context_length=30))
    for client, said in ((by_the_gateway, "this gateway allows 30"), (by_the_model, "scripted reads 30")):
        tool = {"type": "function", "function": {"name": "a", "description": "word " * 40}}
        for body in ({"messages": long}, {"messages": long, "stream": True}, {"tools": [tool]}):
            response = client.chat(**body)
            error = response.json()["error"]
            assert response.status_code == 400
            assert (error["type"], error["code"]) == ("invalid_request_error", "context_length_exceeded")
            assert said in error["message"]
            assert "shorten" in error["message"]


class Unasked(ScriptedBackend):
    """A model that must not be asked."""

    def generate(self, *_given: Any, **_options: Any) -> Any:
        raise AssertionError("the model was asked")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"stop": ["x"] * 17}, "16"),
        ({"stop": "x" * 300}, "256"),
        ({"response_format": schema_format({"type": "integer", "multipleOf": 999983})}, "multipleOf"),
        ({"response_format": schema_format({"enum": ["x" * 70_000]})}, "65536"),
        ({"response_format": schema_format(nested(80))}, "64 levels"),
        ({"tools": [{"type": "function", "function": {"name": "a", "parameters": nested(80)}}]}, "64 levels"),
        ({"messages": [CALLING, {"role": "tool", "content": "x", "tool_call_id": "1"}]}, "64 levels"),
    ],
)
def test_what_would_take_the_process_long_is_refused(ada: Client, body: dict[str, Any], said: str) -> None:
    response = ada.chat(**body)
    assert response.status_code == 400
    assert said in response.json()["error"]["message"]
