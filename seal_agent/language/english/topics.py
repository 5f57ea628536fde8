"""The topic of an English text: a title without "Welcome to", the first name in it, else its first words."""

from __future__ import annotations

import re

NUM_WORDS = 6  # of a text without a name
_WELCOME = re.compile(r"^welcome to (?:the )?(?=\S)", re.IGNORECASE)
_NAME = re.compile(r"\b[A-ZÀ-Þ][\w'’-]+(?:\s+(?:of\s+|the\s+|de\s+)?[A-ZÀ-Þ][\w'’-]+)+|\b[A-ZÀ-Þ][\w'’-]{2,}")
_OPENERS = frozenset(
    """a an the it its he she his her they their this that these those in on at by for from since after before when
    while where what who why how as if but and or no not yes hello hi thanks please every one each there we you i
    my our your sorry actually correction update note""".split()
)


def bare_title(heading: str) -> str:
    """The subject of a heading: "Karlov Inn!" for "Welcome to Karlov Inn!"."""
    return _WELCOME.sub("", heading)


def topic_in(text: str) -> str:
    """The first name in `text`, else its first words."""
    words = text.split()
    for match in _NAME.finditer(" ".join(words)):
        name = match.group().split()
        article = name[:1] if name[0] == "The" else []
        while name and name[0].lower() in _OPENERS:
            name = name[1:]
        if name:
            return " ".join(article + name)
    return " ".join(words[:NUM_WORDS])
