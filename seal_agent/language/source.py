"""A text and its statements to learn, by the rules of its language."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from seal_agent.core.facts import Fact
from seal_agent.language.values import LeftOut, Statement

if TYPE_CHECKING:
    from seal_agent.language.base import Language


@dataclass(frozen=True)
class Source:
    """A passage to be learned, its topic, and the fault of the last attempt.

    `earlier` is the conversation before a chat message, for messages that cannot be understood alone; `heading` stands
    above the passage. `fact` is a chat message with its day and what it answers; `told` is what it says, as statements
    that can be understood alone.
    """

    topic: str
    passage: str
    earlier: str = ""
    fault: str = ""
    heading: str = ""
    fact: Fact | None = None
    told: tuple[str, ...] = ()

    @cached_property
    def language(self) -> Language:
        """The language of the passage."""
        from seal_agent.language.base import for_text  # imported here, because it imports this module

        return for_text(self.passage)

    @cached_property
    def _told(self) -> tuple[list[Statement], list[LeftOut]]:
        language = self.language
        return language.statements(language.sentences(self.passage), heading=self.heading, is_reply=bool(self.earlier))

    @property
    def statements(self) -> list[Statement]:
        """The sentences in order, each with earlier ones that it refers to."""
        return self._told[0]

    @property
    def sentences(self) -> list[str]:
        """The text of every statement."""
        return [statement.text for statement in self.statements]

    @property
    def left_out(self) -> list[LeftOut]:
        """The sentences that cannot be learned, and why."""
        return self._told[1]

    @property
    def title(self) -> str:
        """The title of the document, if it has one."""
        title, _, _ = self.topic.partition(", ")
        return title if self.heading.startswith(title) else ""

    def learnable(self) -> Source:
        """This source without the sentences that are left out."""
        if not self.left_out:
            return self
        return replace(self, passage=" ".join(statement.quoted for statement in self.statements))

    @property
    def fault_note(self) -> str:
        """The note about the last attempt that precedes a prompt; "" for the first attempt."""
        return f"(The last attempt failed: {self.fault})\n\n" if self.fault else ""
