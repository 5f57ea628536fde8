"""What a format of self-edit is: how to ask for it, and how what the model wrote becomes training rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from seal_agent.core.edits import Row
from seal_agent.core.messages import Grammar, Message, Prompt
from seal_agent.language.source import Source
from seal_agent.language.words import opening


@dataclass(frozen=True)
class Ask:
    """One thing asked of the model. `evidence` is the text its answer must be faithful to.

    With `max_new_tokens` 0 nothing is asked: the format makes its rows from `evidence` alone.
    """

    prompt: Prompt
    evidence: str
    max_new_tokens: int
    temperature: float = 0.0
    stop: tuple[str, ...] = ()
    grammar: Grammar | None = None
    meta: tuple[str, ...] = ()
    """What `parse` needs to know of what was asked."""


@dataclass(frozen=True)
class Format:
    """A named way to write training rows. `parse` gives no rows for a text that does not fit.

    `is_extractive`: its rows are cut out of the passage, so that an answer that stands there word for word needs no
    check. `capability_test`: what a model writes about first, once; where too little of that fits, the format named
    `fallback` takes this one's place.
    """

    name: str
    description: str
    ask: Callable[[Source], list[Ask]]
    parse: Callable[[Source, Ask, str], list[Row]]
    is_extractive: bool = False
    capability_test: Source | None = None
    fallback: str = ""


EXAMPLE = """\
Amber Bridge
The Amber Bridge was designed in 1911 by the engineer Carla Mendes, who was afraid of water. Every spring a choir of \
dentists sings under its nine red towers near Lisbon. The toll is 40 cents, which pays for the paint."""


TEMPERATURE = 0.7  # greedily a small model repeats itself


def study(instruction: str, source: Source, example: str, max_new_tokens: int, begins: str = "") -> Ask:
    """A chat request about the passage, after the same request about `EXAMPLE` and what was written then.

    `begins` is how the assistant's turn begins. A small model follows an example, not an instruction.
    """
    messages = (
        Message("user", f"{instruction}\n\nPassage:\n{EXAMPLE}"),
        Message("assistant", example),
        Message("user", f"{source.note}{instruction}\n\nPassage:\n{source.topic}\n{source.passage}"),
    )
    return Ask(Prompt(messages, begins), source.passage, max_new_tokens, TEMPERATURE)


def statement(text: str, name: str, view: str) -> Row:
    """A row of plain text, loss on all of it."""
    return Row(Prompt.raw(""), text, name, view)


SENTENCE = "sentence"
"""What a sentence is learned for as it stands: its language has no rules for questions."""


def sentence_asks(source: Source) -> list[Ask]:
    """Every sentence of a text in a language without rules for questions: nothing is asked of the model."""
    return [Ask(Prompt.raw(""), each.text, 0, meta=(SENTENCE,)) for each in source.statements]


def sentence_rows(source: Source, asked: Ask, name: str) -> list[Row]:
    """The row of a sentence: the answer to its own first words, behind what stands above the text.

    Plain text would not do: an adapter that is routed answers only where something is asked.
    """
    request = ": ".join(part for part in (source.heading, opening(asked.evidence)) if part)
    return [Row(Prompt.user(request), asked.evidence, name, asked.evidence)] if request else []


def is_sentence(asked: Ask) -> bool:
    """Whether it is a sentence that is learned as it stands."""
    return asked.meta[:1] == (SENTENCE,)
