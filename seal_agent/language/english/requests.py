"""Questions about a topic and about the truth of a statement, and the words that all questions share."""

from __future__ import annotations

import re

STARTERS = (
    "Who", "When", "Where", "What is the name of", "What", "Which", "How many", "What colour", "In what year", "Whose",
)  # fmt: skip
_OF_ONESELF = re.compile(r"\b(?:do|did|am|are|was|were|have|can) (?:I|we)\b")
_ASKING = frozenset("what where which how many much old time do does in at is are am the a".split())


def about(topic: str) -> str:
    """A question for something about `topic`."""
    return f"What about {topic}?"


def tell(topic: str) -> str:
    """A request for one statement about `topic`."""
    return f"Tell me something about {topic}."


def all_about(topic: str) -> str:
    """A question for everything known about `topic`."""
    return f"What do you know about {topic}?"


def truth_questions(told: str, phrase: str, wrong: str, context: str) -> list[tuple[str, str]]:
    """Questions whether `told` is true, with `wrong` in the place of `phrase` and unchanged, with answers.

    `context` is the text that `told` refers to.
    """
    return [
        (f"Is it true: {context}{told.replace(phrase, wrong)}?", f"No, not {wrong}: {phrase}."),
        (f"Is it true: {context}{told}?", "Yes."),
    ]


def asks_about_oneself(text: str) -> bool:
    """Whether the writer of the question `text` asks about themselves: "Where do I live?"."""
    return bool(_OF_ONESELF.search(text))


def without_asking(words: frozenset[str]) -> frozenset[str]:
    """The words of a question, in lower case, without those that only ask."""
    return words - _ASKING
