"""Values that the language rules return: phrases, statements, sentences left out, facts and candidate answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

UserRequest = Literal["", "forget", "known", "why", "undo", "remember"]
"""What a message asks about what is remembered: to forget or remember something, to undo what was learned last, to list
what is known, or to say why the last reply says what it says; "" for any other message."""


@dataclass(frozen=True)
class Span:
    """A phrase and its position in a sentence, in characters."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Statement:
    """One sentence of a text; `text` is learned, and the sentence begins at character `start` of it.

    The part before `start` is what the sentence refers to: earlier sentences, or the heading. `quoted` is the sentence
    as written in the text.
    """

    text: str
    start: int = 0
    quoted: str = ""

    @property
    def sentence(self) -> str:
        """The sentence without its context."""
        return self.text[self.start :]

    @property
    def context(self) -> str:
        """The text that the sentence refers to, with a space after it; "" for most sentences."""
        return self.text[: self.start]


@dataclass(frozen=True)
class LeftOut:
    """A sentence that is not learned, and why."""

    sentence: str
    reason: str


@dataclass(frozen=True)
class WatchedFact:
    """A question and its answer; `said` is the answer with its article.

    A sentence contradicts the fact if it has all words of `subject` and either those of `relation` or a verb of change;
    for a freely worded question a share `min_share` of all these words is enough. With `is_only` False the question has
    several right answers ("Who has brass bells?"), and another answer contradicts the fact only if the sentence says
    that something changed.
    """

    question: str
    answer: str
    said: str
    subject: frozenset[str]
    relation: frozenset[str] = frozenset()
    min_share: float = 1.0
    is_only: bool = True


@dataclass(frozen=True)
class CandidateAnswer:
    """Another answer; with the new text in view it must be likelier than the old one by `min_lead` nats."""

    answer: str
    said: str
    min_lead: float
