"""The values of a policy improvement: settings, split of the contexts, and the results of every step.

All but the winners are lines of JSON in the run's folder. `seal_agent.policy.rest_em` has the steps.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Annotated

from seal_agent.core.edits import Directives
from seal_agent.core.errors import InputError
from seal_agent.core.numbers import MAX_SEED, check_number, check_whole
from seal_agent.core.renames import formerly
from seal_agent.core.stacks import AdapterRef
from seal_agent.policy import selection
from seal_agent.policy.candidates import Proposed
from seal_agent.policy.selection import Choice

IMITATION = Directives(
    num_epochs=3,
    min_steps=8,
    max_steps=96,
    num_rows=10_000,
    stop_loss=0.1,
    top_layers=1.0,
    rehearsal_share=0.0,
)
"""How the policy is trained on the winners' texts: a low rate and few passes."""
IMITATION_RATE = 0.2  # of the model's learning rate, if none is given


@dataclass(frozen=True)
class ImproveConfig:
    """The settings of a policy improvement.

    `num_candidates` edits per context at `temperature`, each trained with `num_seeds` shared seeds; after every seed
    the better half continues. A winner beats doing nothing by `margin` standard errors. `confidence` is that of the
    gate's interval. `minutes` and `tokens` (trained on) limit the run; 0: no limit.
    """

    num_rounds: int = 2
    num_candidates: int = 4
    temperature: float = 1.0
    num_seeds: int = 2
    margin: float = selection.MARGIN
    confidence: float = 0.95
    minutes: float = 0.0
    tokens: int = 0
    seed: int = 0
    imitation: Directives = IMITATION

    def __post_init__(self) -> None:
        check_whole("num_rounds", self.num_rounds, 1)
        check_whole("num_candidates", self.num_candidates, 1)
        check_whole("num_seeds", self.num_seeds, 2)  # the noise of a single seed is unknown
        check_number("temperature", self.temperature, 0, above=True)
        check_number("confidence", self.confidence, 0.5, 1, above=True, below=True)
        check_number("margin", self.margin, 0)
        check_number("minutes", self.minutes, 0)
        check_whole("tokens", self.tokens, 0)
        check_whole("seed", self.seed, 0, MAX_SEED)


@dataclass(frozen=True)
class Parts:
    """The numbers of the contexts to explore, to gate on, and to report on."""

    explore: tuple[int, ...]
    gate: tuple[int, ...]
    report: tuple[int, ...]

    def __post_init__(self) -> None:
        every = [*self.explore, *self.gate, *self.report]
        if len(set(every)) != len(every) or not self.explore or min(len(self.gate), len(self.report)) < 2:
            raise InputError(
                f"{len(self.explore)} contexts to explore, {len(self.gate)} to gate and {len(self.report)} to report; "
                "give at least one, two and two, without duplicates"
            )


def parted(num: int, seed: int = 0) -> Parts:
    """Half of `num` contexts to explore, a quarter to gate, a quarter to report; raises `InputError` below 8."""
    if num < 8:
        raise InputError(f"{num} contexts are too few to split into training, gate and report; give 8 or more")
    order = random.Random(seed).sample(range(num), num)
    return Parts(tuple(order[: num // 2]), tuple(order[num // 2 : num * 3 // 4]), tuple(order[num * 3 // 4 :]))


@dataclass(frozen=True)
class Winner:
    """A proposal that the policy is trained on, and the reason."""

    proposed: Proposed
    choice: Choice


@dataclass(frozen=True)
class Explored:
    """The result of the E-step of one round, with the reliability of the mean of all seeds.

    `reliability` is computed from the variances, `split_half_reliability` from the correlation of the seeds.
    `naive_gain`: the mean gain of the best candidates as measured; `expected`: after shrinkage. The difference is the
    regression to the mean.
    """

    num_contexts: int
    num_candidates: int
    winners: tuple[Winner, ...]
    reliability: float = 0.0
    split_half_reliability: Annotated[float, formerly("split_half_reliability", "by_seeds")] = 0.0
    naive_gain: Annotated[float, formerly("naive_gain", "measured")] = 0.0
    expected: float = 0.0


@dataclass(frozen=True)
class Learned:
    """The result of the M-step of one round: the adapter trained on the winners; None without winners."""

    number: int
    adapter: AdapterRef | None
    num_winners: int
    num_rows: int
    seconds: float = 0.0


@dataclass(frozen=True)
class Compared:
    """A policy against a rival on the same contexts: the mean difference in nats per token with its limits."""

    rival: str
    difference: float
    low: float
    high: float
    num_contexts: int

    @property
    def says(self) -> str:
        """The comparison as a sentence."""
        side = "better" if self.difference > 0 else "worse" if self.difference < 0 else "different"
        return (
            f"{abs(self.difference):.3f} nats per token {side} than {self.rival} "
            f"[{self.low:+.3f}, {self.high:+.3f}] on {self.num_contexts} contexts"
        )


@dataclass(frozen=True)
class Gated:
    """The gate's decision on the policy of one round, and the reason."""

    number: int
    version: int
    is_promoted: bool
    reason: str
    compared: tuple[Compared, ...] = ()


Round = tuple[Explored, Learned, Gated]
"""The results of one round, step by step."""


@dataclass(frozen=True)
class Measured:
    """One policy on the report set: NLL in nats per token, and share correct."""

    name: str
    nll: float
    right: float


@dataclass(frozen=True)
class Reported:
    """The report set: the earlier policy, the current one, doing nothing; and whether a promotion was withdrawn."""

    measured: tuple[Measured, ...]
    compared: tuple[Compared, ...] = ()
    is_withdrawn: bool = False
