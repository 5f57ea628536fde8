"""Who answers in `bench week` and `bench locomo`: the untouched model, with or without messages, or the learner.

Every arm answers a conversation (messages that end with the user's) and says how likely it finds a given reply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from seal_agent.bench.week.data import Turn
from seal_agent.core.backend import Backend
from seal_agent.core.errors import InputError
from seal_agent.core.facts import Recall
from seal_agent.core.messages import Message, Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.serving.router import Router
from seal_agent.storage.database import Home
from seal_agent.storage.run_folder import RunFolder

NOTHING, PROMPT, RETRIEVAL = "nothing", "prompt", "retrieval"
UNTAUGHT = (NOTHING, PROMPT, RETRIEVAL)
"""Arms that answer without any learning; the others need the week replayed."""
TAUGHT: Mapping[str, Recall] = {"weights": "weights", "text": "text", "both": "both"}
NUM_RETRIEVED = 5  # messages
MAX_REPLY_TOKENS = 64
HOME = "home"
"""The data directory of a run, in its folder; the backend has to write its adapters there."""
TOLD = "Messages that the user sent you before, with their dates:\n{messages}\n\nToday is {date}."


class Arm(Protocol):
    """One way to answer."""

    def reply(self, conversation: Sequence[Message], date: str) -> str:
        """The greedy reply to a conversation on a day."""
        ...

    def nats(self, conversation: Sequence[Message], date: str, reply: str) -> float:
        """The negative log-likelihood of `reply`, in nats a token."""
        ...


class Prompted:
    """The untouched model, with messages of the user in a system message: all of them, the nearest, or none."""

    def __init__(self, backend: Backend, said: Sequence[Turn], num: int | None = None) -> None:
        """`num`: so many messages, by their words nearest to what was asked; None: all."""
        self._view = backend.with_stack(AdapterStack())
        self._said = list(said)
        self._num = num
        self._router = Router({str(turn.n): turn.text for turn in said})

    def reply(self, conversation: Sequence[Message], date: str) -> str:
        """See `Arm`."""
        prompt = self._prompt(conversation, date)
        return self._view.generate([prompt], max_new_tokens=MAX_REPLY_TOKENS)[0][0].strip()

    def nats(self, conversation: Sequence[Message], date: str, reply: str) -> float:
        """See `Arm`."""
        return -self._view.score([self._prompt(conversation, date)], [reply])[0].per_token

    def _prompt(self, conversation: Sequence[Message], date: str) -> Prompt:
        shown = self._shown(conversation[-1].content)
        if not shown:
            return Prompt(tuple(conversation))
        lines = "\n".join(f"[{turn.date}] {turn.text}" for turn in shown)
        told, first = TOLD.format(messages=lines, date=date), conversation[0]
        if first.role == "system":
            return Prompt((Message("system", f"{first.content}\n\n{told}"), *conversation[1:]))
        return Prompt((Message("system", told), *conversation))

    def _shown(self, asked: str) -> list[Turn]:
        if self._num is None or not self._said:
            return self._said
        nearest = {int(n) for n, _ in self._router.scores(asked)[: self._num]}
        return [turn for turn in self._said if turn.n in nearest]


class Taught:
    """The learner, as the chat graph answers with `recall`."""

    def __init__(self, learner: Learner, recall: Recall) -> None:
        self._learner = Learner(
            learner.backend, learner.home, learner.namespace, replace(learner.config, recall=recall)
        )

    def reply(self, conversation: Sequence[Message], date: str) -> str:
        """See `Arm`."""
        return self._learner.answer([conversation], max_new_tokens=MAX_REPLY_TOKENS)[0]

    def nats(self, conversation: Sequence[Message], date: str, reply: str) -> float:
        """See `Arm`."""
        state = self._learner.state
        [used] = state.recalled(state.view(state.stack), [Prompt(tuple(conversation))])
        return -state.backend.with_stack(used.stack).score([used.prompt], [reply])[0].per_token


def check(chosen: Sequence[str]) -> None:
    """Raise `InputError` for an arm that does not exist."""
    if unknown := [name for name in chosen if name not in (*UNTAUGHT, *TAUGHT)]:
        raise InputError(f"there is no arm called {unknown[0]!r}; choose {', '.join((*UNTAUGHT, *TAUGHT))}")


def learner_of(
    backend: Backend, run: RunFolder, namespace: str, chosen: Sequence[str], config: LearnerConfig
) -> Learner:
    """The learner of a run; it recalls as the only arm of `chosen` that learns does, several of them recall "both".

    What is learned for "both" is trained to stand beside its text, so `weights` is at its best when it runs alone.
    """
    taught = [TAUGHT[name] for name in chosen if name in TAUGHT]
    settings = replace(config, recall=taught[0] if len(taught) == 1 else "both")
    return Learner(backend, Home(run.folder / HOME), namespace, settings)


def arm_of(name: str, learner: Learner, said: Sequence[Turn]) -> Arm:
    """The arm of that name, after the user said `said`."""
    if name == NOTHING:
        return Prompted(learner.backend, [])
    if name == PROMPT:
        return Prompted(learner.backend, said)
    if name == RETRIEVAL:
        return Prompted(learner.backend, said, NUM_RETRIEVED)
    return Taught(learner, TAUGHT[name])
