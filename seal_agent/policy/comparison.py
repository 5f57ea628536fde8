"""Compares ways to write edits on the same contexts: each writes once, greedily; the edits are trained and graded.

Equal edits are trained once, training seeds are shared, and a failed edit gets the grade of the unchanged model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Generic, TypeVar

from seal_agent.core.backend import silent
from seal_agent.core.domain import Domain, Grade
from seal_agent.core.episodes import Progress
from seal_agent.core.stacks import AdapterStack
from seal_agent.policy.candidates import Candidates, Key, Trial, distinct, is_same, seed_of
from seal_agent.policy.rewards import Case
from seal_agent.policy.rounds import Compared, Measured
from seal_agent.retention.statistics import mean_with_limits

C = TypeVar("C")


@dataclass(frozen=True)
class Arm(Generic[C]):
    """One way to write edits: a domain with a policy."""

    name: str
    domain: Domain[C]
    stack: AdapterStack


@dataclass(frozen=True)
class Comparison(Generic[C]):
    """Arms on contexts, graded by `domain`; `seed` is the run's."""

    candidates: Candidates[C]
    domain: Domain[C]
    arms: tuple[Arm[C], ...]
    stage: str
    seed: int
    is_full: bool = False

    def grades(
        self,
        contexts: Sequence[int],
        progress: Progress = silent,
        *,
        is_spent: Callable[[], bool] = lambda: False,
    ) -> list[list[Grade]]:
        """For every context the grades of all arms, then that of doing nothing; `is_spent` may end it early."""
        found = []
        for done, context in enumerate(contexts):
            progress(self.stage, done, len(contexts))
            if is_spent() and not self.candidates.has(self.stage, context):
                break
            found.append(self._grades_of(context))
        return found

    def _grades_of(self, context: int) -> list[Grade]:
        proposed = [
            self.candidates.propose(
                Key(self.stage, context, number),
                arm.stack,
                arm.domain,
                seed=seed_of(self.seed, self.stage, context),
                temperature=0.0,
            )
            for number, arm in enumerate(self.arms)
        ]
        different = distinct(proposed)
        seed = seed_of(self.seed, self.stage, context, "training", 0)
        trials = self.candidates.judge(different, self._graded, seed=seed, is_full=self.is_full)
        self.candidates.release(list(trials))
        nothing = _grade(self.candidates.nothing(self.stage, context, self._graded, is_full=self.is_full))
        by_arm = [next((trials[d.key] for d in different if is_same(d, each)), None) for each in proposed]
        return [*(_grade(mine) if mine else nothing for mine in by_arm), nothing]

    def _graded(self, case: Case[C]) -> tuple[float, float | None]:
        grade = self.domain.grade(case.view, case.context, generates=case.generates)
        return -grade.nll, grade.right

    def against_rivals(self, grades: Sequence[Sequence[Grade]], confidence: float) -> tuple[Compared, ...]:
        """The first arm against each other one, paired by context; empty for fewer than two contexts."""
        if len(grades) < 2:
            return ()
        return tuple(
            compared(arm.name, [row[n].nll - row[0].nll for row in grades], confidence)
            for n, arm in enumerate(self.arms)
            if n
        )

    def measured(self, grades: Sequence[Sequence[Grade]]) -> tuple[Measured, ...]:
        """The mean grade of every arm and of doing nothing."""
        names = [*(arm.name for arm in self.arms), "doing nothing"]
        return tuple(
            Measured(name, fmean(row[n].nll for row in grades), fmean(row[n].right or 0.0 for row in grades))
            for n, name in enumerate(names)
        )


def compared(rival: str, gains: Sequence[float], confidence: float) -> Compared:
    """The mean of paired gains with its two-sided interval."""
    clusters = [str(number) for number in range(len(gains))]
    mean, low, high = mean_with_limits(gains, clusters, (1 + confidence) / 2)
    return Compared(rival, mean, low, high, len(gains))


def _grade(trial: Trial) -> Grade:
    return Grade(-trial.worth, trial.right)
