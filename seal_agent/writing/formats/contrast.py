"""Denials: a sentence with one phrase exchanged for another of the passage, and denied.

Models confuse facts of one kind (two dates, two names). The model chooses the wrong phrase itself: it fills the gap
with one of the passage's other phrases, without the passage in view.
"""

from __future__ import annotations

import json

from seal_agent.core.edits import Row
from seal_agent.core.messages import Grammar, Prompt
from seal_agent.language.base import Language
from seal_agent.language.source import Source
from seal_agent.language.values import Span, Statement
from seal_agent.writing.formats.base import Ask, Format

NAME = "contrast"
MAX_TOKENS = 16
MAX_ASKS = 12
EXAMPLES = """\
Fill in the gap.

Text: The capital of France is ___.
Gap: Paris

Text: ___ was the first man on the moon.
Gap: Neil Armstrong

"""


def ask(source: Source) -> list[Ask]:
    """A request for every phrase that has others of its kind in the passage: which of them would fill the gap?"""
    language = source.language
    placed = [
        (statement, span) for statement in source.statements for span in language.noun_phrases(statement.sentence)
    ]
    asks = []
    for statement, span in placed:
        sentence = statement.text
        start, end = statement.start + span.start, statement.start + span.end
        others = {other.text for _, other in placed if other.text not in sentence}
        rivals = {other for other in others if is_rival(other, span.text, language)}
        if rivals:
            choice = " | ".join(json.dumps(f" {rival}\n", ensure_ascii=False) for rival in sorted(rivals))
            asks.append(
                Ask(
                    Prompt.raw(f"{EXAMPLES}Text: {sentence[:start]}___{sentence[end:]}\nGap:"),
                    sentence,
                    MAX_TOKENS,
                    stop=("\n",),
                    grammar=Grammar(f"start: {choice}\n"),
                    meta=(json.dumps([start, end, statement.start]), *sorted(rivals)),
                )
            )
    return asks[:: max(1, -(-len(asks) // MAX_ASKS))]


def parse(source: Source, asked: Ask, text: str) -> list[Row]:
    """Two rows: the false clause, denied with the true phrase, and the true clause, affirmed."""
    start, end, begins = json.loads(asked.meta[0])
    statement = Statement(asked.evidence, begins)
    span = Span(start - begins, end - begins, asked.evidence[start:end])
    wrong = text.strip()
    if wrong not in asked.meta[1:]:
        return []
    recited = source.language.answer_sentence(statement.sentence, span).rstrip(".")
    if recited.count(span.text) != 1:
        return []  # the phrase occurs more than once
    pairs = source.language.truth_questions(recited, span.text, wrong, statement.context)
    return [Row(Prompt.user(question), answer, NAME, asked.evidence) for question, answer in pairs]


def is_rival(other: str, phrase: str, language: Language) -> bool:
    """Whether two phrases can be confused: both numbers or both names, of similar length, neither inside the other."""
    same_shape = language.shape(phrase) == language.shape(other) != "words"
    alike = same_shape and abs(len(other.split()) - len(phrase.split())) <= 1
    return alike and other not in phrase and phrase not in other


FORMAT = Format(
    NAME,
    "what is not true, where similar facts could be confused",
    ask,
    parse,
    is_extractive=True,
    needs_grammar=True,
)
