"""The file format of `bench week`: turns, the facts in them, unrelated requests, and questions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from seal_agent.core.codec import from_json
from seal_agent.core.errors import InputError

SHIPPED = "week.json"


@dataclass(frozen=True)
class Turn:
    """One message of the user. `date` is ISO 8601; `learn`: is it worth learning; `facts`: ids of what it says."""

    n: int
    date: str
    thread: str
    text: str
    kind: str
    learn: bool
    facts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fact:
    """What turn number `turn` states, in plain words; corrected, ended or to be forgotten in turn `until_turn`."""

    says: str
    turn: int
    span: str = ""
    until_turn: int | None = None


@dataclass(frozen=True)
class Neutral:
    """A request in the same thread right after a turn that has nothing to do with what was learned."""

    after_turn: int
    thread: str
    text: str


@dataclass(frozen=True)
class Question:
    """A question asked in a new thread after the week.

    One of `gold` must stand in the answer, and none of `must_not`. `facts`: ids of the facts that it needs.
    """

    id: str
    text: str
    kind: str
    facts: tuple[str, ...] = ()
    gold: tuple[str, ...] = ()
    must_not: tuple[str, ...] = ()
    language: str = ""


@dataclass(frozen=True)
class Week:
    """A simulated week of one person's conversations."""

    id: str
    persona: str
    language: str
    start: str
    turns: tuple[Turn, ...]
    facts: Mapping[str, Fact]
    neutral: tuple[Neutral, ...]
    questions: tuple[Question, ...]

    def first(self, num_turns: int) -> Week:
        """The week cut after `num_turns` turns, with the questions that those turns answer; 0: the whole week.

        Questions that need no fact stay, except those about something to be forgotten later.
        """
        if not num_turns or num_turns >= len(self.turns):
            return self
        turns = self.turns[:num_turns]
        known = {i for i, fact in self.facts.items() if fact.turn <= turns[-1].n}
        ended = {i for i in known if (until := self.facts[i].until_turn) is not None and until <= turns[-1].n}
        questions = tuple(
            q for q in self.questions if set(q.facts) <= known and (q.kind != "forgotten" or set(q.facts) <= ended)
        )
        neutral = tuple(n for n in self.neutral if n.after_turn <= turns[-1].n)
        return Week(self.id, self.persona, self.language, self.start, turns, self.facts, neutral, questions)


def read_weeks(path: Path | None = None, chosen: str = "") -> list[Week]:
    """The weeks of a JSON file, or the one that is shipped; `chosen`: only the week of that id.

    Raises `InputError` for a file of another form, and for an id that no week has.
    """
    try:
        text = (
            path.read_text(encoding="utf-8")
            if path
            else resources.files("seal_agent").joinpath("data", SHIPPED).read_text(encoding="utf-8")
        )
        given: list[Any] = json.loads(text)
        weeks = [from_json(Week, each) for each in given]
    except (OSError, ValueError, TypeError, InputError) as error:
        raise InputError(
            f"cannot read weeks from {path}: {error}; give a JSON list of weeks like seal_agent/data/{SHIPPED}"
        ) from error
    if chosen and chosen not in {week.id for week in weeks}:
        raise InputError(f"no week is called {chosen!r}; choose {', '.join(week.id for week in weeks)}")
    return [week for week in weeks if chosen in ("", week.id)]
