"""Elliptical sentences that need the sentence before them: "So does Tom.", "Mine is red.", "Not on Mondays.". English.

The missing part is not filled in here, because that takes understanding. If the tagger misses a verb a sentence looks
like a fragment, so only short ones count. A sentence whose verb is only in the one before ("The hall seats 300. The
chapel 40.") cannot be told from an item of a list.
"""

from __future__ import annotations

import re

from seal_agent.language.english.phrases import verbs
from seal_agent.language.english.words import content

START = (
    r"(?:[\"'“‘(\[]*"
    r"(?:(?:and|but|so|or|then|yet|because|however|also|still|no|yes|actually|sorry|well|oh)\b[,:]?\s+)*)"
)
"""Words that may precede the first significant word."""
FRONT = (
    r"(?:because|since|when|while|before|after|although|though|as|if|once|until|unless|whenever|despite|in|with|without"
    r"|by|for|during|at|on|from|to|of|like|unlike|through|under)"
)
"""Words that may precede the subject: prepositions and conjunctions."""
_ADVERBS = re.compile(r"(?:\s+(?:also|still|now|only|not|never|both|all))*\s+", re.IGNORECASE)
_AUXILIARY = (
    r"(?:am|is|are|was|were|do|does|did|has|have|had|can|could|will|would|shall|should|may|might|must)(?:n['’]t)?"
    r"|can['’]t|cannot|won['’]t"
)
_SO_DOES = re.compile(
    rf"(?:(?:and|but)\s+)?(?P<word>(?:so|neither|nor)\s+(?:{_AUXILIARY}))\b(?!\s+not\b)", re.IGNORECASE
)
_BARE_AUXILIARY = re.compile(
    rf"(?<!\bto )\b(?P<word>(?:{_AUXILIARY})(?:\s+not)?(?:\s+(?:too|either|also|now|as well))?)\W*$", re.IGNORECASE
)
_OWNED_BY = re.compile(rf"{START}(?P<word>mine|yours|ours|hers|theirs)\b", re.IGNORECASE)
_FRAGMENT = re.compile(
    rf"{START}(?P<word>(?:(?:not|only|never|even|especially|also|except|but)\s+)*{FRONT}|except|plus|including)\b",
    re.IGNORECASE,
)
_ADDED = re.compile(r"\b(?P<word>too|as well|either|neither)\W*$", re.IGNORECASE)
_SPOKEN = re.compile(r"\b(?:I|we|you|he|she|they)\s+[a-z]")
_BARE_QUESTION = re.compile(
    r"(?P<word>(?:(?:and|but)\s+)?(?:why|how|when|where|who|what)(?:\s+(?:not|so|else|exactly|then))?)\W*$"
    r"|(?P<also>and|but|what about|how about)\s+[\w'’-]+(?:\s+[\w'’-]+){0,3}\W*$"
    rf"|(?P<does>{_AUXILIARY})\s+(?:(?:the|a|an|my|your|our)\s+)?[\w'’-]+\W*$",
    re.IGNORECASE,
)
_ANSWER = re.compile(r"A(?:nswer)?\s*[:.]\s+")
MAX_FRAGMENT_WORDS = 2
"""Content words of a fragment; in "In winter bees sting." the tagger misses the verb."""


def is_verbless(sentence: str) -> bool:
    """Whether `sentence` has no verb: it names something and states nothing."""
    return not verbs(sentence) and not _SPOKEN.search(sentence)


def says_question(sentence: str) -> bool:
    """Whether `sentence` asks with a verb, so that a name may answer it; "Any questions?" does not."""
    return sentence.endswith("?") and not is_verbless(sentence)


def can_answer(sentence: str) -> bool:
    """Whether `sentence` may be just the answer to a question before it: no verb, no field, no question."""
    sentence = _ANSWER.sub("", sentence)
    return ":" not in sentence and not sentence.endswith("?") and is_verbless(sentence)


def left_to_before(sentence: str, places: list[int]) -> str:
    """The words that show an ellipsis in `sentence`: "So does", "does not", "Mine", "Except"; "" if there are none."""
    if found := _SO_DOES.match(sentence):
        return found["word"]
    found = _BARE_AUXILIARY.search(sentence)
    if found and found["word"][0].islower() and not any(place < found.start() for place in places):
        return found["word"]
    if (found := _OWNED_BY.match(sentence)) and is_followed_by_verb(sentence, found.end(), places):
        return found["word"]
    is_fragment = ":" not in sentence and len(content(sentence)) <= MAX_FRAGMENT_WORDS and is_verbless(sentence)
    if is_fragment and (found := _FRAGMENT.match(sentence) or _ADDED.search(sentence)):
        return found["word"]
    return ""


def bare_question(question: str) -> str:
    """The elliptical beginning of a question: "Why", "And" of "And Tom?", "Did" of "Did Tom?"; "" if it has none."""
    found = _BARE_QUESTION.match(question)
    return str(found["word"] or found["also"] or found["does"]) if found else ""


def is_followed_by_verb(sentence: str, end: int, places: list[int]) -> bool:
    """Whether the next word after `end`, adverbs aside, is one of the verbs at `places`."""
    after = _ADVERBS.match(sentence, end)
    return after is not None and after.end() in places
