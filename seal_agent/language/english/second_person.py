"""From first to second person: a user's "My dog is ill." is answered as "Your dog is ill.".

An edit trains the sentences of a message as answers, so without this step the model would speak as the user. The person
is changed as in ELIZA (Weizenbaum, CACM 9(1), 1966) where it is safe: in short messages, in sentences about their
writer that do not address the model; quotations are unchanged. English.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from seal_agent.core.edits import Row
from seal_agent.language.english.phrases import is_present
from seal_agent.language.english.words import FUNCTION

MAX_WORDS = 60  # of a message; a longer one may quote somebody else's letter
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
    """Whether the writer of `text` speaks about themselves or their belongings."""
    return bool(_WRITER.search(text))


def to_second_person(text: str) -> str:
    """`text` addressed to its writer; unchanged if it is not about the writer or unclear."""
    plain = _QUOTED.sub(_blank, text)
    if not (_ANY_WRITER.search(plain) or _OBJECT.search(plain)) or unclear_speaker(text):
        return text
    turned = _turned_text(_QUOTED.sub(QUOTATION, text))
    for quoted in _QUOTED.findall(text):
        turned = turned.replace(QUOTATION, quoted, 1)
    return turned


def unclear_speaker(text: str) -> str:
    """The word that prevents `to_second_person` for a text about its writer; "" if there is none.

    That is "you", which may be anybody, a quotation that does not end, or an "I" that may belong to a name.
    """
    plain = _QUOTED.sub(_blank, text)
    if not _ANY_WRITER.search(plain):
        return ""
    if found := _READER.search(plain) or _QUOTES.search(plain):
        return found[0]
    asks = _ASKS.match(plain)
    if asks and asks["verb"].lower() not in FUNCTION and not asks["verb"].lower().endswith("ed"):
        return asks["verb"]  # an order to the model: "Call me Zork."
    subjects = [match for match in _SUBJECT.finditer(plain) if match[0] == "I"]
    is_other = len(_ANY_WRITER.findall(plain)) > 1
    return "I" if is_other and any(map(_may_be_name, subjects)) else ""


def _may_be_name(match: re.Match[str]) -> bool:
    """Whether an "I" may belong to a name before it: "I told Tom I lived in Riga"."""
    before, after = match.string[: match.start()].rstrip(), match.string[match.end() :]
    return is_name(before) and not _BEGINS_NAME.match(after) and not _is_told(match) and bool(_LOWER.match(after))


def _is_told(match: re.Match[str]) -> bool:
    """Whether "I" is followed by a verb in the first person."""
    return bool(_FIRST_PERSON.match(match.string, match.end())) or is_present(match.string, match.end() + 1)


def _blank(match: re.Match[str]) -> str:
    return " " * len(match[0])


def _turned_text(text: str) -> str:
    text = _SUBJECT.sub(_turned, text)
    for form, agreeing in _AGREEING:
        text = form.sub(agreeing, text)
    return _OBJECT.sub(_turned, text)


def rows_in_second_person(rows: Sequence[Row], message: str) -> list[Row]:
    """The rows made from a chat message, with answers that address its writer; unchanged for a long message."""
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
    """Whether `before` ends in a capitalised word, as only a name does there."""
    *others, last = before.split() or [""]
    if not last[:1].isupper() or last[-1] in ",;":
        return False
    is_first = not others or others[-1][-1] in ".!?:"
    known = last.lower() in FUNCTION | _BEFORE_I or last.endswith(("ly", "day"))
    return not (is_first and known)
