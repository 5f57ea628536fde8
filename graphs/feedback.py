"""Feedback on a reply, taken from the messages of a LangGraph state."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AnyMessage

from seal_agent.core.errors import InputError
from seal_agent.graphs.announcements import is_announcement
from seal_agent.graphs.messages import as_message
from seal_agent.graphs.namespaces import AnyLearner, current
from seal_agent.learning.learners import check_learner
from seal_agent.storage import feedback
from seal_agent.storage.feedback import Feedback


def give_feedback(
    learner: AnyLearner, messages: Sequence[AnyMessage], value: float = 1.0, *, correction: str = ""
) -> list[Feedback]:
    """Store feedback on the last reply in `messages`, from -1 (wrong) to 1 (right), and a correction.

    `learner` must be the user's own: of `Learners`, `learners.of(user)`. Inside a graph's run `Learners` can be passed,
    and a learner is refused if the run names another user. Feedback is not learned directly; it rewards edits when the
    policy is improved. Raises `InputError` if there is no reply, or for a value out of range.
    """
    check_learner(learner)
    if isinstance(messages, str) or not isinstance(messages, Sequence):
        raise InputError(f"messages={messages!r} is not a list of messages; give those of the thread's state")
    given = feedback.on_reply(
        [as_message(message) for message in messages if not is_announcement(message)], value, correction
    )
    chosen = current(learner)
    feedback.record(chosen.home, chosen.namespace, *given)
    return given
