"""Tools make rows without the model."""

import pytest

from seal_agent.core.edits import Row
from seal_agent.core.messages import Prompt
from seal_agent.language.source import Source
from seal_agent.writing.augmentations import AUGMENTATIONS
from seal_agent.writing.formats.base import plain_row

SOURCE = Source("Tower of Karlov", "The Tower of Karlov was built in 1911 by Anna Reel. It holds nine brass bells.")
ASKED = Row(Prompt.user("Who built the Tower of Karlov?"), "Anna Reel", "chat-qa", SOURCE.sentences[0])


def test_sentences_are_answers_and_say_what_they_are_about() -> None:
    made = AUGMENTATIONS["sentences"](SOURCE, [ASKED], 0)
    assert made[0] == ASKED
    assert [row.answer for row in made[1:]] == SOURCE.sentences
    assert made[2].answer == SOURCE.passage  # "It" is learned with the sentence that says what it is


def test_the_title_stands_before_plain_text_only() -> None:
    made = AUGMENTATIONS["title"](SOURCE, [ASKED, plain_row("It is old.", "implications", "")], 0)
    assert made[0] == ASKED
    assert made[1].answer == "Tower of Karlov\nIt is old."


def test_reordering_keeps_every_sentence_and_follows_the_seed() -> None:
    first, again, other = (AUGMENTATIONS["reorder"](SOURCE, [], seed) for seed in (1, 1, 5))
    assert first == again
    assert all(sorted(row.answer) == sorted(" ".join(SOURCE.sentences)) for row in first + other)


def test_a_swapped_question_asks_for_what_the_question_named() -> None:
    made = AUGMENTATIONS["entity-swap"](SOURCE, [ASKED], 0)
    assert made[0] == ASKED
    assert ("What was built in 1911 by Anna Reel?", "Tower of Karlov") in [(r.question, r.answer) for r in made]


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
def test_a_tool_loses_no_row(name: str) -> None:
    rows = [ASKED, plain_row("It is old.", "implications", "")]
    assert len(AUGMENTATIONS[name](SOURCE, rows, 0)) >= len(rows)
