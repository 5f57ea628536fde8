"""Sentences that leave a part to the sentence before them: "So does Tom.", "Mine is red.", "Not on Mondays.". English.

Without that sentence nobody knows what Tom does. What is left out is not filled in here, for that takes a reader. A
verb that the tagger does not find makes a sentence look like a fragment, so only short ones count as such. A sentence
whose verb is said only before it ("The hall seats 300. The chapel 40.") is not told from an item of a list.
"""

from __future__ import annotations

import re

from seal_agent.language.english.phrases import verbs
from seal_agent.language.english.words import content

START = (
    r"(?:[\"'“‘(\[]*"
    r"(?:(?:and|but|so|or|then|yet|because|however|also|still|no|yes|actually|sorry|well|oh)\b[,:]?\s+)*)"
)
"""What may stand before the first word that counts."""
FRONT = (
    r"(?:because|since|when|while|before|after|although|though|as|if|once|until|unless|whenever|despite|in|with|without"
    r"|by|for|during|at|on|from|to|of|like|unlike|through|under)"
)
"""What may stand before the subject: a preposition or what begins a clause."""
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
"""Words of a fragment that carry content; "In winter bees sting." has a verb that the tagger did not find."""


def is_verbless(sentence: str) -> bool:
    """Whether `sentence` has no verb: it names something, and what is said of it stands elsewhere."""
    return not verbs(sentence) and not _SPOKEN.search(sentence)


def says_question(sentence: str) -> bool:
    """Whether `sentence` asks with a verb, so that a name alone may answer it; "Any questions?" does not."""
    return sentence.endswith("?") and not is_verbless(sentence)


def can_answer(sentence: str) -> bool:
    """Whether `sentence` may be nothing but the answer to a question before it: no verb, no field, no question."""
    sentence = _ANSWER.sub("", sentence)
    return ":" not in sentence and not sentence.endswith("?") and is_verbless(sentence)


def left_to_before(sentence: str, places: list[int]) -> str:
    """What shows that a part of `sentence` is left to the one before it: "So does", "does not", "Mine", "Except"."""
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
    """What of `question` asks for a part of the sentence before it: "Why", "And" of "And Tom?", "Did" of "Did Tom?"."""
    found = _BARE_QUESTION.match(question)
    return str(found["word"] or found["also"] or found["does"]) if found else ""


def is_followed_by_verb(sentence: str, end: int, places: list[int]) -> bool:
    """Whether the next word after `end` is one of the verbs at `places`, adverbs aside."""
    after = _ADVERBS.match(sentence, end)
    return after is not None and after.end() in places
