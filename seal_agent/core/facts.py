"""What an adapter was learned from, as it is recalled into a prompt: the words, who gave them and when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

Recall = Literal["weights", "text", "both"]
"""Where a reply gets what was learned from: adapters, their texts in the prompt, or both."""
WhenUnknown = Literal["answer", "say so"]
"""What a reply does that asks for something personal of which nothing was told."""
CHANGED = " (out of date in part: see what was said later)"
"""The mark of a fact that a later one changes: small models read two marked lines better than one sentence about both
(docs/log/week.md)."""
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
RECALLED = (
    "What you were told in earlier conversations, oldest first; where two disagree, the later one holds:\n{facts}\n"
    "Use it where it answers the user."
)
"""The instruction that puts statements, one a line, into a system message."""
USER = "User: "  # how `core.messages.conversation` marks what the user said


@dataclass(frozen=True)
class Fact:
    """A text that was learned, in the words it was given in.

    `adapter` is the id of the adapter that holds it. `said_on` is the day it was said (ISO 8601), "" if unknown;
    `thread` the conversation, "" for a document. `earlier` is what the user said just before, in case the text leans on
    it. `source` and `heading` belong to a passage of a document. `dates` are words of the text and the days they mean
    ("tomorrow", "2026-03-03"). `changes`: ids of the adapters whose facts it corrects or ends, `changed` these facts.
    `is_changed`: a later fact corrects or ends it. `answers`: the statements that the adapter was trained to answer
    with, if they are known.
    """

    adapter: str
    text: str
    said_on: str = ""
    thread: str = ""
    earlier: str = ""
    source: str = ""
    heading: str = ""
    dates: tuple[tuple[str, str], ...] = ()
    changes: tuple[str, ...] = ()
    changed: tuple[Fact, ...] = ()
    is_changed: bool = False
    answers: tuple[str, ...] = ()

    @property
    def statement(self) -> str:
        """The fact so that it means the same in any conversation: what was said, with its date and context."""
        day = f"[{_weekday(self.said_on)}{self.said_on}] " if self.said_on else ""
        mark = CHANGED if self.is_changed else ""
        if self.source or not self.thread:
            title = self.heading or self.source
            return f"{day}{title}: {self.text}{mark}" if title else f"{day}{self.text}{mark}"
        before = f'(after "{self.earlier}") ' if self.earlier else ""
        return f'{day}The user said: {before}"{self.text}"{self._dates}{mark}'

    @property
    def statements(self) -> str:
        """The facts that this one changes, each in part out of date, and this one, one a line, oldest first."""
        return "\n".join([*(replace(fact, is_changed=True).statement for fact in self.changed), self.statement])

    @property
    def told(self) -> str:
        """The fact as the user would repeat it later."""
        before = f'said "{self.earlier}", then ' if self.earlier else ""
        return f'I {before}said: "{self.text}"{self._dates}{self._changed}'

    @property
    def words(self) -> str:
        """What was said, after what it answers, with the days that its words mean and what it changes."""
        return f"{self.earlier} {self.text}{self._dates}{self._changed}".strip()

    @property
    def dated(self) -> str:
        """The text with days in the place of the words that mean them: "Tuesday 2026-03-10" for "next Tuesday"."""
        text = self.text
        for words, meant in sorted(self.dates, key=lambda pair: -len(pair[0])):
            text = text.replace(words, f"{_weekday(meant)}{meant}")
        return text

    @property
    def _dates(self) -> str:
        dates = "; ".join(f'"{words}" is {_weekday(meant)}{meant}' for words, meant in self.dates)
        return f" ({dates})" if dates else ""

    @property
    def _changed(self) -> str:
        """The facts that this one corrects or ends, as a sentence."""
        said = "; ".join(
            f'"{fact.text}"{fact._dates}' + (f" on {_weekday(fact.said_on)}{fact.said_on}" if fact.said_on else "")
            for fact in self.changed
        )
        return f" This changes what I said before: {said}" if said else ""


def _weekday(day: str) -> str:
    """The English name of a day's weekday and a blank; "" for a text that is no date."""
    try:
        return f"{WEEKDAYS[date.fromisoformat(day).weekday()]} "
    except ValueError:
        return ""


def last_said(conversation: str) -> str:
    """What the user said last in a conversation as text (`core.messages.conversation`); "" for none."""
    said = [line.removeprefix(USER) for line in conversation.splitlines() if line.startswith(USER)]
    return said[-1] if said else ""
