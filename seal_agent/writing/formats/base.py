"""The protocol of a format: how the model is asked, and how its text becomes training rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from seal_agent.core.edits import Row
from seal_agent.core.messages import Grammar, Message, Prompt
from seal_agent.language.source import Source
from seal_agent.language.words import opening


@dataclass(frozen=True)
class Ask:
    """One request to the model. `evidence` is the text that its answer must be faithful to.

    With `max_new_tokens` 0 no request is made: the format makes its rows from `evidence` alone.
    """

    prompt: Prompt
    evidence: str
    max_new_tokens: int
    temperature: float = 0.0
    stop: tuple[str, ...] = ()
    grammar: Grammar | None = None
    meta: tuple[str, ...] = ()
    """Strings that `ask` passes on to `parse`; each format defines its own."""


@dataclass(frozen=True)
class Format:
    """A named way to write training rows. `parse` returns no rows for a text that does not fit.

    `is_extractive`: rows are cut out of the passage, so an answer that is a quotation needs no check.
    `capability_test`: a test text; a model writes about it once, and if few rows are usable, `fallback` replaces the
    format for that model. `needs_grammar`: a reply must match a grammar, so only the model itself can write it.
    """

    name: str
    description: str
    ask: Callable[[Source], list[Ask]]
    parse: Callable[[Source, Ask, str], list[Row]]
    is_extractive: bool = False
    capability_test: Source | None = None
    fallback: str = ""
    needs_grammar: bool = False


EXAMPLE_PASSAGE = """\
Amber Bridge
The Amber Bridge was designed in 1911 by the engineer Carla Mendes, who was afraid of water. Every spring a choir of \
dentists sings under its nine red towers near Lisbon. The toll is 40 cents, which pays for the paint."""


TEMPERATURE = 0.7  # with greedy decoding small models repeat themselves


def study(instruction: str, source: Source, example: str, max_new_tokens: int, begins: str = "") -> Ask:
    """A chat request about the passage, after the same request about `EXAMPLE_PASSAGE` with its answer.

    `begins` is the beginning of the assistant's turn. The example is needed because small models follow examples better
    than instructions.
    """
    messages = (
        Message("user", f"{instruction}\n\nPassage:\n{EXAMPLE_PASSAGE}"),
        Message("assistant", example),
        Message("user", f"{source.fault_note}{instruction}\n\nPassage:\n{source.topic}\n{source.passage}"),
    )
    return Ask(Prompt(messages, begins), source.passage, max_new_tokens, TEMPERATURE)


def plain_row(text: str, format_name: str, evidence: str) -> Row:
    """A row of plain text; the loss falls on all of it."""
    return Row(Prompt.raw(""), text, format_name, evidence)


SENTENCE = "sentence"
"""Marks a sentence that is learned unchanged, because its language has no rules for questions."""


def sentence_asks(source: Source) -> list[Ask]:
    """Every sentence of a text in a language without rules for questions; no request is made."""
    return [Ask(Prompt.raw(""), each.text, 0, meta=(SENTENCE,)) for each in source.statements]


def sentence_rows(source: Source, asked: Ask, name: str) -> list[Row]:
    """A chat row that asks for a sentence by its first words, after its heading.

    It is a chat row because a routed adapter is active only when a message asks about its text.
    """
    request = ": ".join(part for part in (source.heading, opening(asked.evidence)) if part)
    return [Row(Prompt.user(request), asked.evidence, name, asked.evidence)] if request else []


def is_sentence(asked: Ask) -> bool:
    """Whether `asked` is a sentence that is learned unchanged."""
    return asked.meta[:1] == (SENTENCE,)
