"""Who speaks in a document: its e-mail headers, the lines of a chat, and the sentences of whoever wrote a letter.

What somebody says of himself in a document is no fact about the user who gave it. It becomes a quotation where the
document names who says it, and is left out otherwise. By form alone and no model, with the words that the document's
language knows: a manual that says "you" to its reader stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from seal_agent.language.base import Language
from seal_agent.language.fields import HEADER as FIELD
from seal_agent.language.fields import SURE_HEADERS
from seal_agent.language.values import LeftOut

HEADER = "it is a header line of an e-mail"
GREETING = "it is the greeting or the end of a letter"
QUOTED = "it is quoted from an earlier message"
MIN_HEADERS = 2
MIN_LETTER_SHARE = 0.2  # of a text's sentences that say "I": then "we" and "you" are people, too
NUM_LAST_LINES = 6  # where a letter is signed
_PERSON = re.compile(r"[A-ZÀ-Þ][\w.'’-]*(?: [A-ZÀ-Þ][\w.'’-]*){0,2}$")
_BOX = re.compile(r"(?P<bullet>\s*(?:(?:[-*+•‣▪]|\d{1,2}[.)])\s+)?)\[(?P<state>[ xX✓✔])\]\s+(?P<said>\S.*)$")
_SPEAKER = re.compile(
    r"(?:[-*•]\s+)?(?P<time>[\[(]?(?=\d[\d./:, -]{0,24}:\d\d)[\d./:, -]{4,30}(?:[AaPp]\.?[Mm]\.?)?[\])]?\s*[–-]?\s*)?"
    r"(?:<(?P<nick>[^<>]{1,30})>:?|(?P<name>[A-ZÀ-Þ@][\w.'’@-]{0,30}(?: [A-ZÀ-Þ][\w.'’-]{0,30}){0,2})"
    r"(?P<after>\s*[\[(]\d{1,2}:\d\d[^\])\n]{0,12}[\])])?:)\s+(?P<said>\S.*)$"
)
_QUOTE = re.compile(r"\"[^\"]{0,1000}\"|“[^”]{0,1000}”|«[^»]{0,1000}»")


@dataclass(frozen=True)
class Voiced:
    """A document whose chat lines are quotations, without headers and greetings; `author` signs it, if anybody."""

    text: str
    author: str = ""
    is_letter: bool = False
    left_out: tuple[LeftOut, ...] = ()


def voiced(text: str, language: Language) -> Voiced:
    """The document `text` with its voices told apart, line by line."""
    lines = text.split("\n")
    left_out: list[LeftOut] = []
    author, is_mail = _take_headers(lines, left_out, language)
    signed, is_greeted = _take_greetings(lines, left_out, language)
    _keep_boxes(lines, language)
    return Voiced("\n".join(_quoted(lines, language)), author or signed, is_mail or is_greeted, tuple(left_out))


def _leave_out(lines: list[str], number: int, reason: str, left_out: list[LeftOut]) -> None:
    left_out.append(LeftOut(lines[number].strip(), reason))
    lines[number] = ""


def _take_headers(lines: list[str], left_out: list[LeftOut], language: Language) -> tuple[str, bool]:
    """Take the header lines of e-mails out of `lines`; returns who wrote the first one, and whether there was one."""
    author, is_mail = "", False
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    block: list[int] = []
    for number in range(len(lines) + 1):
        line = lines[number].strip(" *>") if number < len(lines) else ""
        if line and (FIELD.match(line) or (block and lines[number][:1] in " \t")):
            block.append(number)
            continue
        if block and (sender := _sender(lines, block, language, is_first=block[0] == first)) is not None:
            author, is_mail = author or (sender if not is_mail else ""), True
            for each in block:
                _leave_out(lines, each, HEADER, left_out)
        block = []
        if language.introduces_quotation(line):
            is_mail = True
            _leave_out(lines, number, HEADER, left_out)
    for number, line in enumerate(lines) if is_mail else ():
        if line.lstrip().startswith(">"):
            _leave_out(lines, number, QUOTED, left_out)
    return author, is_mail


def _sender(lines: Sequence[str], block: Sequence[int], language: Language, *, is_first: bool) -> str | None:
    """The sender that the header lines of a mail name; None where they are no such lines."""
    found = [match for number in block if (match := FIELD.match(lines[number].strip(" *>")))]
    values = {match["name"].lower(): (match["value"] or "").strip() for match in found}
    is_mail = len(values) >= MIN_HEADERS and (
        any(name in values for name in SURE_HEADERS)
        or any("@" in value for value in values.values())
        or (is_first and "from" in values and any(map(language.first_person, lines[block[-1] + 1 :])))
    )
    if not is_mail and not (is_first and list(values) == ["subject"]):
        return None
    sender = re.sub(r"<[^<>]*>|[\"“”]|\([^()]*\)|\S+@\S+", "", values.get("from", "")).strip()
    return sender if _PERSON.match(sender) else ""


def _take_greetings(lines: list[str], left_out: list[LeftOut], language: Language) -> tuple[str, bool]:
    """Take the greeting and the end of a letter out of `lines`; returns who signed, and whether it is a letter."""
    said = [number for number, line in enumerate(lines) if line.strip()]
    is_greeted = False
    for number in said[:NUM_LAST_LINES]:
        if language.is_greeting(lines[number].strip()):
            _leave_out(lines, number, GREETING, left_out)
            is_greeted = True
            break
    last = said[-NUM_LAST_LINES:] if len(said) > 1 else []
    for place, number in enumerate(last):
        if (signed := language.closing(lines[number].strip())) is not None:
            rest = [each for each in last[place + 1 :] if lines[each].strip()]
            name = signed or (lines[rest[0]].strip() if rest else "")
            if name and not _PERSON.match(name):
                continue
            for each in [number, *([] if signed else rest[:1])]:
                _leave_out(lines, each, GREETING, left_out)
            return name, True
    if is_greeted and last and _PERSON.match(name := lines[last[-1]].strip()):
        _leave_out(lines, last[-1], GREETING, left_out)
        return name, True
    return "", is_greeted


def _keep_boxes(lines: list[str], language: Language) -> None:
    """Say in every sentence of a checkbox item whether it is done."""
    for number, line in enumerate(lines):
        if box := _BOX.match(line):
            is_done = box["state"] != " "
            said = (language.checked(sentence, is_done=is_done) for sentence in language.sentences(box["said"]))
            lines[number] = f"{box['bullet']}{' '.join(said)}"


@dataclass
class _Line:
    """A line that may be what somebody says, with those that go on with it; `timed`: a time or a nick says so."""

    speaker: str
    said: list[str]
    is_timed: bool
    raw: list[str]


def _quoted(lines: Sequence[str], language: Language) -> list[str]:
    """The lines with those of a chat as quotations of who says them."""
    told: list[str] = []
    run: list[_Line] = []
    for line in lines:
        match = _SPEAKER.match(line.strip())
        speaker = (match["nick"] or match["name"]).strip("@ ") if match else ""
        if match and not language.is_label(speaker):
            is_timed = bool(match["time"] or match["after"] or match["nick"])
            run.append(_Line(speaker, [match["said"]], is_timed, [line]))
        elif run and (not line.strip() or line[0] in " \t"):
            run[-1].said.append(line.strip())
            run[-1].raw.append(line)
        else:
            told += [*_told(run, language), line]
            run = []
    return told + _told(run, language)


def _told(run: Sequence[_Line], language: Language) -> list[str]:
    """The lines of a chat as quotations; lines that are only written like one as they stand."""
    unquoted = [(line.speaker, _QUOTE.sub("", " ".join(line.said).strip()), line.is_timed) for line in run]
    speakers = _speakers(unquoted, language)
    told: list[str] = []
    for line in run:
        if line.speaker in speakers:
            sentences = language.sentences(" ".join(line.said))
            told += [language.quotation(line.speaker, sentence, is_spoken=True) for sentence in sentences]
            told += [""] * (not line.raw[-1].strip())
        else:
            told += line.raw
    return told


def _speakers(run: Sequence[tuple[str, str, bool]], language: Language) -> set[str]:
    """Which names of lines that follow each other are of people who talk, and not of fields.

    Somebody who says "I", asks or greets talks, and so does who says "No, …" alone or after a whole sentence. With two
    of them, or where the lines have times, all of them talk; with one, those who say a whole sentence.
    """
    if sum(timed for *_, timed in run) > 1:
        return {speaker for speaker, *_ in run}
    found: set[str] = set()
    is_answer = len(run) == 1
    for speaker, said, _ in run:
        if said.endswith("?") or language.is_talk(said, is_answer=is_answer):
            found.add(speaker)
        is_answer = is_answer or language.says_something(said)
    if len(found) == 1:
        found |= {speaker for speaker, said, _ in run if language.says_something(said)}
    return {speaker for speaker, *_ in run} if len(found) > 1 else found


def attributed(
    sentences: Sequence[str], document: Voiced, language: Language, *, is_letter: bool
) -> tuple[list[str], list[LeftOut]]:
    """The sentences that may be learned of a document, those of its writer as quotations; and those left out.

    `is_letter`: "we" and "you" are people, too, and not whoever reads a manual. A sentence that points back to one
    that is left out is left out with it.
    """
    told: list[str] = []
    left_out: list[LeftOut] = []
    is_lost = False
    for number, (sentence, own) in enumerate(zip(sentences, _without_quotes(sentences), strict=True)):
        word = language.first_person(own) if is_letter or not sentence.endswith("?") else ""
        word = word or (language.other_persons(own) if is_letter else "")
        if word and document.author:
            told.append(language.quotation(document.author, sentence))
        elif word:
            reason = (
                f'"{word}" means somebody else where a document says it; say it with the name, or in a conversation'
            )
            left_out.append(LeftOut(sentence, reason))
        elif is_lost and sentences[number - 1].endswith("?") and language.is_verbless(sentence):
            left_out.append(LeftOut(sentence, "its question is left out"))
        elif is_lost and (pointing := language.refers_back(sentence)):
            left_out.append(LeftOut(sentence, f'"{pointing}" points to a sentence that is left out'))
        else:
            told.append(sentence)
            is_lost = False
            continue
        is_lost = not (word and document.author)
        if is_lost and number and told[-1:] == [sentences[number - 1]] and told[-1].endswith("?"):
            left_out.append(LeftOut(told.pop(), "its answer is left out"))
    return told, left_out


def is_letter(document: Voiced, sentences: Sequence[str], language: Language) -> bool:
    """Whether a document is written by one person to another, or to himself: a letter, an e-mail, a diary."""
    unquoted = [own for own in _without_quotes(sentences) if not own.rstrip().endswith("?")]
    num_own = sum(bool(language.first_person(own)) for own in unquoted)
    return document.is_letter or (num_own > 0 and num_own >= MIN_LETTER_SHARE * len(sentences))


def _without_quotes(sentences: Sequence[str]) -> list[str]:
    """The sentences with blanks in the place of what they quote; a quotation may go over several."""
    blank = _QUOTE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), "\n".join(sentences))
    return blank.split("\n")
