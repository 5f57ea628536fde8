"""`LearnerConfig(writer=...)`: a chat model writes, the served model trains, checks and is judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from chat_writers import QUESTION, WRITER, Author

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.cli.app import main
from seal_agent.core.codec import from_json, to_json
from seal_agent.core.documents import Passage
from seal_agent.core.edits import Directives, Row, SelfEdit
from seal_agent.core.episodes import Correction, Episode
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Message, Prompt
from seal_agent.graphs.chat_model import ChatSeal
from seal_agent.learning import loop
from seal_agent.learning.config import LearnerConfig
from seal_agent.learning.explain import why_version
from seal_agent.learning.learner import Learner
from seal_agent.storage.database import Home
from seal_agent.storage.policies import PolicyStore
from seal_agent.writing import corrections, writer

SAID = Passage("Ruben", "My husband Ruben can't have sesame, not even a trace.")


@pytest.fixture(autouse=True)
def _examined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_passed", {("scripted", "phrase-qa"): False, (WRITER, "phrase-qa"): True})


def learned(home: Home, chat_model: Any, passage: Passage = SAID, **settings: Any) -> tuple[Learner, Episode]:
    learner = Learner(ScriptedBackend(home.root), home, config=LearnerConfig(writer=chat_model, **settings))
    return learner, loop.run(learner, learner.begin(passage, thread="one"), step="write")


def test_what_the_writer_wrote_is_learned_and_the_ledger_says_who_wrote_it(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    learner, episode = learned(home, Author())
    assert episode.outcome == "accepted"
    assert episode.edit
    assert episode.edit.writer == WRITER
    assert learner.answer([[Message("user", QUESTION)]]) == ["Nothing with sesame."]
    [origin] = why_version(home, "default").origins
    assert origin.writer == WRITER
    main(["adapters", "why", "--home", str(home.root)])
    main(["adapters", "show", origin.adapter[:12], "--home", str(home.root)])
    assert capsys.readouterr().out.count(f"written   by {WRITER}\n") == 2


def test_an_edit_without_a_writer_is_stored_as_before(home: Home) -> None:
    _, episode = learned(home, None)
    assert episode.edit
    stored = to_json(episode.edit)
    assert "writer" not in stored
    assert from_json(SelfEdit, stored) == episode.edit


def test_a_writer_that_does_not_answer_is_asked_again_and_the_reason_is_kept(home: Home) -> None:
    learner, episode = learned(home, Author(error="timed out"))
    assert (episode.outcome, episode.num_attempts) == ("rejected", 2)
    assert episode.fault == f"the writer {WRITER} did not answer: ConnectionError: timed out"
    assert len(learner.stack) == 0


def test_a_writer_that_answers_at_the_second_attempt_does_not_read_of_the_first(home: Home) -> None:
    author = Author(error="timed out")
    learner = Learner(ScriptedBackend(home.root), home, config=LearnerConfig(writer=author))
    failed = learner.write(learner.begin(SAID, thread="one"))
    assert learner.can_retry(failed)
    author.error = ""
    written = learner.write(failed)
    assert written.edit
    assert written.edit.writer == WRITER
    assert not any("timed out" in text for text in author.seen)


def test_a_text_that_no_writer_wrote_about_is_recalled_all_the_same(home: Home) -> None:
    learner, episode = learned(home, Author(error="timed out"), recall="both")
    assert episode.outcome == "accepted"
    assert [fact.text for fact in learner.state.facts()] == [SAID.text]


def test_the_writer_sees_no_secret(home: Home) -> None:
    author = Author()
    hidden = "AKIAIOSFODNN7REALKEY"
    text = f"My husband Ruben can't have sesame. The access key is {hidden}."
    learned(home, author, Passage("Ruben", text, f"User: My key is {hidden}.\n"))
    assert author.seen
    assert not any(hidden in text for text in author.seen)


def test_the_writer_writes_in_the_place_of_a_policy(home: Home) -> None:
    backend = ScriptedBackend(home.root)
    policy = backend.train(SelfEdit("policy", "", (Row(Prompt.user("How?"), "Well."),), ()))
    policies = PolicyStore(home, "default", backend.model)
    policies.use(policies.add(policy, parent=0, reason="better").version)
    _, episode = learned(home, Author())
    assert episode.edit
    assert episode.edit.writer == WRITER


def test_another_local_model_can_write(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    replies = {"Nothing with sesame.": QUESTION}
    replies |= {f"Message: {SAID.text}\nQuestion:": "yes", "Message:": "Nothing with sesame."}
    larger = Learner(ScriptedBackend(home.root, replies=replies, model="larger"), home, "writer")
    monkeypatch.setitem(writer._passed, ("ChatSeal larger@v0", "phrase-qa"), True)
    _, episode = learned(home, ChatSeal(learner=larger, model="larger@v0"))
    assert episode.outcome == "accepted"
    assert episode.edit
    assert episode.edit.writer == "ChatSeal larger@v0"
    assert {row.question: row.answer for row in episode.edit.rows}[QUESTION] == "Nothing with sesame."


def test_an_edit_joined_with_rows_of_a_writer_names_the_writer() -> None:
    def edit(*rows: Row, writer: str = "") -> SelfEdit:
        return SelfEdit("Ruben", "Text.", rows, (), writer=writer)

    own, others = Row(Prompt.user("Who?"), "He."), Row(Prompt.user("What?"), "Sesame.")
    fixed = [Correction(1, "What?", "Sesame.", "Nuts.")]
    assert corrections.joined(edit(own), [edit(others, writer="A b")], fixed, 8).writer == "A b"
    assert corrections.joined(edit(own), [edit(others)], fixed, 8).writer == ""


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"writer": "openai:gpt"}, "is no chat model; give a LangChain chat model"),
        ({"writer": Author}, "is no chat model"),
        ({"writer": Author(), "directives": None}, "with a writer, give some"),
        ({"writer": Author(), "directives": Directives(formats=("contrast",))}, "'contrast', which needs a grammar"),
    ],
)
def test_a_setting_that_no_writer_can_follow_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        replace(LearnerConfig(), **settings)
