"""`/v1/chat/completions`: answers a request with the current stack, in OpenAI's format."""

from __future__ import annotations

import json
import secrets
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from seal_agent.core.errors import SealError
from seal_agent.core.messages import Generated, Message, ToolCall
from seal_agent.gateway.limits import GatewayLimits, check_prompt
from seal_agent.gateway.requests import ChatRequest
from seal_agent.learning.answering import Answer, settled
from seal_agent.learning.learner import Learner
from seal_agent.serving.replies import Part, call_id

END = "data: [DONE]\n\n"


@dataclass(frozen=True)
class Answering:
    """One request, bound to one version of the stack."""

    learner: Learner
    answer: Answer
    shows_usage: bool
    id: str
    created: int

    @staticmethod
    def of(learner: Learner, request: ChatRequest, limits: GatewayLimits) -> Answering:
        """The answer to `request` by the stack served now; a prompt that is too long is refused before generation.

        Raises `ContextLengthExceeded` for such a prompt, and `InputError` for a request that cannot be met.
        """
        max_new_tokens = request.max_new_tokens(limits.max_reply_tokens, learner.config.max_reply_tokens)
        seed = secrets.randbelow(2**31) if request.seed is None else request.seed
        answer = settled(
            learner.state,
            request.asked(learner.backend.tool_format, max_new_tokens),
            max_new_tokens=max_new_tokens,
            temperature=request.temperature,
            stop=request.stops,
            seed=seed,
        )
        check_prompt(answer.num_input_tokens, limits)
        chat_id = f"chatcmpl-{uuid.uuid4().hex[:24]}"
        return Answering(learner, answer, request.stream_options.include_usage, chat_id, int(time.time()))

    @property
    def said(self) -> tuple[Message, ...]:
        """The conversation up to the reply."""
        return self.answer.asked.prompt.messages

    @property
    def headers(self) -> dict[str, str]:
        """Response headers with the stack version and the active adapters."""
        return {
            "x-seal-stack-version": str(self.answer.version),
            "x-seal-adapters": ",".join(entry.ref.short for entry in self.answer.active.entries),
        }

    def whole(self, num_samples: int) -> dict[str, Any]:
        """The reply as one object."""
        wanted = self.answer.request
        (texts,) = self.learner.backend.with_stack(wanted.stack).generate(
            [wanted.prompt],
            max_new_tokens=wanted.max_new_tokens,
            num_samples=num_samples,
            temperature=wanted.temperature,
            stop=wanted.stop,
            grammars=[wanted.grammar] if wanted.grammar else [],
            seed=wanted.seed,
        )
        choices = [self._choice(number, text) for number, text in enumerate(texts)]
        usage = self._usage(sum(text.num_tokens for text in texts))
        return {**self._object("chat.completion", choices), "usage": usage}

    def _choice(self, number: int, text: Generated) -> dict[str, Any]:
        said = self.answer.asked.said(text)
        content = "\n".join([said.text, *said.faults]).strip()  # an incomplete call is returned as text
        message: dict[str, Any] = {"role": "assistant", "content": content or (None if said.calls else "")}
        if said.calls:
            message["tool_calls"] = [_called(call) for call in said.calls]
        return {"index": number, "message": message, "finish_reason": "tool_calls" if said.calls else text.ending}

    def pieces(self) -> Iterator[Generated]:
        """The reply in pieces, as they are generated."""
        return self.answer.pieces()

    def events(self, pieces: Iterator[Generated]) -> Iterator[str]:
        """`pieces` as server-sent events, then the usage; an error ends the stream with an error event."""
        yield self._event({"role": "assistant", "content": ""})
        try:
            for part in self.answer.asked.parts(pieces):
                yield from self._last(part) if part.ending else [self._event(_delta(part))]
        except SealError as error:
            yield f"data: {json.dumps({'error': {'message': str(error), 'type': 'server_error'}})}\n\n"
        yield END

    def _last(self, part: Part) -> Iterator[str]:
        """The events at the end of a reply: malformed calls as text, the finish reason, the usage."""
        if part.faults:
            yield self._event({"content": "\n".join(part.faults)})
        yield self._event({}, part.ending)
        if self.shows_usage:
            usage = {**self._object("chat.completion.chunk", []), "usage": self._usage(part.num_tokens)}
            yield f"data: {json.dumps(usage)}\n\n"

    def _usage(self, num_tokens: int) -> dict[str, int]:
        total = self.answer.num_input_tokens + num_tokens
        return {"prompt_tokens": self.answer.num_input_tokens, "completion_tokens": num_tokens, "total_tokens": total}

    def _event(self, delta: dict[str, Any], finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return f"data: {json.dumps(self._object('chat.completion.chunk', [choice]))}\n\n"

    def _object(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.learner.backend.model,
            "system_fingerprint": f"seal-v{self.answer.version}",
            "choices": choices,
        }


def _called(call: ToolCall) -> dict[str, Any]:
    return {"id": call_id(), "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _delta(part: Part) -> dict[str, Any]:
    """A part of a reply in the form that a client appends."""
    if part.text:
        return {"content": part.text}
    begins = {"id": call_id(), "type": "function"} if part.name else {}
    function = {"name": part.name} if part.name else {}
    return {"tool_calls": [{"index": part.call, **begins, "function": {**function, "arguments": part.arguments}}]}
