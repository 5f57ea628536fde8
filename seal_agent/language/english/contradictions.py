"""Finds phrases of a new text that may replace the answer of a learned fact, without a model. English.

A fact is a sentence and one phrase of it. The words before its verb are its subject; a sentence about another subject
does not contradict it. The new text must repeat the relation ("works in Leoben" does not contradict "lives in Graz"),
unless it says that something changed ("moved to Linz", "is now in Linz").
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from seal_agent.core.edits import Probe
from seal_agent.language.english.coreference import refers_back
from seal_agent.language.english.phrases import noun_phrases, shape, verbs, with_article
from seal_agent.language.english.questions import echo_question, question_word
from seal_agent.language.english.words import content
from seal_agent.language.sentences import split_sentences
from seal_agent.language.source import Source
from seal_agent.language.values import CandidateAnswer, Span, WatchedFact
from seal_agent.language.words import WORD

MIN_OVERLAP = 2 / 3  # of the words of a freely worded question, and of a subject that is said to have changed
MAX_MESSAGE_WORDS = 60
MIN_LEAD = 1.0  # nats by which the new answer must be likelier than an old one that the new text does not mention
_CHANGE = re.compile(
    r"\b(?:moved?|changed?|switched|shifted|postponed|rescheduled|pushed|brought|renamed?|became|becomes?|turn(?:s|ed)"
    r"|went|goes|gone|rose|risen|fell|dropped|increased|decreased|raised|lowered|updated|upgraded|downgraded|replaced"
    r"|corrected|swapped|repainted|rebuilt|started|extended|shortened|cut)\b",
    re.IGNORECASE,
)
_NOW = re.compile(
    r"\b(?:now|instead|these days|from now on|any ?more)\b|\b(?:is|are|am|was|were|['’]s)\b[^,;.]*\bnot\b",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"(?:\b(?:not|no longer|instead of|rather than|used to|replaces|replaced|dropped|ditched|sold|quit|left|stopped)\b"
    r"|n['’]t\b)(?:(?!\b(?:but|and)\b)[^,;.])*$|\bfrom\s+(?:(?:the|a)\s+)?$",
    re.IGNORECASE,
)  # before a phrase
_OVER = re.compile(
    r"\s+(?:has |have |had |was |were |is |are |got |been )*"
    r"(?:left|quit|retired|resigned|renamed|replaced|gone|closed|cancelled|canceled|sold|died|stopped|dropped)\b",
    re.IGNORECASE,
)  # after a phrase
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nobody|nothing|neither|nor|without|any ?more|stopped|quit)\b|n['’]t\b", re.IGNORECASE
)
_SPEAKER = re.compile(r"(?:I|we|you)\b", re.IGNORECASE)
_OPENING = ("no", "sorry", "actually", "correction", "wait", "oops", "mean", "rather", "wrong")
_OPENS = re.compile(rf"\W*(?:(?:i |i was |{'|'.join(_OPENING)})\b\W*)+", re.IGNORECASE)
_PRONOUN = re.compile(rf"(?:{_OPENS.pattern})?(?:it|that|they|he|she|this)\b", re.IGNORECASE)
_OTHER = frozenset("other another second third back return previous former next".split())
_UNSURE = re.compile(r"\b(?:if|would|might|could|maybe|perhaps|whether|too|also|as well)\b", re.IGNORECASE)
_PAST = re.compile(r"\b(?:ago|used to|previously|formerly|originally|back then|before that|at first)\b", re.IGNORECASE)
_OWNED = re.compile(r"\b([\w-]+)['’]s\s+(\w+)")
_EXISTS = re.compile(r"there (?:is|are|was|were)\b", re.IGNORECASE)
_ECHO = re.compile(r"\w (?:what|how much|how many)\b", re.IGNORECASE)
_IS_OR_HAS = re.compile(
    r"(?:\b(?:is|are|am|was|were|be|been|as|has|have|had)|['’](?:s|m|re|ve))\s+(?:\S+\s+){0,2}$", re.IGNORECASE
)
_ONE = r"\s*(?:is|are|am|was|were)\s+(?:the|my|our|your|his|her|its|their)\b"
_ONLY = re.compile(_ONE, re.IGNORECASE)
_ASKS_WHO = re.compile(rf"(?:what|who)\b(?!{_ONE}|\s+(?:do|does|did|can|will|should|has|have)\b)", re.IGNORECASE)
_NAMED = re.compile(
    r"\b(?:my|our|your|his|her|their|the)\s+[a-z][\w'’-]*\s+((?:[A-Z][\w'’-]*(?:\s+|$))+)$", re.IGNORECASE
)
_DAYS = frozenset("monday tuesday wednesday thursday friday saturday sunday".split())


def watched_facts(probe: Probe) -> list[WatchedFact]:
    """The facts of a probe: the probe itself if its answer is short, else a question for each phrase of the sentence.

    Empty for a sentence that refers back, because its subject is outside it.
    """
    asked, answer = probe.prompt.asked, probe.answer
    if answer.endswith("."):
        sentence = split_sentences(answer)[-1]  # earlier sentences have facts of their own
        return [] if refers_back(sentence) else [_fact(sentence, span) for span in noun_phrases(sentence)]
    share = 1.0 if _ECHO.search(asked) else MIN_OVERLAP
    is_only = not _ASKS_WHO.match(asked)
    return [WatchedFact(asked, answer, answer, _words(asked), min_share=share, is_only=is_only)]


def candidate_answers(fact: WatchedFact, source: Source) -> Iterator[CandidateAnswer]:
    """The phrases of `source` that may be the new answer to the question of `fact`."""
    old = fact.answer.lower()
    for sentence in split_sentences(source.passage):
        if _UNSURE.search(sentence) or (_PAST.search(sentence) and not _NOW.search(sentence)):
            continue  # uncertain, additional or past
        phrases = noun_phrases(sentence)
        told = [span for span in phrases if not _is_over(sentence, span)]
        is_over = any(_is_same(fact.answer, span.text) for span in phrases if span not in told)
        if not (_speaks_of(sentence, fact, source) if is_over else _is_about(sentence, fact, source)):
            continue
        is_told = any(old in span.text.lower() for span in told)
        if is_told and not _says_change(sentence):
            continue
        leans = _leans(sentence, source)
        min_lead = -math.inf if is_over or leans else 0.0 if is_told else MIN_LEAD
        for span in told:
            new = span.text.lower()
            says_nothing_new = old in new or new in old or _words(new) <= _words(fact.question) | {*_OPENING}
            is_placed = is_over or is_told or leans or _is_placed(sentence, span, fact)
            if not says_nothing_new and is_placed and _kind(span.text) == _kind(fact.answer):
                yield CandidateAnswer(span.text, with_article(sentence, span), min_lead)


def denies(sentence: str, earlier: str) -> bool:
    """Whether `sentence` states the opposite of `earlier` about the same subject, with a negation in one of them.

    "I am not a vegetarian any more." denies "You are a vegetarian.". Opposites without a negation ("love", "hate")
    are not found.
    """
    said, known = _words(sentence), _words(earlier)
    if bool(_NEGATION.search(sentence)) == bool(_NEGATION.search(earlier)) or _UNSURE.search(sentence):
        return False
    if not known or len(said & known) < MIN_OVERLAP * len(known):
        return False
    subject, known_subject = _words_before_verb(sentence), _words_before_verb(earlier)
    return bool(subject & known_subject) or not (subject or known_subject)


def _words_before_verb(sentence: str) -> frozenset[str]:
    if _SPEAKER.match(sentence):
        return frozenset()
    verb = min(verbs(sentence), default=None)
    return _subject(sentence[:verb]) if verb is not None else _words(sentence)


def _fact(sentence: str, span: Span) -> WatchedFact:
    verb = min((place for place in verbs(sentence) if place < span.start), default=None)
    asked, said = _cut(echo_question(sentence, span)), with_article(sentence, span)
    subject = _subject(sentence[:verb]) if verb is not None else frozenset[str]()
    relation = _words(sentence[verb : span.start]) - subject if verb is not None else frozenset[str]()
    if subject or relation:
        return WatchedFact(asked, span.text, said, subject, relation)
    before, rest = sentence[: span.start], sentence[span.end :]  # who has brass bells, or who is the gardener?
    is_only = bool((_ONLY.match(rest) and not content(before)) or _EXISTS.match(sentence))
    return WatchedFact(asked, span.text, said, subject, _words(f"{before} {rest}"), is_only=is_only)


def _subject(text: str) -> frozenset[str]:
    """The words of a sentence's subject, from the `text` before its verb; a name alone suffices."""
    name = _NAMED.search(text.strip())
    return _words(name[1]) if name and name[1][0].isupper() else _words(text)


