"""What a correction holds of the message that it corrects, when that message is forgotten."""

from __future__ import annotations

from dataclasses import replace

from seal_agent.core.edits import MESSAGE_QA, Row, SelfEdit
from seal_agent.core.episodes import Episode
from seal_agent.core.facts import Fact
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.unlearning.traces import kept_rows, traces_of

REVIEW, CORRECTION = "The review is at noon, in room Heron.", "No, 2 pm."
ROOM, NOON, LATER = "The review is in room Heron.", "The review is at noon.", "The review is at 2 pm."


def row(question: str, answer: str, fact: Fact) -> Row:
    return Row(Prompt.user(question), answer, MESSAGE_QA, fact.statements)


def test_a_correction_keeps_no_statement_and_no_quotation_of_the_forgotten_message() -> None:
    told = Fact("", REVIEW, "2026-03-03", thread="t")
    now = Fact("", CORRECTION, "2026-03-03", thread="t", earlier=REVIEW, changed=(told,))
    first = SelfEdit("Review", REVIEW, (row("Where is the review?", ROOM, told), row("When is it?", NOON, told)), ())
    later = (row("Which room is it?", ROOM, now), row("When is the review?", LATER, now))
    episode = Episode(
        namespace="default",
        text=REVIEW,
        topic="Review",
        earlier="",
        parent=AdapterStack(),
        model="m",
        seed=0,
        edit=first,
    )
    traces = traces_of({REVIEW}, [episode, replace(episode, text=CORRECTION, edit=replace(first, rows=later))])
    [kept] = kept_rows(replace(first, passage=CORRECTION, rows=later), CORRECTION, traces)
    assert kept.answer == LATER
    assert kept.evidence == replace(now, earlier="", changed=()).statements
