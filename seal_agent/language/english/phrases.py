"""Noun phrases of a sentence, which questions ask for. English; TextBlob's pattern tagger, no neural model.

The tagger takes most unknown words for nouns, so other languages get fewer and worse phrases.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any

from seal_agent.language.english.words import DETERMINERS, FUNCTION, PREPOSITIONS
from seal_agent.language.values import Span

MAX_PHRASE_WORDS = 7
_TOKEN = re.compile(
    r"(?:Dr|Mrs?|Ms|Prof|St)\.(?= [A-Z])|[$€£]?\d+(?:[:.,/–-]\d+)*%?(?: ?[ap](?:m\b|\.m\.))?(?![\w-])"
    r"|\w+(?:[-'’.]\w+)*%?|[^\w\s]"
)
_NUMBER = re.compile(r"[$€£]?\d[\d:.,/–-]*%?(?: ?[ap](?:m|\.m\.))?")
_CONTRACTION = re.compile(
    r"(?:i|it|he|she|that|there|here|what|who|we|you|they|let)['’](?:m|s|re|ve|d|ll)|\w+n['’]t", re.IGNORECASE
)
_JOINT = re.compile(r"\s+of(?:\s+(?:a|an|the|his|her|its|their))?\s+")
_COPULAS = frozenset({"is", "are", "was", "were", "am"})
_CONTRACTED = ("'m", "’m", "'re", "’re")  # a verb joined to its subject
_MARKS = frozenset(".,;:!?)")
_BEFORE_NOUNS = (DETERMINERS | PREPOSITIONS) - frozenset(
    "to and or nor but as than such both either neither before after since until".split()
)
_BEFORE_VERBS = frozenset("i you he she it we they who which can may might will would could should must shall".split())
_AFTER_VERBS = frozenset("a an the his her its their our my your this these there here it him them".split())
_LINKS = frozenset({"and", "or"})
_DOES = frozenset("lives works plays studies stays leaves lands starts ends opens closes moves rests sits".split())
_CARRYING = frozenset({"VB", "VBD", "VBN", "VBP", "VBZ", "MD"})
_FINITE = frozenset({"VBD", "VBZ", "MD"})
PARTICIPLES = frozenset({"VBD", "VBG", "VBN"})
MODIFIERS = PARTICIPLES | {"RB", "JJ", "JJR", "JJS"}


@dataclass(frozen=True)
class _Token:
    """A word or a mark with its Penn Treebank tag: "V" for a verb outside noun phrases, "" for words between phrases.

    `said` is the tagger's own tag.
    """

    start: int
    end: int
    word: str
    tag: str
    said: str

    @property
    def is_noun(self) -> bool:
        return self.tag.startswith("NN") or self.tag in ("CD", "FW")

    @property
    def is_part(self) -> bool:
        """Whether the token may be part of a noun phrase."""
        return self.is_noun or self.tag.startswith(("JJ", "VB"))


NOTHING = _Token(0, 0, "", "", "")


def noun_phrases(sentence: str) -> list[Span]:
    """The phrases of `sentence` that can answer a question, in order; "X of the Y" is one phrase."""
    found: list[tuple[int, int, bool]] = []  # start, end, whether it reaches the next function word
    for before, run, after in _runs(_tagged(sentence)):
        nouns = [token for token in run if token.is_noun]
        if nouns and _says_something([token.word for token in run]):
            found.append((run[0].start, nouns[-1].end, nouns[-1] is run[-1]))
        elif not nouns and after in _MARKS and (before.tag == "V" or _is_copula(before.word)):
            found.append((run[0].start, run[-1].end, False))  # "purple" in "is painted purple."
    return _joined(sentence, found)


def with_article(sentence: str, span: Span) -> str:
    """The phrase with the article before it."""
    article = re.search(r"\b(?:an?|the)\s+$", sentence[: span.start], re.IGNORECASE)
    return sentence[article.start() if article else span.start : span.end]


def verbs(sentence: str) -> list[int]:
    """The positions, in characters, of the verbs in `sentence` that may form a clause."""
    tokens = [token for token in _tagged(sentence) if not token.is_part]
    return [token.start for token in tokens if token.said in _CARRYING or (token.tag, token.said) == ("V", "NNS")]


def tagged_verbs(sentence: str) -> list[tuple[int, str, str]]:
    """The verbs of `sentence` in order: position in characters, word, and the tagger's tag."""
    tokens = [token for token in _tagged(sentence) if not token.is_part and token.said in _CARRYING | {"VBG"}]
    return [(token.start, token.word, token.said) for token in tokens]


