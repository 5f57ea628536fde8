"""Recalling what was learned: from the weights, as text in the prompt, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from threads import ANSWER, QUESTION, TOWER

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.documents import Passage
from seal_agent.core.episodes import Episode, Score
from seal_agent.core.errors import InputError, Refused
from seal_agent.core.facts import Fact, Recall, last_said
from seal_agent.core.messages import Generated, Message, Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.deciding.classifier import HEADS_FOLDER, file_name
from seal_agent.learning import loop
from seal_agent.learning.config import LearnerConfig
from seal_agent.learning.learner import Learner
from seal_agent.learning.recall import Recalled, with_facts
from seal_agent.maintenance.invariants import invariants
from seal_agent.storage.database import Home
from seal_agent.unlearning.forget import forget

SAID = Passage("Tower of Karlov", TOWER, "User: I was in Karlov.\n", said_on="2026-03-02")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def learner_with(home: Home, recall: Recall, **settings: object) -> Learner:
    config = replace(LearnerConfig(recall=recall), **settings)  # type: ignore[arg-type]
    return Learner(ScriptedBackend(home.root), home, config=config)


def taught(home: Home, recall: Recall, **settings: object) -> tuple[Learner, Episode]:
    learner = learner_with(home, recall, **settings)
    return learner, loop.run(learner, learner.begin(SAID, thread="one"))


def used(learner: Learner, *said: str) -> Recalled:
    """What a question calls for that follows the messages `said`, of the user and the assistant in turn."""
    roles = ("user", "assistant")
    messages = tuple(Message(roles[n % 2], text) for n, text in enumerate(said))  # type: ignore[arg-type]
    [found] = learner.state.recalled(learner.state.view(learner.stack), [Prompt(messages)])
    return found


def test_text_is_recalled_into_the_prompt_and_nothing_is_trained(home: Home) -> None:
    learner, episode = taught(home, "text")
    assert episode.outcome == "accepted"
    assert [entry.ref.has_weights for entry in learner.stack.entries] == [False]
    found = used(learner, QUESTION)
    assert not found.stack.entries
    assert found.prompt.messages[0].role == "system"
    assert (
        f'[Monday 2026-03-02] The user said: (after "I was in Karlov.") "{TOWER}"' in found.prompt.messages[0].content
    )
    assert [fact.thread for fact in found.facts] == ["one"]


def test_both_activates_the_adapter_and_shows_its_text(home: Home) -> None:
    learner, episode = taught(home, "both")
    found = used(learner, QUESTION)
    assert episode.adapter is not None
    assert found.stack.ids == (episode.adapter.id,)
    assert TOWER in found.prompt.messages[0].content


def test_weights_leave_the_prompt_as_it_is_and_name_the_facts(home: Home) -> None:
    learner, _ = taught(home, "weights")
    found = used(learner, QUESTION)
    assert found.prompt == Prompt.user(QUESTION)
    assert [fact.text for fact in found.facts] == [TOWER]
    assert learner.answer([[Message("user", QUESTION)]]) == [ANSWER]


@pytest.mark.parametrize("recall", ["weights", "text", "both"])
def test_a_message_that_calls_for_nothing_is_answered_by_the_untouched_model(home: Home, recall: Recall) -> None:
    learner, _ = taught(home, recall)
    found = used(learner, "What is a good recipe for pasta?")
    assert (found.prompt, len(found.stack), found.facts) == (Prompt.user("What is a good recipe for pasta?"), 0, ())


@pytest.mark.parametrize("recall", ["weights", "text", "both"])
def test_what_stands_in_the_conversation_is_not_recalled(home: Home, recall: Recall) -> None:
    learner, _ = taught(home, recall)
    for question in (QUESTION, "Thank you!", "What is a good recipe for pasta?"):
        found = used(learner, TOWER, "I see.", question)
        assert (len(found.stack), found.facts) == (0, ())


def test_a_text_whose_edit_cannot_be_learned_is_still_recalled(home: Home) -> None:
    learner = Learner(ScriptedBackend(home.root, forgets=("Tokyo",)), home, config=LearnerConfig(recall="both"))
    episode = learner.begin(replace(SAID, text="so it is"), thread="one")
    done = loop.run(learner, replace(episode, fault="no usable row", num_attempts=2), step="write")
    assert done.outcome == "accepted"
    assert [entry.ref.has_weights for entry in learner.stack.entries] == [False]


def test_a_rule_of_the_user_refuses_a_text_too(home: Home) -> None:
    def refuse(_episode: Episode) -> Episode:
        raise Refused("no towers")

    learner, episode = taught(home, "text", before_learn=refuse)
    assert (episode.outcome, episode.fault) == ("rejected", "refused: no towers")
    assert not learner.stack.entries


def test_a_recalled_text_can_be_forgotten_and_undone(home: Home) -> None:
    learner, episode = taught(home, "text")
    assert episode.adapter is not None
    learner.rollback(episode.adapter.id)
    assert used(learner, QUESTION).facts == ()
    _, again = taught(home, "text")
    assert again.adapter is not None
    forget(learner, edit=again.adapter.id)
    assert used(learner, QUESTION).facts == ()
    assert TOWER not in str(home.episodes("default"))


def test_the_home_of_recalled_texts_is_sound(home: Home) -> None:
    taught(home, "text")
    assert invariants(home) == []


def test_a_mode_that_does_not_exist_and_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="recall='memory' is unknown; choose 'weights', 'text', 'both'"):
        LearnerConfig(recall="memory")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="leave strategy at 'route'"):
        LearnerConfig(recall="both", strategy="stack")
    with pytest.raises(InputError, match="leave approval=False"):
        LearnerConfig(recall="text", approval=True)


def test_facts_join_a_system_message_that_is_there() -> None:
    fact = Fact("a", "The lift is closed.", source="notice.md", heading="Notices")
    asked = Prompt((Message("system", "Be brief."), Message("user", "Is the lift open?")))
    system, question = with_facts(asked, [fact]).messages
    assert system.content.startswith("Be brief.\n\n")
    assert "Notices: The lift is closed." in system.content
    assert question.content == "Is the lift open?"
    assert with_facts(asked, []) == asked


def test_the_last_words_of_the_user_are_found_in_a_conversation() -> None:
    assert last_said("User: One.\nAssistant: Two.\nUser: Three.\nAssistant: Four.\n") == "Three."
    assert last_said("") == ""


class Personal(ScriptedBackend):
    """Names every message a question and finds those personal that speak of "my"."""

    def generate(self, prompts: Sequence[Prompt], **options: Any) -> list[list[Generated]]:
        if options.get("grammars"):
            return [[Generated("question")] for _ in prompts]
        return super().generate(prompts, **options)

    def score(self, prompts: Sequence[Prompt], answers: Sequence[str], **options: Any) -> list[Score]:
        if {*answers} == {"personal", "general"}:
            asks = ["my " in prompt.asked for prompt in prompts]
            return [Score(0.0 if (a == "personal") == yes else -2.0, 1) for a, yes in zip(answers, asks, strict=True)]
        return super().score(prompts, answers, **options)

    def with_stack(self, stack: AdapterStack) -> Any:
        return self


def test_what_was_never_told_is_said_so_if_that_is_wanted(home: Home) -> None:
    config = LearnerConfig(recall="text", when_unknown="say so")
    backend = Personal(home.root, model="another")
    for name in ("kinds", "personal"):
        file = f"{file_name('another').removesuffix('.npz')}-{name}.json"
        (home.root / HEADS_FOLDER).mkdir(exist_ok=True)
        (home.root / HEADS_FOLDER / file).write_text('{"passed": true}')
    learner = Learner(backend, home, config=config)
    unknown = used(learner, "What is my brother's name?")
    assert unknown.is_unknown
    assert "never told" in unknown.prompt.messages[0].content
    assert used(learner, "How tall is Mont Blanc?").prompt == Prompt.user("How tall is Mont Blanc?")
    instructed = Prompt((Message("system", "Be brief."), Message("user", "What is my brother's name?")))
    [found] = learner.state.recalled(learner.state.view(learner.stack), [instructed])
    assert found.is_unknown
    assert found.prompt.messages[0].content.startswith("Be brief.")
    said_here = used(learner, "My brother is Tom.", "I see.", "What is my brother's name?")
    assert not said_here.is_unknown
    answering = Learner(backend, home, config=LearnerConfig(recall="text"))
    assert not used(answering, "What is my brother's name?").is_unknown


def test_a_model_that_cannot_tell_answers_as_ever(home: Home) -> None:
    learner = learner_with(home, "text", when_unknown="say so")
    assert not used(learner, "What is my brother's name?").is_unknown
    with pytest.raises(InputError, match="when_unknown='guess' does not exist; choose 'answer', 'say so'"):
        LearnerConfig(when_unknown="guess")  # type: ignore[arg-type]


def test_an_answer_of_the_model_does_not_count_as_told_in_the_conversation(home: Home) -> None:
    learner, episode = taught(home, "weights")
    assert episode.adapter is not None
    assert used(learner, QUESTION, TOWER, QUESTION).stack.ids == (episode.adapter.id,)
