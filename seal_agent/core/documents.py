"""A passage, and the document it comes from."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated

from seal_agent.core.characters import whole
from seal_agent.core.codec import UNLESS_EMPTY
from seal_agent.core.episodes import Episode
from seal_agent.core.redaction import redacted, redacted_name

MAX_PASSAGE_CHARS = 1200
MAX_PASSAGES = 500
"""Most passages taken from one document by default; learning that many takes hours on two cores."""


@dataclass(frozen=True)
class Passage:
    """A piece of a document that is learned as one edit.

    `earlier` is the conversation before the text, `source` the document it comes from. `heading` is the document's
    title and the headings of its section; without one the topic is a guess. `said_on`: the day of a message. `about`:
    for a request to forget or undo, the id of the adapter that the reply named.
    """

    topic: str
    text: str
    earlier: str = ""
    source: str = ""
    heading: str = ""
    said_on: Annotated[str, UNLESS_EMPTY] = ""
    about: Annotated[str, UNLESS_EMPTY] = ""

    def __post_init__(self) -> None:
        """Remove secrets here: every text that is stored was a passage before."""
        for field in fields(self):
            object.__setattr__(self, field.name, whole(getattr(self, field.name)))
        for field in fields(self):
            if field.name == "about":
                continue
            if field.name == "source":
                object.__setattr__(self, field.name, redacted_name(self.source))
                continue
            earlier = self.earlier if field.name in ("topic", "text", "heading") else ""
            object.__setattr__(self, field.name, redacted(getattr(self, field.name), earlier))


def passage_of(episode: Episode) -> Passage:
    """The passage of an episode, to be learned again."""
    return Passage(
        episode.topic, episode.text, episode.earlier, episode.source, episode.heading, said_on=episode.said_on
    )
