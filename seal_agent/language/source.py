"""A text as its language reads it: the statements to learn, and what is left out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from seal_agent.language.values import LeftOut, Statement

if TYPE_CHECKING:
    from seal_agent.language.base import Language


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
    def language(self) -> Language:
        """The language that the passage is read in."""
        from seal_agent.language.base import for_text  # it imports this module

        return for_text(self.passage)

    @cached_property
    def _told(self) -> tuple[list[Statement], list[LeftOut]]:
        language = self.language
        return language.statements(language.sentences(self.passage), heading=self.heading, is_reply=bool(self.earlier))

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