def _words(text: str) -> frozenset[str]:
    return frozenset(re.sub(r"['’]s$", "", word) for word in content(text)) - {"one"}  # "one of" names nothing


def _is_over(sentence: str, span: Span) -> bool:
    """Whether the sentence says that a phrase is no longer true: "not in Graz", "Marta left"."""
    return bool(_DENIED.search(sentence[: span.start]) or _OVER.match(sentence[span.end :]))


def _is_same(old: str, new: str) -> bool:
    """Whether two phrases name the same thing, possibly one of them shortened: "Marta" for Marta Duarte."""
    shared = _words(old) & _words(new)
    return old.lower() == new.lower() or (2 * len(shared) >= len(_words(old)) > 0 and shape(old) == shape(new))


def _speaks_of(sentence: str, fact: WatchedFact, source: Source) -> bool:
    """Whether a sentence saying that the answer is no longer true is about the fact.

    In a short message a name is enough to tell; in a document, or with a common word, the sentence may mean other
    things.
    """
    wanted = fact.subject | fact.relation
    is_message = len(source.passage.split()) <= MAX_MESSAGE_WORDS
    return (is_message and _kind(fact.answer) != "words") or (
        len(wanted & _words(sentence)) >= MIN_OVERLAP * max(len(wanted), 1)
    )


