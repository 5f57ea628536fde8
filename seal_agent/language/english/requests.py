"""Questions about a topic, questions whether something is true, and what questions have in common."""

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
    """A request to say one thing about `topic`."""
    return f"Tell me something about {topic}."


def all_about(topic: str) -> str:
    """A question for all that is known about `topic`."""
    return f"What do you know about {topic}?"


def truth_questions(told: str, phrase: str, wrong: str, context: str) -> list[tuple[str, str]]:
    """Whether `told` is true with `wrong` in the place of `phrase`, and as it stands, with the answers.

    `context` is what `told` points back to.
    """
    return [
        (f"Is it true: {context}{told.replace(phrase, wrong)}?", f"No, not {wrong}: {phrase}."),
        (f"Is it true: {context}{told}?", "Yes."),
    ]


def asks_about_oneself(text: str) -> bool:
    """Whether who asks `text` asks about himself: "Where do I live?"."""
    return bool(_OF_ONESELF.search(text))


def without_asking(words: frozenset[str]) -> frozenset[str]:
    """The words of a question, in lower case, without those that only ask."""
    return words - _ASKING
