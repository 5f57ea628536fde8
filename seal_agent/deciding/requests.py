"""Which request about what is remembered a message is: to forget, undo or remember, or to say what is known and why.

Clear forms are recognised by the rules of the message's language. Other requests to forget and to remember are named by
a model that can name the kinds of messages. It is asked for no other request, because a model of 1.5B parameters cannot
tell them from questions (docs/log/deciding.md).
"""

from __future__ import annotations

from types import MappingProxyType

from seal_agent.core.episodes import ASKS_ABOUT_MEMORY, ASKS_TO_FORGET, ASKS_TO_UNDO
from seal_agent.deciding.kinds import FORGET
from seal_agent.language.base import for_text, is_instruction
from seal_agent.language.values import UserRequest
from seal_agent.language.words import asks

OF_KIND: MappingProxyType[str, UserRequest] = MappingProxyType({FORGET: "forget", "reminder": "remember"})
"""The requests among the kinds that a model names."""
REASONS = MappingProxyType(
    {"forget": ASKS_TO_FORGET, "undo": ASKS_TO_UNDO, "known": ASKS_ABOUT_MEMORY, "why": ASKS_ABOUT_MEMORY}
)
"""Why a request is not learned itself."""
MAX_CHARS = 300  # a longer message tells something besides


def clear_request(text: str) -> UserRequest:
    """The request that a message is by the rules of its language; "" for any other message."""
    return for_text(text).request_in(text) if len(text) <= MAX_CHARS else ""


def may_be_request(text: str) -> bool:
    """Whether the kind of a message may make it a request: not if it is long, asks something or gives other orders."""
    return len(text) <= MAX_CHARS and not asks(text) and not is_instruction(text)
