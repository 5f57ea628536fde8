"""One question on its way to an answer: chat graph, `ChatSeal` and gateway all answer through it.

What is settled first stays as it is, whatever is accepted meanwhile: the version of the stack, the adapters that are
active for the prompt, the settings. How the answer is worded in LangChain's or OpenAI's terms is for those who ask.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from seal_agent.core.backend import room_for_reply
from seal_agent.core.messages import Generated
from seal_agent.core.stacks import AdapterStack
from seal_agent.learning.namespace import Namespace
from seal_agent.serving.batcher import Request
from seal_agent.serving.replies import Asked
from seal_agent.serving.served import Served


@dataclass(frozen=True)
class Answer:
    """A question whose stack, prompt and settings are settled; `num_input_tokens` has the prompt."""

    asked: Asked
    request: Request
    served: Served
    version: int
    num_input_tokens: int

    @property
    def active(self) -> AdapterStack:
        """The adapters that answer."""
        return self.request.stack

    def pieces(self) -> Iterator[Generated]:
        """The reply as it is written."""
        wanted = self.request
        return self.served.stream(
            wanted.prompt,
            max_new_tokens=wanted.max_new_tokens,
            temperature=wanted.temperature,
            stop=wanted.stop,
            grammar=wanted.grammar,
            seed=wanted.seed,
        )


def settled(
    state: Namespace,
    asked: Asked,
    *,
    max_new_tokens: int,
    temperature: float = 0.0,
    stop: Sequence[str] = (),
    seed: int | None = None,
    version: int | None = None,
) -> Answer:
    """The answer to `asked` by a version of the stack, the one that is served now where none is named.

    A sampled reply without a `seed` draws one. Raises `ContextLengthExceeded` for a prompt that leaves no room for a
    reply, and `AdapterError` for a version that the namespace does not have.
    """
    number, stack = state.version(version)
    num_input_tokens = len(state.backend.encode([asked.prompt])[0])
    room_for_reply(num_input_tokens, max_new_tokens, state.backend.context_length, state.backend.model)
    served = state.view(stack)
    request = Request(
        stack=served.active(asked.prompt),
        prompt=asked.prompt,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        stop=tuple(stop),
        grammar=asked.grammar,
        seed=secrets.randbelow(2**31) if seed is None and temperature else seed or 0,
    )
    return Answer(asked, request, served, number, num_input_tokens)
