"""Candidate edits: writing, training and rewarding them, with every result stored at once.

The run's folder has a line of JSON for each step: what was proposed, what was trained, what reward it got. Stored steps
are not repeated, so a killed run loses the current candidate only, or the few that were trained in one pass. Nothing
here chooses a policy (`seal_agent.policy.rest_em`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Generic, TypeVar

from seal_agent.core.backend import Backend, silent
from seal_agent.core.codec import to_json
from seal_agent.core.domain import Domain, Proposal
from seal_agent.core.edits import SelfEdit
from seal_agent.core.episodes import Progress
from seal_agent.core.errors import EditFault
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.policy.rewards import Case
from seal_agent.storage.adapter_store import AdapterRegistry
from seal_agent.storage.run_folder import RunFolder

C = TypeVar("C")
NOTHING = -1
"""The sample number that stands for doing nothing."""


@dataclass(frozen=True)
class Key:
    """Identifies a candidate: the stage of the run ("explore 1"), the number of its context, the sample."""

    stage: str
    context: int
    sample: int


@dataclass(frozen=True)
class Proposed:
    """The policy's proposal for one sample; if there is none, `fault` is the reason."""

    key: Key
    proposal: Proposal | None
    fault: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Trained:
    """An adapter of one candidate, for one training seed."""

    key: Key
    seed: int
    adapter: AdapterRef
    num_tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Trial:
    """The reward of one candidate with one training seed; `right` if answers were generated."""

    key: Key
    seed: int
    worth: float
    right: float | None = None
    is_full: bool = False
    seconds: float = 0.0


Worth = Callable[[Case[C]], tuple[float, float | None]]
"""Maps a case to its reward (higher is better) and, if answers were generated, the share correct."""


def seed_of(*parts: object) -> int:
    """A seed derived from (run seed, stage, context, sample); equal parts give equal seeds."""
    return random.Random("/".join(map(str, parts))).randrange(2**31)


