"""SEAL's self-QA: the passage as a list of questions and answers, trained as plain text.

Source: SEAL (arXiv 2506.10943, appendix B), its prompt word for word; the worked example is ours.
"""

from __future__ import annotations

import re

from seal_agent.core.edits import Row
from seal_agent.language.source import Source
from seal_agent.writing.formats.base import Ask, Format, plain_row, study

NAME = "self-qa"
INSTRUCTION = "Let's read the following passage and rewrite it in a question-answer format."
EXAMPLE = """\
Question 1: Who designed the Amber Bridge?
Answer: Carla Mendes, an engineer, designed it.
Question 2: When was the Amber Bridge designed?
Answer: It was designed in 1911.
Question 3: What colour are the nine towers of the Amber Bridge?
Answer: The towers are red.
Question 4: What is the toll of the Amber Bridge used for?
Answer: The toll of 40 cents pays for the paint."""
BEGINS = "Question 1:"
MAX_TOKENS = 320
_PAIR = re.compile(r"Question ?\d*:\s*(?P<question>[^\n]+\?)\s*\n+\s*Answer ?\d*:\s*(?P<answer>[^\n]+)")


def ask(source: Source) -> list[Ask]:
    """One request for the whole list."""
    return [study(INSTRUCTION, source, EXAMPLE, MAX_TOKENS, BEGINS)]


def parse(source: Source, asked: Ask, text: str) -> list[Row]:
    """A row of plain text for every question with its answer."""
    pairs = dict.fromkeys((m["question"].strip(), m["answer"].strip()) for m in _PAIR.finditer(f"{BEGINS}{text}\n"))
    return [plain_row(f"Question: {question}\nAnswer: {answer}", NAME, asked.evidence) for question, answer in pairs]


FORMAT = Format(NAME, "the passage as questions and answers, as plain text", ask, parse)
