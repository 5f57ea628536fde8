"""Writing a self-edit over the scripted backend: a very literal model."""

from dataclasses import replace
from pathlib import Path

import pytest

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.directives import DEFAULT
from seal_agent.errors import EditFault
from seal_agent.formats import FORMATS, Source
from seal_agent.formats.cloze import phrase_of
from seal_agent.types import Directives
from seal_agent.writing import NOT_A_ROW, write, write_self_edit, written

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


@pytest.mark.parametrize(("num_fit", "is_asked_for_all"), [(1, False), (4, True)])
def test_a_model_that_fails_a_formats_trials_is_asked_nothing_more(
    tmp_path: Path, num_fit: int, is_asked_for_all: bool
) -> None:
    form = FORMATS["phrase-qa"]
    built = ("arch", "barn", "cave", "dam", "elm", "fort", "gate", "hall", "inn")
    source = replace(SOURCE, passage=" ".join(f"{what.title()}y built the {what}." for what in built))
    asks = form.ask(source)
    assert len(asks) > 2 * form.num_trials
    step = -(-len(asks) // form.num_trials)
    fit = [*asks[::step][:num_fit], asks[1]]
    replies = {asked.prompt.asked: f" What is it?\nAnswer: It is {phrase_of(asked)[0].text}." for asked in fit}
    texts = written(ScriptedBackend(tmp_path, replies=replies), "phrase-qa", source)
    assert [each.asked for each in texts] == asks
    assert bool(texts[1].own_rows) == is_asked_for_all
    assert all(each.rows for each in texts)


def test_a_policy_does_not_learn_to_say_what_no_row_was_made_of(backend: ScriptedBackend) -> None:
    proposal = write(backend, SOURCE, replace(DEFAULT, formats=("phrase-qa",)))
    assert {row.source for row in proposal.edit.rows} == {"cloze"}
    assert proposal.said == ()
