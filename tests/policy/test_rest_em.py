"""ReST-EM over a domain in which a policy can get better: exploring, learning, the gate, the third set, resuming."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from lessons import ASKED, Lessons

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.backend import Backend
from seal_agent.core.domain import Grade, Proposal
from seal_agent.core.errors import InputError, TrainingFault
from seal_agent.core.messages import Prompt
from seal_agent.policy.candidates import Candidates, Key, better_half
from seal_agent.policy.rest_em import Improvement
from seal_agent.policy.rewards import Case, Gold
from seal_agent.policy.rounds import ImproveConfig, Parts, parted
from seal_agent.storage.adapter_store import AdapterRegistry
from seal_agent.storage.database import Home
from seal_agent.storage.policies import PolicyStore
from seal_agent.storage.run_folder import RunFolder

PARTS = Parts((0, 1, 2, 3, 4, 5), (6, 7, 8), (9, 10, 11))
Make = Callable[..., Improvement[int]]


class Killed(Exception):
    """Stands for kill -9."""


@pytest.fixture
def make(backend: ScriptedBackend, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setattr(os, "fsync", lambda _file: None)  # hundreds of adapters
    registry = AdapterRegistry(home.root / "adapters")

    def build(domain: Lessons | None = None, *, store: PolicyStore | None = None, **settings: Any) -> Improvement[int]:
        lessons, run = domain or Lessons(), RunFolder(tmp_path / "run")
        candidates = Candidates(backend, range(12), run, registry.discard, **settings.pop("candidates", {}))
        settings = {"num_rounds": 1, "num_candidates": 6, **settings}
        first, reward = settings.pop("first", None), settings.pop("reward", Gold(lessons))
        kept = store or PolicyStore(home, "default", backend.model, lessons.name)
        return Improvement(candidates, lessons, PARTS, kept, run, reward, ImproveConfig(**settings), first=first)

    return build


def finish(run: Improvement[int]) -> None:
    for number in range(1, run.config.num_rounds + 1):
        run.gate(number)
    run.report()


def adapters(home: Home) -> int:
    return len(list((home.root / "adapters").glob("[0-9a-f]*")))


def test_a_policy_that_writes_better_edits_is_promoted_and_nothing_else_stays(make: Make, home: Home) -> None:
    run = make()
    explored = run.explore(1)
    assert (explored.num_contexts, len(explored.winners)) == (6, 6)
    assert {row.answer for w in explored.winners for row in w.proposed.proposal.exchanges} == {"well"}  # type: ignore[union-attr]
    gated = run.gate(1)
    assert gated.is_promoted
    assert gated.compared[0].low > 0
    assert "better than policy 0" in gated.reason
    reported = run.report()
    assert not reported.is_withdrawn
    assert [measured.name for measured in reported.measured] == ["policy 1", "policy 0", "doing nothing"]
    assert reported.measured[0].right == 1.0 > reported.measured[1].right
    policy = run.store.current()
    assert policy.version == 1
    assert adapters(home) == 1  # the policy; every candidate's adapter is gone


@dataclass(frozen=True)
class Uneven(Lessons):
    """What is learned well helps two of the gate's three contexts and harms the third as much."""

    def grade(self, view: Backend, context: int, *, generates: bool = True) -> Grade:
        grade = super().grade(view, context, generates=generates)
        return replace(grade, nll=4.1 - grade.nll) if context == PARTS.gate[-1] else grade


def test_a_gain_that_may_be_chance_promotes_nothing(make: Make) -> None:
    run = make(Uneven())
    gated = run.gate(1)
    assert gated.compared[0].difference > 0 > gated.compared[0].low
    assert not gated.is_promoted
    assert run.store.current().version == 0


def test_the_promoted_policy_is_active_only_through_its_stack(make: Make, backend: ScriptedBackend) -> None:
    run = make()
    finish(run)
    asked = [Prompt.raw(ASKED)]
    assert backend.with_stack(run.store.current().stack).generate(asked) == [["well"]]
    assert backend.generate(asked) != [["well"]]


def test_the_next_round_samples_from_the_policy_that_was_promoted(make: Make) -> None:
    run = make(num_rounds=2)
    finish(run)
    assert run._writer(1).ids == ()
    assert run._writer(2) == run.store.version(1).stack
    again = run.gate(2)  # what it says is what the first round learned already
    assert (again.is_promoted, again.version) == (False, 2)
    assert again.reason.startswith("keep: 0.000 nats per token different than policy 1")


