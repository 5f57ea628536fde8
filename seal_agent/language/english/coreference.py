"""Words that refer to an earlier sentence: "It", "She", "This museum". English, by grammar, without a model.

The referent of a pronoun is not resolved here, because that takes understanding: in "The library opens at nine. Petra
Holm runs it. It closes at five." two things come before "It". A sentence that refers back is learned together with the
sentences before it, or not at all (`statements`). A word counts as referring back unless its own sentence may contain
the referent, so some sentences are joined to their neighbours without need.

`full_names` handles one safe case: a text that names exactly one ferry, "the Lantern Ferry", and says "the ferry".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from seal_agent.language.english.ellipsis import FRONT, START, bare_question, is_followed_by_verb, left_to_before
from seal_agent.language.english.mentions import without_mentions
from seal_agent.language.english.phrases import is_plural, noun_phrases, verbs
from seal_agent.language.english.words import FUNCTION

_ASKED = re.compile(r"(?:(?:and|but)\s+)?(?:what|which|whose|how many|how much)\s+[\w'’-]+(?=\s)", re.IGNORECASE)
_OPENING = re.compile(
    rf"{START}(?P<word>he|she|it|they|him|them|his|hers?|its|theirs?|both(?!.*\band\b)|neither(?!.*\bnor\b)"
    r"|the (?:former|latter)|the (?:first|second|third|last|other|same) (?:ones?|option)"
    r"|the (?:following|next|previous|same) (?:day|night|morning|evening|week|month|year)"
    r"|\w+ (?:days?|weeks?|months?|years?|hours?) (?:later|earlier|before|afterwards)"
    r"|(?:all|most|many|some|none|one|each|two|three|half|part) of (?:them|these|those|which)|such an?|such"
    r"|otherwise|as a result(?!\s+of\b)|if (?:so|not)(?=,)"
    r"|the same|(?:an)?other ones?|(?:the )?others"
    r"|(?P<some>one|two|three|four|five|six|some|many|most|few|several|all|none|each|either|another|the other)"
    r"|this|that|these|those)\b(?!['’]\w*[a-z]{3})",
    re.IGNORECASE,
)
_DEMONSTRATIVE = frozenset({"this", "that", "these", "those"})
_IS_OR_HAS = re.compile(r"\s+(?:is|are|was|were|has|have|had)\b", re.IGNORECASE)
_MODAL = re.compile(r"\s+(?:can|could|may|might|must|should|would|will|has to|needs)\b", re.IGNORECASE)
_POSSESSIVE = frozenset({"yours", "ours", "hers", "theirs"})
_OWNER = re.compile(r"['’]s\s|\b(?:my|your|his|her|our|their)\s", re.IGNORECASE)
_ORDINAL = frozenset({"the former", "the latter"})
_AND = r"(?:[\"'“‘(\[]*(?:(?:and|but|so|or|then|yet|however|also|still|well)\b[,:]?\s+)*)"
_FRONTED = re.compile(
    rf"{_AND}{FRONT}\b(?P<between>[^,;:.]*?)\b(?P<word>he|she|it|they|him|her|them|his|its|their)\b", re.IGNORECASE
)
"""A phrase before the subject that may refer to it: "Because it is old, the mill", "In her youth Ada"."""
_FRONTED_THIS = re.compile(
    rf"{_AND}(?!in\s+that\s+(?:the|an?|he|she|it|they)\b){FRONT}"
    r"(?:(?:\s+[\w-]+){1,4}?\s+(?:of|to|with|from)|\s+(?:of|all))?\s+(?P<word>this|that|these|those)\b"
    r"(?!\s+(?:who|which|days)\b)(?:\s+(?P<noun>[a-z]\w+))?",
    re.IGNORECASE,
)
_LIKE_THESE = re.compile(
    r"^[^,;:.]*\blike\s+(?P<word>this|that|these|those)\b(?!\s+(?:of|who|which|that|in|at|from|with)\b)", re.IGNORECASE
)
_PLACE = re.compile(rf"{START}(?P<word>there|here)\b(?!['’]|\s+and\b)", re.IGNORECASE)
_DETERMINED = re.compile(r"\b(?:an?|the|my|our|your|every)\s+(\w+)")
_CIRCUMSTANCE = frozenset("case cases way reason reasons respect sense event point time".split())
"""Nouns with which "this" refers to a whole sentence: "in this case" refers back, "in this museum" may not."""
_PRONOUN = re.compile(r"\b(?:he|she|it|they)\b(?!\s*[-/])", re.IGNORECASE)
_ANY_PRONOUN = re.compile(r"\b(?:he|she|it|they|him|them|his|her|its|their)\b", re.IGNORECASE)
_OBJECT = re.compile(
    r"\b(?:it|him|them|her(?=[.,;:!?)]|$|\s+(?:at|in|on|to|for|with|from|before|after|when|by|every|about|as|a|an|the)\b))\b"
    r"|\b(?:this|that|these|those|both|neither|another|others|the (?:other|same|former|latter)|here)(?=[.!?]|$)"
    r"|\b(?:yours|ours|hers|theirs)(?=[.!?]|$)"
    r"|\b(?:this|these)(?=\s+[a-z])(?!\s+(?:days|day)\b)"
    r"|\bthere\b(?!\s*(?:is|are|was|were|will|has|have|had|['’]s|exists?|remains?|came|comes?|seems?|may|might|can)\b)",
    re.IGNORECASE,
)
_SUBJECT = re.compile(rf"{START}(?:I|we|you|they|he|she)\b", re.IGNORECASE)
_DENYING = re.compile(
    r"\b(?:not|never|no|nor|none|neither|without|don['’]?ts?|avoid|forbidden|prohibited|banned|false|wrong|untrue|myths?"
    r"|misconceptions?|fallac(?:y|ies)|hoax(?:es)?|rumou?rs?|superstitions?|debunked|disproved|mistakes?|rejected|removed|deprecated|obsolete|outdated|old|former|formerly|previous|cancell?ed|discontinued"
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
    r"it(?:['’]s|\s+(?:is|was|isn['’]t|wasn['’]t|has been|had been|will be|would be|may be|might be|can be|must be"
    r"|should be|became|becomes))"
    r"\s+(?:(?:not|also|very|more|most|quite|often|generally|widely|well)\s+)*"
    r"(?:(?!one\b|something\b|anything\b|all\b|this\b|then\b)\w+\s+(?:that|whether|how)\b"
    r"|(?:an?|the|no)\s+(?:\w+\s+)?(?:pity|shame|fact|secret|myth|mistake|wonder|miracle|surprise|relief|coincidence"
    r"|custom|tradition|rule|crime|honou?r|pleasure)\s+(?:that|to)\b"
    r"|(?:(?:an?|the|my|our|your|his|her|their)\s+)?(?:(?!(?:for|with|by|to|from|in|on|at|of|and|or|about|as|those"
    r"|people|one)\b)[\w'’-]+\s+){1,4}whom?\b"
    r"|(?-i:[A-Z][\w'’-]+\s+)+that\b"
    r"|(?:in|on|at|by|from|since|until|during|under)\s+(?:\w+\s+){0,6}?(?-i:[A-Z]\w*\s+|\d+\s+)that\b"
    r"|(?:only|because of|thanks to|due to)\s[^,;:.]{1,60}?\sthat\b"
    r"|(?:important|necessary|essential|advisable|possible|forbidden|allowed|permitted|prohibited|illegal|legal"
    r"|customary|wise)\s+(?:for\s+[^,;:.]{1,30}?\s)?to\b"
    r"|(?:impossible|easy|hard|difficult|better|best|dangerous|safe|useful|nice|good|expensive|cheap)"
    r"\s+to\s+\w+\s+(?:(?:an?|the|my|our|your|his|her|their|any|all|every|one['’]s)\s|(?-i:[A-Z])|\d)"
    r"|[\w'’ -]{1,40},\s+not\s[^,;:.]{1,40},\s+who\b"
    r"|(?:about\s+|only\s+|some\s+)?\d[\d.,]*\s+[\w-]+\s+(?:[\w-]+\s+)?from\b"
    r"|raining|snowing|noon|midnight|time\b|\d{1,2}(?::\d\d)?\s*(?:[ap]\.?m\b|o['’]clock)|\w+\s+o['’]clock)"
    r"|it\s+(?:(?:seems?|seemed|appears?|appeared|turns?\s+out|turned\s+out|follows?|happens?|happened)\s+that\b"
    r"|(?:takes?|took)\b[^.;]{0,40}\sto\b|(?:rains?|rained|snows?|snowed)\b|(?:does|did)(?:\s+not|n['’]t)\s+matter\b)",
    re.IGNORECASE,
)
"""The impersonal "it": "It is important to", "It rained", "It was Ada who", "It was in 1990 that".

