"""What a user made of a reply, out of a conversation as LangGraph's state holds it."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AnyMessage

from seal_agent.core.errors import InputError
from seal_agent.graphs.messages import as_message
from seal_agent.graphs.namespaces import AnyLearner, current
from seal_agent.learning.learners import check_learner
from seal_agent.storage import feedback
from seal_agent.storage.feedback import Feedback


def give_feedback(
    learner: AnyLearner, messages: Sequence[AnyMessage], value: float = 1.0, *, correction: str = ""
) -> list[Feedback]:
    """Keep what the user made of the last reply in `messages`, from -1 (wrong) to 1 (right), and what is right.

    `learner` is the user's own: of `Learners` it is `learners.of(user)`. In a run of a graph `Learners` will do, and a
    learner is refused where the run names another user. Nothing is learned from it by itself: it rewards edits when the
    policy is improved. Raises `InputError` where there is no reply, or a value out of range.
    """
    check_learner(learner)
    if isinstance(messages, str) or not isinstance(messages, Sequence):
        raise InputError(f"messages={messages!r} is no list of messages; give those of the thread's state")
    given = feedback.on_reply([as_message(message) for message in messages], value, correction)
    chosen = current(learner)
    feedback.record(chosen.home, chosen.namespace, *given)
    return given
