"""`/v1/chat/completions`: a request answered by the stack that is served now, and put in OpenAI's words."""

from __future__ import annotations

import json
import secrets
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from seal_agent.core.backend import room_for_reply
from seal_agent.core.errors import SealError
from seal_agent.core.messages import Generated, Message, ToolCall
from seal_agent.core.stacks import AdapterStack
from seal_agent.gateway.limits import GatewayLimits, check_prompt
from seal_agent.gateway.requests import ChatRequest
from seal_agent.learning.learner import Learner
from seal_agent.serving.replies import Asked, Part, call_id

END = "data: [DONE]\n\n"


@dataclass(frozen=True)
class Answering:
    """One request and the version of the stack that answers all of it, whatever is accepted meanwhile."""

    learner: Learner
    asked: Asked
    options: dict[str, Any]
    version: int
    active: AdapterStack
    shows_usage: bool
    num_asked: int  # tokens of the prompt
    id: str
    created: int

    @staticmethod
    def of(learner: Learner, request: ChatRequest, limits: GatewayLimits) -> Answering:
        """The answer to `request` by what is served now; a prompt that is too long is refused before the model works.

        Raises `ContextLengthExceeded` for that, and `InputError` for what cannot be answered as it was asked.
        """
        max_new_tokens = request.max_new_tokens(limits.max_reply_tokens, learner.config.max_reply_tokens)
        asked = request.asked(learner.backend.tool_format, max_new_tokens)
        num_asked = len(learner.backend.encode([asked.prompt])[0])
        room_for_reply(num_asked, max_new_tokens, learner.backend.context_length, learner.backend.model)
        check_prompt(num_asked, limits)
        versions = learner.home.versions(learner.namespace)
        stack = versions[-1].stack if versions else AdapterStack()
        active = learner.state.view(stack).active(asked.prompt)
        options = {
            "max_new_tokens": max_new_tokens,
            "temperature": request.temperature,
            "stop": request.stops,
            "seed": secrets.randbelow(2**31) if request.seed is None else request.seed,
        }
        number = versions[-1].version if versions else 0
        shows_usage = request.stream_options.include_usage
        chat_id = f"chatcmpl-{uuid.uuid4().hex[:24]}"
        return Answering(learner, asked, options, number, active, shows_usage, num_asked, chat_id, int(time.time()))

    @property
    def said(self) -> tuple[Message, ...]:
        """The conversation up to the reply."""
        return self.asked.prompt.messages

    @property
    def headers(self) -> dict[str, str]:
        """Which version of the stack answers, and which of its adapters."""
        return {
            "x-seal-stack-version": str(self.version),
            "x-seal-adapters": ",".join(layer.ref.short for layer in self.active.layers),
        }

    def whole(self, num_samples: int) -> dict[str, Any]:
        """The reply as one object."""
        view = self.learner.backend.with_stack(self.active)
        grammars = [self.asked.grammar] if self.asked.grammar else []
        (texts,) = view.generate([self.asked.prompt], num_samples=num_samples, grammars=grammars, **self.options)
        choices = [self._choice(number, text) for number, text in enumerate(texts)]
        usage = self._usage(sum(text.num_tokens for text in texts))
        return {**self._object("chat.completion", choices), "usage": usage}

    def _choice(self, number: int, text: Generated) -> dict[str, Any]:
        said = self.asked.said(text)
        content = "\n".join([said.text, *said.faults]).strip()  # a call that was cut off is no call
        message: dict[str, Any] = {"role": "assistant", "content": content or (None if said.calls else "")}
        if said.calls:
            message["tool_calls"] = [_called(call) for call in said.calls]
        return {"index": number, "message": message, "finish_reason": "tool_calls" if said.calls else text.ending}

    def pieces(self) -> Iterator[Generated]:
        """The reply as it is written."""
        view = self.learner.backend.with_stack(self.active)
        return view.stream(self.asked.prompt, grammar=self.asked.grammar, **self.options)

    def events(self, pieces: Iterator[Generated]) -> Iterator[str]:
        """`pieces` as server-sent events, then what was used; an error in the middle is the last of them."""
        yield self._event({"role": "assistant", "content": ""})
        try:
            for part in self.asked.parts(pieces):
                yield from self._last(part) if part.ending else [self._event(_delta(part))]
        except SealError as error:
            yield f"data: {json.dumps({'error': {'message': str(error), 'type': 'server_error'}})}\n\n"
        yield END

    def _last(self, part: Part) -> Iterator[str]:
        """The end of a reply: what was meant as a call and is none, why it ended, and what was used."""
        if part.faults:
            yield self._event({"content": "\n".join(part.faults)})
        yield self._event({}, part.ending)
        if self.shows_usage:
            usage = {**self._object("chat.completion.chunk", []), "usage": self._usage(part.num_tokens)}
            yield f"data: {json.dumps(usage)}\n\n"

    def _usage(self, num_tokens: int) -> dict[str, int]:
        total = self.num_asked + num_tokens
        return {"prompt_tokens": self.num_asked, "completion_tokens": num_tokens, "total_tokens": total}

    def _event(self, delta: dict[str, Any], finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return f"data: {json.dumps(self._object('chat.completion.chunk', [choice]))}\n\n"

    def _object(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.learner.backend.model,
            "system_fingerprint": f"seal-v{self.version}",
            "choices": choices,
        }


def _called(call: ToolCall) -> dict[str, Any]:
    return {"id": call_id(), "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _delta(part: Part) -> dict[str, Any]:
    """A part of a reply as a client adds it to what it has."""
    if part.text:
        return {"content": part.text}
    begins = {"id": call_id(), "type": "function"} if part.name else {}
    function = {"name": part.name} if part.name else {}
    return {"tool_calls": [{"index": part.call, **begins, "function": {**function, "arguments": part.arguments}}]}