def test_a_candidate_is_judged_at_the_weight_it_would_be_served_with(make: Make) -> None:
    weights: list[float] = []

    class Halved(Lessons):
        def propose(self, writer: Backend, context: int, *, seed: int = 0, temperature: float = 0.0) -> Proposal:
            proposal = super().propose(writer, context, seed=seed, temperature=temperature)
            directives = replace(proposal.edit.directives, weight=0.5)
            return replace(proposal, edit=replace(proposal.edit, directives=directives))

        def grade(self, view: Backend, context: int, *, generates: bool = True) -> Grade:
            weights.extend(entry.weight for entry in view.stack.entries)
            return super().grade(view, context, generates=generates)

    make(Halved()).explore(1)
    assert set(weights) == {0.5}


def test_without_a_winner_the_policy_stays_and_says_why(make: Make) -> None:
    run = make(num_candidates=1, reward=Constant())
    gated = run.gate(1)
    assert not gated.is_promoted
    assert gated.reason.startswith("keep: no edit beat doing nothing by more than its noise (reliability of the reward")
    assert run.store.versions() == [run.store.current()]


class Constant:
    """A reward of no information."""

    generates = False

    def of(self, case: Case[int]) -> float:
        return 1.0


class Contrary:
    """A reward that likes what is learned badly, so that the policy gets worse."""

    generates = False

    def of(self, case: Case[int]) -> float:
        return 0.0 if case.proposal is None else 5.0 - len(case.proposal.edit.rows)


def test_what_was_recorded_is_read_without_promoting_again(make: Make, home: Home) -> None:
    run = make(num_rounds=2)
    run.gate(1)
    run.gate(2)
    run.store.use(0)
    rounds = make(num_rounds=2).rounds()
    assert [gated.number for _, _, gated in rounds] == [1, 2]
    assert rounds[0] == (run.explore(1), run.learn(1), rounds[0][2])
    assert run.store.current().version == 0


def test_more_time_explores_no_round_that_was_learned(make: Make) -> None:
    run = make(num_rounds=2)
    run.config = replace(run.config, minutes=1e-9)
    run.learn(1)
    run.config = replace(run.config, minutes=0.0)
    assert run.explore(1).num_contexts == 1


def test_a_policy_that_writes_worse_edits_is_kept_but_not_used(make: Make) -> None:
    run = make(Lessons(), reward=Contrary())
    run.store.use(0)
    better = make(reward=Contrary(), first=Always("well"))
    gated = better.gate(1)
    assert not gated.is_promoted
    assert "worse than no policy" in gated.reason
    assert better.store.current().version == 0
    assert [policy.version for policy in better.store.versions()] == [0, 1]
    assert better.store.use(1).version == better.store.current().version == 1


class Always(Lessons):
    """Writes in one way, whatever the policy says."""

    def __init__(self, way: str) -> None:
        super().__init__()
        object.__setattr__(self, "way", way)

    def propose(self, writer: Any, context: int, *, seed: int = 0, temperature: float = 0.0) -> Any:
        return super().propose(writer, context, seed=("badly", "in part", "well").index(self.way), temperature=1.0)  # type: ignore[attr-defined]


def test_what_is_worse_on_the_third_set_is_taken_back(make: Make) -> None:
    run = make(GoodUntil(9))
    gated = run.gate(1)
    assert gated.is_promoted
    reported = run.report()
    assert reported.is_withdrawn
    assert reported.compared[0].difference < 0
    assert run.store.current().version == 0
    assert run.gate(1).is_promoted  # resumed, it is not used again
    assert run.store.current().version == 0


class GoodUntil(Lessons):
    """A policy is worse than the base model from one context on."""

    def __init__(self, first: int) -> None:
        super().__init__()
        object.__setattr__(self, "first", first)

    def propose(self, writer: Any, context: int, *, seed: int = 0, temperature: float = 0.0) -> Any:
        if context < self.first:  # type: ignore[attr-defined]
            return super().propose(writer, context, seed=seed, temperature=temperature)
        return super().propose(writer, context, seed=0 if len(writer.stack) else 1, temperature=1.0)


