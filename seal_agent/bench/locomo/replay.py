"""A conversation learned turn by turn, then its questions, each in a new thread.

Every turn and every answer is written when it is there: `turns.jsonl`, `answers.jsonl`. A run that was stopped goes on
behind the last turn that was written; its data directory holds what was learned.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from typing import Any

from seal_agent.bench.locomo import scoring
from seal_agent.bench.locomo.data import NEVER_SAID, Conversation, Question, Said
from seal_agent.bench.week import arms
from seal_agent.bench.week.arms import Arm
from seal_agent.bench.week.grading import declines
from seal_agent.bench.week.replay import size_on_disk
from seal_agent.core.backend import Backend, silent
from seal_agent.core.episodes import Decision, Episode, Progress
from seal_agent.core.errors import ContextLengthExceeded
from seal_agent.core.messages import Message
from seal_agent.core.messages import conversation as as_text
from seal_agent.deciding.decide import KNOWN
from seal_agent.documents.passages import split_passages
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.storage.run_folder import RunFolder

ASKED = (
    "Write an answer in the form of a short phrase for the following question. "
    "Answer with exact words from the conversation whenever possible."
)
"""LoCoMo's request (`task_eval/gpt_utils.py`), with "conversation" for "context", because some arms show none.

It stands in the system message: recall goes by the words of the question, and these would be taken for some of it.
"""
ASKED_FOR_A_DATE = "Use the date of the conversation to answer with an approximate date."
TIME = 2
EVERY_TURN = "every turn is learned"


@dataclass(frozen=True)
class TurnResult:
    """One turn that the loop got. `is_evidence`: a question that is asked needs it; `outcomes`: of each passage."""

    conversation: str
    id: str
    text: str
    is_evidence: bool
    learned: bool
    seconds: float
    num_bytes: int
    outcomes: tuple[str, ...] = ()


@dataclass(frozen=True)
class AnswerResult:
    """One question under one arm; `f1` and `is_exact` are of categories 1 to 4, 0 in category 5."""

    conversation: str
    arm: str
    id: str
    category: int
    text: str
    answer: str
    reply: str
    f1: float
    is_exact: bool
    is_declined: bool
    seconds: float


@dataclass(frozen=True)
class LeftOut:
    """An arm that cannot answer about a conversation, and why."""

    conversation: str
    arm: str
    reason: str


def measure(
    backend: Backend,
    run: RunFolder,
    conversations: Sequence[Conversation],
    chosen: Sequence[str],
    config: LearnerConfig | None = None,
    progress: Progress = silent,
    *,
    learn_all: bool = False,
) -> None:
    """Learn and question every conversation under the arms `chosen`, but for what `run` holds already.

    The arms that learn share what was learned once. With `learn_all` the decision whether to learn a turn is always
    yes, except for what is known. Raises `InputError` for an arm that does not exist, and `MissingExtra` without nltk.
    """
    arms.check(chosen)
    scoring.stemmer()
    settings = config or LearnerConfig()
    if learn_all:
        settings = replace(settings, decide=worth_learning)
    for conversation in conversations:
        learner = arms.learner_of(backend, run, conversation.id, chosen, settings)
        if any(name in arms.TAUGHT for name in chosen):
            _learn(learner, run, conversation, progress)
        for name in chosen:
            _ask(learner, run, conversation, name, progress)


def worth_learning(_episode: Episode, made: Decision) -> Decision:
    """A rule for `LearnerConfig.decide`: whatever is not known is learned."""
    return made if made.learn or made.reason == KNOWN else replace(made, learn=True, reason=EVERY_TURN)


def _learn(learner: Learner, run: RunFolder, conversation: Conversation, progress: Progress) -> None:
    """Every turn that is not learned yet, in order."""
    done = {result.id for result in run.values("turns", TurnResult) if result.conversation == conversation.id}
    loop = _Loop(learner)
    for number, (said, turn) in enumerate(zip(conversation.said, conversation.turns(), strict=True)):
        progress(f"learning {turn.thread}", number, len(conversation.said))
        if said.id in done:
            continue
        before = [each for each in conversation.said[:number] if each.session == said.session]
        start = time.perf_counter()
        outcomes = loop.learn(said, before, turn.thread)
        seconds = round(time.perf_counter() - start, 2)
        learned = any(each.startswith("accepted") for each in outcomes)
        size = size_on_disk(learner.stack)
        result = TurnResult(conversation.id, said.id, said.text, turn.learn, learned, seconds, size, outcomes)
        run.append("turns", asdict(result))


class _Loop:
    """The learning loop as a graph, without the reply of the chat graph; langgraph is imported when it is needed."""

    def __init__(self, learner: Learner) -> None:
        from seal_agent.graphs.learning import as_pending, create_learning_graph

        self._graph: Any = create_learning_graph(learner).compile()
        self._pending = as_pending

    def learn(self, said: Said, before: Sequence[Said], thread: str) -> tuple[str, ...]:
        """What became of each passage of a turn that follows the turns `before` in its thread."""
        earlier = as_text([Message("user", each.text) for each in before])
        passages = [replace(each, said_on=said.date) for each in split_passages(said.text, earlier=earlier)]
        ended = self._graph.invoke(self._pending(passages), {"configurable": {"thread_id": thread}})
        return tuple(f"{each['outcome']}: {each['reason']}" for each in ended["outcomes"])


def _ask(learner: Learner, run: RunFolder, conversation: Conversation, name: str, progress: Progress) -> None:
    """Every question under one arm, on the day after the last session."""
    done = {r.id for r in run.values("answers", AnswerResult) if (r.conversation, r.arm) == (conversation.id, name)}
    left_out = {(each.conversation, each.arm) for each in run.values("left_out", LeftOut)}
    if (conversation.id, name) in left_out:
        return
    day = str(date.fromisoformat(conversation.said[-1].date) + timedelta(days=1))
    arm = arms.arm_of(name, learner, conversation.turns())
    for number, question in enumerate(conversation.questions):
        progress(f"asking about {conversation.id} ({name})", number, len(conversation.questions))
        if question.id in done:
            continue
        try:
            run.append("answers", asdict(_answer(arm, conversation.id, name, question, day)))
        except ContextLengthExceeded as error:  # the whole conversation in the prompt, say
            run.append("left_out", asdict(LeftOut(conversation.id, name, str(error))))
            return


def _answer(arm: Arm, conversation: str, name: str, question: Question, day: str) -> AnswerResult:
    start = time.perf_counter()
    reply = arm.reply(asked(question), day)
    seconds = round(time.perf_counter() - start, 2)
    has_answer = question.category != NEVER_SAID
    return AnswerResult(
        conversation,
        name,
        question.id,
        question.category,
        question.text,
        question.answer,
        reply,
        round(scoring.f1(question.category, reply, question.answer), 4) if has_answer else 0.0,
        has_answer and scoring.is_exact(question.category, reply, question.answer),
        declines(reply),
        seconds,
    )


def asked(question: Question) -> list[Message]:
    """The question as it is asked; the same words in every category but for dates, so that none is given away."""
    wanted = f"{ASKED} {ASKED_FOR_A_DATE}" if question.category == TIME else ASKED
    return [Message("system", wanted), Message("user", question.text)]
