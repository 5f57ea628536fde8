"""Noun phrases of a sentence, and the questions that ask for one: "Maududi founded what in 1941?".

A question with the question word in place of what it asks for (an echo question) needs no model, is always
right, and every phrase of a sentence gets one. That is what a small model cannot do by itself: asked for a
question it asks about the sentence's first name, whatever else the sentence says (LOG.md).
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from seal_agent.words import DETERMINERS, FUNCTION, PREPOSITIONS, VERBAL

MAX_PHRASE_WORDS = 7
MAX_RECITAL_WORDS = 28
MIN_PART_WORDS = 14  # shorter pieces of a sentence lose what they are about
MIN_CLAUSE_WORDS = 6  # besides the phrase: a question with fewer is about nothing
_TOKEN = re.compile(r"\d+(?::\d\d)+|\w+(?:[-'’.]\w+)*%?|[^\w\s]")
_VERB_ENDING = re.compile(r"\w+(?:ed|ing)")
_ADVERB = re.compile(r"\w+ly")
_CLAUSE_END = re.compile(r"[;:,()—–]|\.\s")
_JOINT = re.compile(r"\s+of(?:\s+(?:a|an|the|his|her|its|their))?\s+")
_YEAR = re.compile(r"(?:1\d|20)\d\d")
_ASKING = frozenset({"what", "how", "year", "many"})
_COPULAS = frozenset({"is", "are", "was", "were"})
_LINKS = frozenset({"and", "or", "as", "than", "such", "after", "before", "since", "until"})  # nouns or verbs follow


@dataclass(frozen=True)
class Span:
    """A phrase and where it stands in its sentence, in characters."""

    start: int
    end: int
    text: str


def noun_phrases(sentence: str) -> list[Span]:
    """The phrases of `sentence` that can answer a question, in order; "X of the Y" counts as one."""
    tokens = [(m.start(), m.end(), m.group()) for m in _TOKEN.finditer(sentence)]
    found: list[tuple[int, int, bool]] = []  # start, end, whether it reaches the next function word
    previous, after_noun = "", True
    index = 0
    while index < len(tokens):
        start, _, word = tokens[index]
        if not _is_content(word):
            if word[0].isalnum() or word not in "'\"“”‘’(":
                previous = word.lower() if word[0].isalnum() else ""
            index += 1
            continue
        last = index
        while last + 1 < len(tokens) and _is_content(tokens[last + 1][2]):
            last += 1
        end = tokens[last][1]
        text = sentence[start:end]
        after_noun = _is_noun(text, previous, after_noun, first=index == 0)
        if after_noun:
            trimmed = _without_participle(text)
            found.append((start, start + len(trimmed), trimmed == text))
        elif previous in _COPULAS and (complement := _complement(text, sentence[end:])):
            found.append((end - len(complement), end, False))
        previous = "#"  # never empty again: what follows punctuation says so itself
        index = last + 1
    return _joined(sentence, found)


def echo_question(sentence: str, span: Span) -> str:
    """The clause around `span` as a question, with the question word in its place."""
    start, end = _clause(sentence, span)
    before = re.sub(r"(^|\s)(?:a|an|the|and|or|but)$", "", sentence[start : span.start].strip(" ,;:."), flags=re.I)
    before = re.sub(r"^(?:and|or|but|then|however)\b[, ]*", "", before.strip(" ,;"), flags=re.I)
    text = f"{before} {question_word(span.text)} {sentence[span.end : end].strip(' ,;:.')}"
    text = re.sub(r" ([,)])", r"\1", re.sub(r"\s+", " ", text)).strip(" .,;:")
    return f"{text[0].upper()}{text[1:]}?"


def recital(sentence: str, span: Span) -> str:
    """The sentence around `span`; of a long one the part that holds it, cut at a clause's end."""
    start, end = next((start, end) for start, end in _parts(sentence) if start <= span.start < end)
    text = re.sub(r"^(?:and|or|but|then)\b[, ]*", "", sentence[start:end].strip(" ,;:."), flags=re.I)
    return f"{text[0].upper()}{text[1:]}."


