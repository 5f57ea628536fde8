"""The authors of a thread's messages, so that no text is learned for a user who did not write it.

LangGraph puts a message into the thread's state before any node runs. If the run of its author is refused or fails,
the message stays, and a run of another user may find it. So the first node of a run records the author of each new
message, and removes a message that is refused.
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
"""For the id of each message: the namespace that wrote it or was answered by it, and a digest of the message."""
NOBODY = ""
"""The author of a message whose user is unknown."""


def with_authors(messages: Sequence[BaseMessage], known: Mapping[str, Sequence[str]], namespace: str) -> Authors:
    """The authors of `messages`: unknown ones were written by `namespace`, replies belong to their question."""
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
    """The messages that `namespace` wrote or was answered by, and those of unknown authors."""
    return [message for message in messages if authors.get(str(message.id), (namespace,))[0] == namespace]


def are_known(messages: Sequence[BaseMessage], known: Mapping[str, Sequence[str]]) -> bool:
    """Whether the author of every user message is known."""
    return all(_is_known(message, known) for message in messages if is_users(message))


def removal(messages: Sequence[BaseMessage], known: Mapping[str, Sequence[str]]) -> list[RemoveMessage]:
    """The update that removes the messages of a refused run from the state."""
    begin = _first_after_reply(messages) if not known else _first_unknown(messages, known)
    refused = list(messages[begin:])
    if not refused and messages and is_users(messages[-1]) and not _is_known(messages[-1], known):
        refused = [messages[-1]]  # it replaced an older message
    return [RemoveMessage(id=str(message.id)) for message in refused]


def is_users(message: BaseMessage) -> bool:
    """Whether a user wrote the message; LangChain marks summaries that it inserts as user messages."""
    return isinstance(message, HumanMessage) and "lc_source" not in message.additional_kwargs


def since_reply(own: Sequence[AnyMessage]) -> list[AnyMessage]:
    """The messages after the last reply to one user, from that user's messages (`of`)."""
    return list(own[_first_after_reply(own) :])


def unanswered(own: Sequence[AnyMessage]) -> list[AnyMessage]:
    """The user's own messages after the last reply to that user."""
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