@pytest.mark.parametrize("last", [1, 8, 40, 100])
def test_a_killed_run_goes_on_and_does_only_what_is_missing(
    make: Make, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, last: int
) -> None:
    steps = []

    def pause() -> None:
        steps.append(len(steps))
        if len(steps) == last:
            raise Killed

    with pytest.raises(Killed):
        finish(make(candidates={"pause": pause}))
    before = lines(tmp_path / "run")
    resumed = make()
    finish(resumed)
    after = lines(tmp_path / "run")
    done = [
        (name, line["key"].values(), line.get("seed"), line.get("is_full")) for name, line in after if "key" in line
    ]
    assert len(done) == len({str(step) for step in done})  # nothing was done twice
    assert all(line in after for line in before)
    assert resumed.store.current().version == 1


def lines(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    return [(path.name, json.loads(line)) for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()]


def test_candidates_share_their_training_seeds_and_equal_edits_are_trained_once(
    make: Make, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[int, set[int]]] = []
    real = ScriptedBackend.train_many

    def spy(self: ScriptedBackend, edits: Any, *, seeds: Any = (), **rest: Any) -> Any:
        calls.append((len(edits), set(seeds)))
        return real(self, edits, seeds=seeds, **rest)

    monkeypatch.setattr(ScriptedBackend, "train_many", spy)
    make(num_candidates=8).explore(1)
    assert all(num <= 3 and len(seeds) == 1 for num, seeds in calls)  # there are three ways, of eight samples
    assert len({seed for _, seeds in calls for seed in seeds}) == 12  # two for each of six contexts


def test_only_what_survives_by_likelihood_is_asked_to_answer(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, bool]] = []
    real = Lessons.grade

    def spy(self: Lessons, view: Any, context: int, *, generates: bool = True) -> Any:
        asked.append((len(view.stack), generates))
        return real(self, view, context, generates=generates)

    monkeypatch.setattr(Lessons, "grade", spy)
    explored = make(num_candidates=8, reward=Gold(Lessons(), right_weight=1.0)).explore(1)
    by_likelihood, in_full = asked.count((1, False)), asked.count((1, True))
    assert explored.num_candidates * 1 < by_likelihood
    assert in_full <= 6 * 2 * 2 < by_likelihood + 6
    assert len(explored.winners) == 6


def test_halving_keeps_the_better_half_but_two() -> None:
    keys = [Key("explore 1", 0, sample) for sample in range(5)]
    worths = {key: [float(-number)] for number, key in enumerate(keys)}
    assert better_half(worths) == keys[:3]
    assert better_half({key: worths[key] for key in keys[:3]}) == keys[:2]
    assert better_half({keys[0]: [0.0]}) == keys[:1]


def test_a_context_nothing_can_be_written_for_counts_as_doing_nothing(make: Make) -> None:
    run = make(Lessons(faults=(0, 6, 9)))
    assert len(run.explore(1).winners) == 5
    gated = run.gate(1)
    assert gated.compared[0].num_contexts == 3
    run.report()


def test_an_edit_that_cannot_be_trained_is_no_candidate_and_spoils_no_other(
    make: Make, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ScriptedBackend.train_many

    def unstable(self: ScriptedBackend, edits: Any, **rest: Any) -> Any:
        if any(len(edit.rows) == 1 for edit in edits):
            raise TrainingFault("the loss is not finite")
        return real(self, edits, **rest)

    monkeypatch.setattr(ScriptedBackend, "train_many", unstable)
    assert make().gate(1).is_promoted


def test_a_budget_ends_the_exploring_with_the_context_in_work(make: Make) -> None:
    explored = make(tokens=1).explore(1)
    assert explored.num_contexts == 6  # a literal model trains on no tokens
    assert make(minutes=1e-9).explore(1).num_contexts == 6  # what is on disk is free
    assert make(minutes=1e-9, num_rounds=2).explore(2).num_contexts == 0


def test_a_gate_that_was_cut_off_promotes_nothing(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make()
    run.learn(1)
    run.config = replace(run.config, minutes=1e-9)
    assert run.gate(1).reason.startswith("keep: the time was up after 0 of 3 contexts of the gate")


def test_settings_that_show_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="num_seeds=1"):
        ImproveConfig(num_seeds=1)
    with pytest.raises(InputError, match="without duplicates"):
        Parts((1, 2), (2, 3), (4, 5))
    with pytest.raises(InputError, match="8 or more"):
        parted(7)
    parts = parted(20, seed=3)
    assert sorted([*parts.explore, *parts.gate, *parts.report]) == list(range(20))
    assert (len(parts.explore), len(parts.gate), len(parts.report)) == (10, 5, 5)
