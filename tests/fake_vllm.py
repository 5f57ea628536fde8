"""A stand-in for vLLM's HTTP interface, for what a real server does too rarely to wait for: restarts, refusals, death.

What it answers was read off vLLM 0.32.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

BASE = "/models/base"


@dataclass
class FakeVLLM:
    """Says by which adapter it was asked; `before` runs ahead of every completion and may change or break it."""

    adapters: dict[str, str] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None
    on_unload: Callable[[], None] = lambda: None
    is_up: bool = True
    requests: list[tuple[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.handle)

    def handle(self, request: httpx.Request) -> httpx.Response:
        if not self.is_up:
            raise httpx.ConnectError("connection refused")
        body = json.loads(request.content) if request.content else {}
        with self.lock:
            self.requests.append((request.url.path, body))
            return self.route(request.url.path, body)

    def route(self, path: str, body: dict[str, Any]) -> httpx.Response:
        if path == "/v1/models":
            models = [{"id": BASE, "root": BASE, "max_model_len": 64}]
            models += [{"id": name, "root": root, "parent": BASE} for name, root in self.adapters.items()]
            return httpx.Response(200, json={"data": models})
        if path == "/v1/load_lora_adapter":
            if body["lora_name"] in self.adapters:
                return refused(400, f"The lora adapter '{body['lora_name']}' has already been loaded.")
            if "rank" in body["lora_path"]:
                return refused(500, "LoRA rank 64 is greater than max_lora_rank 32.")
            self.adapters[body["lora_name"]] = body["lora_path"]
        elif path == "/v1/unload_lora_adapter":
            if self.adapters.pop(body["lora_name"], None) is None:
                return refused(404, f"The lora adapter '{body['lora_name']}' cannot be found.")
            self.on_unload()
        elif path == "/v1/completions":
            self.before()
            return self.complete(body)
        return httpx.Response(200)

    def complete(self, body: dict[str, Any]) -> httpx.Response:
        model = body["model"]
        if model not in {BASE, *self.adapters}:
            return refused(404, f"The model `{model}` does not exist.")
        if body.get("stream"):
            pieces = [
                {"text": model, "token_ids": [1], "finish_reason": None},
                {"text": "!", "token_ids": [2, 3], "finish_reason": "stop"},
            ]
            events = [json.dumps({"choices": [piece]}) for piece in pieces]
            return httpx.Response(200, text="".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]))
        rows = body["prompt"] if isinstance(body["prompt"][0], list) else [body["prompt"]]
        choices = [
            {
                "index": number,
                "text": model,
                "token_ids": [1, 2, 3],
                "finish_reason": "length",
                "prompt_logprobs": [None, *({str(token): {"logprob": -token / 10}} for token in row[1:])],
            }
            for number, row in enumerate(row for row in rows for _ in range(body["n"]))
        ]
        return httpx.Response(200, json={"model": model, "choices": choices[::-1]})


def refused(status: int, message: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"message": message, "code": status}})
