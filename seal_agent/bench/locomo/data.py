"""LoCoMo's file format: sessions of two speakers with their dates, and questions with the turns that answer them.

A file holds one conversation, or the list of all ten as it is published (`locomo10.json`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from seal_agent.bench.week.data import Turn
from seal_agent.core.errors import InputError

CATEGORIES: Mapping[int, str] = {1: "several facts", 2: "time", 3: "open", 4: "one fact", 5: "never said"}
"""LoCoMo's numbers of the kinds of questions, and our names of them."""
NEVER_SAID = 5
_SESSION = re.compile(r"session_(\d+)")
_TURN_ID = re.compile(r"D(\d+):\d+")
_DATE = "%I:%M %p on %d %B, %Y"  # "9:05 am on 3 March, 2024"


@dataclass(frozen=True)
class Said:
    """One turn of a speaker. `id` is LoCoMo's ("D1:3"), `date` ISO 8601, `text` begins with the speaker's name."""

    id: str
    session: int
    date: str
    text: str


@dataclass(frozen=True)
class Question:
    """A question about the conversation; `evidence`: ids of the turns that answer it. Category 5 has no answer."""

    id: str
    category: int
    text: str
    answer: str
    evidence: tuple[str, ...]

    @property
    def sessions(self) -> frozenset[int]:
        """The numbers of the sessions that hold its evidence."""
        return frozenset(int(each.removeprefix("D").partition(":")[0]) for each in self.evidence)


@dataclass(frozen=True)
class Conversation:
    """Two people who talk in several sessions, in order, and the questions about all of them."""

    id: str
    said: tuple[Said, ...]
    questions: tuple[Question, ...]

    @property
    def num_sessions(self) -> int:
        """How many sessions there are."""
        return len({each.session for each in self.said})

    def first(self, num_sessions: int) -> Conversation:
        """The first sessions and the questions whose evidence lies in them; 0: all.

        A question without evidence asks about the whole conversation, so a part of it leaves it out.
        """
        numbers = sorted({each.session for each in self.said})
        if not num_sessions or num_sessions >= len(numbers):
            return self
        kept = frozenset(numbers[:num_sessions])
        questions = tuple(q for q in self.questions if q.evidence and q.sessions <= kept)
        return replace(self, said=tuple(each for each in self.said if each.session in kept), questions=questions)

    def thread(self, said: Said) -> str:
        """The thread of a turn: its session."""
        return f"{self.id}, session {said.session}"

    def turns(self) -> list[Turn]:
        """The turns as messages of one user; one is worth learning here if it is evidence of a question."""
        evidence = {each for q in self.questions if q.category != NEVER_SAID for each in q.evidence}
        return [
            Turn(n, each.date, self.thread(each), each.text, "said", learn=each.id in evidence)
            for n, each in enumerate(self.said)
        ]


def read_conversations(paths: Sequence[Path], chosen: str = "") -> list[Conversation]:
    """The conversations of all files; `chosen`: only the one of that id.

    The id is LoCoMo's `sample_id`, or the name of a file that holds one conversation without an id. Raises `InputError`
    for a file of another form, for two conversations of one id, and for an id that none has.
    """
    found = [each for path in paths for each in _read(path)]
    names = [each.id for each in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"two conversations are called {twice[0]!r}; give every file once, under a name of its own")
    if chosen and chosen not in names:
        raise InputError(f"no conversation is called {chosen!r}; choose {', '.join(names)}")
    return [each for each in found if chosen in ("", each.id)]


def _read(path: Path) -> list[Conversation]:
    try:
        given: Any = json.loads(path.read_text(encoding="utf-8"))
        many = given if isinstance(given, list) else [given]
        found = [_conversation(each, str(each.get("sample_id", path.stem))) for each in many]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"cannot read conversations from {path}: {type(error).__name__}: {error}; give a file of "
            "https://github.com/snap-research/locomo (session_1, session_1_date_time, qa)"
        ) from error
    if not found or not all(each.said for each in found):
        raise InputError(f"{path} holds a conversation without session_1; give a file of LoCoMo")
    return found


def _conversation(given: Mapping[str, Any], name: str) -> Conversation:
    talk: Mapping[str, Any] = given.get("conversation", given)
    numbers = sorted(int(found[1]) for key in talk if (found := _SESSION.fullmatch(key)))
    said = tuple(
        Said(str(turn["dia_id"]), number, _day(talk[f"session_{number}_date_time"]), _text(turn))
        for number in numbers
        for turn in talk[f"session_{number}"]
    )
    return Conversation(name, said, tuple(_question(n, each) for n, each in enumerate(given["qa"])))


def _day(said: str) -> str:
    return datetime.strptime(said.strip(), _DATE).date().isoformat()


def _text(turn: Mapping[str, Any]) -> str:
    """The turn as a message: the speaker's name, the words, and the caption of an image as a sentence."""
    text = f"{turn['speaker']}: {turn['text'].strip()}"
    caption = str(turn.get("blip_caption", "")).strip().rstrip(".")
    return f"{text} {turn['speaker']} shared {caption}." if caption else text


def _question(number: int, given: Mapping[str, Any]) -> Question:
    category = int(given["category"])
    if category not in CATEGORIES:
        raise ValueError(f"category {category} of question {number} is not 1 to 5")
    answer = "" if category == NEVER_SAID else str(given["answer"])
    evidence = tuple(found[0] for each in given["evidence"] for found in _TURN_ID.finditer(each))
    return Question(f"q{number}", category, str(given["question"]), answer, evidence)