class Candidates(Generic[C]):
    """Proposals, adapters and trials of one run, stored in its folder.

    `discard` deletes an adapter after its trial. `pause` is called between two steps and returns when the machine is
    free for the next one.
    """

    def __init__(
        self,
        backend: Backend,
        contexts: Sequence[C],
        run: RunFolder,
        discard: Callable[[AdapterRef], None],
        *,
        num_together: int = 4,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        self.backend = backend.with_stack(AdapterStack())
        self.contexts = contexts
        self._run, self._discard = run, discard
        self._num_together, self._pause = num_together, pause
        self._proposed = {each.key: each for each in run.values("proposed", Proposed)}
        self._trained = {(each.key, each.seed): each for each in run.values("trained", Trained)}
        self._trials = {(t.key, t.seed, t.is_full): t for t in run.values("trials", Trial)}

    @property
    def seconds(self) -> float:
        """The time that the steps of this run took, over all its processes."""
        parts = (self._proposed.values(), self._trained.values(), self._trials.values())
        return sum(each.seconds for part in parts for each in part)

    @property
    def num_tokens(self) -> int:
        """The number of tokens that this run has trained on."""
        return sum(each.num_tokens for each in self._trained.values())

    def has(self, stage: str, context: int) -> bool:
        """Whether there is a proposal for a context in that stage."""
        return Key(stage, context, 0) in self._proposed

    def propose(self, key: Key, writer: AdapterStack, domain: Domain[C], *, seed: int, temperature: float) -> Proposed:
        """One sample of the proposal of policy `writer` for a context; a fault is stored like an edit."""
        if key in self._proposed:
            return self._proposed[key]
        self._pause()
        start = time.perf_counter()
        view, context = self.backend.with_stack(writer), self.contexts[key.context]
        proposal, fault = None, ""
        try:
            proposal = domain.propose(view, context, seed=seed, temperature=temperature)
        except EditFault as error:
            fault = str(error)
        done = Proposed(key, proposal, fault, _since(start))
        self._keep(done)
        return done

    def judge(
        self,
        proposed: Sequence[Proposed],
        worth: Worth[C],
        *,
        seed: int,
        is_full: bool,
        progress: Progress = silent,
    ) -> dict[Key, Trial]:
        """The trials of all candidates with one training seed; a fault gets the reward of doing nothing.

        The adapters stay until `release`, so that some candidates can be judged in full after all were judged by
        likelihood.
        """
        usable = [each for each in proposed if each.proposal and (each.key, seed, is_full) not in self._trials]
        adapters = self._train(usable, seed, progress)
        for each in usable:
            if not each.proposal or each.key not in adapters:
                continue
            self._pause()
            stack = AdapterStack().push(adapters[each.key], each.proposal.edit.directives.weight)
            view = self.backend.with_stack(stack)
            self._try(each, view, worth, seed, is_full)
        return {each.key: self._trial(each, worth, seed, is_full) for each in proposed}

    def nothing(self, stage: str, context: int, worth: Worth[C], *, is_full: bool) -> Trial:
        """The reward of the unchanged model."""
        key = Key(stage, context, NOTHING)
        if (key, 0, is_full) not in self._trials:
            self._pause()
            self._try(Proposed(key, None), self.backend, worth, 0, is_full)
        return self._trials[key, 0, is_full]

    def release(self, keys: Sequence[Key]) -> None:
        """Delete the adapters of candidates that were judged."""
        for (key, _), trained in self._trained.items():
            if key in keys and Path(trained.adapter.path).exists():
                self.backend.unload(trained.adapter)
                self._discard(trained.adapter)

    def _trial(self, proposed: Proposed, worth: Worth[C], seed: int, is_full: bool) -> Trial:
        if self._proposed[proposed.key].proposal is None:
            return self.nothing(proposed.key.stage, proposed.key.context, worth, is_full=is_full)
        return self._trials[proposed.key, seed, is_full]

    def _try(self, proposed: Proposed, view: Backend, worth: Worth[C], seed: int, is_full: bool) -> None:
        start = time.perf_counter()
        case = Case(self.contexts[proposed.key.context], view, proposed.proposal, is_full)
        value, right = worth(case)
        trial = Trial(proposed.key, seed, value, right, is_full, _since(start))
        self._trials[proposed.key, seed, is_full] = trial
        self._run.append("trials", asdict(trial))

    def _train(self, proposed: Sequence[Proposed], seed: int, progress: Progress) -> dict[Key, AdapterRef]:
        """An adapter for every proposal; adapters stored by an earlier process are reused."""
        known = {each.key: self._trained[each.key, seed] for each in proposed if (each.key, seed) in self._trained}
        found = {key: t.adapter for key, t in known.items() if Path(t.adapter.path).exists()}
        missing = [(each.key, each.proposal.edit) for each in proposed if each.proposal and each.key not in found]
        for first in range(0, len(missing), self._num_together):
            self._pause()
            self._train_group(missing[first : first + self._num_together], seed, progress)
        return found | {key: self._trained[key, seed].adapter for key, _ in missing if (key, seed) in self._trained}

    def _train_group(self, group: Sequence[tuple[Key, SelfEdit]], seed: int, progress: Progress) -> None:
        """Train all in one pass; if that fails, one by one; a proposal that fails alone becomes a fault."""
        start = time.perf_counter()
        edits = [edit for _, edit in group]
        try:
            refs = self.backend.train_many(edits, seeds=[seed] * len(edits), progress=progress)
        except EditFault as error:
            if len(group) > 1:
                for each in group:
                    self._train_group([each], seed, progress)
                return
            self._keep(replace(self._proposed[group[0][0]], proposal=None, fault=str(error)))
            return
        seconds = _since(start) / len(group)
        for (key, _), ref in zip(group, refs, strict=True):
            manifest = AdapterRegistry(Path(ref.path).parent).manifest(ref.id)
            self._trained[key, seed] = Trained(key, seed, ref, int(manifest.get("num_tokens", 0)), seconds)
            self._run.append("trained", to_json(self._trained[key, seed]))

    def _keep(self, proposed: Proposed) -> None:
        self._proposed[proposed.key] = proposed
        self._run.append("proposed", to_json(proposed))


def distinct(proposed: Sequence[Proposed]) -> list[Proposed]:
    """The usable proposals without duplicates."""
    found: list[Proposed] = []
    for each in proposed:
        if each.proposal and not any(is_same(each, other) for other in found):
            found.append(each)
    return found


def is_same(one: Proposed, other: Proposed) -> bool:
    """Whether two proposals have the same edit, so that training one suffices."""
    if one.proposal is None or other.proposal is None:
        return False
    mine, theirs = one.proposal.edit, other.proposal.edit
    return (mine.rows, mine.directives) == (theirs.rows, theirs.directives)


def better_half(worths: dict[Key, list[float]], at_least: int = 2) -> list[Key]:
    """The better half of the keys by mean reward, in order (successive halving, arXiv 1502.07943)."""
    num = max(at_least, (len(worths) + 1) // 2)
    best = sorted(worths, key=lambda key: -fmean(worths[key]))[:num]
    return [key for key in worths if key in best]


def _since(start: float) -> float:
    return round(time.perf_counter() - start, 3)
