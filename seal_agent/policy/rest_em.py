"""Offline improvement of the policy that writes edits: ReST-EM for any `Domain`.

A round (arXiv 2312.06585; SEAL, arXiv 2506.10943) has three steps. Explore: k edits per context from the current
policy, trained and rewarded. Learn: supervised training of the base model on the winners' texts. Gate: the new policy
is promoted only if it beats the current one on unseen contexts. At the end a third set of contexts is reported, and a
policy that is worse there is withdrawn. Every step is stored (`seal_agent.policy.candidates`), so a stopped run is
resumed by calling it again. `seal_agent.policy.schedule` decides when to run.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Generic, TypeVar

from seal_agent.core.backend import silent
from seal_agent.core.codec import to_json
from seal_agent.core.domain import Domain
from seal_agent.core.edits import Row, SelfEdit
from seal_agent.core.episodes import Progress
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.policy import selection
from seal_agent.policy.candidates import Candidates, Key, Proposed, better_half, distinct, seed_of
from seal_agent.policy.comparison import Arm, Comparison
from seal_agent.policy.rewards import Case, Reward
from seal_agent.policy.rounds import (
    IMITATION_RATE,
    Explored,
    Gated,
    ImproveConfig,
    Learned,
    Parts,
    Reported,
    Round,
    Winner,
)
from seal_agent.policy.selection import Contest
from seal_agent.storage.policies import Policy, PolicyStore
from seal_agent.storage.run_folder import RunFolder

log = logging.getLogger(__name__)
C = TypeVar("C")
EXPLORE_SHARE, REPORT_SHARE = 0.75, 0.1  # of a round's time, and of the whole run's


class Improvement(Generic[C]):
    """One run of ReST-EM in steps: explore, learn and gate in every round, and a report at the end.

    `first`: how edits are written before there is a policy, if not by the base model; a policy must beat that too.
    """

    def __init__(
        self,
        candidates: Candidates[C],
        domain: Domain[C],
        parts: Parts,
        store: PolicyStore,
        run: RunFolder,
        reward: Reward[C],
        config: ImproveConfig | None = None,
        *,
        first: Domain[C] | None = None,
    ) -> None:
        self.config = config or ImproveConfig()
        self.parts, self.store = parts, store
        self._candidates, self._domain, self._run = candidates, domain, run
        self._reward, self._first = reward, first
        self._started = self._begun()

    @property
    def minutes(self) -> float:
        """The time that the steps of this run took, over all its processes."""
        learned = sum(each.seconds for each in self._run.values("learned", Learned))
        return (self._candidates.seconds + learned) / 60

    def _begun(self) -> int:
        """The version that was in use when the run began; read from disk by a resumed run."""
        begun = self._run.values("started", Policy)
        if not begun:
            begun = [self.store.current()]
            self._run.append("started", to_json(begun[0]))
        return begun[0].version

    def rounds(self) -> list[Round]:
        """The rounds with a decided gate, as stored; nothing is trained, graded or promoted."""
        return [(self.explore(g.number), self.learn(g.number), g) for g in self._run.values("gated", Gated)]

    def explore(self, number: int, progress: Progress = silent) -> Explored:
        """The E-step: candidates for every context within the budget, and the winners among them.

        For a round that was learned already, the stored result.
        """
        writer, is_over = self._writer(number), self._learned(number) is not None
        found: list[tuple[Contest, list[Proposed]]] = []
        num_candidates = done = 0
        for done, context in enumerate(self.parts.explore):
            progress(f"round {number}: exploring", done, len(self.parts.explore))
            is_spent = is_over or self._is_spent(number, EXPLORE_SHARE)
            if is_spent and not self._candidates.has(f"explore {number}", context):
                break
            proposed = self._sampled(number, context, writer)
            num_candidates += len(proposed)
            if proposed:
                found.append(self._contest(number, context, proposed, progress))
        else:
            done = len(self.parts.explore)
        return self._explored(found, done, num_candidates)

    def _writer(self, number: int) -> AdapterStack:
        """The policy that round `number` samples from: the one promoted last before it."""
        promoted = [gated for gated in self._run.values("gated", Gated) if gated.is_promoted and gated.number < number]
        return self.store.version(promoted[-1].version if promoted else self._started).stack

    def _sampled(self, number: int, context: int, writer: AdapterStack) -> list[Proposed]:
        stage, config = f"explore {number}", self.config
        samples = [
            self._candidates.propose(
                Key(stage, context, sample),
                writer,
                self._domain,
                seed=seed_of(config.seed, stage, context, sample),
                temperature=config.temperature,
            )
            for sample in range(config.num_candidates)
        ]
        return distinct(samples)

    def _contest(
        self, number: int, context: int, proposed: Sequence[Proposed], progress: Progress
    ) -> tuple[Contest, list[Proposed]]:
        """The rewards of one context's candidates; after each seed the better half, by likelihood, continues."""
        stage, needs_full = f"explore {number}", self._reward.generates
        nothing = self._candidates.nothing(stage, context, self._worth, is_full=needs_full)
        worths: dict[Key, list[float]] = {each.key: [] for each in proposed}
        full: dict[Key, list[float]] = {each.key: [] for each in proposed}
        alive = list(proposed)
        for turn in range(self.config.num_seeds):
            seed = seed_of(self.config.seed, stage, context, "training", turn)
            trials = self._candidates.judge(alive, self._worth, seed=seed, is_full=False, progress=progress)
            for key, trial in trials.items():
                worths[key].append(trial.worth)
            if turn < self.config.num_seeds - 1:
                going = better_half({each.key: worths[each.key] for each in alive})
                alive = [each for each in alive if each.key in going]
            if needs_full:
                judged = self._candidates.judge(alive, self._worth, seed=seed, is_full=True, progress=progress)
                for key, trial in judged.items():
                    full[key].append(trial.worth)
            self._candidates.release([each.key for each in proposed])
        rewards = full if needs_full else worths
        kept = [each for each in proposed if rewards[each.key]]
        return Contest(nothing.worth, tuple(tuple(rewards[each.key]) for each in kept)), kept

    def _worth(self, case: Case[C]) -> tuple[float, float | None]:
        return self._reward.of(case), None

    def _explored(
        self, found: Sequence[tuple[Contest, list[Proposed]]], num_contexts: int, num_candidates: int
    ) -> Explored:
        if not found:
            return Explored(num_contexts, num_candidates, ())
        contests = [contest for contest, _ in found]
        known = selection.spread(contests)
        choices = [selection.choose(contest, known, self.config.margin) for contest in contests]
        winners = tuple(
            Winner(proposed[choice.best[0]], choice)
            for choice, (_, proposed) in zip(choices, found, strict=True)
            if choice.is_accepted
        )
        single = selection.split_half([_common(contest) for contest in contests])
        return Explored(
            num_contexts,
            num_candidates,
            winners,
            known.reliability(self.config.num_seeds),
            selection.spearman_brown(single, self.config.num_seeds),
            fmean(choice.naive_gain for choice in choices),
            fmean(choice.estimate.gain for choice in choices),
        )

    def learn(self, number: int, progress: Progress = silent) -> Learned:
        """The M-step: an adapter on the base model, trained on the winners' directives and texts."""
        if recorded := self._learned(number):
            return recorded
        winners = self.explore(number).winners
        said = tuple(dict.fromkeys(row for winner in winners for row in _said(winner)))
        start = time.perf_counter()
        adapter = self._imitate(number, said, progress) if said else None
        seconds = round(time.perf_counter() - start, 3)
        learned = Learned(number, adapter, len(winners), len(said), seconds)
        self._run.append("learned", to_json(learned))
        return learned

    def _learned(self, number: int) -> Learned | None:
        return next((each for each in self._run.values("learned", Learned) if each.number == number), None)

    def _imitate(self, number: int, said: tuple[Row, ...], progress: Progress) -> AdapterRef:
        backend, directives = self._candidates.backend, self.config.imitation
        if not directives.learning_rate:
            directives = replace(directives, learning_rate=IMITATION_RATE * backend.learning_rate)
        edit = SelfEdit(f"policy of {self._domain.name}, round {number}", "", said, (), directives)
        return backend.train(edit, seed=seed_of(self.config.seed, "learn", number), progress=progress)

    def gate(self, number: int, progress: Progress = silent) -> Gated:
        """Promote the round's policy if it beats every rival on unseen contexts, else keep the current one."""
        for gated in self._run.values("gated", Gated):
            if gated.number == number:
                return self._promoted(gated)
        learned = self.learn(number)
        if learned.adapter is None:
            gated = Gated(number, 0, False, "keep: no edit beat doing nothing by more than its noise")
        else:
            present = self.store.current()
            policy = self.store.add(learned.adapter, parent=present.version, reason=_origin(learned))
            gated = self._judged(number, policy, present, progress)
        if not gated.is_promoted:
            trust = f"reliability of the reward {self.explore(number).reliability:.2f}"
            gated = replace(gated, reason=f"{gated.reason} ({trust})")
        self._run.append("gated", to_json(gated))
        return self._promoted(gated)

    def _judged(self, number: int, policy: Policy, present: Policy, progress: Progress) -> Gated:
        comparison = self._comparison(f"gate {number}", [self._arm(policy), *self._rivals(present)])
        grades = comparison.grades(self.parts.gate, progress, is_spent=lambda: self._is_spent(number, 1.0))
        against = comparison.against_rivals(grades, self.config.confidence)
        is_better = len(grades) == len(self.parts.gate) and all(each.low > 0 for each in against)
        reason = f"{'promote' if is_better else 'keep'}: {'; '.join(each.says for each in against)}"
        if len(grades) < len(self.parts.gate):
            reason = f"keep: the time was up after {len(grades)} of {len(self.parts.gate)} contexts of the gate"
        return Gated(number, policy.version, is_better, reason, against)

    def _promoted(self, gated: Gated) -> Gated:
        """Use the promoted policy, unless the report set has withdrawn it."""
        log.info("policy %d: %s", gated.version, gated.reason)
        if gated.is_promoted and not self._run.values("reported", Reported):
            self.store.use(gated.version, gated.reason)
        return gated

    def report(self, progress: Progress = silent) -> Reported:
        """The report set: the policy in use now against the earlier one and against doing nothing.

        A promoted policy that is worse than a rival there is withdrawn: its gate was a false positive.
        """
        for reported in self._run.values("reported", Reported):
            return reported
        started, present = self.store.version(self._started), self.store.current()
        arms = self._rivals(started)
        if present.version != started.version:
            arms = [self._arm(present), *arms]
        comparison = self._comparison("report", arms, is_full=True)
        grades = comparison.grades(self.parts.report, progress)
        is_changed = present.version != started.version
        against = comparison.against_rivals(grades, self.config.confidence) if is_changed else ()
        is_withdrawn = any(each.difference < 0 for each in against)
        reported = Reported(comparison.measured(grades), against, is_withdrawn)
        if is_withdrawn:
            self.store.use(started.version, "taken back: worse on the third set")
        self._run.append("reported", to_json(reported))
        return reported

    def _arm(self, policy: Policy) -> Arm[C]:
        return Arm(f"policy {policy.version}", self._domain, policy.stack)

    def _rivals(self, present: Policy) -> list[Arm[C]]:
        rivals = [self._arm(present)]
        if present.version == 0 and self._first:
            rivals.append(Arm("no policy", self._first, AdapterStack()))
        return rivals

    def _comparison(self, stage: str, arms: Sequence[Arm[C]], *, is_full: bool = False) -> Comparison[C]:
        return Comparison(self._candidates, self._domain, tuple(arms), stage, self.config.seed, is_full)

    def _is_spent(self, number: int, share: float) -> bool:
        """Whether round `number` has used up its budget, up to `share` of it."""
        config = self.config
        part = (number - 1 + share) / config.num_rounds * (1 - REPORT_SHARE)
        is_late = bool(config.minutes) and self.minutes > config.minutes * part
        return is_late or (bool(config.tokens) and self._candidates.num_tokens > config.tokens * part)


def _said(winner: Winner) -> tuple[Row, ...]:
    return winner.proposed.proposal.exchanges if winner.proposed.proposal else ()


def _origin(learned: Learned) -> str:
    return f"round {learned.number}: {learned.num_rows} rows of {learned.num_winners} winners"


def _common(contest: Contest) -> Contest:
    """The candidates with all seeds, which can be correlated."""
    num = max(map(len, contest.rewards))
    return Contest(contest.nothing, tuple(rewards for rewards in contest.rewards if len(rewards) == num))
