"""`/v1/chat/completions`: a request checked, answered by the stack that is served now, and put in OpenAI's words."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from seal_agent.errors import InputError, SealError
from seal_agent.learner import Learner
from seal_agent.types import AdapterStack, Generated, Message, Prompt, Role

ROLES: dict[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
UNSUPPORTED = ("tools", "functions", "response_format", "logprobs", "logit_bias", "audio")
END = "data: [DONE]\n\n"


class TextPart(BaseModel):
    """One part of a message; only text can be read."""

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """One message, as OpenAI's clients send it."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    def value(self) -> Message:
        """The domain's message."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return Message(ROLES[self.role], text)


class StreamOptions(BaseModel):
    """Whether the last event says how many tokens there were."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """What may be asked. `learn`, ours: whether the last message may be learned from, behind the reply."""

    model_config = ConfigDict(extra="allow")

    messages: list[ChatMessage] = Field(min_length=1, max_length=1000)
    model: str = ""
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float = Field(default=0.0, ge=0, le=2)
    n: int = Field(default=1, ge=1, le=8)
    stop: str | list[str] | None = None
    seed: int = 0
    stream: bool = False
    stream_options: StreamOptions | None = None
    learn: bool = True

    def prompt(self) -> Prompt:
        """The conversation; raises `InputError` where it cannot be answered as it was asked."""
        asked = sorted(name for name in UNSUPPORTED if (self.model_extra or {}).get(name))
        if asked:
            raise InputError(f"{', '.join(asked)} cannot be had from this model; leave it out")
        messages = tuple(message.value() for message in self.messages)
        if messages[-1].role != "user" or not messages[-1].content.strip():
            raise InputError("the last message must be the user's, with some text")
        if self.stream and self.n > 1:
            raise InputError("one reply can be streamed at a time; ask for n=1, or without stream")
        return Prompt(messages)

    def sampling(self, most: int, usual: int) -> dict[str, Any]:
        """The options of `Backend.stream`; raises `InputError` for a reply of more than `most` tokens."""
        max_new_tokens = self.max_completion_tokens or self.max_tokens or min(usual, most)
        if max_new_tokens > most:
            raise InputError(f"max_tokens={max_new_tokens} is more than the {most} this gateway gives; ask for fewer")
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return {
            "max_new_tokens": max_new_tokens,
            "temperature": self.temperature,
            "stop": tuple(stop),
            "seed": self.seed,
        }


@dataclass(frozen=True)
class Answering:
    """One request and the version of the stack that answers all of it, whatever is accepted meanwhile."""

    learner: Learner
    prompt: Prompt
    options: dict[str, Any]
    version: int
    active: AdapterStack
    shows_usage: bool
    id: str
    created: int

    @staticmethod
    def of(learner: Learner, request: ChatRequest, most: int) -> Answering:
        """The answer to `request` by what is served now."""
        prompt = request.prompt()
        versions = learner.home.versions(learner.namespace)
        stack = versions[-1].stack if versions else AdapterStack()
        active = learner.serve(stack).active(prompt)
        options = request.sampling(most, learner.config.max_reply_tokens)
        number = versions[-1].version if versions else 0
        shows_usage = request.stream_options is not None and request.stream_options.include_usage
        chat_id = f"chatcmpl-{uuid.uuid4().hex[:24]}"
        return Answering(learner, prompt, options, number, active, shows_usage, chat_id, int(time.time()))

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
        (texts,) = view.generate([self.prompt], num_samples=num_samples, **self.options)
        choices = [
            {"index": n, "message": {"role": "assistant", "content": text.strip()}, "finish_reason": text.ending}
            for n, text in enumerate(texts)
        ]
        usage = self._usage(sum(text.num_tokens for text in texts))
        return {**self._object("chat.completion", choices), "usage": usage}

    def pieces(self) -> Iterator[Generated]:
        """The reply as it is written."""
        return self.learner.backend.with_stack(self.active).stream(self.prompt, **self.options)

    def events(self, pieces: Iterator[Generated]) -> Iterator[str]:
        """`pieces` as server-sent events, then what was used; an error in the middle is the last of them."""
        yield self._event({"role": "assistant", "content": ""})
        num_tokens, ending = 0, "stop"
        try:
            for piece in pieces:
                num_tokens, ending = num_tokens + piece.num_tokens, piece.ending or ending
                if piece:
                    yield self._event({"content": piece})
        except SealError as error:
            yield f"data: {json.dumps({'error': {'message': str(error), 'type': 'server_error'}})}\n\n"
        else:
            yield self._event({}, ending)
            if self.shows_usage:
                usage = {**self._object("chat.completion.chunk", []), "usage": self._usage(num_tokens)}
                yield f"data: {json.dumps(usage)}\n\n"
        yield END

    def _usage(self, num_tokens: int) -> dict[str, int]:
        (asked,) = self.learner.backend.encode([self.prompt])
        total = len(asked) + num_tokens
        return {"prompt_tokens": len(asked), "completion_tokens": num_tokens, "total_tokens": total}

    def _event(self, delta: dict[str, str], finish_reason: str | None = None) -> str:
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
