"""Conventions of letters and chats: greetings, closings, direct speech, the person of a sentence."""

from __future__ import annotations

import re

from seal_agent.language.english.second_person import is_name

_WROTE = re.compile(r"(?:on\b.{4,80}\bwrote:|-+ ?(?:original|forwarded) message ?-+|begin forwarded message:)$", re.I)
_GREETED = re.compile(
    r"(?:dear|hi|hello|hey|good (?:morning|afternoon|evening)|to whom it may concern)\b[^.?!:]{0,40}[,!:]?$", re.I
)
_SIGNED = re.compile(
    r"(?:(?:(?:with |much |all my )?love|(?:all the |my )?best(?: wishes)?|(?:(?:with )?(?:kind|best|warm) )?regards"
    r"|yours(?: \w+)?|sincerely(?: yours)?|cheers|(?:many )?thanks|take care|hugs|xoxo))\s*[,!.–-]*\s*(?P<name>.*)$",
    re.IGNORECASE,
)
_LABELS = frozenset(
    """a q question answer note notes tip tips hint warning caution danger important example examples remember reminder
    step summary ps p.s nb faq subject title from to cc date sent place time when where what who why how topic result
    results reason cause effect price cost name input output problem solution goal purpose conclusion definition rule
    rules source author abstract address phone email tel fax hours todo agenda decision decisions""".split()
)
_FIRST = re.compile(
    r"(?<![\w'’./&-])(?:I(?:['’](?:m|ve|ll|d))?|[Mm]e|[Mm]y|[Mm]yself|(?:(?<=\bof )|(?<=\bis )|(?<=\bare ))mine)"
    r"(?![\w/&-]|\.\w|\.\s)"
)
_LET_END = re.compile(r"(?<![\w'’./&-])(?:me|myself)(?=\.(?:\s|$))")  # "Write to me."
_PEOPLE = re.compile(r"(?<![\w'’./-])(?:[Ww]e|[Uu]s|[Oo]urs?|[Oo]urselves|[Yy]ou|[Yy]ours?|[Yy]ourself)\b", re.ASCII)
_TALK = re.compile(
    r"(?:hi|hello|hey|thanks|thank you|sorry|ok|okay|yeah|yep|nope|haha|lol|hmm|oh|wow|bye)\b", re.IGNORECASE
)
_REPLY = re.compile(r"(?:yes|no)\b[,.!]", re.IGNORECASE)
_CLAUSE = re.compile(
    r"\b(?:is|are|was|were|am|will|has|have|had|can|could|would|should|does|do|did|let['’]s)\b", re.IGNORECASE
)
_QUOTES = re.compile(r"[\"“”«»]")


def is_greeting(line: str) -> bool:
    """Whether a line is a greeting, as letters begin with."""
    return bool(_GREETED.match(line))


def closing(line: str) -> str | None:
    """The name in the closing line of a letter, "" if it has none; None for any other line."""
    signed = _SIGNED.match(line)
    return signed["name"].strip() if signed else None


def introduces_quotation(line: str) -> bool:
    """Whether a line introduces a quoted e-mail below it."""
    return bool(_WROTE.match(line))


def is_label(name: str) -> bool:
    """Whether the text before a colon is a field name that looks like a person's name: "Note"."""
    return name.lower().rstrip(".") in _LABELS


def is_talk(said: str, *, is_answer: bool) -> bool:
    """Whether `said` is direct speech: "I", a greeting, or, with `is_answer`, "yes" or "no"."""
    return bool(first_person(said) or _TALK.match(said) or (is_answer and _REPLY.match(said)))


def says_something(said: str) -> bool:
    """Whether `said` has a verb, as a whole sentence does."""
    return bool(_CLAUSE.search(said))


def first_person(sentence: str) -> str:
    """The word by which a sentence refers to its writer, "I" or "my"; "" if there is none, or only in a name."""
    for match in _FIRST.finditer(sentence):
        before = sentence[: match.start()].rstrip()
        if match[0] == "I" and is_name(before):
            continue  # "World War I"
        if match[0][0] == "M" and before and before[-1] not in ".!?:":
            continue  # "the film My Fair Lady"
        return match[0]
    found = _LET_END.search(sentence)
    return found[0] if found else ""


def other_persons(sentence: str) -> str:
    """The first "we" or "you" of a sentence; "" if there is none."""
    found = _PEOPLE.search(sentence)
    return found[0] if found else ""


def quotation(speaker: str, sentence: str, *, is_spoken: bool = False) -> str:
    """A sentence as a quotation, 'Tom wrote: "I live in Oslo".', so that "I" is not the reader."""
    said = _QUOTES.sub("'", sentence.strip()).rstrip(".")
    verb = "asked" if said.endswith("?") else "said" if is_spoken else "wrote"
    return f'{speaker} {verb}: "{said}".'


def checked(sentence: str, *, is_done: bool) -> str:
    """A sentence of a check list with its state: "Water the ferns (not done)."."""
    return f"{sentence.rstrip('.')} ({'done' if is_done else 'not done'})."
