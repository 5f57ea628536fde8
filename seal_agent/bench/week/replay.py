"""A week replayed through the chat graph, unrelated requests in its threads, and the questions afterwards.

Every turn and every answer is written when it is there: `turns.jsonl`, `neutral.jsonl`, `answers.jsonl`. A run that was
stopped goes on behind the last turn that was written; its data directory holds what was learned.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from seal_agent.bench.week import arms, grading
from seal_agent.bench.week.arms import Arm
from seal_agent.bench.week.data import Turn, Week
from seal_agent.core.backend import Backend, silent
from seal_agent.core.episodes import Progress
from seal_agent.core.messages import Message
from seal_agent.core.stacks import AdapterStack
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.storage.run_folder import RunFolder


@dataclass(frozen=True)
class TurnResult:
    """One turn of a replay; `n` is 0 for an unrelated request.

    `outcomes`: what became of each passage, and why. `num_bytes`: of all adapters served after it.
    """

    week: str
    n: int
    thread: str
    text: str
    kind: str
    should_learn: bool
    learned: bool
    reply: str
    reply_seconds: float
    learn_seconds: float
    num_bytes: int
    outcomes: tuple[str, ...] = ()


@dataclass(frozen=True)
class NeutralResult:
    """One unrelated request under one arm. `nats`: by how much less likely the untouched model's reply became."""

    week: str
    arm: str
    after_turn: int
    text: str
    reply: str
    untouched: str
    is_same: bool
    is_recital: bool
    nats: float


@dataclass(frozen=True)
class AnswerResult:
    """One question under one arm."""

    week: str
    arm: str
    id: str
    kind: str
    text: str
    reply: str
    grade: grading.Grade
    seconds: float


def measure(
    backend: Backend,
    run: RunFolder,
    weeks: Sequence[Week],
    chosen: Sequence[str],
    config: LearnerConfig | None = None,
    progress: Progress = silent,
) -> None:
    """Replay and question every week under the arms `chosen`, but for what `run` holds already.

    The arms that learn share one replay. Its replies recall as the only such arm does; several recall "both".

    Raises `InputError` for an arm that does not exist.
    """
    arms.check(chosen)
    for week in weeks:
        learner = arms.learner_of(backend, run, week.id, chosen, config or LearnerConfig())
        if taught := [name for name in chosen if name in arms.TAUGHT]:
            _Replay(learner, run, week, taught, progress).run()
        _questions(learner, run, week, chosen, progress)
        _unrelated(learner, run, week, [name for name in chosen if name in arms.UNTAUGHT], progress)


class _Replay:
    """One week through the chat graph, with the unrelated requests under the arms that learn."""

    def __init__(self, learner: Learner, run: RunFolder, week: Week, chosen: Sequence[str], progress: Progress) -> None:
        self.learner, self.week, self._run, self._chosen, self._progress = learner, week, run, chosen, progress
        self._chat = _Chat(learner)
        self._done = [result for result in run.values("turns", TurnResult) if result.week == week.id]
        self._threads: dict[str, list[Message]] = {}
        for result in self._done:
            self._remember(result)

    def run(self) -> None:
        """Every turn that is not there yet, each followed by its unrelated requests."""
        for thread, messages in self._threads.items():
            self._chat.restore(thread, messages)
        seen = {(result.n, result.text) for result in self._done}
        for number, turn in enumerate(self.week.turns):
            self._progress(f"replaying {self.week.id}", number, len(self.week.turns))
            if (turn.n, turn.text) not in seen:
                self._say(turn)
            for neutral in self.week.neutral:
                if neutral.after_turn == turn.n and (0, neutral.text) not in seen:
                    self._compare(turn, neutral.thread, neutral.text)
                    self._say(Turn(0, turn.date, neutral.thread, neutral.text, "neutral", learn=False))

    def _say(self, turn: Turn) -> None:
        said = self._chat.say(turn)
        result = TurnResult(
            self.week.id,
            turn.n,
            turn.thread,
            turn.text,
            turn.kind,
            turn.learn,
            any(each.startswith("accepted") for each in said.outcomes),
            said.reply,
            round(said.reply_seconds, 2),
            round(said.learn_seconds, 2),
            size_on_disk(self.learner.stack),
            said.outcomes,
        )
        self._run.append("turns", asdict(result))
        self._remember(result)

    def _compare(self, turn: Turn, thread: str, text: str) -> None:
        said = [each for each in self.week.turns if each.n <= turn.n]
        history = self._threads.get(thread, [])
        _compare(self.learner, self._run, self.week, self._chosen, said, [*history, Message("user", text)])

    def _remember(self, result: TurnResult) -> None:
        messages = self._threads.setdefault(result.thread, [])
        messages += [Message("user", result.text), Message("assistant", result.reply)]


@dataclass(frozen=True)
class _Said:
    """What came of one message."""

    reply: str
    outcomes: tuple[str, ...]
    reply_seconds: float
    learn_seconds: float


