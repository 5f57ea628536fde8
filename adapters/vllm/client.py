"""A vLLM server over HTTP: completions of token ids, log-probabilities, loading and unloading of adapters.

It uses the server's OpenAI-compatible interface and knows no stacks, namespaces or prompts. Checked with vLLM 0.32.
"""

from __future__ import annotations

import json
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from seal_agent.adapters.vllm.protocol import Sampling, UnknownAdapter, generated, refused, why_not_loaded
from seal_agent.core.errors import AdapterError, ServerError
from seal_agent.core.messages import Generated

try:
    import httpx
except ImportError as error:
    raise ImportError("a vLLM server is reached through httpx; run `pip install 'seal-agent[vllm]'`") from error

CONNECT_SECONDS = 5.0
REQUEST_SECONDS = 600.0
PATIENCE = 300.0  # seconds to wait for a lost server: a small model took 160 to restart on two busy cores
MAX_RETRIES = 3  # of one request whose server died each time
POLL_SECONDS = 0.5
END_OF_STREAM = "[DONE]"
MAX_CONNECTIONS = 128
MAX_REQUESTS = 32  # in flight at once for one batch


@dataclass(frozen=True)
class ServedModel:
    """One line of `/v1/models`: the name, the folder or Hugging Face name it comes from, and its context.

    `max_tokens`: the context length; 0 if the server does not report it.
    """

    name: str
    root: str
    max_tokens: int = 0


