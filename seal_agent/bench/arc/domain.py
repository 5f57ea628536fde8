"""ARC as a domain: a context is a task, an edit is a choice of how to train on its demonstrations.

The policy sees the demonstrations and writes directives as JSON; the rows follow from them without a model. Only
`grade` sees the test grids.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from seal_agent.bench.arc.augment import MENU, edit_of
from seal_agent.bench.arc.grids import Grid, as_answer
from seal_agent.bench.arc.tasks import Task, demonstrated, question
from seal_agent.bench.arc.transforms import Transform
from seal_agent.bench.arc.voting import VOTERS, answers, guesses
from seal_agent.core.backend import Backend
from seal_agent.core.domain import Grade, Proposal
from seal_agent.core.edits import Directives, Row
from seal_agent.core.messages import Prompt
from seal_agent.writing.directives import ask, listed, parse_directives

ARC = Directives(
    formats=("leave-one-out",),
    augmentations=("basic",),
    num_rows=128,
    num_epochs=1,
    min_steps=1,
    max_steps=2_000,
    batch_size=2,
    num_warmup_steps=2,
    loss_on="answers",
    rehearsal_share=0.0,
)
"""The fixed configuration, chosen on tasks outside all benchmarks (docs/log/arc.md): 64 steps of 2 distinct rows,
about 50 seconds of one core for the embedded model. On a GPU take more rows (`bench arc --rows`); SEAL and
Akyürek et al. take hundreds.
"""
PROMPT = """\
{puzzle}
Choose how to learn this puzzle from its examples. Settings, as JSON:
{choices}
Settings:"""


@dataclass(frozen=True)
class ArcDomain:
    """The `Domain` of ARC tasks. Missing keys of the JSON are taken from `base`; answers are voted on over `voters`."""

    base: Directives = ARC
    voters: tuple[Transform, ...] = VOTERS

    @property
    def name(self) -> str:
        """Always "arc"."""
        return "arc"

    def prompt(self, context: Task, rate: float) -> Prompt:
        """The prompt for a policy on a model of learning rate `rate`: demonstrations and choices, not our defaults."""
        return Prompt.raw(PROMPT.format(puzzle=demonstrated(context), choices=listed(MENU, rate)))

    def propose(self, writer: Backend, context: Task, *, seed: int = 0, temperature: float = 0.0) -> Proposal:
        """The edit that the policy's JSON makes of the demonstrations.

        Raises `EditFault` for incomplete JSON, and for a format that needs more demonstrations than there are.
        """
        prompt = self.prompt(context, writer.learning_rate)
        written = ask(writer, prompt, MENU, seed=seed, temperature=temperature)
        edit = edit_of(context, parse_directives(written, self.base, MENU), seed)
        return Proposal(edit, (Row(prompt, written, self.name),))

    def grade(self, view: Backend, context: Task, *, generates: bool = True) -> Grade:
        """NLL of the correct grids, and the share of them found in two guesses by vote."""
        nll = self.nll(view, context)
        return Grade(nll, fmean(solved(context, self.guesses(view, context)))) if generates else Grade(nll)

    def nll(self, view: Backend, context: Task) -> float:
        """NLL of the correct grids in nats per token; a token is a cell, a row end or the end."""
        prompts = [question(context, pair.input) for pair in context.tests]
        scores = view.score(prompts, [as_answer(pair.output) for pair in context.tests])
        return -fmean(score.per_token for score in scores)

    def guesses(self, view: Backend, context: Task) -> tuple[tuple[Grid, ...], ...]:
        """At most two guesses for every test grid."""
        return tuple(guesses(answers(view, context, pair.input, self.voters)) for pair in context.tests)


def solved(task: Task, guessed: tuple[tuple[Grid, ...], ...]) -> tuple[bool, ...]:
    """For every test grid, whether it is among its guesses."""
    return tuple(pair.output in of for pair, of in zip(task.tests, guessed, strict=True))
