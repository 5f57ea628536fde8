"""The verbs of one episode, called one by one over the scripted backend."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from teaching import BRIDGE, KNOWLEDGE, MANY, TOWER, ask, folders, gold, judged

from seal_agent.adapters.scripted import UNKNOWN, ScriptedBackend
from seal_agent.core.documents import Passage
from seal_agent.core.edits import Directives
from seal_agent.core.episodes import Decision, Episode, VerdictOutcome
from seal_agent.core.errors import AdapterError, InputError, StorageError
from seal_agent.core.messages import Message, Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.learning import loop
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.retention.judge import Limits
from seal_agent.storage.database import Home
from seal_agent.writing import writer

STACKED = LearnerConfig(strategy="stack", remedies=())
ONE = MANY[0]


def test_a_candidate_is_not_served_until_it_is_accepted(learner: Learner) -> None:
    episode = judged(learner, TOWER)
    assert set(ask(learner, episode)) == {UNKNOWN}
    assert len(learner.stack) == 0
    learner.accept(episode)
    assert ask(learner, episode) == gold(episode)


@pytest.mark.slow
@pytest.mark.parametrize("outcome", ["", "forgot", "undecided", "reject"])
def test_nothing_is_served_without_an_accepting_verdict_unless_the_caller_says_so(
    learner: Learner, outcome: VerdictOutcome | Literal[""]
) -> None:
    episode = judged(learner, TOWER)
    assert episode.verdict
    episode = replace(episode, verdict=replace(episode.verdict, outcome=outcome) if outcome else None)
    with pytest.raises(InputError, match=f"{outcome or 'no verdict'}.*; probe and judge it first"):
        learner.accept(episode)
    assert (learner.stack, learner.home.episodes("default")) == (AdapterStack(), [])
    learner.accept(episode, ungated=True)
    assert ask(learner, episode) == gold(episode)


def test_a_verdict_is_of_one_candidate_and_serves_no_other(learner: Learner) -> None:
    episode, other = judged(learner, TOWER), learner.train(learner.write(learner.begin(BRIDGE)))
    assert other.adapter
    heavier = AdapterStack(tuple(replace(entry, weight=2.0) for entry in episode.candidate.entries))
    changed = [
        replace(episode, candidate=heavier),
        replace(episode, candidate=other.candidate),
        replace(episode, adapter=other.adapter, candidate=other.candidate),
        replace(episode, text=BRIDGE.text),
        replace(episode, probed_on=""),
        learner.train(replace(episode, seed=episode.seed + 1)),
    ]
    for each in changed:
        with pytest.raises(InputError, match="the verdict belongs to another candidate"):
            learner.accept(each)
        with pytest.raises(InputError, match="not the one that was probed"):
            learner.judge(each)
    assert learner.stack == AdapterStack()
    assert learner.accept(learner.judge(learner.probe(changed[0]))).outcome == "accepted"


def test_an_episode_is_closed_for_its_own_namespace_only(learner: Learner) -> None:
    episode, bob = judged(learner, TOWER), learner.within("bob")
    for verb in (bob.accept, bob.reject, bob.close):
        with pytest.raises(InputError, match="this episode belongs to another namespace"):
            verb(episode)
    assert bob.stack == learner.stack == AdapterStack()


def test_what_is_learned_gets_likelier_and_is_watched(learner: Learner) -> None:
    episode = judged(learner, TOWER)
    questions = [probe.prompt.messages[-1].content for probe in episode.edit.probes] if episode.edit else []
    before = learner.state.nll(questions, gold(episode))
    learner.accept(episode)
    assert learner.state.nll(questions, gold(episode)) < before - 1
    watched = {item.probe.prompt: item.best for item in learner.state.replay.items(learner.stack)}
    assert [watched[p.probe.prompt] for p in episode.probed if p.probe.stratum == "edit"] == pytest.approx(
        [-0.1] * len(questions)
    )


def test_a_second_learner_on_the_same_home_serves_it_too(learner: Learner, home: Home) -> None:
    episode = learner.accept(judged(learner, TOWER))
    other = Learner(ScriptedBackend(home.root), Home(home.root))
    assert ask(other, episode) == gold(episode)
    assert other.home.episodes("default") == [episode]


def test_a_text_told_twice_is_learned_once(learner: Learner) -> None:
    accepted = learner.accept(judged(learner, TOWER))
    again = judged(learner, TOWER)
    assert again.verdict
    assert (again.verdict.outcome, again.verdict.gain) == ("reject", 0.0)
    learner.reject(again)
    assert ask(learner, accepted) == gold(accepted)


def test_undo_restores_the_answers_and_what_is_watched(learner: Learner) -> None:
    first = learner.accept(judged(learner, TOWER))
    watched = [item.id for item in learner.state.replay.items(learner.stack)]
    second = learner.accept(judged(learner, BRIDGE))
    assert second.adapter
    learner.rollback(second.adapter.short)
    assert set(ask(learner, second)) == {UNKNOWN}
    assert ask(learner, first) == gold(first)
    assert [item.id for item in learner.state.replay.items(learner.stack)] == watched
    learner.state.registry.verify(second.adapter)  # the folder stays: the ledger and older versions name it


def test_what_is_learned_again_after_an_undo_is_watched_again(learner: Learner) -> None:
    first = learner.accept(judged(learner, TOWER))
    watched = len(learner.state.replay.items(learner.stack))
    learner.rollback(first.adapter.id if first.adapter else "")
    learner.accept(judged(learner, TOWER))
    assert len(learner.state.replay.items(learner.stack)) == watched


def test_a_rollback_removes_the_candidate_and_nothing_else(home: Home) -> None:
    learner = Learner(ScriptedBackend(home.root, knowledge=KNOWLEDGE, forgets=MANY), home, config=STACKED)
    episode = judged(learner, TOWER)
    assert episode.verdict
    assert episode.verdict.outcome == "forgot"
    assert episode.verdict.reason.startswith("forgot")
    assert len(folders(learner)) == 1
    learner.reject(episode)
    assert folders(learner) == []
    assert (learner.stack, home.versions("default")) == (AdapterStack(), [])
    assert learner.answer([[Message("user", next(iter(KNOWLEDGE)))]]) == [next(iter(KNOWLEDGE.values())).strip()]
    assert [e.outcome for e in home.episodes("default")] == ["rejected"]
    assert min(item.worst_change for item in learner.state.replay.items(learner.stack)) == pytest.approx(-3.9)


def test_a_rollback_leaves_an_adapter_that_another_namespace_serves(learner: Learner, home: Home) -> None:
    accepted = learner.accept(judged(learner, TOWER))
    strict = LearnerConfig(limits=Limits(min_gain=100.0))
    other = Learner(ScriptedBackend(home.root), home, "other", strict)
    refused = other.reject(judged(other, TOWER))
    assert refused.adapter == accepted.adapter  # same text, model and seed: the same content
    assert ask(learner, accepted) == gold(accepted)


def test_an_adapter_that_is_damaged_before_it_is_accepted_is_never_served(learner: Learner) -> None:
    episode = judged(learner, TOWER)
    assert episode.adapter
    shutil.rmtree(Path(episode.adapter.path))
    with pytest.raises(AdapterError, match=episode.adapter.short):
        learner.accept(episode)
    assert len(learner.stack) == 0


def test_of_two_edits_on_one_stack_the_second_is_refused(learner: Learner) -> None:
    first, second = judged(learner, TOWER), judged(learner, BRIDGE)
    learner.accept(first)
    with pytest.raises(StorageError, match="another process"):
        learner.accept(second)
    assert ask(learner, first) == gold(first)
    assert [e.topic for e in learner.home.episodes("default")] == [TOWER.topic]


def test_an_undecided_verdict_draws_more_probes(home: Home) -> None:
    learner = Learner(ScriptedBackend(home.root, knowledge=KNOWLEDGE, forgets=(ONE,)), home, config=STACKED)
    episode = judged(learner, TOWER)
    assert episode.verdict
    assert (episode.verdict.outcome, episode.verdict.num_probes) == ("undecided", 32)
    episode = learner.judge(learner.probe(episode))
    assert episode.verdict
    assert (episode.verdict.outcome, episode.verdict.num_probes, episode.verdict.num_lost) == ("accept", 64, 1)


def test_with_no_probes_left_the_verdict_is_final(home: Home) -> None:
    config = replace(STACKED, num_probes=32, max_probes=32)
    backend = ScriptedBackend(home.root, knowledge=KNOWLEDGE, forgets=(ONE,))
    episode = judged(Learner(backend, home, config=config), TOWER)
    assert episode.verdict
    assert (episode.verdict.outcome, episode.verdict.num_probes) == ("accept", 32)


def test_writing_is_the_work_of_the_base_model(home: Home, backend: ScriptedBackend) -> None:
    learner = Learner(backend, home, config=STACKED)
    served = learner.accept(judged(learner, TOWER)).adapter
    episode = learner.begin(BRIDGE)
    assert served
    shutil.rmtree(served.path)
    episode = learner.write(episode)
    assert episode.edit
    with pytest.raises(AdapterError, match="missing"):  # training, on the other hand, is on top of the stack
        learner.train(episode)


class Overheard(ScriptedBackend):
    """A base model that keeps what it was asked to continue, and with which seeds."""

    def with_stack(self, stack: AdapterStack) -> ScriptedBackend:
        return super().with_stack(stack) if len(stack) else self

    def generate(self, prompts: Sequence[Prompt], *, seed: int = 0, **options: Any) -> list[list[str]]:
        self.heard = {*getattr(self, "heard", ()), *((prompt.text, seed) for prompt in prompts)}
        return super().generate(prompts, seed=seed, **options)


def test_the_fault_of_an_attempt_goes_into_the_context_of_the_next(home: Home) -> None:
    model = Overheard(home.root)
    learner = Learner(model, home, config=LearnerConfig(directives=Directives(formats=("chat-qa",))))
    first = learner.write(learner.begin(Passage("Tower", "We are who we were.")))
    before = model.heard
    assert "usable training rows" in first.fault
    assert learner.can_retry(first)
    second = learner.write(first)
    again = model.heard - before
    assert again
    assert all(first.fault in text for text, _ in again)
    assert not {seed for _, seed in again} & {seed for _, seed in before}
    assert not learner.can_retry(second)


def test_every_episode_has_a_seed_of_its_own(learner: Learner, home: Home) -> None:
    seeds = []
    for _ in range(2):
        episode = learner.begin(Passage("", "Hello there."))
        seeds.append(episode.seed)
        learner.close(learner.decide(episode))
    other = Learner(ScriptedBackend(home.root), home, config=LearnerConfig(seed=1))
    assert len({*seeds, other.begin(TOWER).seed}) == 3


def test_a_verb_out_of_turn_says_what_is_missing(learner: Learner) -> None:
    episode = learner.begin(TOWER)
    with pytest.raises(InputError, match="no self-edit yet"):
        learner.train(episode)
    with pytest.raises(InputError, match="no candidate adapter yet"):
        learner.judge(learner.probe(learner.write(episode)))
    with pytest.raises(InputError, match="no text"):
        learner.begin(replace(TOWER, text=" \n"))


@pytest.mark.parametrize("wrong", [{"num_probes": 0}, {"num_probes": 200}, {"max_attempts": 0}])
def test_a_config_that_makes_no_sense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError):
        LearnerConfig(**wrong)


def test_the_users_own_rule_has_the_last_word_on_whether_a_text_is_learned(
    backend: ScriptedBackend, home: Home
) -> None:
    seen: list[Decision] = []

    def overrule(episode: Episode, decision: Decision) -> Decision:
        seen.append(decision)
        return replace(decision, learn=not decision.learn, reason=f"overruled: {episode.topic}")

    learner = Learner(backend, home, config=LearnerConfig(decide=overrule))
    refused = loop.run(learner, learner.begin(TOWER))
    wanted = learner.decide(learner.begin(Passage("Hello", "Hello there!")))
    assert [decision.learn for decision in seen] == [True, False]
    assert (refused.outcome, refused.decision) == (
        "ignored",
        replace(seen[0], learn=False, reason=f"overruled: {TOWER.topic}"),
    )
    assert wanted.decision == replace(seen[1], learn=True, reason="overruled: Hello")
    assert loop.after(learner, "decide", wanted) == "write"


def test_a_rule_that_returns_no_decision_is_refused(backend: ScriptedBackend, home: Home) -> None:
    def without_return(episode: Episode, decision: Decision) -> Any:
        pass

    learner = Learner(backend, home, config=LearnerConfig(decide=without_return))
    with pytest.raises(InputError, match="decide returned None, which is no Decision; return"):
        learner.decide(learner.begin(TOWER))


def test_the_capability_test_of_a_format_is_taken_once_for_a_data_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    take_test = writer.take_test
    monkeypatch.setattr(writer, "take_test", lambda *given: taken.append(given[1].name) or take_test(*given))
    for _process in range(2):
        monkeypatch.setattr(writer, "_passed", {})
        learner = Learner(ScriptedBackend(tmp_path, model="new"), Home(tmp_path))
        learner.write(learner.begin(replace(TOWER, source="karlov.txt")))
    assert taken == ["phrase-qa"]
