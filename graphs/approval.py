"""Approval by a person before training: the rows are shown with LangGraph's `interrupt` and may be changed.

Approval is a node of its own, because an interrupted node runs again from its beginning. While the question is open the
text is a held job in the queue, so that it is not lost if the thread is abandoned or has no checkpointer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from langgraph.types import interrupt
from pydantic import BaseModel, ConfigDict, Field

from seal_agent.core.documents import passage_of
from seal_agent.core.edits import REPLAYED, Probe, Row, SelfEdit
from seal_agent.core.episodes import Episode
from seal_agent.core.errors import EditFault
from seal_agent.core.messages import Prompt
from seal_agent.core.outcomes import Outcome
from seal_agent.learning.learner import Learner
from seal_agent.storage.database import Home
from seal_agent.storage.jobs import Job, LearningQueue
from seal_agent.writing.assembly import MAX_PROBES

BY_HAND = "by hand"


class ShownRow(BaseModel):
    """One training row as it is shown: after `prompt` the model is trained to say `answer`."""

    model_config = ConfigDict(extra="forbid")

    prompt: str = Field(description="What the user asks; empty for a row of plain text.")
    answer: str = Field(min_length=1, description="What the model learns to answer.")


class Approval(BaseModel):
    """A person's answer: with "edit", `rows` replace the rows that were shown."""

    model_config = ConfigDict(extra="forbid")

    decision: Literal["approve", "edit", "reject"]
    rows: list[ShownRow] = Field(default_factory=list, description='With "edit": the rows to learn instead.')
    reason: str = Field(default="", description='With "reject": why, for the ledger.')


def shown(edit: SelfEdit) -> list[dict[str, str]]:
    """The rows that would be learned, without rehearsal and replay rows."""
    return [{"prompt": row.prompt.asked, "answer": row.answer} for row in edit.rows if row.source not in REPLAYED]


def is_waiting(episode: Episode) -> bool:
    """Whether an edit is written and not trained: a person must decide."""
    return episode.outcome == "open" and episode.edit is not None and episode.adapter is None


def can_go_on(learner: Learner, episode: Episode | None) -> bool:
    """Whether an edit waits for a person, on the stack that it was written for."""
    if episode is None or not learner.config.approval:
        return False
    return is_waiting(episode) and episode.parent == learner.stack


def hold(home: Home, model: str, episode: Episode) -> int:
    """Hold the text as a job in the queue while a person is asked, and return the job.

    `seal-agent queue list` shows it, and `queue approve` or `queue cancel` decide about it. A text is held once,
    however often the question is asked.
    """
    (job,) = LearningQueue(home).submit(
        [passage_of(episode)], episode.namespace, thread=episode.thread, model=model, awaiting_approval=True
    )
    return job


def decided_in_queue(home: Home, job: int) -> Job | None:
    """The held job, if it was approved or cancelled in the queue; None while it waits."""
    found = LearningQueue(home).find(job)
    return found if found is not None and found.state != "held" else None


def overruled(episode: Episode, job: Job) -> Episode:
    """The declined episode of a text that was cancelled in the queue before it was answered in the thread."""
    return replace(episode, outcome="declined", fault=f"job {job.id} was cancelled in the queue before an answer came")


def taken_over(topic: str, job: Job) -> Outcome:
    """The report of a text that was approved in the queue: a worker learns it, not the thread."""
    became = f"it is {job.state}" + f" ({job.note})" * bool(job.note)
    reason = f"job {job.id} was approved in the queue before an answer came: {became}"
    return Outcome(topic, job.outcome or "queued", reason)


def withdraw(home: Home, episode: Episode) -> None:
    """Remove the held job of a closed episode from the queue."""
    LearningQueue(home).withdraw(episode.namespace, episode.thread, episode.text)


def ask(episode: Episode) -> Episode:
    """Ask a person, and return the episode unchanged, with other rows, or declined.

    Raises pydantic's `ValidationError` for an answer of the wrong form; the question can be answered again.
    """
    edit = episode.edit
    if edit is None:
        raise EditFault("there is no self-edit to approve; write one first")
    question = {"topic": episode.topic, "text": episode.text, "reason": _why(episode), "rows": shown(edit)}
    question |= {"writer": edit.writer} if edit.writer else {}
    answer = interrupt(question, response_schema=Approval)
    if answer.decision == "reject":
        return replace(episode, outcome="declined", fault=answer.reason or "declined by a person")
    if answer.decision == "edit" and answer.rows:
        return replace(episode, edit=edited(edit, answer.rows))
    if answer.decision == "edit":
        return replace(episode, outcome="declined", fault="a person removed every row")
    return episode


def edited(edit: SelfEdit, rows: Sequence[ShownRow]) -> SelfEdit:
    """`edit` with the given rows; a row that was shown keeps its fields, any other becomes a question with an answer.

    Probes are dropped if their question is in no row any more, or has another answer now.
    """
    wanted = [(row.prompt, row.answer) for row in rows]
    own = {(row.prompt.asked, row.answer): row for row in edit.rows if row.source not in REPLAYED}
    changed = [own.get(pair) or _by_hand(*pair) for pair in dict.fromkeys(wanted)]
    taken_out = {prompt for prompt, answer in own if (prompt, answer) not in set(wanted)}
    answers = {answer for _, answer in own} - {answer for _, answer in wanted}
    probes = [p for p in edit.probes if p.prompt.asked not in taken_out and p.answer not in answers]
    told = [Probe(row.prompt, row.answer, "edit", edit.document) for row in changed]
    probes += [probe for probe, row in zip(told, changed, strict=True) if row.source == BY_HAND and row.question]
    replayed = [row for row in edit.rows if row.source in REPLAYED]
    return replace(edit, rows=(*changed, *replayed), probes=tuple(probes or told[:MAX_PROBES]))


def _by_hand(prompt: str, answer: str) -> Row:
    return Row(Prompt.user(prompt) if prompt else Prompt.raw(""), answer, BY_HAND)


def _why(episode: Episode) -> str:
    return episode.decision.reason if episode.decision else ""
