"""Who says it: what a user tells as "My dog is ill." is told back to him as "Your dog is ill.".

An edit recites the sentences it was made of, so what somebody says of himself in a chat would be said by the model. Its
answers change the person, as ELIZA's did (Weizenbaum, CACM 9(1), 1966), where that is safe: in a short message, and
there in sentences that speak of their writer, quote nobody and do not speak to the model. English.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from seal_agent.core.edits import Row
from seal_agent.language.english.words import FUNCTION

MAX_WORDS = 60  # of a message; a longer one may be somebody else's letter
_WRITER = re.compile(r"\b(?:I|[Mm]y|[Ww]e|[Oo]urs?)\b")
_OTHERS = re.compile(r"\b(?:you|yours?|yourself)\b|[\"“”«»]", re.IGNORECASE)
_SUBJECT = re.compile(r"(?<![\w'’./-])(?:I|[Ww]e)(?![\w/&-]|\.\w)")
_AGREEING = (
    (re.compile(r"\b(you(?:,? \w+,?)?) am\b", re.IGNORECASE), r"\1 are"),
    (re.compile(r"\b(you(?:, \w+,| \w+ly)?) was(?=\b|n['’]t)", re.IGNORECASE), r"\1 were"),
    (re.compile(r"\bam you\b"), "are you"),
    (re.compile(r"\bwas you\b"), "were you"),
    (re.compile(r"\b(you['’])m\b", re.IGNORECASE), r"\1re"),
)
_OBJECT = re.compile(
    r"(?<![\w'’./-])(?:me|[Mm]y|[Mm]yself|us|[Oo]urs?|[Oo]urselves|(?:(?<=\bof )|(?<=\bis )|(?<=\bare ))mine)"
    r"(?![\w/&-]|\.\w)"
)
_TOLD = {"my": "your", "our": "your", "mine": "yours", "ours": "yours", "myself": "yourself", "ourselves": "yourselves"}
_BEFORE_I = frozenset("yesterday today tomorrow tonight now sometimes maybe perhaps next last fortunately".split())


def speaks_of_writer(text: str) -> bool:
    """Whether who wrote `text` speaks of himself or of what is his."""
    return bool(_WRITER.search(text))


def told_back(text: str) -> str:
    """`text` as one says it to who wrote it; unchanged where it is not about him, or nobody can tell."""
    if not speaks_of_writer(text) or _OTHERS.search(text):
        return text
    text = _SUBJECT.sub(_turned, text)
    for form, agreeing in _AGREEING:
        text = form.sub(agreeing, text)
    return _OBJECT.sub(_turned, text)


def addressed(rows: Sequence[Row], message: str) -> list[Row]:
    """The rows made of a chat message with answers that speak to its writer; those of a long message as they are."""
    if len(message.split()) > MAX_WORDS:
        return list(rows)
    return [replace(row, answer=told_back(row.answer)) if row.question else row for row in rows]


def _turned(match: re.Match[str]) -> str:
    word, before = match[0], match.string[: match.start()].rstrip()
    is_first = not before or before[-1] in ".!?:"
    if word == "I" and is_name(before):
        return word  # "World War I"
    if word[0].isupper() and word != "I" and not is_first:
        return word  # "the film My Fair Lady"
    told = _TOLD.get(word.lower(), "you")
    return told.capitalize() if is_first else told


def is_name(before: str) -> bool:
    """Whether `before` ends in a word with a capital, which only a name would have there."""
    *others, last = before.split() or [""]
    if not last[:1].isupper() or last[-1] in ",;":
        return False
    is_first = not others or others[-1][-1] in ".!?:"
    known = last.lower() in FUNCTION | _BEFORE_I or last.endswith(("ly", "day"))
    return not (is_first and known)
