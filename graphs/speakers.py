"""Who wrote what stands in a thread, so that nothing is learned for a user who did not say it.

LangGraph writes a message into the thread's state before any node runs. Where the run of its author is refused or
fails, it stays there, and a run of another user may find it. So the first node of a run notes who wrote what is new,
and takes a message that is refused out of the state again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

Authors = dict[str, list[str]]
"""For the id of every message the namespace that wrote it, or was answered by it, and a digest of the message."""
NOBODY = ""
"""The author of a message that no user is known for, and none is taken for."""


def with_authors(messages: Sequence[BaseMessage], known: Mapping[str, Sequence[str]], namespace: str) -> Authors:
    """The authors of `messages`: what nobody is known for was written by `namespace`, replies go with the question."""
    authors: Authors = {}
    author = namespace
    for message in messages:
        if _is_known(message, known):
            author = known[str(message.id)][0]
        elif is_users(message) or isinstance(message, SystemMessage):
            author = namespace
        authors[str(message.id)] = [author, _digest(message)]
    return authors


def of(messages: Sequence[AnyMessage], authors: Mapping[str, Sequence[str]], namespace: str) -> list[AnyMessage]:
    """The messages that `namespace` wrote or was answered with; those that nobody is known for are among them."""
    return [message for message in messages if authors.get(str(message.id), (namespace,))[0] == namespace]


def are_known(messages: Sequence[BaseMessage], known: Mapping[str, Sequence[str]]) -> bool:
    """Whether it is known who wrote every message of a user."""
    return all(_is_known(message, known) for message in messages if is_users(message))


def removal(messages: Sequence[BaseMessage], known: Mapping[str, Sequence[str]]) -> list[RemoveMessage]:
    """What takes the messages that a refused run has brought out of the state."""
    begin = _first_after_reply(messages) if not known else _first_unknown(messages, known)
    refused = list(messages[begin:])
    if not refused and messages and is_users(messages[-1]) and not _is_known(messages[-1], known):
        refused = [messages[-1]]  # it was put in the place of an older one
    return [RemoveMessage(id=str(message.id)) for message in refused]


def is_users(message: BaseMessage) -> bool:
    """Whether the user wrote a message; LangChain marks the summaries that it puts into the user's mouth."""
    return isinstance(message, HumanMessage) and "lc_source" not in message.additional_kwargs


def since_reply(own: Sequence[AnyMessage]) -> list[AnyMessage]:
    """What stands after the last reply in the messages of one user (`of`)."""
    return list(own[_first_after_reply(own) :])


def unanswered(own: Sequence[AnyMessage]) -> list[AnyMessage]:
    """What a user wrote after the last reply to that user."""
    return [message for message in since_reply(own) if is_users(message)]


def _first_after_reply(messages: Sequence[BaseMessage]) -> int:
    replies = (n for n, message in enumerate(messages) if isinstance(message, AIMessage | ToolMessage))
    return max(replies, default=-1) + 1


def _first_unknown(messages: Sequence[BaseMessage], known: Mapping[str, Sequence[str]]) -> int:
    own = (n for n, each in enumerate(messages) if is_users(each) or isinstance(each, SystemMessage))
    return next((n for n in own if str(messages[n].id) not in known), len(messages))


def _is_known(message: BaseMessage, known: Mapping[str, Sequence[str]]) -> bool:
    return known.get(str(message.id), ("", ""))[1] == _digest(message)


def _digest(message: BaseMessage) -> str:
    return hashlib.sha256(f"{message.type}\n{message.content}".encode(errors="replace")).hexdigest()[:16]
