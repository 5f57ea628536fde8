"""Answering one request; the chat graph, `ChatSeal` and the gateway share it.

The stack version, the active adapters, the prompt and the settings are fixed before generation starts, so that an edit
accepted meanwhile does not change them. The callers translate to and from the formats of LangChain and OpenAI.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from seal_agent.core.backend import Backend, room_for_reply
from seal_agent.core.facts import Fact
from seal_agent.core.messages import Generated
from seal_agent.core.stacks import AdapterStack
from seal_agent.learning.namespace import Namespace
from seal_agent.serving.batcher import Request
from seal_agent.serving.replies import ConstrainedPrompt


@dataclass(frozen=True)
class Answer:
    """A request with its stack, prompt and settings fixed; `num_input_tokens` is the length of the prompt.

    `facts` are those of what was learned that the reply uses, in the prompt or in the weights.
    `is_unknown`: it asks for something personal that was never told (`LearnerConfig.when_unknown`).
    """

    asked: ConstrainedPrompt
    request: Request
    backend: Backend
    version: int
    num_input_tokens: int
    facts: tuple[Fact, ...] = ()
    is_unknown: bool = False

    @property
    def active(self) -> AdapterStack:
        """The adapters that answer."""
        return self.request.stack

    def pieces(self) -> Iterator[Generated]:
        """The reply in pieces, as they are generated."""
        wanted = self.request
        return self.backend.with_stack(wanted.stack).stream(
            wanted.prompt,
            max_new_tokens=wanted.max_new_tokens,
            temperature=wanted.temperature,
            stop=wanted.stop,
            grammar=wanted.grammar,
            seed=wanted.seed,
        )


def settled(
    state: Namespace,
    asked: ConstrainedPrompt,
    *,
    max_new_tokens: int,
    temperature: float = 0.0,
    stop: Sequence[str] = (),
    seed: int | None = None,
    version: int | None = None,
) -> Answer:
    """The answer to `asked` by one version of the stack, by default the one served now.

    A sampled reply without a `seed` draws one. Raises `ContextLengthExceeded` for a prompt that leaves no room for a
    reply, and `AdapterError` for a version that the namespace does not have.
    """
    number, stack = state.version(version)
    [used] = state.recalled(state.view(stack), [asked.prompt])
    num_input_tokens = len(state.backend.encode([used.prompt])[0])
    room_for_reply(num_input_tokens, max_new_tokens, state.backend.context_length, state.backend.model)
    request = Request(
        stack=used.stack,
        prompt=used.prompt,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        stop=tuple(stop),
        grammar=asked.grammar,
        seed=secrets.randbelow(2**31) if seed is None and temperature else seed or 0,
    )
    return Answer(asked, request, state.backend, number, num_input_tokens, used.facts, used.is_unknown)