class VLLMClient:
    """One server; see `VLLM` for the interface.

    A request that finds no server, or loses it, waits up to `patience` seconds and is sent again, `MAX_RETRIES` times
    at most. Completions change nothing on the server, so sending one twice is safe.
    """

    max_requests = MAX_REQUESTS

    def __init__(
        self,
        url: str,
        *,
        api_key: str = "",
        patience: float = PATIENCE,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self._patience = patience
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(REQUEST_SECONDS, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS),
            transport=transport,
        )
        weakref.finalize(self, self._http.close)

    def is_healthy(self) -> bool:
        """Whether the server answers and reports a healthy engine."""
        try:
            return self._http.get("/health", timeout=CONNECT_SECONDS).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def models(self) -> list[ServedModel]:
        """The base model first, then the adapters that are loaded."""
        found = self._send("GET", "/v1/models").json()["data"]
        return [ServedModel(m["id"], m.get("root") or "", int(m.get("max_model_len") or 0)) for m in found]

    def complete(self, model: str, tokens: Sequence[int], sampling: Sampling) -> list[Generated]:
        """As `VLLM.complete`."""
        body = {"model": model, "prompt": list(tokens), **_payload(sampling)}
        return [_generated(choice) for choice in self._choices(model, body)]

    def stream(self, model: str, tokens: Sequence[int], sampling: Sampling) -> Iterator[Generated]:
        """One continuation in pieces; losing the server raises `ServerError`."""
        body = {"model": model, "prompt": list(tokens), **_payload(sampling), "stream": True}
        for attempt in range(MAX_RETRIES + 1):
            has_begun = False
            try:
                for piece in self._pieces(body):
                    has_begun = True
                    yield piece
                return
            except httpx.TransportError as error:
                if has_begun:
                    raise ServerError(f"the server at {self.url} stopped during a reply; send it again") from error
                if attempt == MAX_RETRIES:
                    raise self._gone(error) from error
                self._wait(error)

    def _pieces(self, body: dict[str, Any]) -> Iterator[Generated]:
        with self._http.stream("POST", "/v1/completions", json=body) as response:
            if response.status_code != httpx.codes.OK:
                response.read()
                raise _fault(response)
            for line in response.iter_lines():
                data = line.removeprefix("data: ")
                if data and data != END_OF_STREAM:
                    event = json.loads(data)
                    if "error" in event:
                        raise ServerError(f"the server broke off a reply: {event['error'].get('message')}")
                    yield _generated(event["choices"][0])

    def logprobs(self, model: str, rows: Sequence[Sequence[int]]) -> list[list[float]]:
        """As `VLLM.logprobs`, all rows in one request."""
        greedy = _payload(Sampling(max_new_tokens=1))
        body = {"model": model, "prompt": [list(row) for row in rows], **greedy, "prompt_logprobs": 0}
        found = []
        for row, choice in zip(rows, self._choices(model, body), strict=True):
            places = choice["prompt_logprobs"][1:]
            found.append([place[str(token)]["logprob"] for token, place in zip(row[1:], places, strict=True)])
        return found

    def load(self, name: str, path: str) -> None:
        """As `VLLM.load`; raises `AdapterError` for a folder that the server refuses."""
        response = self._send("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": path}, check=False)
        if response.status_code == httpx.codes.OK or "already been" in response.text:
            return
        raise AdapterError(f"the vLLM server cannot load the adapter at {path}: {_why_not_loaded(response)}")

    def unload(self, name: str) -> None:
        """As `VLLM.unload`; running requests finish with the adapter."""
        response = self._send("POST", "/v1/unload_lora_adapter", {"lora_name": name}, check=False)
        if response.status_code not in (httpx.codes.OK, httpx.codes.NOT_FOUND):
            raise _fault(response)

    def _choices(self, model: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        reply = self._send("POST", "/v1/completions", body).json()
        if reply["model"] != model:
            raise ServerError(f"the request named {model}, but {reply['model']} answered; check what serves {self.url}")
        return sorted(reply["choices"], key=lambda choice: int(choice["index"]))

    def _send(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, check: bool = True
    ) -> httpx.Response:
        """The response; with `check`, an error status raises. A lost server is waited for, and the request repeated."""
        for attempt in range(MAX_RETRIES + 1):
            try:
                response = self._http.request(method, path, json=body)
                if response.is_server_error and not self.is_healthy():
                    raise httpx.RemoteProtocolError(f"the engine died: {_message(response)}")
                break
            except httpx.TransportError as error:
                if attempt == MAX_RETRIES:
                    raise self._gone(error) from error
                self._wait(error)
        if check and response.status_code != httpx.codes.OK:
            raise _fault(response)
        return response

    def _wait(self, error: Exception) -> None:
        deadline = time.monotonic() + self._patience
        while not self.is_healthy():
            if time.monotonic() >= deadline:
                raise self._gone(error) from error
            time.sleep(POLL_SECONDS)

    def _gone(self, error: Exception) -> ServerError:
        reason = str(error) or type(error).__name__
        return ServerError(f"no vLLM server answers at {self.url} ({reason}); start one with `seal-agent serve`")


def _payload(sampling: Sampling) -> dict[str, Any]:
    """The fields of vLLM's completion request."""
    grammar = {"structured_outputs": {"grammar": sampling.grammar.lark}} if sampling.grammar else {}
    return {**sampling.fields(), **grammar, "return_token_ids": True}


def _generated(choice: dict[str, Any]) -> Generated:
    return generated(choice["text"], choice.get("token_ids"), choice.get("finish_reason"))


def _message(response: httpx.Response) -> str:
    try:
        body = response.json()
        fault = body.get("error", body) if isinstance(body, dict) else body
        text = fault.get("message") or fault.get("detail") if isinstance(fault, dict) else fault
    except ValueError:
        text = response.text
    return (str(text).strip() or response.reason_phrase).splitlines()[0][:300]


def _fault(response: httpx.Response) -> Exception:
    """The error for a response with an error status."""
    message = _message(response)
    if response.status_code == httpx.codes.NOT_FOUND and "does not exist" in message:
        return UnknownAdapter(message)
    if response.status_code == httpx.codes.UNAUTHORIZED:
        return ServerError("the vLLM server wants an API key; set VLLM_API_KEY to the one it was started with")
    if response.status_code == httpx.codes.BAD_REQUEST:
        return refused(message)
    return ServerError(f"the vLLM server answers {response.status_code}: {message}; see its log")


def _why_not_loaded(response: httpx.Response) -> str:
    message = _message(response)
    if response.status_code == httpx.codes.NOT_FOUND and "lora_adapter" not in message and "LoRA" not in message:
        return (
            "it takes no adapters at run time; start it with `seal-agent serve`, or with --enable-lora and "
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1"
        )
    return why_not_loaded(message)
