"""Cuts text into sentences and passages, and finds its topic. No model: it uses the text alone.

It does not parse Markdown or PDF; a document is plain text in UTF-8.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

from seal_agent.core.characters import whole
from seal_agent.core.documents import MAX_PASSAGE_CHARS, Passage
from seal_agent.core.errors import InputError
from seal_agent.core.redaction import WAS_REMOVED, lost_secret, only_secret, redacted, without_secrets
from seal_agent.documents.voices import attributed, is_letter, voiced
from seal_agent.language.base import Language, for_text
from seal_agent.language.few_shot import examples_in
from seal_agent.language.fields import TITLE
from seal_agent.language.sentences import ENDS, full_stop
from seal_agent.language.values import LeftOut

MAX_TOPIC_WORDS = 10
MAX_TOPIC_CHARS = 200
_ITEM = re.compile(r"\s*(?:[-*•‣▪]|(?P<unsure>[–—]|(?P<number>\d{1,2})[.)]))\s+(?=\S)")  # of a list
_FIELD = re.compile(r"\s*[^\W\d_](?:[^:.!?]|\.(?=\s[a-z])){0,40}:\s+\S")  # "Port: 8080"
_DEFINED = re.compile(r"\n:\s+")  # "Amber" on a line and ": The card is full." on the next
_ORNAMENT = re.compile("[\u2600-\u27bf\u2b00-\u2bff\ufe0f\u200d\U0001f000-\U0001faff]")
_LEAD_LINE = re.compile(r"[^\n]*:[ \t]*\n\s*(?P<next>[^\n]+)")
MAX_LIST_CHARS = 200  # of a list that is one sentence
NO_HEADING_ENDS = f"{ENDS},，：；؟।"
MIN_FIELDS = 2  # lines in a paragraph; a single one may be wrapped prose
MAX_HEADING_VALUE = 4  # words after the colon of a heading that looks like a field
MIN_PASSAGE_CHARS = 60  # a shorter one is joined to its neighbour, because each passage costs an edit
MIN_TOLD_WORDS = 3  # of an item that is more than a name or a command
MAX_OPEN_HEADINGS = 2  # in a row before a text; more of them are a list


def topic_of(text: str) -> str:
    """The topic of `text`: its title, else the language's choice, the first name or the first words."""
    language = for_text(text)
    return _title_of(text, language) or _topic_in(text, language)