def has_finite_verb(text: str, *, after: int = -1) -> bool:
    """Whether `text` has a finite verb beyond the position `after`, so that it is a statement."""
    return any(token.start > after and not token.is_part and token.said in _FINITE for token in _tagged(text))


def is_plural(name: str) -> bool:
    """Whether the last word of `name` is a plural noun."""
    return bool(name) and _tagged(name)[-1].said in ("NNS", "NNPS")


def is_present(sentence: str, place: int) -> bool:
    """Whether a verb in the present, as in "I live", is at `place`, in characters."""
    here = next((token for token in _tagged(sentence) if token.start == place), NOTHING)
    return here.word == "have" or (here.said in ("VB", "VBP", "NN") and here.tag == "V")


@lru_cache(maxsize=64)  # called for every phrase of a sentence
def _tagged(sentence: str) -> tuple[_Token, ...]:
    places = [(match.start(), match.end(), match.group()) for match in _TOKEN.finditer(sentence)]
    words = [word for _, _, word in places]
    tokens: list[_Token] = []
    previous, expects_noun = NOTHING, False
    for (start, end, word), said, after in zip(places, _tags(words), [*words[1:], ""][: len(words)], strict=True):
        tag = _tag(word, said, previous, after, expects_noun=expects_noun)
        previous = _Token(start, end, word, tag, said)
        tokens.append(previous)
        expects_noun = word.lower() in _BEFORE_NOUNS if not tag else expects_noun and tag in MODIFIERS
    return tuple(tokens)


def _tag(word: str, tag: str, previous: _Token, after: str, *, expects_noun: bool) -> str:
    """The tag of a word as in `_Token`, given the tagger's `tag` and whether a determiner before it expects a noun."""
    if _NUMBER.fullmatch(word):
        return "CD"
    if not word[0].isalnum() or _CONTRACTION.fullmatch(word) or (word, after) == ("due", "to"):
        return ""
    if word.lower() in FUNCTION and tag != "NNP" and not _is_acronym(word):  # "in May", "the US"
        return ""
    if not word.islower() and previous != NOTHING:
        return "NNP"
    if tag.startswith("RB"):
        return "RB"
    if tag in PARTICIPLES and expects_noun and after[:1].isalnum():
        return tag  # "the painted door"
    if tag == "VBG" and previous.tag == "V" and (not after[:1].isalnum() or after in _LINKS):
        return "NN"  # "loves hiking and swimming"
    if tag.startswith("VB") and expects_noun and tag not in PARTICIPLES:
        return "NN"  # "a pass"
    if tag.startswith("VB") or (previous.word.lower() in _BEFORE_VERBS and word.islower()):
        return "V"
    if tag == "NNS" and previous.is_noun and (after in _AFTER_VERBS or after[:1].isupper()):
        return "V"  # "the API returns the JSON"
    if word in _DOES and previous.is_noun and after in PREPOSITIONS:
        return "V"  # "my sister Ottilie lives in Graz"
    return tag


def _runs(tokens: Sequence[_Token]) -> list[tuple[_Token, list[_Token], str]]:
    """Candidates for noun phrases: the token before each, adverbs aside, its tokens, and the word after it."""
    runs: list[tuple[_Token, list[_Token], str]] = []
    before, num_read = NOTHING, 0
    for is_part, group in groupby(tokens, key=lambda token: token.is_part):
        run = list(group)
        num_read += len(run)
        if is_part:
            after = tokens[num_read].word if num_read < len(tokens) else "."
            runs.append((before, run, after))
        before = next((token for token in reversed(run) if token.tag != "RB"), before)
    return runs


def _is_copula(word: str) -> bool:
    return word in _COPULAS or word.lower().endswith(_CONTRACTED)


def _says_something(words: Sequence[str]) -> bool:
    word, *others = words
    is_known = len(word) > 2 or not word.isalpha() or _is_acronym(word)
    return bool(others) or (is_known and word.lower() != "one")


def _is_acronym(word: str) -> bool:
    return len(word) > 1 and word.isupper()


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


def _tags(words: Sequence[str]) -> list[str]:
    """The Penn Treebank tag of every word and mark; "6:45 am" is one word."""
    joined = " ".join(word.replace(" ", "") for word in words)
    return [tag for _, tag in _tagger().tag(joined, tokenize=False)] if words else []


@lru_cache(maxsize=1)
def _tagger() -> Any:
    from textblob.taggers import PatternTagger  # imported here: it takes half a second

    tagger = PatternTagger()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it does not close its lexicon's files
        tagger.tag("It is read at the first word.")
    return tagger


def shape(phrase: str) -> str:
    """The kind of a phrase: numbers, names, and the rest; phrases of one kind can be confused."""
    if phrase[0].isdigit():
        return "number"
    return "name" if phrase[0].isupper() else "words"
