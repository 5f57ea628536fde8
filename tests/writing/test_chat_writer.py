"""A chat model of somebody else's that writes in the model's place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chat_writers import ANSWER, QUESTION, WRITER, Author, Checking
from langchain_core.runnables import RunnableLambda

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.edits import MESSAGE_QA, Row
from seal_agent.core.errors import EditFault, InputError, WriterFault
from seal_agent.core.messages import Grammar, Message, Prompt
from seal_agent.language.source import Source
from seal_agent.writing import messages, writer
from seal_agent.writing.chat_writer import ChatWriter, is_unanswered
from seal_agent.writing.directives import CLOZE, DEFAULT
from seal_agent.writing.formats import FORMATS, Format
from seal_agent.writing.writer import write, write_self_edit

SOURCE = Source("Ruben", "My husband Ruben can't have sesame, not even a trace.")
PASSAGE = Source("Tower of Karlov", "The Tower of Karlov was built in 1911 by Anna Reel. It holds nine brass bells.")
ASKED = Prompt((Message("user", "How?"),), "Question:")


class Reading(Checking):
    """Finds everything likely with a text in view, and nothing said by a message whose answer holds `guess`."""

    guess = "sesame"


@pytest.fixture(autouse=True)
def examined(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], bool]:
    """What the models of these tests passed: the served one cannot write, the writer can."""
    passed = {("scripted", "phrase-qa"): False, (WRITER, "phrase-qa"): True}
    monkeypatch.setattr(writer, "_passed", passed)
    return passed


def replied(chat_model: Any, prompt: Prompt = ASKED, **options: Any) -> Any:
    [[text]] = ChatWriter(chat_model).generate([prompt], **options)
    return text


def test_a_message_is_learned_by_the_writers_questions_and_answers(backend: ScriptedBackend) -> None:
    edit = write_self_edit(backend, SOURCE, DEFAULT, writer=ChatWriter(Author()))
    assert {row.source for row in edit.rows} == {MESSAGE_QA}
    assert {row.question: row.answer for row in edit.rows}[QUESTION] == ANSWER
    assert edit.writer == WRITER


def test_a_document_is_written_about_by_the_writer_and_checked_by_the_model(backend: ScriptedBackend) -> None:
    edit = write_self_edit(backend, PASSAGE, DEFAULT, is_document=True, writer=ChatWriter(Author()))
    own = [row.answer for row in edit.rows if row.source == "phrase-qa" and row.question == "What is told?"]
    assert "It is nine brass bells." in own
    assert edit.writer == WRITER


def test_a_model_that_cannot_read_learns_the_writers_answers_by_likelihood(
    backend: ScriptedBackend, examined: dict[tuple[str, str], bool]
) -> None:
    for reads in (False, True):
        examined["scripted", "phrase-qa"] = reads
        edit = write_self_edit(backend, PASSAGE, DEFAULT, is_document=True, writer=ChatWriter(Author()))
        assert edit.directives.distill == (DEFAULT.distill if reads else 0.0)


def test_the_writer_takes_the_exam(backend: ScriptedBackend, examined: dict[tuple[str, str], bool]) -> None:
    del examined[WRITER, "phrase-qa"]
    assert write_self_edit(backend, SOURCE, DEFAULT, writer=ChatWriter(Author())).writer == WRITER
    assert examined[WRITER, "phrase-qa"]


def test_a_writer_that_fails_the_exam_writes_nothing_and_the_log_says_so(
    backend: ScriptedBackend, caplog: pytest.LogCaptureFixture
) -> None:
    mute: Any = RunnableLambda(lambda _: "I would rather not.")
    edit = write_self_edit(backend, SOURCE, DEFAULT, writer=ChatWriter(mute))
    assert edit == write_self_edit(backend, SOURCE, CLOZE)
    assert edit.writer == ""
    assert "the writer RunnableLambda fails the test of phrase-qa" in caplog.text


def test_an_answer_that_the_writer_does_not_find_in_the_message_is_no_row(backend: ScriptedBackend) -> None:
    author = Author(answer="Nothing with sesame or meat.")
    with pytest.raises(EditFault, match=messages.NOT_ENTAILED):
        write_self_edit(backend, SOURCE, DEFAULT, writer=ChatWriter(author))


def test_a_writer_that_neither_says_yes_nor_no_confirms_nothing(backend: ScriptedBackend) -> None:
    vague: Any = RunnableLambda(lambda _: "Perhaps, yes.")
    rows = [Row(Prompt.user(QUESTION), ANSWER)]
    assert messages.confirmed(ChatWriter(vague), rows, SOURCE.passage)[0] == []
    assert messages.confirmed(ChatWriter(Author()), rows, SOURCE.passage) == (rows, [])


def test_a_model_that_reads_checks_what_the_writer_wrote(tmp_path: Path, examined: dict[tuple[str, str], bool]) -> None:
    examined["scripted", "phrase-qa"] = True
    author = Author(aside="Ruben is my husband.")
    edit = write_self_edit(Reading(tmp_path), SOURCE, DEFAULT, writer=ChatWriter(author))
    assert {row.question: row.answer for row in edit.rows} == {author.other: "Ruben is your husband."}
    assert not any("Is the answer right" in text for text in author.seen)


def test_a_policy_learns_nothing_of_what_somebody_else_wrote(backend: ScriptedBackend) -> None:
    line = Row(Prompt.raw("Settings:"), "{}", "directives")
    for source, is_document in ((SOURCE, False), (PASSAGE, True)):
        proposal = write(backend, source, DEFAULT, (line,), writer=ChatWriter(Author()), is_document=is_document)
        assert proposal.edit.writer == WRITER
        assert proposal.exchanges == (line,)


def test_a_writer_that_does_not_answer_is_a_fault_with_the_reason_and_without_secrets(
    backend: ScriptedBackend, examined: dict[tuple[str, str], bool]
) -> None:
    author = Author(error="refused the key sk-proj-Zx81kQ0aLw93mVb27TtYcR45nHs60PdJ")
    with pytest.raises(WriterFault, match=f"the writer {WRITER} did not answer: ConnectionError: refused") as caught:
        write_self_edit(backend, SOURCE, DEFAULT, writer=ChatWriter(author))
    assert "Zx81kQ0aLw93" not in str(caught.value)
    assert is_unanswered(str(caught.value))
    assert isinstance(caught.value, EditFault)
    del examined[WRITER, "phrase-qa"]
    with pytest.raises(WriterFault):
        write_self_edit(backend, SOURCE, DEFAULT, writer=ChatWriter(author))
    assert (WRITER, "phrase-qa") not in examined  # it may pass when it answers


def test_a_reply_is_asked_to_begin_as_the_prompt_does_and_that_is_taken_off() -> None:
    shown: list[Any] = []
    echo: Any = RunnableLambda(lambda turns: shown.append(turns) or " Question: Who is it? Answer: Ruben.")
    assert replied(echo) == " Who is it? Answer: Ruben."
    assert shown == [[("user", 'How?\n\nBegin your reply with "Question:".')]]
    assert replied(echo, stop=("?",)) == " Who is it"
    assert replied(RunnableLambda(lambda _: "Who is it?")) == "Who is it?"
    assert replied(echo, Prompt.user("How?")).startswith("Question:")


@pytest.mark.parametrize(("ending", "known"), [("stop", "stop"), ("length", "length"), ("max_tokens", "length")])
def test_a_reply_that_the_writers_own_limit_cut_off_is_known(ending: str, known: str) -> None:
    assert replied(Author(ending=ending)).ending == known


def test_what_a_chat_model_cannot_do_is_refused() -> None:
    with pytest.raises(InputError, match="continues no text and no grammar"):
        replied(Author(), Prompt.raw("Once upon"))
    with pytest.raises(InputError, match="chat-qa, contrast"):
        replied(Author(), grammars=[Grammar('start: "a"\n')])


@pytest.mark.parametrize("form", FORMATS.values(), ids=list(FORMATS))
def test_a_format_that_holds_replies_to_a_grammar_says_so(form: Format) -> None:
    text = "The tower was built in 1911 by Anna Reel. The bridge was built in 1954 by Tom Varga."
    asks = [asked for asked in form.ask(Source("Karlov", text)) if asked.max_new_tokens]
    assert any(asked.grammar for asked in asks) == form.needs_grammar
    assert form.needs_grammar or all(asked.prompt.is_chat for asked in asks)


def test_the_ledger_names_the_class_and_the_model_of_the_writer() -> None:
    assert ChatWriter(Author()).model == WRITER
    assert ChatWriter(Author().with_retry()).model == WRITER
    assert ChatWriter(Author().with_config({"max_concurrency": 2})).model == WRITER
