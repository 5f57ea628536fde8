"""What a format of self-edit is: how to ask for it, and how what the model wrote becomes training rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from seal_agent.core.edits import Row
from seal_agent.core.messages import Grammar, Message, Prompt
from seal_agent.passages import split_sentences
from seal_agent.statements import LeftOut, Statement, statements


@dataclass(frozen=True)
class Source:
    """What is to be learned: a passage, what it is about, and the fault of the last attempt at it.

    `earlier` is what was said before a chat message, for messages that mean nothing without it; `heading` is what
    stands above the passage.
    """

    topic: str
    passage: str
    earlier: str = ""
    fault: str = ""
    heading: str = ""

    @cached_property
    def _told(self) -> tuple[list[Statement], list[LeftOut]]:
        return statements(split_sentences(self.passage), heading=self.heading, is_reply=bool(self.earlier))

    @property
    def statements(self) -> list[Statement]:
        """The sentences in order, each with those before it that it points back to."""
        return self._told[0]

    @property
    def sentences(self) -> list[str]:
        """The text of every statement."""
        return [statement.text for statement in self.statements]

    @property
    def left_out(self) -> list[LeftOut]:
        """The sentences that mean nothing, or something else, when they are said later, and why."""
        return self._told[1]

    @property
    def title(self) -> str:
        """The title of the document, where it has one."""
        title, _, _ = self.topic.partition(", ")
        return title if self.heading.startswith(title) else ""

    def learnable(self) -> Source:
        """This source without the sentences that are left out."""
        if not self.left_out:
            return self
        return replace(self, passage=" ".join(statement.quoted for statement in self.statements))

    @property
    def note(self) -> str:
        """What the model is told of the last attempt, before what it is asked; empty for the first."""
        return f"(The last attempt failed: {self.fault})\n\n" if self.fault else ""


@dataclass(frozen=True)
class Ask:
    """One thing asked of the model. `view` is the text its answer must be faithful to.

    With `max_new_tokens` 0 nothing is asked: the format makes its rows from `view` alone.
    """

    prompt: Prompt
    view: str
    max_new_tokens: int
    temperature: float = 0.0
    stop: tuple[str, ...] = ()
    grammar: Grammar | None = None
    about: tuple[str, ...] = ()
    """What `parse` needs to know of what was asked."""


@dataclass(frozen=True)
class Format:
    """A named way to write training rows. `parse` gives no rows for a text that does not fit.

    `is_extractive`: its rows are cut out of the passage, so that an answer that stands there word for word needs no
    check. `exam`: what a model writes about first, once; where too little of that fits, the format named `instead`
    takes this one's place.
    """

    name: str
    says: str
    ask: Callable[[Source], list[Ask]]
    parse: Callable[[Source, Ask, str], list[Row]]
    is_extractive: bool = False
    exam: Source | None = None
    instead: str = ""


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
