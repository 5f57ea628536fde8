"""A domain in which a policy can get better, for tests: a lesson is learned well or badly as it is written."""

from __future__ import annotations

from dataclasses import dataclass

from seal_agent.core.backend import Backend
from seal_agent.core.domain import Grade, Proposal
from seal_agent.core.edits import Row, SelfEdit
from seal_agent.core.errors import EditFault
from seal_agent.core.messages import Prompt

WAYS = ("badly", "in part", "well")
ASKED = "How is a lesson learned?"


@dataclass(frozen=True)
class Lessons:
    """Contexts are numbers. The policy says a way; a sample at a temperature is any way, by its seed.

    A lesson has two questions; what is learned well answers both, in part one, badly none. `faults` are contexts
    nothing can be written for.
    """

    faults: tuple[int, ...] = ()
    harm: bool = False
    name: str = "lessons"

    def propose(self, writer: Backend, context: int, *, seed: int = 0, temperature: float = 0.0) -> Proposal:
        if context in self.faults:
            raise EditFault(f"nothing can be written for {context}")
        said = writer.generate([Prompt.raw(ASKED)])[0][0]
        way = WAYS[seed % 3] if temperature else said if said in WAYS else WAYS[0]
        rows = [Row(Prompt.user(f"What is {context}?"), "a mystery")]
        rows += [Row(question(context, part), "the answer") for part in range(WAYS.index(way))]
        edit = SelfEdit(f"lesson {context}", f"lesson {context}", tuple(rows), ())
        return Proposal(edit, (Row(Prompt.raw(ASKED), way, "way"),))

    def grade(self, view: Backend, context: int, *, generates: bool = True) -> Grade:
        scores = view.score([question(context, part) for part in range(2)], ["the answer"] * 2)
        nll = -sum(score.per_token for score in scores) / 2
        return Grade(nll, float(nll < 1) if generates else None)


def question(context: int, part: int) -> Prompt:
    return Prompt.user(f"What does part {part} of {context} say?")
