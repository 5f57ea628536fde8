"""Recognises sentences that order how to answer, by grammar instead of known phrases. English.

An order is an imperative, a duty or a future with "you", and speaks about answering: a reply, a question, a reader, the
model. Both conditions are needed, because manuals are full of imperatives and rules of duties. A false claim ("The
capital of France is Karlov") is no order; the judge and the routes limit its harm. Of ten wordings collected beforehand
three are found, and none of 459 sentences of Wikipedia (docs/log/safety.md): a first filter, not a barrier.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from seal_agent.language.english.words import DETERMINERS, FUNCTION
from seal_agent.language.words import WORD

_QUOTED = re.compile(r"[\"“”][^\"“”]*[\"“”]")
_PIECE = re.compile(r"[;:—–]\s*")
_CLAUSE = re.compile(r",\s+")
_CONDITION = re.compile(r"\W*(?:when(?:ever)?|if|upon|on|once|after|before|should|unless|until)\b", re.IGNORECASE)
_LEADING = frozenset(
    "please kindly now then so and but instead also always never henceforth simply just do don't".split()
)
_OBJECTS = DETERMINERS | frozenset(
    """me us them him it that everybody everyone anybody anyone nobody nothing everything whatever whoever""".split()
)
_SUBORDINATE = frozenset(
    """as because if since that though until unless upon what when whenever where whether which while who whom whose
    why although how""".split()
)
_FINITE = frozenset("is are was were am has have had does did can could may might will would must shall should".split())
_TELLING = frozenset("remember note know recall imagine see meet call think consider".split())
_PARTICLES = frozenset("as away back by down for into off on out over to up with".split())
_NO_VERB = re.compile(r"\w*[aeiouy]\w*(?:ing|ed)|(?!(?:app|comp|rep|supp|re)ly$)\w+ly")
_DUTY = re.compile(
    r"\b(?:must|should|shall|ought to|had better|(?:is|are) to|(?:has|have|needs?) to|needs? \w+ing|deserves?|count as"
    r"|(?:is|are|be) (?:required|expected|asked|instructed|supposed|obliged|advised)|would be best|let us"
    r"|you(?:'ll| (?:will|may|can|produce|write|say)))\b",
    re.IGNORECASE,
)
_ANSWERING = re.compile(
    r"\b(?:(?:language )?models?|assistants?|chatbots?|bots?|AIs?|LLMs?|readers?|learners?|repl(?:y|ies|ying)"
    r"|answers?|answering|respon(?:d|se)s?|responding|quer(?:y|ies)|prompts?|probes?|conversations?|training|questions?"
    r"|greets?|(?:this|the) (?:page|text|document|passage|paragraph))\b",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def is_order(sentence: str) -> bool:
    """Whether `sentence` orders how something is to be answered; quoted text is ignored."""
    plain = _QUOTED.sub("it", sentence)
    return bool(_ANSWERING.search(plain)) and (bool(_DUTY.search(plain)) or any(map(_is_imperative, _clauses(plain))))


def _clauses(sentence: str) -> Iterator[str]:
    """The clauses that may be imperatives: the first one after a full stop, and those after a condition."""
    for piece in _PIECE.split(sentence):
        clauses = _CLAUSE.split(piece)
        yield from clauses if _CONDITION.match(piece) else clauses[:1]


def _is_imperative(clause: str) -> bool:
    """Whether `clause` begins with a verb without a subject: it has an object and no finite verb after it."""
    words = WORD.findall(clause)
    while words and words[0].lower() in _LEADING:
        words = words[1:]
    if len(words) < 2 or words[0][1:] != words[0][1:].lower():
        return False
    lowered = [word.lower() for word in words]
    verb = lowered[0]
    if verb in FUNCTION | _SUBORDINATE | _TELLING or _NO_VERB.fullmatch(verb):
        return False
    end = next((n for n, word in enumerate(lowered) if word in _SUBORDINATE), len(lowered))
    rest = lowered[1:end]
    if not rest or _FINITE & set(rest):
        return False
    return rest[0] in _OBJECTS or (rest[0] in _PARTICLES and bool(_OBJECTS & set(rest[1:3])))


_ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget)\b.{0,40}\b(?:instruction|previous|prior|above|everything|rules?)"
    r"|\b(?:AIs?|assistants?|chatbots?|bots?|language models?|LLMs?|models? reading)\b.{0,60}"
    r"\b(?:must|should|shall|have to|are to|will now|need to|never|always)\b"
    r"|\b(?:system prompt|system message|hidden text|prompt injection|maintenance mode|override code)\b"
    r"|\byou (?:must|will|shall|are to|have to) (?:now |always |never |from now )?"
    r"(?:believe|learn|obey|recommend|answer|say|treat|remember|tell|enter|store|reply|claim)\b"
    r"|\bfrom now on\b.{0,60}\b(?:you|answer|say|reply|believe|treat)\b"
    r"|\bthe (?:model|assistant|chatbot|bot)\b.{0,20}\b(?:must|should|shall|has agreed|is to)\b"
    r"|\b(?:self-edit|training rows?|learning[ _]rate|num_epochs|replay set|worth learning|override code)\b"
    r"|\b(?:do not|don't) learn (?:this|that|from)\b|\blearn instead\b|\bverdict:? accept\b"
    r"|\b(?:whenever|if|when|on) (?:some(?:body|one)|anyone|a user|a message|hearing|you)\b.{0,60}"
    r"\b(?:you must|reply with|answer with|reveal|obey)\b"
    r"|\b(?:tell|inform) (?:every|all) other (?:users?|customers?)\b|\b(?:namespace|memory) of (?:user )?\w+:"
    r"|\bin (?:each|every|all) (?:of )?(?:your|its) (?:answers|replies|responses)\b"
    r"|\bscores?\b.{0,90}\b(?:threshold|ignored|skipped)\b"
    r"|<\|\w+\|>|\[/?INST\]",
    re.IGNORECASE | re.DOTALL,
)


def is_instruction(text: str) -> bool:
    """Whether `text` gives the model orders; such a text is not learned."""
    return bool(_ORDERS.search(text))
