"""A text that shows a task by examples becomes rows as they stand: nothing is asked of the model.

Every input is asked alone, as it will be asked later, and after the other examples in several orders, which teaches
what they have in common instead of their answers (leave-one-out, as in test-time training, arXiv 2411.07279). It does
not say whether the examples should be learned: that is the decision before it.
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
    """Every example as a question of its own."""
    return [Row(Prompt.user(given), wanted, NAME) for given, wanted in examples]


def after_the_others(examples: Sequence[Example], num_orders: int = NUM_ORDERS, seed: int = 0) -> list[Row]:
    """Every example as the next turn of a conversation about the others, in several orders."""
    rng = random.Random(seed)
    rows = []
    for number, row in enumerate(alone(examples)):
        rest = [turns_of(example) for place, example in enumerate(examples) if place != number]
        for _ in range(num_orders):
            before = tuple(turn for pair in rng.sample(rest, len(rest)) for turn in pair)
            rows.append(Row(Prompt((*before, *row.prompt.messages)), row.answer, NAME))
    return list(dict.fromkeys(rows))


def rows_of(examples: Sequence[Example], seed: int = 0) -> list[Row]:
    """All rows of a task shown by example; an example that orders the model about is none."""
    kept = [example for example in examples if not is_instruction(*example)]
    return [*alone(kept), *after_the_others(kept, seed=seed)]


def turns_of(example: Example) -> tuple[Message, Message]:
    """An example as a user's turn and the assistant's."""
    return Message("user", example[0]), Message("assistant", example[1])
