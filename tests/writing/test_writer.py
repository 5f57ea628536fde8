"""Writing a self-edit over the scripted backend: a very literal model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.edits import Directives, Row, SelfEdit
from seal_agent.core.errors import EditFault
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.language.source import Source
from seal_agent.writing import writer as writing
from seal_agent.writing.directives import CLOZE, DEFAULT
from seal_agent.writing.formats import FORMATS
from seal_agent.writing.formats.cloze import phrase_of
from seal_agent.writing.requests import NOT_A_ROW, written
from seal_agent.writing.writer import write, write_self_edit

SOURCE = Source("Tower of Karlov", "The Tower of Karlov was built in 1911 by Anna Reel. It holds nine brass bells.")


def test_a_self_edit_holds_only_what_the_passage_says(backend: ScriptedBackend) -> None:
    edit = write_self_edit(backend, SOURCE, Directives(formats=("chat-qa",)))
    answers = [row.answer for row in edit.rows]
    assert {"1911", "Anna", "brass", "nine"} <= set(answers)
    assert all(answer in SOURCE.passage for answer in answers)
    assert all(row.evidence and row.source == "chat-qa" for row in edit.rows)
    assert edit == write_self_edit(backend, SOURCE, Directives(formats=("chat-qa",)))


def test_what_is_dropped_is_in_the_edit_with_its_reason(backend: ScriptedBackend) -> None:
    edit = write_self_edit(backend, SOURCE, Directives(formats=("chat-qa", "self-qa")))
    reasons = {(entry.source, entry.reason) for entry in edit.dropped}
    assert ("self-qa", NOT_A_ROW) in reasons  # a literal model does not write lists of questions
    assert any(source == "chat-qa" for source, _ in reasons)  # it asks the same at every temperature


def test_the_default_asks_for_every_phrase_without_a_writer(backend: ScriptedBackend) -> None:
    edit = write_self_edit(backend, SOURCE, DEFAULT)
    assert {row.source for row in edit.rows} == {"cloze"}
    recited = {row.answer for row in edit.rows}
    assert set(SOURCE.sentences) <= recited


def test_without_directives_the_model_chooses_and_a_malformed_choice_is_a_fault(backend: ScriptedBackend) -> None:
    with pytest.raises(EditFault, match=r"directives are 'I do not know.'"):
        write_self_edit(backend, SOURCE)


def test_a_text_without_a_fact_is_a_fault(backend: ScriptedBackend) -> None:
    with pytest.raises(EditFault, match="usable training rows"):
        write_self_edit(backend, Source("Tower", "We are who we were."), DEFAULT)


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_format_survives_a_model_that_writes_nonsense(backend: ScriptedBackend, name: str) -> None:
    texts = written(backend, name, SOURCE)
    instead = "cloze" if name == "phrase-qa" else name
    assert all(row.source == instead and row.evidence for each in texts for row in each.rows)
    assert all(each.malformed.source == name for each in texts)


@pytest.mark.parametrize("can_write", [False, True])
def test_a_model_that_fails_a_formats_exam_is_asked_for_nothing_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_write: bool
) -> None:
    monkeypatch.setattr(writing, "_passed", {})
    form = FORMATS["phrase-qa"]
    assert form.capability_test
    able = form.ask(form.capability_test)[:: 1 if can_write else 5]
    replies = {
        asked.prompt.asked: f" What is told?\nAnswer: It is {phrase_of(asked)[0].text}."
        for asked in [*able, *form.ask(SOURCE)]
    }
    backend = Counting(tmp_path, replies=replies)
    for _ in range(2):
        edit = write_self_edit(backend, SOURCE, DEFAULT, is_document=True)
        assert edit.directives == (DEFAULT if can_write else CLOZE)
        assert ("phrase-qa" in {row.source for row in edit.rows}) == can_write
    assert backend.num_asked == 10 + 2 * len(form.ask(SOURCE)) * can_write  # examined once
    assert can_write or edit == write_self_edit(backend, SOURCE, CLOZE, is_document=True)


class Counting(ScriptedBackend):
    """Counts what it is asked."""

    num_asked = 0

    def with_stack(self, stack: AdapterStack) -> "Counting":
        return self

    def generate(self, prompts: Sequence[Prompt], **options: Any) -> Any:
        self.num_asked += len(prompts)
        return super().generate(prompts, **options)


class Witnessed(ScriptedBackend):
    """Notes which stack judged rows."""

    judges: ClassVar[list[tuple[str, ...]]] = []

    def with_stack(self, stack: AdapterStack) -> "Witnessed":
        return Witnessed(self._home, stack=stack)

    def score(self, prompts: Sequence[Prompt], answers: Sequence[str], **options: Any) -> Any:
        self.judges.append(self.stack.ids)
        return super().score(prompts, answers, **options)


def test_a_policy_writes_and_the_base_model_judges_what_it_wrote(tmp_path: Path) -> None:
    policy = Witnessed(tmp_path).train(SelfEdit("policy", "", (Row(Prompt.user("How?"), "Well."),), ()))
    Witnessed.judges.clear()
    writer = Witnessed(tmp_path).with_stack(AdapterStack().push(policy))
    assert write(writer, SOURCE, Directives(formats=("chat-qa",))).edit.rows
    assert set(Witnessed.judges) == {()}


def test_a_policy_does_not_learn_to_say_what_no_row_was_made_of(backend: ScriptedBackend) -> None:
    proposal = write(backend, SOURCE, DEFAULT)
    assert {row.source for row in proposal.edit.rows} == {"cloze"}
    assert proposal.exchanges == ()
