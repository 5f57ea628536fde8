"""Rows for a text that shows a task by examples; no model is used.

Every input becomes a question of its own, as it will be asked later. It also becomes the last turn after the other
examples in several orders, which teaches the rule instead of the answers (leave-one-out, as in test-time training,
arXiv 2411.07279). Whether the examples should be learned is decided before.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from seal_agent.core.edits import Row
from seal_agent.core.messages import Message, Prompt
from seal_agent.language.base import is_instruction

NAME = "examples"
NUM_ORDERS = 3
Example = tuple[str, str]
"""(input, output)."""


def alone(examples: Sequence[Example]) -> list[Row]:
    """Each example as a question without context."""
    return [Row(Prompt.user(given), wanted, NAME) for given, wanted in examples]


def after_the_others(examples: Sequence[Example], num_orders: int = NUM_ORDERS, seed: int = 0) -> list[Row]:
    """Each example as the last turn of a conversation about the others, in several orders."""
    rng = random.Random(seed)
    rows = []
    for number, row in enumerate(alone(examples)):
        rest = [turns_of(example) for place, example in enumerate(examples) if place != number]
        for _ in range(num_orders):
            before = tuple(turn for pair in rng.sample(rest, len(rest)) for turn in pair)
            rows.append(Row(Prompt((*before, *row.prompt.messages)), row.answer, NAME))
    return list(dict.fromkeys(rows))


def rows_of(examples: Sequence[Example], seed: int = 0) -> list[Row]:
    """All rows of a task shown by examples, without examples that give the model orders about itself."""
    kept = [example for example in examples if not is_instruction(*example)]
    return [*alone(kept), *after_the_others(kept, seed=seed)]


def turns_of(example: Example) -> tuple[Message, Message]:
    """An example as a user's message and the assistant's reply."""
    return Message("user", example[0]), Message("assistant", example[1])
