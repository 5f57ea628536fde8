"""Tools that a self-edit may name: they make or change training rows without the model.

Source of the idea: SEAL (arXiv 2506.10943, section 3), whose self-edits call tools; the tools here are our own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from seal_agent.core.edits import Row
from seal_agent.core.messages import Prompt
from seal_agent.language.sentences import full_stop
from seal_agent.language.source import Source
from seal_agent.writing.formats.base import plain_row

Augmentation = Callable[[Source, Sequence[Row], int], list[Row]]
"""Takes the source, the rows so far and a seed; returns all rows."""
NUM_ORDERS = 2


def sentences(source: Source, rows: Sequence[Row], seed: int) -> list[Row]:
    """A row for every sentence: it covers facts that no question asks for, and keeps whole sentences likely."""
    prompt = Prompt.user(source.language.request_to_tell(source.topic))
    return [*rows, *(Row(prompt, sentence, "sentences", sentence) for sentence in source.sentences)]


def passage(source: Source, rows: Sequence[Row], seed: int) -> list[Row]:
    """A row of plain text that holds the whole passage."""
    return [*rows, plain_row(source.passage, "passage", source.passage)]


def title(source: Source, rows: Sequence[Row], seed: int) -> list[Row]:
    """Put the topic before every row of plain text."""
    return [
        row if row.prompt.is_chat or row.prompt.text else replace(row, answer=f"{source.topic}\n{row.answer}")
        for row in rows
    ]


def reorder(source: Source, rows: Sequence[Row], seed: int) -> list[Row]:
    """Add the passage with its sentences in other orders, so that facts are not tied to their position."""
    rng = random.Random(seed)
    orders = [rng.sample(source.sentences, len(source.sentences)) for _ in range(NUM_ORDERS)]
    prompt = Prompt.user(source.language.request_for_all(source.topic))
    told = [" ".join(f"{sentence}{full_stop(sentence)}" for sentence in order) for order in orders]
    return [*rows, *(Row(prompt, text, "reorder", source.passage) for text in told)]


def entity_swap(source: Source, rows: Sequence[Row], seed: int) -> list[Row]:
    """For every question, add questions for what it names: "Who built X?" also gives "Anna Reel built what?".

    A model that learned "A is B" does not know "B is A" (Berglund et al., arXiv 2309.12288).
    """
    swapped = [
        Row(Prompt.user(source.language.echo_question(row.evidence, span)), span.text, "entity-swap", row.evidence)
        for row in rows
        if row.prompt.is_chat and row.evidence and row.answer in row.evidence
        for span in source.language.noun_phrases(row.evidence)
        if span.text in row.question and row.answer not in span.text
    ]
    return list(dict.fromkeys([*rows, *swapped]))


AUGMENTATIONS: dict[str, Augmentation] = {
    "sentences": sentences,
    "passage": passage,
    "title": title,
    "reorder": reorder,
    "entity-swap": entity_swap,
}
