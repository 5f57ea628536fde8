"""Rewards of an edit: `Reward.of(case)`, higher is better, and weighted sums of rewards.

A reward sees one case: a context, the model after it learned a proposal (or unchanged), and the proposal. Only
differences to the unchanged model count, so the zero of a scale is arbitrary. Rewards choose nothing
(`seal_agent.policy.selection`) and train nothing (`seal_agent.policy.candidates`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from statistics import fmean
from typing import Generic, Protocol, TypeVar

from seal_agent.core.backend import Backend
from seal_agent.core.domain import Domain, Proposal
from seal_agent.core.edits import REPLAYED, Probe, Row
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Prompt
from seal_agent.language.base import for_text
from seal_agent.language.words import WORD
from seal_agent.policy.knowledge import KnowledgeContext, graded
from seal_agent.retention.general_knowledge import general_probes
from seal_agent.writing.writer import NO_ROW

C = TypeVar("C")
Seen = TypeVar("Seen", covariant=True)
Rewarded = TypeVar("Rewarded", contravariant=True)
NUM_RETENTION_PROBES = 24
NUM_WORDS_ENOUGH = 400  # of an edit's rows; more words are not rewarded
GOLD, OWN, RETENTION, PROXY, APPROVAL = "gold", "self-made", "retention", "proxy", "approval"


@dataclass(frozen=True)
class Case(Generic[Seen]):
    """The input of a reward. Without a proposal the model is unchanged; without `generates` likelihoods suffice."""

    context: Seen
    view: Backend
    proposal: Proposal | None = None
    generates: bool = False


class Reward(Protocol[Rewarded]):
    """One measure of an edit's quality."""

    @property
    def generates(self) -> bool:
        """Whether it generates answers, instead of only scoring likelihoods."""

    def of(self, case: Case[Rewarded]) -> float:
        """The reward; higher is better."""


@dataclass(frozen=True)
class Gold(Generic[C]):
    """Performance on held-out questions: minus the NLL (nats per token), plus `right_weight` times the share correct.

    Answers are generated only if the share has a weight; the NLL changes long before the share does.
    """

    domain: Domain[C]
    right_weight: float = 0.0

    @property
    def generates(self) -> bool:
        """Whether the share correct has a weight."""
        return self.right_weight > 0

    def of(self, case: Case[C]) -> float:
        """Minus the NLL plus the weighted share correct."""
        grade = self.domain.grade(case.view, case.context, generates=case.generates and self.generates)
        return self.right_weight * (grade.right or 0.0) - grade.nll


@dataclass(frozen=True)
class SelfMade:
    """Minus the NLL of the model's own questions; 0 if there are none."""

    generates: bool = False

    def of(self, case: Case[KnowledgeContext]) -> float:
        """Minus the mean NLL, nats per token."""
        questions = case.context.own_questions
        return -graded(case.view, questions, generates=False).nll if questions else 0.0


@dataclass(frozen=True)
class Retention:
    """Forgetting: minus the mean fall of retention probes below their score under `base`, nats per token.

    Gains do not offset losses. Probes are scored when the first edit is.
    """

    base: Backend
    probes: tuple[Probe, ...] = field(default_factory=lambda: tuple(general_probes()[:NUM_RETENTION_PROBES]))
    generates: bool = False

    @cached_property
    def before(self) -> tuple[float, ...]:
        """The scores without any edit, nats per token."""
        return self._scores(self.base)

    def of(self, case: Case[object]) -> float:
        """0 if no score fell, else negative."""
        if case.proposal is None:
            return 0.0
        return -fmean(max(was - now, 0.0) for was, now in zip(self.before, self._scores(case.view), strict=True))

    def _scores(self, view: Backend) -> tuple[float, ...]:
        scores = view.score([p.prompt for p in self.probes], [p.answer for p in self.probes])
        return tuple(score.per_token for score in scores)


@dataclass(frozen=True)
class Proxy:
    """A guess without training, 0 to 1: the mean of length, diversity, faithfulness and coverage.

    Length: words of the rows, up to `NUM_WORDS_ENOUGH`. Diversity: the share of distinct word pairs. Faithfulness: the
    share of written rows that the filters kept. Coverage: the share of the passage's words in the answers.
    """

    generates: bool = False

    def of(self, case: Case[object]) -> float:
        """The score; 0 for doing nothing."""
        if case.proposal is None:
            return 0.0
        edit = case.proposal.edit
        rows = [row for row in edit.rows if row.source not in REPLAYED]
        texts = [f"{row.question} {row.answer}" for row in rows]
        length = min(sum(len(text.split()) for text in texts) / NUM_WORDS_ENOUGH, 1.0)
        refused = [dropped for dropped in edit.dropped if dropped.reason != NO_ROW]  # it was not written at all
        faithful = len(rows) / max(len(rows) + len(refused), 1)
        return fmean((length, _diversity(texts), faithful, _coverage(edit.passage, rows)))


@dataclass(frozen=True)
class Approval:
    """User feedback: the mean of rating times current likelihood of the answer, -1 to 1.

    The likelihood is the geometric mean over the answer's tokens; 0 without feedback.
    """

    generates: bool = False

    def of(self, case: Case[KnowledgeContext]) -> float:
        """The mean over the context's feedback."""
        given = case.context.feedback
        if not given:
            return 0.0
        scores = case.view.score([Prompt.user(f.question) for f in given], [f.answer for f in given])
        return fmean(f.value * math.exp(score.per_token) for f, score in zip(given, scores, strict=True))


@dataclass(frozen=True)
class Weighted(Generic[C]):
    """A weighted sum of rewards."""

    terms: tuple[tuple[float, Reward[C]], ...]

    def __post_init__(self) -> None:
        if not self.terms or not all(math.isfinite(weight) for weight, _ in self.terms):
            raise InputError("a weighted sum needs at least one reward with a finite weight")

    @property
    def generates(self) -> bool:
        """Whether one of the terms generates."""
        return any(reward.generates for _, reward in self.terms)

    def of(self, case: Case[C]) -> float:
        """The sum of weight times reward."""
        return sum(weight * reward.of(case) for weight, reward in self.terms)


def knowledge_reward(
    weights: Mapping[str, float], domain: Domain[KnowledgeContext], base: Backend, *, right_weight: float = 0.0
) -> Weighted[KnowledgeContext]:
    """The weighted sum of named rewards; raises `InputError` for an unknown name."""
    known: Mapping[str, Reward[KnowledgeContext]] = {
        GOLD: Gold(domain, right_weight),
        OWN: SelfMade(),
        RETENTION: Retention(base),
        PROXY: Proxy(),
        APPROVAL: Approval(),
    }
    for name in weights:
        if name not in known:
            raise InputError(f"there is no reward called {name!r}; choose {', '.join(known)}")
    return Weighted(tuple((weight, known[name]) for name, weight in weights.items()))


def _diversity(texts: Sequence[str]) -> float:
    pairs: list[tuple[str, str]] = []
    for text in texts:
        words = [word.lower() for word in WORD.findall(text)]
        pairs += pairwise(words)
    return len(set(pairs)) / len(pairs) if pairs else 0.0


def _coverage(passage: str, rows: Sequence[Row]) -> float:
    content = for_text(passage).content
    words = content(passage)
    return len(words & content(" ".join(row.answer for row in rows))) / len(words) if words else 0.0