def _cut(question: str) -> str:
    """An echo question up to its question word: the words after it need not occur in the new sentence."""
    head, word, _ = question.partition(" what ")
    return f"{head} what?" if word and content(head) else question


def _is_about(sentence: str, fact: WatchedFact, source: Source) -> bool:
    """Whether the sentence states the fact's relation for the fact's subject, or says that the subject changed."""
    leans = _leans(sentence, source)
    said = _words(f"{sentence} {source.topic} {source.earlier}" if leans else sentence)
    opens = bool(_OPENS.match(sentence))
    changes = _says_change(sentence) or opens or (leans and _is_bare(sentence))
    wanted = fact.subject | fact.relation
    if not wanted or not (fact.is_only or changes) or _is_of_another(sentence, wanted):
        return False
    if fact.min_share < 1:
        parts = (wanted, wanted - content(source.topic))  # a statement about the topic, not just the topic
        return all(len(part & said) >= fact.min_share * len(part) for part in parts)
    is_excused = changes and (_CHANGE.search(sentence) or leans or not _does_otherwise(sentence, fact))
    if not fact.relation <= said and not (fact.subject and is_excused):
        return False
    share = MIN_OVERLAP if _CHANGE.search(sentence) and _kind(fact.answer) not in ("words", "name") else 1.0
    return len(fact.subject & said) >= share * len(fact.subject)


def _is_placed(sentence: str, span: Span, fact: WatchedFact) -> bool:
    """Whether a phrase is in the answer's position; names and numbers may be anywhere, other words are too ambiguous.

    "Hot steam increased the power of the engine." says nothing about what the engine is.
    """
    before, after = sentence[: span.start], sentence[span.end :]
    if (fact.subject | fact.relation) & _words(span.text) - _words(f"{before} {after}"):
        return False  # it is the subject, or a part of it
    if _kind(fact.answer) != "words" or _NOW.search(sentence) or _OPENS.match(sentence) or _CHANGE.search(before):
        return True
    return fact.relation <= _words(sentence) if fact.relation else bool(_IS_OR_HAS.search(before))


def _does_otherwise(sentence: str, fact: WatchedFact) -> bool:
    """Whether the sentence has a verb other than the fact's: "works there now" leaves "lives" true."""
    return any(content(word) - fact.relation for place in verbs(sentence) if (word := sentence[place:].split()[0]))


def _is_of_another(sentence: str, wanted: frozenset[str]) -> bool:
    """Whether the subject belongs to another ("Violetta's manager") or is another one ("the flight back")."""
    owned = [({name.lower()} <= wanted, {thing.lower()} <= wanted) for name, thing in _OWNED.findall(sentence)]
    return any(name != thing for name, thing in owned) or bool(
        _OTHER & {word.lower() for word in WORD.findall(sentence)} - wanted
    )


def _says_change(sentence: str) -> bool:
    return bool(_CHANGE.search(sentence) or _NOW.search(sentence))


def _leans(sentence: str, source: Source) -> bool:
    """Whether the sentence has no meaning without the text before it: "No, Friday.", "It is on Friday."."""
    return bool(source.earlier) and (_is_bare(sentence) or bool(_PRONOUN.match(sentence)))


def _is_bare(sentence: str) -> bool:
    """Whether the sentence is just an answer."""
    phrases = content(" ".join(span.text for span in noun_phrases(sentence)))
    return content(sentence) - {*_OPENING} <= phrases and not verbs(sentence)


def _kind(phrase: str) -> str:
    """The kind of a phrase: time, date, amount, number, weekday, name, or other; one kind answers one question."""
    if phrase.lower().removesuffix("s") in _DAYS:
        return "day"
    asking = question_word(phrase)
    return shape(phrase) if asking == "what" else " ".join(asking.split()[:2])
