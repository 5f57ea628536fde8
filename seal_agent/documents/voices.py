"""Speakers in a document: e-mail headers, chat lines, and the sentences of a letter's writer.

What people say about themselves in a document is no fact about the user. It becomes a quotation if the document names
the speaker, and is left out otherwise. It works by form and the language's words, without a model; a manual that
addresses its reader as "you" is unchanged.
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
MIN_LETTER_SHARE = 0.2  # of a text's sentences with "I"; then "we" and "you" are people too
NUM_LAST_LINES = 6  # in which a letter is signed
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
    """A document with chat lines as quotations, without headers and greetings; `author` is who signed it, or ""."""

    text: str
    author: str = ""
    is_letter: bool = False
    left_out: tuple[LeftOut, ...] = ()


def voiced(text: str, language: Language) -> Voiced:
    """Process the lines of the document `text`: headers, greetings, chat lines, check boxes."""
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
    """Remove e-mail headers from `lines`; returns the sender of the first mail, and whether there was one."""
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
    """The sender in a block of header lines; None if the lines are no headers."""
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
    """Remove greeting and closing of a letter from `lines`; returns who signed, and whether it is a letter."""
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
    """State in every sentence of a check-box item whether it is done."""
    for number, line in enumerate(lines):
        if box := _BOX.match(line):
            is_done = box["state"] != " "
            said = (language.checked(sentence, is_done=is_done) for sentence in language.sentences(box["said"]))
            lines[number] = f"{box['bullet']}{' '.join(said)}"


@dataclass
class _Line:
    """A possible chat line with its continuation lines; `is_timed`: it has a time or a nick name in brackets."""

    speaker: str
    said: list[str]
    is_timed: bool
    raw: list[str]


def _quoted(lines: Sequence[str], language: Language) -> list[str]:
    """The lines, with chat lines as quotations of their speakers."""
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
    """Chat lines as quotations; lines that only look like chat are unchanged."""
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
    """The names before colons, in consecutive lines, that are speakers and not fields.

    A name is a speaker if a line says "I", asks or greets, or says "No, …" alone or after a whole sentence. If two
    names qualify, or the lines have times, all are speakers; with one, those with whole sentences are.
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
    """The sentences of a document that can be learned, the writer's as quotations; and those left out.

    `is_letter`: "we" and "you" are people, and not the readers of a manual. A sentence that refers back to one that is
    left out is left out too.
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
            reason = f'"{word}" means somebody else in a document; say it with the name, or in a conversation'
            left_out.append(LeftOut(sentence, reason))
        elif is_lost and sentences[number - 1].endswith("?") and language.is_verbless(sentence):
            left_out.append(LeftOut(sentence, "its question is left out"))
        elif is_lost and (pointing := language.refers_back(sentence)):
            left_out.append(LeftOut(sentence, f'"{pointing}" refers to a sentence that is left out'))
        else:
            told.append(sentence)
            is_lost = False
            continue
        is_lost = not (word and document.author)
        if is_lost and number and told[-1:] == [sentences[number - 1]] and told[-1].endswith("?"):
            left_out.append(LeftOut(told.pop(), "its answer is left out"))
    return told, left_out


def is_letter(document: Voiced, sentences: Sequence[str], language: Language) -> bool:
    """Whether a document is a letter, an e-mail or a diary, written by one person to another or to themselves."""
    unquoted = [own for own in _without_quotes(sentences) if not own.rstrip().endswith("?")]
    num_own = sum(bool(language.first_person(own)) for own in unquoted)
    return document.is_letter or (num_own > 0 and num_own >= MIN_LETTER_SHARE * len(sentences))


def _without_quotes(sentences: Sequence[str]) -> list[str]:
    """The sentences with quoted text blanked; a quotation may span several sentences."""
    blank = _QUOTE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), "\n".join(sentences))
    return blank.split("\n")
