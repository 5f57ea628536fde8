"""The gateway as a Starlette application: keys, limits, routes, and errors in OpenAI's format.

Model calls run in threads, never in the event loop. A key gives access to its own namespace only.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from itertools import chain
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from seal_agent.background.worker import Worker
from seal_agent.core.codec import to_json
from seal_agent.core.errors import AdapterError, ContextLengthExceeded, InputError, SealError, ServerError
from seal_agent.gateway.chat import Answering
from seal_agent.gateway.keys import KeyFile
from seal_agent.gateway.limits import GatewayLimits, RateLimit
from seal_agent.gateway.requests import ChatRequest, RequestModel
from seal_agent.gateway.submissions import BusyError, Learning, Text
from seal_agent.learning.learner import Learner
from seal_agent.learning.learners import Learners
from seal_agent.storage import feedback
from seal_agent.storage.feedback import Feedback
from seal_agent.unlearning.forget import forget

Model = TypeVar("Model", bound=BaseModel)
STATUS: tuple[tuple[type[SealError], int, str], ...] = (
    (BusyError, 429, "rate_limit_error"),
    (AdapterError, 404, "not_found_error"),
    (InputError, 400, "invalid_request_error"),
    (ServerError, 503, "server_error"),
    (SealError, 500, "server_error"),
)


MIN_ID = 8
"""Characters of an adapter's id that name it; a shorter prefix, cut off by mistake, might name another adapter."""


