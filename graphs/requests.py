"""Replies to requests about what is remembered, made from what is stored and not by a model.

"What do you know about me?" lists the facts that are served, "why do you think that?" those that the last reply used.
A request to forget or to undo is told what it will change; the loop then changes exactly that (`unlearning.asked`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage

from seal_agent.core.documents import Passage
from seal_agent.core.episodes import Episode
from seal_agent.core.facts import Fact
from seal_agent.deciding.requests import clear_request
from seal_agent.documents.passages import split_passages
from seal_agent.graphs.speakers import is_users
from seal_agent.language import confirmations
from seal_agent.language.values import UserRequest
from seal_agent.learning.learner import Learner
from seal_agent.storage.jobs import LearningQueue
from seal_agent.unlearning.asked import to_forget, to_undo

MAX_LISTED = 20


@dataclass(frozen=True)
class Confirmed:
    """The reply to a request; `about`: the adapter that it forgets or undoes; `is_refused`: nothing is done."""

    message: AIMessage
    about: str = ""
    is_refused: bool = False

    def passages(self, said: Sequence[Passage]) -> list[Passage]:
        """What the user said, for the loop: the last passage is the request, with what the reply says it is about."""
        *before, request = said
        return before if self.is_refused else [*before, replace(request, about=self.about)]


def confirmed(
    learner: Learner, own: Sequence[AnyMessage], said: Sequence[Passage], thread: str, queue: LearningQueue | None
) -> Confirmed | None:
    """The reply to the user's last message if it is a request about what is remembered, else None.

    `own`: the messages of this user in the thread; `said`: the passages of those without a reply. A request to remember
    is answered by the model, and so are one to forget or undo in a dry run, and one to forget that only the model
    recognises and that fits nothing learned. While nothing has been learned, only clear
    forms are recognised, so that a new model is not tested before its first reply.
    """
    if not said or not is_users(own[-1]) or len(split_passages(str(own[-1].text))) != 1:
        return None
    passage = said[-1]
    may_ask = bool(learner.stack.entries)
    request = learner.state.classifier.request_of(passage.text, passage.earlier, may_ask=may_ask)
    if request == "known":
        return _known(learner)
    if request == "why":
        return _why(own)
    if learner.config.dry_run:
        return None
    if request == "forget":
        found = to_forget(learner.state, passage.text)
        is_sure = found is not None or clear_request(passage.text) == "forget"
        return _to_change(request, found) if is_sure else None  # the model may be wrong: "I forgot my keys."
    if request == "undo":
        is_waiting = queue is not None and bool(queue.jobs(learner.namespace, ("waiting", "running"), threads=[thread]))
        return _waiting() if is_waiting else _to_change(request, to_undo(learner.state, thread))
    return None


def _known(learner: Learner) -> Confirmed:
    facts = learner.state.facts()[::-1]
    said = [fact for fact in facts if not fact.source]
    shown = [confirmations.said_on(fact.text, fact.said_on) for fact in said[:MAX_LISTED]]
    documents = Counter(fact.source for fact in facts if fact.source)
    shown += [confirmations.PASSAGES.format(title=title, num=num) for title, num in documents.items()]
    if not shown:
        return Confirmed(_message("known", confirmations.KNOWN_NOTHING))
    num_left = len(said) - MAX_LISTED
    more = [confirmations.MORE.format(num=num_left)] if num_left > 0 else []
    return Confirmed(_message("known", confirmations.listed(confirmations.KNOWN, shown, *more), said[:MAX_LISTED]))


def _why(own: Sequence[AnyMessage]) -> Confirmed | None:
    """What the last reply to this user used, from its metadata; None without a reply: there is nothing to explain."""
    replies = [each for each in own if isinstance(each, AIMessage) and each.text.strip()]
    if not replies:
        return None
    recalled = replies[-1].response_metadata.get("recalled")
    if recalled is None:
        return Confirmed(_message("why", confirmations.WHY_UNRECORDED))
    text = confirmations.listed(confirmations.WHY, recalled) if recalled else confirmations.WHY_NOTHING
    return Confirmed(_message("why", text, statements=recalled))


def _to_change(request: UserRequest, found: Episode | None) -> Confirmed:
    """What is forgotten or undone, or that nothing is."""
    is_undo = request == "undo"
    if found is None or found.adapter is None:
        return Confirmed(_message(request, confirmations.UNDO_NOTHING if is_undo else confirmations.FORGET_NOTHING))
    told = confirmations.said_on(found.text, found.said_on)
    closing = [confirmations.UNDO_KEPT] if is_undo else []
    text = confirmations.listed(confirmations.UNDO if is_undo else confirmations.FORGET, [told], *closing)
    return Confirmed(_message(request, text), found.adapter.id)


def _waiting() -> Confirmed:
    return Confirmed(_message("undo", confirmations.UNDO_WAITING), is_refused=True)


def _message(request: UserRequest, text: str, facts: Sequence[Fact] = (), statements: Sequence[str] = ()) -> AIMessage:
    recalled = [*(fact.statement for fact in facts), *statements]
    metadata: dict[str, Any] = {"request": request, "recalled": recalled, "finish_reason": "stop"}
    return AIMessage(text, response_metadata=metadata)
