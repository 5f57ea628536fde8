"""The shipped general-knowledge questions: a third is rehearsed, the rest probed around edits.

510 questions were written for this project. SmolLM2-135M-Instruct answers 278 correctly; 227 of those have an answer
with a fixed opening ("The capital of France is") and are shipped. The score covers what follows the opening, so that
it falls when the fact is lost and not when the model changes its style.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources

from seal_agent.core.edits import GENERAL_ROWS, Probe, Row, SelfEdit
from seal_agent.core.messages import Message, Prompt

FILE = "general_knowledge.json"
MIN_OPENING_WORDS = 3
REHEARSAL_EVERY = 3  # of the questions; the others are probed and never trained


@dataclass(frozen=True)
class GeneralQuestion:
    """A question, its short answer, and the opening of a full answer."""

    question: str
    answer: str
    opening: str


@lru_cache(maxsize=1)
def general_questions() -> tuple[GeneralQuestion, ...]:
    """All shipped questions, in random order."""
    text = resources.files("seal_agent").joinpath("data", FILE).read_text(encoding="utf-8")
    return tuple(GeneralQuestion(*entry) for entry in json.loads(text))


def general_probes() -> list[Probe]:
    """Probes for the questions that are never trained; each is a cluster of its own."""
    return [
        Probe(Prompt((Message("user", c.question),), c.opening), f" {c.answer}", "general", f"general-{number}")
        for number, c in enumerate(general_questions())
        if number % REHEARSAL_EVERY
    ]


@lru_cache(maxsize=4096)
def contradicted(sentence: str) -> bool:
    """Whether `sentence` gives another answer to a general question: "... the capital of France is Karlov"."""
    said = sentence.lower()
    return any(opening in said and answer not in said for opening, answer in _statements())


@lru_cache(maxsize=1)
def _statements() -> tuple[tuple[str, str], ...]:
    """Opening and answer of each question, in lower case; openings of two words are too general to compare."""
    return tuple(
        (c.opening.lower(), c.answer.lower().strip(" ."))
        for c in general_questions()
        if len(c.opening.split()) >= MIN_OPENING_WORDS
    )


def rehearsal_rows(num_rows: int, seed: int) -> tuple[Row, ...]:
    """Up to `num_rows` rehearsal questions to train on beside an edit; none of them is ever a probe."""
    rehearsed: Sequence[GeneralQuestion] = general_questions()[::REHEARSAL_EVERY]
    drawn = random.Random(seed).sample(rehearsed, min(num_rows, len(rehearsed)))
    return tuple(Row(Prompt.user(c.question), c.answer, GENERAL_ROWS) for c in drawn)


def with_rehearsal(edit: SelfEdit, num_rows: int, seed: int) -> SelfEdit:
    """`edit` with rehearsal rows, which limit how far training changes other answers."""
    return replace(edit, rows=edit.rows + rehearsal_rows(num_rows, seed))
