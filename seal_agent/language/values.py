"""What the rules of every language return: phrases, statements, what is left out, facts and other answers to them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """A phrase and where it stands in its sentence, in characters."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Statement:
    """One sentence of a text; `text` is what is learned, and the sentence begins at character `start` of it.

    What stands before `start` is what the sentence points back to: sentences of the text, or its heading. `quoted` is
    the sentence as it stands in the text.
    """

    text: str
    start: int = 0
    quoted: str = ""

    @property
    def sentence(self) -> str:
        """The sentence without what stands before it."""
        return self.text[self.start :]

    @property
    def context(self) -> str:
        """What the sentence points back to, with the space after it; empty for most."""
        return self.text[: self.start]


@dataclass(frozen=True)
class LeftOut:
    """A sentence that is not learned, and why."""

    sentence: str
    reason: str


@dataclass(frozen=True)
class WatchedFact:
    """A question and its answer; `said` is the answer with its article.

    Who says otherwise has the words of `subject`, and those of `relation` or that something changed; of a question in
    words of its own at least `min_share` of all. Many things may hold of many (`is_only` false: who has brass bells?),
    and there another one is another answer only where something changed.
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
    """Another answer; `min_lead` in nats: by how much it must be likelier than the old one, the new text in view."""

    answer: str
    said: str
    min_lead: float
