"""Who says it: what a user tells as "My dog is ill." is told back to him as "Your dog is ill.".

An edit recites the sentences it was made of, so what somebody says of himself in a chat would be said by the model. Its
answers change the person, as ELIZA's did (Weizenbaum, CACM 9(1), 1966), where that is safe: in a short message, and
there in sentences that speak of their writer, and do not speak to the model; a quotation stays. English.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from seal_agent.core.edits import Row
from seal_agent.language.english.phrases import is_present
from seal_agent.language.english.words import FUNCTION

MAX_WORDS = 60  # of a message; a longer one may be somebody else's letter
_WRITER = re.compile(r"\b(?:I|[Mm]y|[Ww]e|[Oo]urs?)\b")
_ANY_WRITER = re.compile(r"(?<![\w'’./-])(?:I|[Mm]e|[Mm]y|[Mm]yself|[Ww]e|us|[Oo]urs?|[Oo]urselves)(?![\w/&-]|\.\w)")
_READER = re.compile(r"\b(?:you|yours?|yourself)\b", re.IGNORECASE)
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|«[^»]*»")
_QUOTES = re.compile(r"[\"“”«»]")
_ASKS = re.compile(r"(?:please\s+)?(?P<verb>[A-Za-z]+)\s+(?:me|us)\b(?![/&-])")
_SUBJECT = re.compile(r"(?<![\w'’./-])(?:I|[Ww]e)(?![\w/&-]|\.\w)")
_AGREEING = (
    (re.compile(r"\b(you(?:,? \w+,?)?) am\b", re.IGNORECASE), r"\1 are"),
    (re.compile(r"\b(you(?:, \w+,| \w+ly)?) was(?=\b|n['’]t)", re.IGNORECASE), r"\1 were"),
    (re.compile(r"\bam you\b"), "are you"),
    (re.compile(r"\bwas you\b"), "were you"),
    (re.compile(r"\b(you['’])m\b", re.IGNORECASE), r"\1re"),
)
_OBJECT = re.compile(
    r"(?<![\w'’./-])(?:me|[Mm]y|[Mm]yself|us|[Oo]urs?|[Oo]urselves|[Mm]e(?=\s+and\b)"
    r"|(?:(?<=\bof )|(?<=\bis )|(?<=\bare )|(?<=\band )|(?<=\bbut )|(?<=\bthan )|(?<=\bme )|(?<=\byou ))mine)"
    r"(?![\w/&-]|\.\w)"
)
_TOLD = {"my": "your", "our": "your", "mine": "yours", "ours": "yours", "myself": "yourself", "ourselves": "yourselves"}
_BEGINS_NAME = re.compile(r" [A-Z][a-z]")
_LOWER = re.compile(r" [a-z]")
_FIRST_PERSON = re.compile(r"['’](?:m|ve|ll|d)\b| (?:am|have|do|don['’]t)\b")
QUOTATION = "\0"
_BEFORE_I = frozenset("yesterday today tomorrow tonight now sometimes maybe perhaps next last fortunately".split())


def speaks_of_writer(text: str) -> bool:
    """Whether who wrote `text` speaks of himself or of what is his."""
    return bool(_WRITER.search(text))


def to_second_person(text: str) -> str:
    """`text` as one says it to who wrote it; unchanged where it is not about him, or nobody can tell."""
    plain = _QUOTED.sub(_blank, text)
    if not (_ANY_WRITER.search(plain) or _OBJECT.search(plain)) or unclear_speaker(text):
        return text
    turned = _turned_text(_QUOTED.sub(QUOTATION, text))
    for quoted in _QUOTED.findall(text):
        turned = turned.replace(QUOTATION, quoted, 1)
    return turned


def unclear_speaker(text: str) -> str:
    """The word that keeps `text` from being told back to its writer, who speaks of himself in it; "" for none.

    That is "you", who may be anybody, a quotation that does not end, and an "I" that may belong to a name.
    """
    plain = _QUOTED.sub(_blank, text)
    if not _ANY_WRITER.search(plain):
        return ""
    if found := _READER.search(plain) or _QUOTES.search(plain):
        return found[0]
    asks = _ASKS.match(plain)
    if asks and asks["verb"].lower() not in FUNCTION and not asks["verb"].lower().endswith("ed"):
        return asks["verb"]  # "Call me Zork."
    subjects = [match for match in _SUBJECT.finditer(plain) if match[0] == "I"]
    is_other = len(_ANY_WRITER.findall(plain)) > 1
    return "I" if is_other and any(map(_may_be_name, subjects)) else ""


def _may_be_name(match: re.Match[str]) -> bool:
    """Whether nobody can tell an "I" from that of a name: "I told Tom I lived in Riga."."""
    before, after = match.string[: match.start()].rstrip(), match.string[match.end() :]
    return is_name(before) and not _BEGINS_NAME.match(after) and not _is_told(match) and bool(_LOWER.match(after))


def _is_told(match: re.Match[str]) -> bool:
    """Whether the "I" has a verb in the first person behind it."""
    return bool(_FIRST_PERSON.match(match.string, match.end())) or is_present(match.string, match.end() + 1)


def _blank(match: re.Match[str]) -> str:
    return " " * len(match[0])


def _turned_text(text: str) -> str:
    text = _SUBJECT.sub(_turned, text)
    for form, agreeing in _AGREEING:
        text = form.sub(agreeing, text)
    return _OBJECT.sub(_turned, text)


def rows_in_second_person(rows: Sequence[Row], message: str) -> list[Row]:
    """The rows made of a chat message with answers that speak to its writer; those of a long message as they are."""
    if len(message.split()) > MAX_WORDS:
        return list(rows)
    return [replace(row, answer=to_second_person(row.answer)) if row.question else row for row in rows]


def _turned(match: re.Match[str]) -> str:
    word, before = match[0], match.string[: match.start()].rstrip()
    is_first = not before or before[-1] in ".!?:"
    is_roman = word == "I" and is_name(before) and not _is_told(match)
    if is_roman or (word == "I" and _BEGINS_NAME.match(match.string, match.end())):
        return word  # "World War I", "I Robot"
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
