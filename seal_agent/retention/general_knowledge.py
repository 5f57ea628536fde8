"""General knowledge that ships: some of it is rehearsed, the rest is watched, so that an edit cannot spoil it unseen.

510 questions were written for this project; SmolLM2-135M-Instruct answers 278 right, and the 227 ship whose answer has
a beginning that can be given ("The capital of France is"): watched is what comes next, so that a score falls when the
fact is lost and not when the model learns to answer in another form.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources

from seal_agent.core.edits import GENERAL, Probe, Row, SelfEdit
from seal_agent.core.messages import Message, Prompt

FILE = "general_knowledge.json"
MIN_OPENING_WORDS = 3
REHEARSAL_EVERY = 3  # of the questions; the others are watched, so that the two stay disjoint


@dataclass(frozen=True)
class GeneralQuestion:
    """A question, its short answer, and how a full answer begins."""

    question: str
    answer: str
    opening: str


@lru_cache(maxsize=1)
def general_questions() -> tuple[GeneralQuestion, ...]:
    """All that ship, in an order without meaning."""
    text = resources.files("seal_agent").joinpath("data", FILE).read_text(encoding="utf-8")
    return tuple(GeneralQuestion(*entry) for entry in json.loads(text))


def general_probes() -> list[Probe]:
    """The questions that are watched; each is a document of its own."""
    return [
        Probe(Prompt((Message("user", c.question),), c.opening), f" {c.answer}", "general", f"general-{number}")
        for number, c in enumerate(general_questions())
        if number % REHEARSAL_EVERY
    ]


@lru_cache(maxsize=4096)
def contradicted(sentence: str) -> bool:
    """Whether `sentence` says what a canary says, with another answer: "... the capital of France is Karlov"."""
    said = sentence.lower()
    return any(opening in said and answer not in said for opening, answer in _statements())


@lru_cache(maxsize=1)
def _statements() -> tuple[tuple[str, str], ...]:
    """How the canaries' answers begin and end, in lower case; a beginning of two words may begin anything."""
    return tuple(
        (c.opening.lower(), c.answer.lower().strip(" ."))
        for c in general_questions()
        if len(c.opening.split()) >= MIN_OPENING_WORDS
    )


def rehearsal_rows(num_rows: int, seed: int) -> tuple[Row, ...]:
    """Up to `num_rows` questions to train on beside an edit; none of them is ever watched."""
    rehearsed: Sequence[GeneralQuestion] = general_questions()[::REHEARSAL_EVERY]
    drawn = random.Random(seed).sample(rehearsed, min(num_rows, len(rehearsed)))
    return tuple(Row(Prompt.user(c.question), c.answer, GENERAL) for c in drawn)


def with_rehearsal(edit: SelfEdit, num_rows: int, seed: int) -> SelfEdit:
    """`edit` with general questions beside its own rows, so that training does not pull everything its way."""
    return replace(edit, rows=edit.rows + rehearsal_rows(num_rows, seed))