Not "It is easy to use.", where "it" is the object of the infinitive, nor "It is the bridge that Ada built.", which
may refer to a bridge named before.
"""
_THE_NAME = re.compile(r"\b[Tt]he (?P<name>[A-Z][\w'’-]+(?:\s+(?:of\s+|and\s+)?[A-Z][\w'’-]+)+)")
_RESTRICTED = (
    r"(?!-?\w|\s+(?:of|to|in|at|over|from|that|which|who|whose|where|for|with|on|near|by|between|called|named)\b)"
)
"""Words that make "the ferry" another ferry when they follow it: "to Oslo"."""
_VERB_AFTER = re.compile(
    r"\s+(?:is|are|was|were|has|have|had|will|would|can|could|may|might|must|should|does|do|did|means?|makes?|made"
    r"|happen(?:s|ed)|becomes?|became|includes?|included|led|lead|leads|caused|gave|gives|allows?|allowed|also|not)\b"
    r"|['’]s\b",
    re.IGNORECASE,
)


def refers_back(sentence: str, *, is_first: bool = False, is_headed: bool = False) -> str:
    """The word in `sentence` that refers to an earlier sentence; "" if there is none.

    `is_first`: no text comes before the sentence, or only a heading if it `is_headed`. There "this museum" may be
    where the text is displayed, and the "it" of "Because it is old, the mill" refers ahead, if it cannot refer to
    the heading; "she" and "this is" still have no referent.
    """
    sentence = without_mentions(sentence)
    if sentence.endswith("?"):
        return _asked_about(sentence)
    places = verbs(sentence)
    if missing := left_to_before(sentence, places):
        return missing
    if _has_empty_it(sentence):
        return _object_after_empty_it(sentence)
    if (ahead := _FRONTED.match(sentence)) and _names_nothing_before(sentence, ahead.start("word")):
        return "" if is_first and not is_headed and _points_ahead(sentence, ahead) else ahead["word"]
    if (opening := _OPENING.match(sentence)) and (word := _pointing(opening, places, is_first=is_first)):
        return word
    if fronted := _pointing_front(sentence, places, is_first=is_first):
        return fronted
    subject = _PRONOUN.search(sentence)
    if (
        subject
        and not _EMPTY_IT.match(sentence, subject.start())
        and not _has_clause(sentence, subject.start(), places)
    ):
        return subject[0]
    return _bare_object(sentence, places, is_first=is_first)


def is_pronoun(word: str) -> bool:
    """Whether a word that refers back stands for a name, and not for a verb or a whole sentence."""
    return bool(_ANY_PRONOUN.fullmatch(word)) or word.lower() in _DEMONSTRATIVE


def _pointing(opening: re.Match[str], places: list[int], *, is_first: bool) -> str:
    """The opening word if it refers back; not in "the former mayor", nor "this museum" in a first sentence."""
    word, sentence = opening["word"].lower(), opening.string
    has_verb = is_followed_by_verb(sentence, opening.end(), places)
    if word in _ORDINAL:
        return opening["word"] if has_verb else ""
    if opening["some"]:
        is_known = is_first and not _IS_OR_HAS.match(sentence, opening.end())  # "Some say that the tower leans."
        is_anybody = word == "one" and _MODAL.match(sentence, opening.end())
        return opening["word"] if has_verb and not (is_known or is_anybody) else ""
    if is_first and word in ("both", "neither") and not has_verb and sentence[opening.end() :][:1] == " ":
        return ""  # not a reference: "Both mills are red."
    is_hung = is_first and word in _DEMONSTRATIVE and not _VERB_AFTER.match(sentence, opening.end())
    return "" if is_hung else opening["word"]


def _pointing_front(sentence: str, places: list[int], *, is_first: bool) -> str:
    """The word before the subject that refers back: "In that case", "After this", "There, Petra"."""
    if like := _LIKE_THESE.search(sentence):
        return like["word"]
    place = _PLACE.match(sentence)
    if place and not is_followed_by_verb(sentence, place.end(), places):
        return place["word"]
    found = _FRONTED_THIS.match(sentence)
    if not found:
        return ""
    noun = (found["noun"] or "").lower()
    is_near = found["word"].lower() in ("this", "these")
    is_hung = is_first and is_near and noun and noun not in FUNCTION | _CIRCUMSTANCE
    return "" if is_hung else found["word"]


def _has_empty_it(sentence: str) -> bool:
    """Whether the only subject pronoun of `sentence` is an impersonal "it"."""
    is_only = len(_PRONOUN.findall(sentence)) == 1 and not _begins_otherwise(sentence)
    return is_only and bool(_EMPTY_IT.search(sentence))


def _object_after_empty_it(sentence: str) -> str:
    """The object after an impersonal "it" that refers back: "him" of "It is important to tell him"."""
    empty = _EMPTY_IT.search(sentence)
    found = _OBJECT.search(sentence, empty.end()) if empty else None
    if not empty or not found:
        return ""
    between = sentence[empty.end() : found.start()]
    return "" if _CLAUSE.search(between) or _names_something(between) else found[0]


def _names_something(text: str) -> bool:
    """Whether `text` contains a noun that a later pronoun may refer to; numbers do not count."""
    return any(any(character.isalpha() for character in span.text) for span in noun_phrases(text))


def _names_nothing_before(sentence: str, place: int) -> bool:
    """Whether a pronoun at `place` refers to something outside the words before it in its sentence."""
    spans = [span for span in noun_phrases(sentence) if span.end <= place]
    is_named = any(any(character.isalpha() for character in span.text) for span in spans)
    return not is_named and not _EMPTY_IT.match(sentence, place)


def _points_ahead(sentence: str, fronted: re.Match[str]) -> bool:
    """Whether the rest of `sentence` may hold the referent, equal in number, of a pronoun before the subject."""
    word, end = fronted["word"].lower(), fronted.end()
    comma = sentence.find(",", end)
    main = comma + 1 if comma >= 0 else end
    is_bare = fronted["between"].strip().lower() in ("", "of") and comma == end  # "Without it, the pump stops."
    if is_bare or _PRONOUN.match(sentence[main:].lstrip()):
        return False
    nouns = [span.text for span in noun_phrases(sentence) if span.start >= main]
    if comma < 0:
        nouns = nouns[1:]  # the possession: "his death"
    nouns += _DETERMINED.findall(sentence, main)
    if word in ("they", "them", "their"):
        return any(map(is_plural, nouns))
    if word in ("it", "its"):
        return not all(map(is_plural, nouns))
    return any(noun[:1].isupper() for noun in nouns)


def denies_what_follows(heading: str) -> bool:
    """Whether text under a heading or after a colon may be untrue by itself: "Don'ts", "Never do this:"."""
    return bool(_DENYING.search(heading))


def _asked_about(question: str) -> str:
    """The word of a question that needs an earlier sentence: "Where does she live?", "Why?", "Did Tom?"."""
    if bare := bare_question(question):
        return bare
    found = _ANY_PRONOUN.search(question)
    asked = _ASKED.match(question)
    begin = asked.end() if asked else 0  # the noun in "What colour is it?" is no referent
    named = [span for span in noun_phrases(question) if found and begin < span.end <= found.start()]
    return found[0] if found and not named and not _EMPTY_IT.match(question, found.start()) else ""


def opens_with_reference(sentence: str) -> bool:
    """Whether `sentence` begins with a word that refers back; a passage should not begin with it."""
    sentence = without_mentions(sentence)
    if _EMPTY_IT.match(sentence):
        return False
    if (ahead := _FRONTED.match(sentence)) and _names_nothing_before(sentence, ahead.start("word")):
        return True
    opening = _OPENING.match(sentence)
    return opening is not None and bool(_pointing(opening, verbs(sentence), is_first=False))


def _has_clause(sentence: str, end: int, places: list[int]) -> bool:
    """Whether the text before `end` is more than an adverbial: it has a verb, or a noun with a relative clause."""
    return any(place < end for place in places) or bool(_RELATIVE.search(sentence[:end]))


def _begins_otherwise(sentence: str) -> bool:
    opening = _OPENING.match(sentence)
    return opening is not None and opening["some"] is None and opening["word"].lower() != "it"


def _bare_object(sentence: str, places: list[int], *, is_first: bool) -> str:
    """An object such as "it" in the first clause of `sentence`; the clause's subject cannot be its referent."""
    found = _OBJECT.search(sentence)
    if not found or _EMPTY_IT.match(sentence, found.start()):
        return ""
    if is_first and found[0].lower() in ("this", "these") and found.end() < len(sentence.rstrip(" .!?")):
        return ""
    before = sentence[: found.start()]
    if found[0].lower() in _POSSESSIVE and _OWNER.search(before):
        return ""  # not a reference: "Rosa's place instead of ours"
    has_verb = any(place < found.start() for place in places) or bool(_SUBJECT.match(sentence))
    return found[0] if has_verb and not _CLAUSE.search(before) else ""


def full_names(sentences: Sequence[str]) -> dict[str, str]:
    """The names that "the <noun>" can only mean in a text, by that noun: {"ferry": "Lantern Ferry"}.

    The text must use the article, "the Lantern Ferry", which person names do not have. The noun is the last word of the
    name, or the one before "of". A noun that also occurs without "the" or in another name ("a ferry", "the old ferry",
    "the Star Ferry") is left out, because the text may mean several.
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
    """`sentence` with the full name in place of "the <noun>", unless it contains the name already."""
    for noun, name in names.items():
        if name not in sentence:
            sentence = re.sub(rf"\b([Tt]he) {noun}\b{_RESTRICTED}", rf"\1 {name}", sentence)
    return sentence