class _Chat:
    """The chat graph with its threads in memory; langgraph is imported when a week is replayed."""

    def __init__(self, learner: Learner) -> None:
        from langgraph.checkpoint.memory import InMemorySaver

        from seal_agent.graphs.chat import create_chat_graph

        self._graph = create_chat_graph(learner).compile(checkpointer=InMemorySaver())

    def restore(self, thread: str, messages: Sequence[Message]) -> None:
        """Put messages of an earlier run into a thread."""
        from langchain_core.messages import AIMessage, HumanMessage

        from seal_agent.graphs.pending import as_pending

        kinds = {"user": HumanMessage, "assistant": AIMessage}
        said = [kinds[message.role](message.content) for message in messages]
        self._graph.update_state(_configured(thread), {"messages": said, **as_pending(())}, "respond")

    def say(self, turn: Turn) -> _Said:
        """Send a message on its day and wait until it is learned."""
        from langchain_core.messages import HumanMessage

        start = replied = time.perf_counter()
        configured = _configured(turn.thread)
        message = HumanMessage(turn.text, additional_kwargs={"timestamp": turn.date})
        for update in self._graph.stream({"messages": [message]}, configured, stream_mode="updates"):
            if "respond" in update:
                replied = time.perf_counter()
        values = self._graph.get_state(configured).values
        outcomes = tuple(f"{each['outcome']}: {each['reason']}" for each in values.get("outcomes", []))
        return _Said(str(values["messages"][-1].text), outcomes, replied - start, time.perf_counter() - replied)


def _configured(thread: str) -> Any:
    return {"configurable": {"thread_id": thread}}


def size_on_disk(stack: AdapterStack) -> int:
    """Bytes on disk of what is served."""
    folders = {Path(entry.ref.path) for entry in stack.entries}
    return sum(path.stat().st_size for folder in folders for path in folder.iterdir())


def _unrelated(learner: Learner, run: RunFolder, week: Week, chosen: Sequence[str], progress: Progress) -> None:
    """The unrelated requests under the arms that learn nothing; their threads hold the untouched model's replies."""
    if not [name for name in chosen if name != arms.NOTHING]:
        return
    done = {(r.arm, r.after_turn, r.text) for r in run.values("neutral", NeutralResult) if r.week == week.id}
    threads: dict[str, list[Message]] = {}
    untouched = arms.arm_of(arms.NOTHING, learner, ())
    for number, turn in enumerate(week.turns):
        progress(f"unrelated requests of {week.id}", number, len(week.turns))
        thread = threads.setdefault(turn.thread, [])
        thread.append(Message("user", turn.text))
        wanted = [n for n in week.neutral if n.after_turn == turn.n]
        last = max((n.after_turn for n in week.neutral if n.thread == turn.thread), default=0)
        if turn.n <= last:  # later turns of the thread matter to no request
            thread.append(Message("assistant", untouched.reply(thread, turn.date)))
        for neutral in wanted:
            todo = [name for name in chosen if (name, turn.n, neutral.text) not in done and name != arms.NOTHING]
            said = [each for each in week.turns if each.n <= turn.n]
            _compare(learner, run, week, todo, said, [*thread, Message("user", neutral.text)])


def _compare(
    learner: Learner,
    run: RunFolder,
    week: Week,
    chosen: Sequence[str],
    said: Sequence[Turn],
    conversation: Sequence[Message],
) -> None:
    """An unrelated request answered by the untouched model and by every arm in the same conversation."""
    if not chosen:
        return
    day, text = said[-1].date, conversation[-1].content
    base = arms.arm_of(arms.NOTHING, learner, ())
    untouched = base.reply(conversation, day)
    before = base.nats(conversation, day, untouched)
    facts = [fact for fact in week.facts.values() if fact.turn <= said[-1].n]
    for name in chosen:
        arm: Arm = arms.arm_of(name, learner, said)
        reply = arm.reply(conversation, day)
        result = NeutralResult(
            week.id,
            name,
            said[-1].n,
            text,
            reply,
            untouched,
            grading.is_same_beginning(reply, untouched),
            grading.recites(reply, text, untouched, facts, [turn.text for turn in said if turn.facts]),
            round(arm.nats(conversation, day, untouched) - before, 4),
        )
        run.append("neutral", asdict(result))


def _questions(learner: Learner, run: RunFolder, week: Week, chosen: Sequence[str], progress: Progress) -> None:
    """Every question in a thread of its own on the day after the last turn."""
    done = {(r.arm, r.id) for r in run.values("answers", AnswerResult) if r.week == week.id}
    day = str(date.fromisoformat(week.turns[-1].date) + timedelta(days=1))
    for name in chosen:
        arm = arms.arm_of(name, learner, week.turns)
        for number, question in enumerate(week.questions):
            progress(f"asking about {week.id} ({name})", number, len(week.questions))
            if (name, question.id) in done:
                continue
            start = time.perf_counter()
            reply = arm.reply([Message("user", question.text)], day)
            seconds = round(time.perf_counter() - start, 2)
            mark = grading.grade(question, reply)
            result = AnswerResult(week.id, name, question.id, question.kind, question.text, reply, mark, seconds)
            run.append("answers", asdict(result))
