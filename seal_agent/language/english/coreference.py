"""Words that point to a sentence before their own: "It", "She", "This museum". English, by grammar and no model.

What a pronoun stands for is not decided here, for that takes a reader: "The library opens at nine. Petra Holm runs
it. It closes at five." names two things before "It". A sentence that points back is learned together with what stands
before it, or not at all (`statements`). A word counts as pointing back unless its own sentence may name what it stands
for; so a sentence is sometimes kept with its neighbour without need.

"The ferry" is another matter where a text names one ferry, "the Lantern Ferry", and speaks of no other: `full_names`
finds the names that are spelled out there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from seal_agent.language.english.phrases import noun_phrases, verbs

_START = (
    r"(?:[\"'“‘(\[]*"
    r"(?:(?:and|but|so|or|then|yet|because|however|also|still|no|yes|actually|sorry|well|oh)\b[,:]?\s+)*)"
)
_OPENING = re.compile(
    rf"{_START}(?P<word>he|she|it|they|him|them|his|hers?|its|theirs?|both(?!.*\band\b)|neither(?!.*\bnor\b)"
    r"|(?:the )?(?:former|latter)|the (?:first|second|third|last|other|same) (?:ones?|option)"
    r"|the (?:following|next|previous|same) (?:day|night|morning|evening|week|month|year)"
    r"|\w+ (?:days?|weeks?|months?|years?|hours?) (?:later|earlier|before|afterwards)"
    r"|(?:all|most|many|some|none|one|each|two|three|half|part) of (?:them|these|those|which)|such an?|such"
    r"|the same|(?:an)?other ones?|others|this|that|these|those)\b(?!['’]\w*[a-z]{3})",
    re.IGNORECASE,
)
_DEMONSTRATIVE = frozenset({"this", "that", "these", "those"})
_PRONOUN = re.compile(r"\b(?:he|she|it|they)\b(?!\s*[-/])", re.IGNORECASE)
_ANY_PRONOUN = re.compile(r"\b(?:he|she|it|they|him|them|his|her|its|their)\b", re.IGNORECASE)
_OBJECT = re.compile(
    r"\b(?:it|him|them|her(?=[.,;:!?)]|$|\s+(?:at|in|on|to|for|with|from|before|after|when|by|every|about|as|a|an|the)\b))\b"
    r"|\b(?:this|that|these|those|both|another|here)(?=[.!?]|$)"
    r"|\bthere\b(?!\s*(?:is|are|was|were|will|has|have|had|['’]s|exists?|remains?|came|comes?|seems?|may|might|can)\b)",
    re.IGNORECASE,
)
_SUBJECT = re.compile(rf"{_START}(?:I|we|you|they|he|she)\b", re.IGNORECASE)
_DENYING = re.compile(
    r"\b(?:not|never|no|nor|none|neither|without|don['’]?ts?|avoid|forbidden|prohibited|banned|false|wrong|untrue|myths?"
    r"|mistakes?|rejected|removed|deprecated|obsolete|outdated|old|former|formerly|previous|cancell?ed|discontinued"
    r"|superseded|withdrawn|draft|proposed|hypothetical|fiction(?:al)?|if|unless|suppose|assume|assuming|except|only)\b"
    r"|n['’]t\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"[,;:()—–]|\b(?:and|but|or|so|that|which|who|whom|whose|where|when|while|because|if|as|than|until|unless|after"
    r"|before|since|though|although|whether|what|how|why)\b",
    re.IGNORECASE,
)
_RELATIVE = re.compile(r"\b(?:that|which|who|whom|whose)\b", re.IGNORECASE)
_EMPTY_IT = re.compile(
    r"it(?:['’]s|\s+(?:is|was|has been|had been|will be|would be|may be|might be|can be|must be|should be|became"
    r"|becomes))"
    r"\s+(?:(?:not|also|very|more|most|quite|only|often|generally|widely)\s+)*"
    r"(?:\w+\s+(?:that|whether|how)\b|(?:important|necessary|essential|advisable|possible|impossible|forbidden)\s+to\b"
    r"|raining|snowing|noon|midnight|time\b|\d{1,2}(?::\d\d)?\s*(?:[ap]\.?m\b|o['’]clock))"
    r"|it\s+(?:(?:seems?|seemed|appears?|appeared|turns?\s+out|turned\s+out|follows?|happens?|happened)\s+that\b"
    r"|(?:takes?|took)\b[^.;]{0,40}\sto\b|(?:rains?|rained|snows?|snowed)\b)",
    re.IGNORECASE,
)
"""The "it" that stands for nothing: "It is important to", "It rained"."""
_THE_NAME = re.compile(r"\b[Tt]he (?P<name>[A-Z][\w'’-]+(?:\s+(?:of\s+|and\s+)?[A-Z][\w'’-]+)+)")
_RESTRICTED = (
    r"(?!-?\w|\s+(?:of|to|in|at|over|from|that|which|who|whose|where|for|with|on|near|by|between|called|named)\b)"
)
"""What must not follow "the ferry": "to Oslo" would make it another ferry."""
_VERB_AFTER = re.compile(
    r"\s+(?:is|are|was|were|has|have|had|will|would|can|could|may|might|must|should|does|do|did|means?|makes?|made"
    r"|happen(?:s|ed)|becomes?|became|includes?|included|led|lead|leads|caused|gave|gives|allows?|allowed|also|not)\b"
    r"|['’]s\b",
    re.IGNORECASE,
)


def refers_back(sentence: str, *, is_first: bool = False) -> str:
    """The word of `sentence` that points to a sentence before it; "" where there is none.

    `is_first`: nothing stands before the sentence. There "this museum" may be where the text hangs, but "she" and
    "this is" mean nothing.
    """
    if sentence.endswith("?"):
        return _asked_about(sentence)
    if _EMPTY_IT.search(sentence) and len(_PRONOUN.findall(sentence)) == 1 and not _begins_otherwise(sentence):
        return ""
    if opening := _OPENING.match(sentence):
        word: str = opening["word"]
        points = word.lower() not in _DEMONSTRATIVE or not is_first or _VERB_AFTER.match(sentence, opening.end())
        if points:
            return word
    places = verbs(sentence)
    subject = _PRONOUN.search(sentence)
    if (
        subject
        and not _EMPTY_IT.match(sentence, subject.start())
        and not _has_clause(sentence, subject.start(), places)
    ):
        return subject[0]
    return _bare_object(sentence, places)


def denies_what_follows(heading: str) -> bool:
    """Whether what stands under a heading or behind a colon may not hold by itself: "Don'ts", "Never do this:"."""
    return bool(_DENYING.search(heading))


def _asked_about(question: str) -> str:
    """The pronoun of a question that names nothing before it: "Where does she live?", but not "Does Ada like it?"."""
    found = _ANY_PRONOUN.search(question)
    named = [span for span in noun_phrases(question) if found and span.end <= found.start()]
    return found[0] if found and not named and not _EMPTY_IT.match(question, found.start()) else ""


def opens_with_reference(sentence: str) -> bool:
    """Whether `sentence` begins with a word that points back: a passage should not be cut before it."""
    return bool(_OPENING.match(sentence)) and not _EMPTY_IT.match(sentence)


def _has_clause(sentence: str, end: int, places: list[int]) -> bool:
    """Whether more than an adverbial stands before `end`: a verb, or a noun with a relative clause."""
    return any(place < end for place in places) or bool(_RELATIVE.search(sentence[:end]))


def _begins_otherwise(sentence: str) -> bool:
    opening = _OPENING.match(sentence)
    return opening is not None and opening["word"].lower() != "it"


def _bare_object(sentence: str, places: list[int]) -> str:
    """An object like "it" in the first clause of `sentence`: it is never the subject of that clause."""
    found = _OBJECT.search(sentence)
    if not found or _EMPTY_IT.match(sentence, found.start()):
        return ""
    before = sentence[: found.start()]
    has_verb = any(place < found.start() for place in places) or bool(_SUBJECT.match(sentence))
    return found[0] if has_verb and not _CLAUSE.search(before) else ""


def full_names(sentences: Sequence[str]) -> dict[str, str]:
    """The names that "the <noun>" can only mean in a text, by that noun: {"ferry": "Lantern Ferry"}.

    The text must say "the Lantern Ferry" with the article, which no person's name has. The noun is the last word of the
    name, or the one before "of". A noun that stands anywhere in the text without "the" or in another name ("a ferry",
    "the old ferry", "the Star Ferry") is left out: then the text may speak of several.
    """
    text = " ".join(sentences)
    names: dict[str, set[str]] = {}
    for match in _THE_NAME.finditer(text):
        head = match["name"].partition(" of ")[0].split()[-1]
        if head.isalpha():
            names.setdefault(head.lower(), set()).add(match["name"])
    found = {}
    for noun, called in names.items():
        if len(called) == 1:
            (name,) = called
            others = re.sub(rf"\b[Tt]he (?:{re.escape(name)}|{noun}\b)", "", text)
            if not re.search(rf"\b(?:{noun}(?:e?s)?|{noun[:-1]}ies)\b", others, re.IGNORECASE):
                found[noun] = name
    return found


def spelled_out(sentence: str, names: Mapping[str, str]) -> str:
    """`sentence` with the full name for "the <noun>", where the name does not stand in it already."""
    for noun, name in names.items():
        if name not in sentence:
            sentence = re.sub(rf"\b([Tt]he) {noun}\b{_RESTRICTED}", rf"\1 {name}", sentence)
    return sentence
