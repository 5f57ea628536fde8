"""Requests: what is refused and how, what tools and schemas do, limits and keys."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from gateways import OTHER, TEXT, Make
from http_client import Client

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.errors import InputError
from seal_agent.core.messages import ToolCall
from seal_agent.core.stacks import AdapterStack
from seal_agent.core.tool_format import TAGGED
from seal_agent.gateway.keys import KeyFile
from seal_agent.gateway.limits import GatewayLimits, RateLimit
from seal_agent.storage.database import Home

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
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
