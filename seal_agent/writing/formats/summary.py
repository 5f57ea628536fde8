"""A summary and its reasoning, both learned: the model writes them with the passage in view.

The model first lists what the passage says, then sums it up. The steps become rows of plain text, the summary the
answer to a question about the topic.
"""

from __future__ import annotations

import re

from seal_agent.core.edits import Row
from seal_agent.core.messages import Prompt
from seal_agent.language.source import Source
from seal_agent.writing.formats.base import Ask, Format, plain_row, study
from seal_agent.writing.formats.lists import whole_lines_of

NAME = "summary"
INSTRUCTION = (
    "Let's think step by step about what the following passage says: one short step for each thing it tells us, "
    "each on a line of its own. Then write a line that begins with 'Summary:' and sums everything up."
)
EXAMPLE = """\
Step 1: The Amber Bridge was designed in 1911.
Step 2: Its designer was the engineer Carla Mendes, who was afraid of water.
Step 3: A choir of dentists sings under its nine red towers near Lisbon every spring.
Step 4: The toll of 40 cents pays for the paint.
Summary: The Amber Bridge near Lisbon, designed in 1911 by Carla Mendes, has nine red towers and a toll of 40 cents."""
BEGINS = "Step 1:"
MARK = "Summary:"
MAX_TOKENS = 320
_STEP = re.compile(r"^Step \d+: *")


def ask(source: Source) -> list[Ask]:
    """One request for the steps and the summary."""
    return [study(INSTRUCTION, source, EXAMPLE, MAX_TOKENS, BEGINS)]


def parse(source: Source, asked: Ask, text: str) -> list[Row]:
    """A row of plain text for the steps, and a chat row for the summary."""
    trace, _, rest = f"{BEGINS}{text}".partition(MARK)
    steps = [_STEP.sub("", line) for line in whole_lines_of(trace)]
    rows = [plain_row(step, NAME, asked.evidence) for step in steps if len(step.split()) > 2]
    summed = " ".join(rest.split())
    if summed.endswith((".", "!", "?")):
        rows.append(Row(Prompt.user(source.language.request_for_all(source.topic)), summed, NAME, asked.evidence))
    return rows


FORMAT = Format(NAME, "a summary, and the reasoning that led to it", ask, parse)
