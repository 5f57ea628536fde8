"""One line in the thread that says what was learned, corrected or forgotten after a reply.

It is written by this program: the models read no announcement, and nothing is learned from one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage

from seal_agent.core.redaction import NOTHING_LEFT
from seal_agent.language import confirmations

MARK = {"lc_source": "seal-agent"}
"""How an announcement is marked in `additional_kwargs`, as LangChain marks messages that it inserts itself."""


def announcement(outcomes: Sequence[Mapping[str, Any]]) -> AIMessage | None:
    """The line about a run's `outcomes`; None if nothing was learned, corrected or forgotten, or failed.

    That nothing is left of a message without its secret is said as well.
    """
    parts = [part for outcome in outcomes if (part := _part(outcome))]
    return AIMessage(" ".join(parts), additional_kwargs=dict(MARK)) if parts else None


def is_announcement(message: BaseMessage) -> bool:
    """Whether a message is an announcement."""
    return message.additional_kwargs.get("lc_source") == MARK["lc_source"]


def without_announcements(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """The messages that the user and the models wrote."""
    return [message for message in messages if not is_announcement(message)]


def without_requests(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """The messages without announcements, and without requests and the replies to them.

    They quote what was learned, and what was forgotten since must not be stored again as the context of a message.
    """
    kept: list[AnyMessage] = []
    for message in without_announcements(messages):
        if not message.response_metadata.get("request"):
            kept.append(message)
            continue
        while kept and isinstance(kept[-1], HumanMessage):
            kept.pop()
    return kept


def _part(outcome: Mapping[str, Any]) -> str:
    told, became = _told(outcome), outcome["outcome"]
    if became == "accepted" and outcome.get("corrected"):
        changes = "; ".join(f"{each['old']} -> {each['new']}" for each in outcome["corrected"])
        return f"{confirmations.CORRECTED}: {told} ({confirmations.shortened(changes)})."
    if became == "failed":
        return f"{confirmations.FAILED}: {outcome['reason']}."
    if outcome.get("reason") == NOTHING_LEFT:
        return f"{confirmations.NOT_LEARNED}: {outcome['reason']}."
    words = {
        "accepted": confirmations.LEARNED,
        "forgotten": confirmations.FORGOTTEN,
        "undone": confirmations.TAKEN_BACK,
    }
    return f"{words[became]}: {told}." if became in words else ""


def _told(outcome: Mapping[str, Any]) -> str:
    """The text that an outcome is about, in quotes; the topic for an outcome stored by an earlier version."""
    return confirmations.said_on(outcome["text"], "") if outcome.get("text") else outcome["topic"]