def _title_of(text: str, language: Language) -> str:
    """The title above `text`: a line "Subject: ..." or a heading; "" if there is none."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    title = TITLE.search(text.strip().partition("\n\n")[0])
    if title and not lost_secret(title[1]):
        return title[1].strip()[:MAX_TOPIC_CHARS]
    if (
        len(lines) > 1
        and not lost_secret(lines[0])
        and _begins_with_heading(re.split(r"\n\s*\n", text.strip())[0].splitlines())
    ):
        return _bare(lines[0], language)
    return ""


def _topic_in(text: str, language: Language) -> str:
    if lost_secret(text):
        lines = _LEAD_LINE.sub(lambda lead: lead[0] * (not only_secret(lead["next"])), text).splitlines()
        open_lines = "\n".join(line for line in lines if not lost_secret(line))
        told = [each for each in language.sentences(open_lines or text) if not lost_secret(each)]
        text = " ".join(told) or without_secrets(text)
    return language.topic_in(text)[:MAX_TOPIC_CHARS]


def is_heading(line: str) -> bool:
    """Whether a line is a heading: a few words without the end of a sentence."""
    is_short = len(line) <= MAX_TOPIC_CHARS and len(line.split()) <= MAX_TOPIC_WORDS
    return is_short and _has_words(line) and line.strip()[-1] not in NO_HEADING_ENDS


def _begins_with_heading(lines: list[str]) -> bool:
    """Whether the first line of a paragraph is a heading, and not an item, a field or a wrapped line."""
    first, second = (*lines, "")[:2]
    if _in_lines([first]) or (_in_lines([first, second]) and not _in_lines([second])):
        return False
    return is_heading(first) and not second.strip()[:1].islower()


def _bare(heading: str, language: Language) -> str:
    """The subject of a heading: "Karlov Inn" of "# Welcome to Karlov Inn! 🔔"."""
    return " ".join(language.bare_title(_ORNAMENT.sub("", heading).strip(" #*=-!")).split())


def _says_something(line: str) -> bool:
    """Whether a line that looks like a field is too informative for a heading: "Next meeting: 26 May"."""
    if not _FIELD.match(line):
        return False
    value = line.partition(":")[2]
    return len(value.split()) > MAX_HEADING_VALUE or any(character.isdigit() for character in value)


def _has_words(line: str) -> bool:
    return any(character.isalnum() for character in line)


def _in_lines(lines: list[str]) -> bool:
    """Whether a paragraph is a list or has fields, so that its lines are not wrapped prose."""
    items = [match["unsure"] for match in map(_ITEM.match, lines) if match]
    num_fields = sum(map(bool, map(_FIELD.match, lines)))
    return None in items or len(items) > 1 or num_fields >= MIN_FIELDS


def _prose(lines: list[str], before: str, language: Language) -> str:
    """The lines of a paragraph as sentences: one for every item of a list, without its bullet, and for every field.

    If the line before a list, or the text `before` the paragraph, denies what follows ("Never do this:"), it is put
    before every item.
    """
    if not _in_lines(lines):
        is_told = all(line.rstrip()[-1] in ENDS for line in lines)  # made sentences with the page already
        if is_told and len(lines) > 1 and before.rstrip().endswith(":"):
            return "\n".join(_listed([line.strip() for line in lines], _denying_stem(before, language), language))
        return "\n".join(map(_begun, lines) if is_told and len(lines) > 1 else lines)
    pieces: list[str] = []
    stem = _denying_stem(before, language)
    is_next = True  # the first item follows the stem directly
    for line in lines:
        item = _ITEM.match(line)
        said = line[item.end() :].strip() if item else line.strip()
        if item and item["number"]:
            said = f"{item['number']}) {said}"
        if not item:
            stem, is_next = _denying_stem(line, language), True
        elif stem and not is_next:
            said = f"{stem} {said}"
        else:
            is_next = False
        if item or _FIELD.match(line) or not pieces:
            pieces.append(said)
        else:
            pieces[-1] += f" {said}"
    return "\n".join(f"{_begun(piece)}{full_stop(piece)}" for piece in pieces)


def _listed(items: list[str], stem: str, language: Language) -> list[str]:
    """The items of a list after a lead such as "Ingredients:", as sentences.

    A denying `stem` is put before every item but the first, which follows it. Short items form one sentence, because
    one of them is not the whole list.
    """
    if stem:
        return [_begun(items[0]), *(f"{stem} {item}" for item in items[1:])]
    bare = [item.rstrip(".") for item in items]
    if sum(map(len, bare)) <= MAX_LIST_CHARS and all(len(language.sentences(item)) == 1 for item in bare):
        return [f"{'; '.join(bare)}."]
    return list(map(_begun, items))


def _denying_stem(text: str, language: Language) -> str:
    """The last sentence of `text`, if it ends in a colon and denies what follows."""
    last = language.sentences(text)[-1:] if text.rstrip().endswith(":") else []
    return last[0] if last and language.denies_what_follows(last[0]) else ""


def _begun(said: str) -> str:
    """A line with a capital at its beginning, to separate it from the one before; a possible command is unchanged."""
    words = said.split()
    first = words[0].rstrip(",:")
    is_told = len(words) >= MIN_TOLD_WORDS and first.isalpha() and first.islower()
    return f"{said[:1].upper()}{said[1:]}" if is_told else said


_Section = tuple[list[str], list[str]]  # headings, sentences


@dataclass(frozen=True)
class Divided:
    """A document in passages, and the parts that are not learned, with reasons."""

    passages: tuple[Passage, ...]
    left_out: tuple[LeftOut, ...] = ()


def split_passages(
    text: str, *, title: str = "", earlier: str = "", max_chars: int = MAX_PASSAGE_CHARS
) -> list[Passage]:
    """Cut a text of any length into passages of at most about `max_chars` characters at sentence ends.

    Every passage gets the topic of the text (`title`, its heading, or the first name in it), so that "it" in the middle
    of a page still has a referent. A heading inside the text starts a passage. A text of examples is one passage,
    because single examples mean nothing. Every passage also gets `earlier`.
    """
    text = redacted(whole(text), earlier)  # before it is cut: half a key cannot be recognised
    language = for_text(text)
    title = _open_title(title) or _title_of(text, language)
    topic = title or _topic_in(text, language)
    if examples_in(text):
        return [Passage(topic, text.strip(), earlier, heading=title)]
    passages = _passages(_sections(text, topic, language), _Named(topic, title, earlier), max_chars, language)
    if not passages and text.strip():  # without words it is still a text to decide on
        passages.append(Passage(topic, text.strip()[:max_chars], earlier, heading=title))
    return passages


def _open_title(title: str) -> str:
    """A given title, or "" if it names a secret."""
    return "" if lost_secret(redacted(title)) else title


def divide(text: str, *, title: str = "", max_chars: int = MAX_PASSAGE_CHARS) -> Divided:
    """Cut a document into passages as `split_passages` does, without text that is no statement of the document.

    E-mail headers and greetings are left out. A line of a chat becomes a quotation of its speaker. What the writer of a
    letter says about themselves becomes a quotation, or is left out if the letter is not signed (`voices`). A given
    `title` does not hide a heading like "Plan B (rejected)".
    """
    text = redacted(whole(text))
    language = for_text(text)
    own = _title_of(text, language)
    given = _open_title(title)
    title = given or own
    if given and own != given and language.denies_what_follows(own):
        title = f"{given}, {own}"
    if examples_in(text):
        return Divided((Passage(title or _topic_in(text, language), text.strip(), heading=title),))
    document = voiced(text, language)
    topic = title or _topic_in(document.text, language) or _topic_in(text, language)
    sections = _sections(document.text, own if title != given else topic, language)
    if not sections and document.text.strip():  # a heading or less is still a text to decide on
        sections = [([], [" ".join(document.text.split())[:max_chars]])]
    addressed = is_letter(document, [sentence for _, sentences in sections for sentence in sentences], language)
    left_out = [*document.left_out, *_secret_headings(document.text, sections)]
    kept: list[_Section] = []
    for headings, sentences in sections:
        told, lost = attributed(sentences, document, language, is_letter=addressed)
        left_out += lost
        kept += [(headings, told)] if told else []
    passages = _passages(kept, _Named(topic, title), max_chars, language)
    return Divided(tuple(passages), tuple(left_out))


def _secret_headings(text: str, sections: list[_Section]) -> list[LeftOut]:
    """The lines of `text` that are in no sentence because of a secret in them."""
    told = " ".join(sentence for _, sentences in sections for sentence in sentences)
    lines = [line.strip(" #*=-") for line in text.splitlines() if lost_secret(line)]
    return [LeftOut(line, WAS_REMOVED) for line in lines if line not in told]


@dataclass(frozen=True)
class _Named:
    """Fields of every passage of a text: topic, title, and the conversation before it."""

    topic: str
    title: str
    earlier: str = ""


def _passages(sections: list[_Section], named: _Named, max_chars: int, language: Language) -> list[Passage]:
    passages: list[Passage] = []
    for headings, sentences, shared in _with_neighbours(sections, language):
        about = ", ".join([named.topic, *headings])
        heading = ", ".join([*([named.title] if named.title else []), *shared])
        pieces = _pieces(sentences, max_chars, language)
        passages += [Passage(about, piece, named.earlier, heading=heading) for piece in pieces]
    return passages


def _sections(text: str, topic: str, language: Language) -> list[_Section]:
    """The sections of a text in order, each with its headings; a heading equal to `topic` is dropped."""
    sections: list[_Section] = [([], [])]
    above: list[str] = []  # headings without text so far
    before = ""
    paragraphs = re.split(r"\n\s*\n", _DEFINED.sub(": ", text.strip()))
    for number, paragraph in enumerate(paragraphs, 1):
        lines = [line for line in paragraph.splitlines() if _has_words(line)]  # a horizontal rule is no text
        if lines and _begins_with_heading(lines) and (number == 1 or not _says_something(lines[0])):
            heading = lines.pop(0)
            if not lost_secret(heading):
                above.append(_bare(heading, language))
            elif only_secret(heading) and before.endswith(":"):
                sections[-1][1].pop()  # "Password:", which introduces the secret only
        told = _prose(lines, before, language)
        before = told
        if number < len(paragraphs) and told[-1:].isalnum():
            told += "."
        sentences = language.sentences(told)
        if sentences and above:
            sections.append(_headed(above, topic))
            above = []
        sections[-1][1].extend(sentences)
    if left := [heading for heading in above if heading != topic]:  # lines without text below are text
        sections.append(([], [*(f"{line}." for line in left[:-1]), left[-1]]))
    return [section for section in sections if section[1]]


def _headed(above: list[str], topic: str) -> _Section:
    """A section under the headings `above`; many of them are a list, and a field among them is text."""
    *listed, last = [heading for heading in above if heading != topic] or [""]
    is_list = len(listed) >= MAX_OPEN_HEADINGS
    said = [f"{line}." for line in listed if is_list or _FIELD.match(line)]
    told = set(said)
    return [heading for heading in [*listed, last] if heading and f"{heading}." not in told], said


def _with_neighbours(sections: list[_Section], language: Language) -> list[tuple[list[str], list[str], list[str]]]:
    """The sections, with short ones joined to a neighbour.

    Each has its headings, its sentences, and the headings above all of them. In a joined section, a sentence gets its
    heading in front if it is a field, has no verb, refers back to the heading, or is under a heading like "Don'ts".
    """
    joined: list[tuple[list[str], list[str], list[str]]] = []
    last_size = 0
    for headings, sentences in sections:
        size = len(" ".join(sentences))
        if joined and min(last_size, size) < MIN_PASSAGE_CHARS and last_size < MAX_PASSAGE_CHARS:
            before, told, shared = joined[-1]
            _put_heading_in_front(shared, told, language)
            _put_heading_in_front(headings, sentences, language)
            joined[-1] = ([*before, *headings], [*told, *sentences], [])
            last_size = len(" ".join(joined[-1][1]))
        else:
            joined.append((headings, sentences, headings))
            last_size = size
    return joined


def _put_heading_in_front(headings: list[str], sentences: list[str], language: Language) -> None:
    denying = next((number for number, heading in enumerate(headings) if language.denies_what_follows(heading)), None)
    if denying is not None:
        stem = ", ".join(headings[denying:])
        sentences[:] = [f"{stem}: {sentence}" for sentence in sentences]
        return
    heading = f"{headings[-1][:1].upper()}{headings[-1][1:]}" if headings else ""
    for number, sentence in enumerate(sentences if headings else ()):
        if _FIELD.match(sentence):
            sentences[number] = f"{heading}, {sentence}"
        elif language.is_verbless(sentence) or (number == 0 and language.opens_with_reference(sentence)):
            sentences[number] = f"{heading}: {sentence}"


def _pieces(sentences: list[str], max_chars: int, language: Language) -> list[str]:
    """The sentences in texts of at most `max_chars` characters; a longer sentence is cut between words.

    A text does not begin with "It" or the like if the sentence before it fits too.
    """
    pieces: list[list[str]] = []
    size = 0  # of the last piece, with a blank after every sentence
    for sentence in sentences:
        for part in textwrap.wrap(sentence, max_chars, break_on_hyphens=False):
            if pieces and size + len(part) <= max_chars:
                pieces[-1].append(part)
                size += len(part) + 1
            else:
                pieces.append([*_brought_along(pieces[-1:], part, max_chars, language), part])
                size = sum(len(each) + 1 for each in pieces[-1])
    return [" ".join(piece) for piece in pieces]


def _brought_along(last: list[list[str]], part: str, max_chars: int, language: Language) -> list[str]:
    """Remove and return the last sentences of the text before `part` that it refers to."""
    kept = [*last[0], part] if last else [part]
    start = len(kept) - 1
    while start > 0 and language.opens_with_reference(kept[start]):
        start -= 1
    moved = kept[start:-1]
    if not start or len(" ".join([*moved, part])) > max_chars:
        return []
    del last[0][start:]
    return moved


def read_document(path: Path) -> str:
    """The text of a file; raises `InputError` if it is missing, empty or not text."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}; give the path of a text file") from error
    if b"\0" in data[:8192]:
        raise InputError(f"{path} is a binary file, not text; convert it to plain text in UTF-8 first")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}); convert it to UTF-8 first") from error
    if not text.strip():
        raise InputError(f"{path} is empty; give a document with at least one sentence")
    return text
