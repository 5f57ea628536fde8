"""The gateway over the scripted backend: who may ask, what is answered by which version, what is learned behind it."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from gateways import TEXT, Make, learned
from http_client import Client

from seal_agent.adapters.scripted import UNKNOWN, ScriptedBackend
from seal_agent.core.errors import ServerError
from seal_agent.core.messages import Generated, Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.gateway.keys import KeyFile
from seal_agent.storage.database import Home


class Breaking(ScriptedBackend):
    """Loses its server in mid-stream, at the word that says so."""

    def with_stack(self, stack: AdapterStack) -> "Breaking":
        return Breaking(self._home, replies=self._replies, stack=super().with_stack(stack).stack)

    def stream(self, prompt: Prompt, **options: Any) -> Iterator[Generated]:
        for piece in super().stream(prompt, **options):
            if piece.startswith("BREAK"):
                raise ServerError("the server was lost in mid-reply; ask again")
            yield piece


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