class Refused(Exception):
    """A request that is refused before any work is done for it."""

    def __init__(self, status: int, message: str, *, param: str | None = None, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.headers = {"retry-after": str(math.ceil(retry_after))} if retry_after else {}


class DocumentRequest(RequestModel):
    """A text to learn.

    Within a namespace it is identified by its `source`, a file name or an address, or by its `title`; it replaces an
    earlier document of the same name. `content_type`: "text/markdown", "text/html" or "text/plain"; by default it is
    found by the name's ending or in the text.
    """

    text: str = Field(min_length=1)
    title: str = ""
    source: str = ""
    content_type: str = ""


class FeedbackRequest(RequestModel):
    """A rating of an answer from -1 (wrong) to 1 (right); `correction` is the right answer."""

    question: str = Field(min_length=1)
    answer: str = Field(min_length=1)
    value: float = Field(default=1.0, ge=-1, le=1)
    correction: str = ""


class Page(RequestModel):
    """A part of a list: `limit` items, those after the item with the id `after`."""

    limit: int = Field(default=100, ge=1, le=1000)
    after: str = ""


def create_app(
    learners: Learners,
    keys: KeyFile,
    worker: Worker,
    limits: GatewayLimits | None = None,
    *,
    needs_approval: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Starlette:
    """The gateway over many learners; the `worker` learns in the background while the gateway runs.

    With `needs_approval` nothing is learned before a person approves it.
    """
    chosen = limits or GatewayLimits()
    model = learners.backend.model
    learning = Learning(
        worker.queue,
        model,
        max_waiting=chosen.max_waiting,
        max_passages=chosen.max_passages,
        needs_approval=needs_approval,
    )
    gateway = Gateway(learners, keys, learning, chosen, clock)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        worker.start()
        yield
        await run_in_threadpool(worker.stop)

    routes = [
        Route("/health", gateway.health),
        Route("/v1/models", gateway.models),
        Route("/v1/chat/completions", gateway.chat, methods=["POST"]),
        Route("/v1/documents", gateway.documents),
        Route("/v1/documents", gateway.add_document, methods=["POST"]),
        Route("/v1/documents/{text}", gateway.document),
        Route("/v1/documents/{text}", gateway.forget, methods=["DELETE"]),
        Route("/v1/approvals", gateway.approvals),
        Route("/v1/approvals/{text}/{verb}", gateway.decide, methods=["POST"]),
        Route("/v1/feedback", gateway.given_feedback),
        Route("/v1/feedback", gateway.add_feedback, methods=["POST"]),
        Route("/v1/adapters", gateway.adapters),
        Route("/v1/adapters/{adapter}/rollback", gateway.roll_back, methods=["POST"]),
    ]
    handlers: Any = {Refused: _refused, SealError: _failed, 404: _unknown, 405: _unknown}
    return Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)


class Gateway:
    """The endpoints. Each one first calls `_enter`, which identifies the caller."""

    def __init__(
        self,
        learners: Learners,
        keys: KeyFile,
        learning: Learning,
        limits: GatewayLimits,
        clock: Callable[[], float],
    ) -> None:
        self._learners = learners
        self._keys = keys
        self._learning = learning
        self._limits = limits
        self._clock = clock
        self._rate = RateLimit(limits)
        self._slots = asyncio.Semaphore(limits.max_running)

    async def health(self, _request: Request) -> Response:
        """Whether the gateway runs; does not call the model."""
        return JSONResponse({"status": "ok"})

    async def models(self, request: Request) -> Response:
        """The list of models, which has one entry."""
        learner = await self._enter(request)
        model = {"id": learner.backend.model, "object": "model", "created": 0, "owned_by": "seal-agent"}
        return JSONResponse({"object": "list", "data": [model]})

    async def chat(self, request: Request) -> Response:
        """A reply; the user's new messages are learned in the background."""
        learner = await self._enter(request)
        asked = await self._body(request, ChatRequest)
        if fields := asked.unsupported:
            raise Refused(400, f"{', '.join(fields)}: not supported by this model; remove it", param=fields[0])
        if asked.model not in ("", learner.backend.model):
            raise Refused(404, f"the model {asked.model!r} does not exist; use {learner.backend.model!r}")
        if self._slots.locked():
            raise Refused(503, f"{self._limits.max_running} requests are running; try again", retry_after=1)
        await self._slots.acquire()
        try:
            answering = await run_in_threadpool(Answering.of, learner, asked, self._limits)
            learns = asked.learn and answering.said[-1].role == "user"
            if asked.stream:
                return await self._streamed(answering, learns=learns)
            body = await run_in_threadpool(answering.whole, asked.n)
        except BaseException:
            self._slots.release()
            raise
        self._slots.release()
        headers = {"x-seal-learning": await self._learn(answering)} if learns else {}
        return JSONResponse(body, headers={**answering.headers, **headers})

    async def _streamed(self, answering: Answering, *, learns: bool) -> Response:
        """The reply as a stream; learning waits for its end."""
        pieces = answering.pieces()
        first = await run_in_threadpool(next, pieces)  # an error here can still set the status code

        async def end() -> None:
            self._slots.release()
            if learns:
                await self._learn(answering)

        return _Stream(answering.events(chain([first], pieces)), answering.headers, end)

    async def _learn(self, answering: Answering) -> str:
        """The id of the submitted text of the user's new messages, or "busy" if the queue is full."""
        try:
            text = await run_in_threadpool(self._learning.submit_messages, answering.learner.namespace, answering.said)
        except BusyError:
            return "busy"
        return text.id

    async def documents(self, request: Request) -> Response:
        """The documents and messages submitted in this namespace: pages of `limit`, newest first."""
        learner = await self._enter(request)
        asked = _asked(Page, dict(request.query_params))
        texts = await run_in_threadpool(self._learning.texts, learner.namespace, asked.limit + 1, after=asked.after)
        return _listed([_shown(text) for text in texts[: asked.limit]], has_more=len(texts) > asked.limit)

    async def add_document(self, request: Request) -> Response:
        """Accept a document; it is learned in the background."""
        learner = await self._enter(request)
        asked = await self._body(request, DocumentRequest)
        if not asked.text.strip():
            raise InputError("the document is empty; give at least one sentence")
        text = await run_in_threadpool(
            self._learning.submit_document,
            learner.namespace,
            asked.text,
            title=asked.title,
            source=asked.source,
            content_type=asked.content_type,
        )
        return JSONResponse(_shown(text), status_code=202)

    async def document(self, request: Request) -> Response:
        """The status of one document or message."""
        learner = await self._enter(request)
        return JSONResponse(_shown(await self._text(learner, request)))

    async def forget(self, request: Request) -> Response:
        """Unlearn one document or message; `is_gone` is the result of the check for its facts (`unlearning`)."""
        learner = await self._enter(request)
        text = await self._text(learner, request)
        forgotten = await run_in_threadpool(forget, learner, thread=text.id)
        gone = {"adapters": list(forgotten.adapters), "is_gone": forgotten.check.is_gone}
        return JSONResponse({"id": text.id, "object": "document.deleted", "deleted": True, **gone})

    async def _text(self, learner: Learner, request: Request) -> Text:
        try:
            return await run_in_threadpool(self._learning.text, learner.namespace, request.path_params["text"])
        except InputError as error:
            raise Refused(404, str(error)) from error

    async def approvals(self, request: Request) -> Response:
        """The texts that wait for approval."""
        learner = await self._enter(request)
        held = await run_in_threadpool(self._learning.held, learner.namespace)
        return _listed([{**_shown(text), "text": said} for text, said in held])

    async def decide(self, request: Request) -> Response:
        """Approve or reject a text."""
        learner = await self._enter(request)
        verb = request.path_params["verb"]
        if verb not in ("approve", "reject"):
            raise Refused(404, f"{verb!r} is not a decision; use approve or reject")
        text = await run_in_threadpool(
            self._learning.decide, learner.namespace, request.path_params["text"], approve=verb == "approve"
        )
        return JSONResponse(_shown(text))

    async def given_feedback(self, request: Request) -> Response:
        """The feedback of this namespace."""
        learner = await self._enter(request)
        return _listed(_judged(await run_in_threadpool(feedback.recorded, learner.home, learner.namespace)))

    async def add_feedback(self, request: Request) -> Response:
        """Store feedback on an answer."""
        learner = await self._enter(request)
        asked = await self._body(request, FeedbackRequest)
        given = feedback.of_user(asked.question, asked.answer, asked.value, asked.correction)
        await run_in_threadpool(feedback.record, learner.home, learner.namespace, *given)
        return JSONResponse({"object": "list", "data": _judged(given)}, status_code=201)

    async def adapters(self, request: Request) -> Response:
        """The adapters served in this namespace, oldest first."""
        learner = await self._enter(request)
        return _listed(await run_in_threadpool(_adapters, learner))

    async def roll_back(self, request: Request) -> Response:
        """Remove an adapter from the stack; the next reply is given without it."""
        learner = await self._enter(request)
        adapter = request.path_params["adapter"]
        if len(adapter) < MIN_ID:
            raise Refused(404, f"{adapter!r} names no adapter; give its id, or at least {MIN_ID} characters of it")
        stack = await run_in_threadpool(learner.rollback, adapter)
        return JSONResponse({"object": "stack", "adapters": list(stack.ids)})

    async def _enter(self, request: Request) -> Learner:
        """The learner of the caller; raises `Refused` for an unknown key, or too many requests."""
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        namespace = self._keys.namespace_of(secret.strip()) if scheme.lower() == "bearer" else None
        if namespace is None:
            raise Refused(401, "no such API key; send one as `Authorization: Bearer sk-seal-…`")
        wait = self._rate.wait(secret, self._clock())
        if wait:
            raise Refused(429, "too many requests; wait before sending more", retry_after=wait)
        return await run_in_threadpool(self._learners.of, namespace)

    async def _body(self, request: Request, kind: type[Model]) -> Model:
        """The request's JSON; raises `Refused` if it is too large or invalid."""
        data = bytearray()
        async for chunk in request.stream():
            data += chunk
            if len(data) > self._limits.max_body:
                raise Refused(413, f"the request has more than {self._limits.max_body} bytes; send it in parts")
        return _asked(kind, bytes(data))


class _Stream(StreamingResponse):
    """Server-sent events; `end` is called however the stream ends, even before the first event."""

    def __init__(self, events: Iterator[str], headers: dict[str, str], end: Callable[[], Awaitable[None]]) -> None:
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._end = end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._end()


def _asked(kind: type[Model], data: bytes | dict[str, str]) -> Model:
    """Parse a request body or query; raises `Refused` if it is invalid."""
    try:
        return kind.model_validate_json(data) if isinstance(data, bytes) else kind.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        raise Refused(400, f"{where or 'the body'}: {said}", param=where or None) from error


def _adapters(learner: Learner) -> list[dict[str, Any]]:
    rows = []
    for entry in learner.stack.entries:
        facts = learner.state.registry.manifest(entry.ref.id)
        row = {"id": entry.ref.id, "object": "adapter", "topic": facts["topic"], "rank": entry.ref.rank}
        rows.append({**row, "weight": entry.weight, "routed": entry.is_routed})
    return rows


def _judged(given: Sequence[Feedback]) -> list[dict[str, Any]]:
    return [{"object": "feedback", **asdict(each)} for each in given]


def _shown(text: Text) -> dict[str, Any]:
    return {"object": "document", **to_json(text)}


def _listed(rows: list[dict[str, Any]], *, has_more: bool = False) -> Response:
    return JSONResponse({"object": "list", "data": rows, "has_more": has_more})


def _error(
    status: int,
    message: str,
    kind: str,
    headers: dict[str, str] | None = None,
    *,
    param: str | None = None,
    code: str | None = None,
) -> Response:
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return JSONResponse(body, status_code=status, headers=headers)


async def _refused(_request: Request, error: Refused) -> Response:
    kinds = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error", 503: "server_error"}
    kind = kinds.get(error.status, "invalid_request_error")
    return _error(error.status, str(error), kind, error.headers, param=error.param)


async def _failed(_request: Request, error: SealError) -> Response:
    status, kind = next((status, kind) for cause, status, kind in STATUS if isinstance(error, cause))
    if isinstance(error, ContextLengthExceeded):
        return _error(status, str(error), kind, param="messages", code="context_length_exceeded")
    return _error(status, str(error), kind)


async def _unknown(request: Request, error: Any) -> Response:
    return _error(error.status_code, f"the gateway has no {request.method} {request.url.path}", "not_found_error")