def keyword_question(question: str, share: float, rng: random.Random) -> str:
    """An echo question with about `share` of its other words left out, the question word first or last.

    What is asked later is asked in other words: a question must be known by some of its words.
    """
    words = question.rstrip("?").split()
    asking = [word for word in words if word.lower() in _ASKING]
    kept = [word for word in words if word.lower() not in _ASKING and rng.random() > share]
    turn = rng.randrange(len(kept) + 1) if rng.random() < 0.5 else 0
    kept = kept[turn:] + kept[:turn]
    text = " ".join(asking + kept if rng.random() < 0.6 else kept + asking)
    return f"{text[:1].upper()}{text[1:]}?"


def question_word(phrase: str) -> str:
    """What asks for `phrase`, as far as its form tells: a year, a number of things, or "what"."""
    if _YEAR.fullmatch(phrase):
        return "what year"
    number, _, things = phrase.partition(" ")
    if number[0].isdigit():
        return f"how many {things}".strip()
    return "what"


def _is_content(token: str) -> bool:
    return token[0].isalnum() and token.lower() not in FUNCTION


def _is_noun(text: str, previous: str, after_noun: bool, *, first: bool) -> bool:
    named = text[0].isdigit() or (text[0].isupper() and not first)
    if len(text) < 3 and not text[0].isdigit():
        return False
    if " " not in text and (_ADVERB.fullmatch(text) or (_VERB_ENDING.fullmatch(text) and previous not in DETERMINERS)):
        return False
    if named or not previous or previous in DETERMINERS:
        return True
    if previous in VERBAL or previous in ("#", "but", "nor", "to"):
        return False
    return after_noun if previous in _LINKS else previous in PREPOSITIONS


def _complement(text: str, rest: str) -> str:
    """What something is said to be where its clause ends: "purple" of "is painted purple."; empty if there is none."""
    said = re.sub(r"^(?:(?:\w+ly|\w+ed)\s)+", "", text)
    return said if re.match(r"\s*(?:[.,;:!?)]|$)", rest) and not _VERB_ENDING.fullmatch(said) else ""


def _without_participle(text: str) -> str:
    """The noun phrase in "government bills introduced": "government bills"."""
    while re.search(r"\s\w+ed$", text):
        text = text[: text.rindex(" ")]
    return text


def _joined(sentence: str, found: list[tuple[int, int, bool]]) -> list[Span]:
    spans: list[Span] = []
    index = 0
    while index < len(found):
        start, end, whole = found[index]
        while index + 1 < len(found) and whole and _JOINT.fullmatch(sentence[end : found[index + 1][0]]):
            index += 1
            _, end, whole = found[index]
        if len(sentence[start:end].split()) <= MAX_PHRASE_WORDS:
            spans.append(Span(start, end, sentence[start:end]))
        index += 1
    return spans


def _parts(sentence: str) -> list[tuple[int, int]]:
    """A sentence in parts of at least `MIN_PART_WORDS` words; one of up to `MAX_RECITAL_WORDS` stays whole."""
    if len(sentence.split()) <= MAX_RECITAL_WORDS:
        return [(0, len(sentence))]
    cuts = [0]
    for match in _CLAUSE_END.finditer(sentence):
        if all(
            len(piece.split()) >= MIN_PART_WORDS
            for piece in (sentence[cuts[-1] : match.end()], sentence[match.end() :])
        ):
            cuts.append(match.end())
    return list(zip(cuts, [*cuts[1:], len(sentence)], strict=True))


def _clause(sentence: str, span: Span) -> tuple[int, int]:
    """Where the clause of `span` begins and ends: widened, to the left first, until it says something."""
    marks = [0, *(m.end() for m in _CLAUSE_END.finditer(sentence)), len(sentence)]
    left = max(i for i, mark in enumerate(marks) if mark <= span.start)
    right = min(i for i, mark in enumerate(marks) if mark >= span.end)
    wanted = MIN_CLAUSE_WORDS + len(span.text.split())
    while len(sentence[marks[left] : marks[right]].split()) < wanted and (left > 0 or right < len(marks) - 1):
        left, right = (left - 1, right) if left > 0 else (left, right + 1)
    return marks[left], marks[right]
