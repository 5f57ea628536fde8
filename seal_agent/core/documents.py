"""A passage, the document it comes from, and how either is recognised."""

from __future__ import annotations

from dataclasses import dataclass, fields

from seal_agent.core.characters import whole
from seal_agent.core.episodes import Episode
from seal_agent.core.redaction import redacted, redacted_name

MAX_PASSAGE_CHARS = 1200
MAX_PASSAGES = 500
"""Passages of one document that are taken unless more are asked for: on two cores learning them takes some hours."""


@dataclass(frozen=True)
class Passage:
    """A piece of a document that is learned at once, and what it is about.

    `earlier` is what was said before it in a conversation, `source` the document it comes from. `heading` is what
    stands above the text, the title and the headings of its section; the topic of a text without one is a guess.
    """

    topic: str
    text: str
    earlier: str = ""
    source: str = ""
    heading: str = ""

    def __post_init__(self) -> None:
        """Take out what looks like a secret: whatever is kept of a text was a passage once."""
        for field in fields(self):
            object.__setattr__(self, field.name, whole(getattr(self, field.name)))
        for field in fields(self):
            if field.name == "source":
                object.__setattr__(self, field.name, redacted_name(self.source))
                continue
            earlier = self.earlier if field.name in ("topic", "text", "heading") else ""
            object.__setattr__(self, field.name, redacted(getattr(self, field.name), earlier))


def passage_of(episode: Episode) -> Passage:
    """The passage that an episode is about, to be learned again with all that was known of it."""
    return Passage(episode.topic, episode.text, episode.earlier, episode.source, episode.heading)
