"""Fit a conversation into the model's context: all of it, or its newest turns.

The thread itself is not changed; turns left out of a prompt stay in the state.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from langchain_core.messages import AnyMessage, HumanMessage, SystemMessage

from seal_agent.core.backend import room_for_reply
from seal_agent.graphs.chat_call import asked_of
from seal_agent.graphs.messages import without_attachments
from seal_agent.learning.learner import Learner

SHARE_OF_REPLY = 4  # this fraction of the context is reserved for the reply if turns are left out


@dataclass(frozen=True)
class Fitted:
    """The messages of a prompt; `note` says what was left out, or is empty."""

    messages: list[AnyMessage]
    note: str = ""


def fitted(learner: Learner, messages: Sequence[AnyMessage]) -> Fitted:
    """The conversation, which ends with the user's message, without the oldest turns if it exceeds the context.

    Whole turns are left out, each beginning with a message of the user; system messages stay. Raises
    `ContextLengthExceeded` if the last turn alone leaves no room for a reply, and `InputError` for a message that a
    model cannot read.
    """
    told = [without_attachments(message) for message in messages]
    backend = learner.backend
    wanted = min(learner.config.max_reply_tokens, backend.context_length // SHARE_OF_REPLY)

    def since(begin: int) -> list[AnyMessage]:
        return [each for number, each in enumerate(told) if number >= begin or isinstance(each, SystemMessage)]

    def num_tokens(begin: int) -> int:
        return len(backend.encode([asked_of(since(begin), (), None, backend.tool_format, 0).prompt])[0])

    turns = [0, *(number for number, each in enumerate(told) if number and isinstance(each, HumanMessage))]
    first = bisect_left(turns, True, hi=len(turns) - 1, key=lambda n: num_tokens(n) + wanted <= backend.context_length)
    begin = turns[first]
    room_for_reply(num_tokens(begin), 1, backend.context_length, backend.model)
    num_left_out = len(told) - len(since(begin))
    note = f"the context has {backend.context_length} tokens: the reply was written without the oldest {num_left_out} "
    return Fitted(since(begin), f"{note}messages of this thread" if num_left_out else "")
