"""Routing: a routed adapter is active only for messages about the text it learned.

An adapter's key is the topic and the text it was trained on, one per line. The words of a message are evidence for each
key, in nats: a word in the key counts by how unlikely it is in a text of that length, a word not in the key counts
against it. This is the binary independence model (Robertson and Spärck Jones 1976) with a chance level by text length:
one rare word in a long text proves less than a common word in a text of ten words. The base model confirms the best
keys (`relevance`); this module does not call the model itself. An exact match with a generated question about the user
skips both steps. Routed adapters: MEGa, arXiv 2504.21239.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seal_agent.core.messages import Prompt
from seal_agent.core.numbers import check_number, check_whole
from seal_agent.core.stacks import AdapterStack
from seal_agent.language.base import for_text
from seal_agent.language.sentences import split_sentences
from seal_agent.serving.relevance import About, Scorer, relevance
from seal_agent.serving.terms import WORD, frequency, terms

FOUND = 0.65  # share of a question's words that occur in the text it is about
MISSING_COUNTS = 0.5  # weight of the evidence of a missing word: people use words of their own
MARGIN, MOST_CALLED = 5.0, 3  # nats behind the best key, and number of keys, that the model is asked about
MIN_EVIDENCE_OF_LATER = 7.0  # nats by which a later text must share words with a recalled one
TRAINED = "\x1f"  # the unit separator stands before each trained question of a key
SHORT, OPENING = 60, 8  # words: of a key that is shown whole; of the opening shown for a longer key
MOST = 9.0  # nats that one word can count: it may be there by accident
MIN_ASKED = 3  # words of a question, "I" included, from which one may be missing: not "What am I?"
MOST_TOLD = 120  # words of a key made of messages; in a longer text "I" may be the author of a quoted letter
MOST_RECALLED, MIN_EVIDENCE_OF_TEXT = 6, -3.0  # keys whose text may be recalled, for the model to confirm
IN_VIEW = 0.6  # share of a key's text that must stand in the conversation for the model to read it there
MAX_ROUTERS = 4  # cached for a namespace
Judge = Callable[[str], bool | None]
"""Whether a message asks for something personal, by the model; None if it cannot tell."""


@dataclass(frozen=True)
class RouteLimits:
    """The evidence that activates an adapter, and how many may be active at once.

    `min_evidence`: least evidence of a message's words for a key, in nats. `min_relevance`: least number of nats by
    which the key must make the message likelier to the base model; with 0 the model is not asked, and everyday
    questions activate more adapters by accident. Users ask about themselves in other words than they told it ("Which
    food should I avoid?"). For short personal messages half of `min_relevance` is enough, and the sum of both must
    reach `min_personal`, or `min_of_others` if the question asks for nothing personal ("When was Napoleon born?"
    against the user's birthday). Of the keys that pass, the best `max_active` are active. A text is recalled into the
    prompt if its relevance reaches `min_relevance` and the sum of both `min_personal`; at most `max_recalled` are.
    """

    min_evidence: float = 4.0
    min_relevance: float = 4.0
    min_personal: float = 10.0
    min_of_others: float = 20.0
    max_active: int = 1
    max_recalled: int = 5

    def __post_init__(self) -> None:
        for name in ("min_evidence", "min_relevance", "min_personal", "min_of_others"):
            check_number(name, getattr(self, name), 0)
        check_whole("max_active", self.max_active, 1)
        check_whole("max_recalled", self.max_recalled, 1)


@dataclass(frozen=True)
class Match:
    """What a prompt calls for, best first: adapters to activate, and adapters whose texts are recalled."""

    active: tuple[str, ...] = ()
    recalled: tuple[str, ...] = ()


class Router:
    """The keys of routed adapters; a look-up costs microseconds per key and word."""

    def __init__(self, keys: Mapping[str, str], limits: RouteLimits | None = None) -> None:
        self.limits = limits or RouteLimits()
        parts = {adapter: key.split(TRAINED) for adapter, key in keys.items()}
        keys = {adapter: text for adapter, (text, *_) in parts.items()}
        self._trained = {_words(question): i for i, (_, *questions) in parts.items() for question in questions}
        self._keys = keys
        self._ids = list(keys)
        self._asked = {_asked(question): i for i, key in keys.items() for question in _questions(key)}
        self._personal = frozenset(i for i, key in keys.items() if len(key.split()) <= SHORT and _speaks_of_writer(key))
        counted = [terms(text) for text in keys.values()]
        self._lengths = np.array([words.total() for words in counted], dtype=np.float64)
        found: defaultdict[str, list[int]] = defaultdict(list)
        for number, words in enumerate(counted):
            for word in words:
                found[word].append(number)
        self._found = {word: np.array(numbers) for word, numbers in found.items()}

    def scores(self, text: str) -> list[tuple[str, float]]:
        """All adapters with the evidence, in nats, that `text` is about their key, best first."""
        evidence = np.zeros(len(self._ids))
        for word in terms(text):
            by_chance = self._lengths * frequency(word)  # expected occurrences of the word in each key
            missing = MISSING_COUNTS * np.minimum(math.log(1 - FOUND) + by_chance, 0.0)
            evidence += missing
            if (keys := self._found.get(word)) is not None:
                evidence[keys] += _proof(by_chance[keys]) - missing[keys]
        order = np.argsort(-evidence, kind="stable")
        return [(self._ids[i], float(evidence[i])) for i in order]

    def _near(self, ranked: Sequence[tuple[str, float]], *, least_of_personal: float) -> list[tuple[str, float]]:
        """Of all keys with their evidence, best first, those that may be called for."""
        scores = ranked[: max(MOST_CALLED, self.limits.max_active)]
        return [
            (adapter, evidence)
            for adapter, evidence in scores
            if evidence >= scores[0][1] - MARGIN
            and evidence >= (least_of_personal if adapter in self._personal else self.limits.min_evidence)
        ]

    def excerpt(self, adapter: str, text: str) -> str:
        """The part of an adapter's key that `text` may be about: opening and nearest sentence, or all of a short key.

        Words of the topic, which stands before the first sentence, do not count for the nearest sentence.
        """
        topic, has_text, _ = self._keys[adapter].partition("\n")
        key = self._keys[adapter].replace("\n", " ")
        words = set(terms(text)) - set(terms(topic) if has_text else ())
        if len(key.split()) <= SHORT:
            return key
        sentences = split_sentences(key)
        proofs = [sum(-math.log(frequency(w)) for w in words & set(terms(s))) for s in sentences]
        best = int(np.argmax(proofs))
        return sentences[0] if not best else f"{' '.join(key.split()[:OPENING])} ... {sentences[best]}"

    def match(self, prompts: Sequence[Prompt], score: Scorer | None = None) -> list[tuple[str, ...]]:
        """The adapters to activate for each prompt (`matches`)."""
        return [match.active for match in self.matches(prompts, score)]

    def matches(
        self,
        prompts: Sequence[Prompt],
        score: Scorer | None = None,
        *,
        recalls_text: bool = False,
        judge: Judge | None = None,
    ) -> list[Match]:
        """What each prompt calls for, by its last message, else by that message as a follow-up of those before it.

        A key whose text stands in the prompt already is left out: the model reads it there. `score` is the base
        model's; without it words alone decide. With `recalls_text` more keys are put to the model. `judge` tells
        whether a message asks for something personal.
        """
        queries = [_queries(prompt) for prompt in prompts]
        asks = _Asked(score if self.limits.min_relevance else None, judge, recalls_text=recalls_text)
        matched = [Match()] * len(prompts)
        for place in range(max(map(len, queries), default=0)):
            unmatched = [n for n, asked in enumerate(queries) if matched[n] == Match() and place < len(asked)]
            chosen = self._chosen([queries[n][place] for n in unmatched], asks)
            for n, match in zip(unmatched, chosen, strict=True):
                matched[n] = match
        return matched

    def _chosen(self, queries: Sequence[Query], asks: _Asked) -> list[Match]:
        """For each query, the best candidates that the model confirms."""
        told = [self._told_out_of_view(query) for query in queries]
        candidates = [
            [] if known and not asks.recalls_text else self._candidates(query, asks)
            for query, known in zip(queries, told, strict=True)
        ]
        pairs = [
            About(query.text, self.excerpt(adapter, query.wide), query.earlier)
            for query, found in zip(queries, candidates, strict=True)
            for adapter, *_ in found
        ]
        nats = iter(relevance(asks.score, pairs)) if asks.score else None
        return [
            self._match(query, known, [(*candidate, next(nats) if nats else None) for candidate in found], asks)
            for query, known, found in zip(queries, told, candidates, strict=True)
        ]

    def _candidates(self, query: Query, asks: _Asked) -> list[tuple[str, float, bool]]:
        """The keys that a query may be about and that do not stand in its conversation.

        Each with its evidence, and whether its adapter may be activated; the others' texts may be recalled only.
        """
        if not terms(query.wide):
            return []
        ranked = self.scores(query.wide)
        near = self._near(ranked, least_of_personal=self._least_of_personal(query, ranked, asks))
        found = near
        if asks.recalls_text and asks.score:
            found = [(i, e) for i, e in ranked[:MOST_RECALLED] if e >= MIN_EVIDENCE_OF_TEXT]
        activatable = {adapter for adapter, _ in near}
        return [(i, e, i in activatable) for i, e in found if not self._is_in_view(i, query.view)]

    def _least_of_personal(self, query: Query, ranked: Sequence[tuple[str, float]], asks: _Asked) -> float:
        """The evidence from which the key of a personal message may be called for by a query."""
        if asks.score is None:
            return self.limits.min_evidence
        is_open = any(i in self._personal and MIN_EVIDENCE_OF_TEXT <= e < 0 for i, e in ranked[:MOST_CALLED])
        return MIN_EVIDENCE_OF_TEXT if is_open and asks.judged_personal(query) else 0.0

    def _match(
        self, query: Query, told: str, rated: Sequence[tuple[str, float, bool, float | None]], asks: _Asked
    ) -> Match:
        """Of the rated candidates (as `_candidates`, with relevance in nats), those to activate and those to recall."""
        passing = [
            (e + (r or 0.0) / 2, adapter)
            for adapter, e, may_activate, r in rated
            if may_activate and (r is None or self._confirms(query, adapter, e, r, asks))
        ]
        active = tuple(adapter for _, adapter in sorted(passing, key=lambda each: -each[0]))
        limits = self.limits
        confirmed = [(r, e, adapter) for adapter, e, _, r in rated if r is not None and r >= limits.min_relevance]
        relevant = sorted(((r, adapter) for r, e, adapter in confirmed if e + r >= limits.min_personal), reverse=True)
        recalled = [i for _, i in relevant] if relevant else list(active)
        if told:
            active, recalled = (told,), [told, *(i for i in recalled if i != told)]
        recalled = list(dict.fromkeys([*recalled, *filter(None, map(self._later, recalled))]))
        return Match(active[: self.limits.max_active], tuple(recalled[: self.limits.max_recalled]))

    def _later(self, adapter: str) -> str:
        """The short key added after that of `adapter` that shares the most telling words with it; it may correct it."""
        text, place = self._keys[adapter], self._ids.index(adapter)
        if len(text.split()) > SHORT:
            return ""
        later = {i for i in self._ids[place + 1 :] if len(self._keys[i].split()) <= SHORT}
        near, evidence = next(((i, e) for i, e in self.scores(text) if i in later), ("", 0.0))
        return near if evidence >= MIN_EVIDENCE_OF_LATER else ""

    def _told_out_of_view(self, query: Query) -> str:
        told = self._told(query.text)
        return "" if told and self._is_in_view(told, query.view) else told

    def _is_in_view(self, adapter: str, view: str) -> bool:
        """Whether most of the text of a key stands in `view`, a conversation without its last message."""
        if not view:
            return False
        topic, has_text, text = self._keys[adapter].partition("\n")
        lines = [_squeezed(line) for line in (text if has_text else topic).split("\n") if line.strip()]
        return sum(len(line) for line in lines if line in view) >= IN_VIEW * sum(map(len, lines))

    def _told(self, text: str) -> str:
        """The adapter that was trained on this question, or of a user's own statement that `text` asks exactly for.

        Of a statement with one word more at most.
        """
        if (trained := _words(text)) in self._trained:
            return self._trained[trained]
        asked = _asked(text)
        if asked in self._asked:
            return self._asked[asked]
        if not for_text(text).asks_about_oneself(text) or len(asked) < MIN_ASKED:
            return ""
        return next((self._asked[fewer] for word in sorted(asked) if (fewer := asked - {word}) in self._asked), "")

    def _confirms(self, query: Query, adapter: str, evidence: float, nats: float, asks: _Asked) -> bool:
        limits = self.limits
        if adapter not in self._personal:
            return nats >= limits.min_relevance
        if nats < limits.min_relevance / 2 or evidence + nats < min(limits.min_personal, limits.min_of_others):
            return False
        return evidence + nats >= (limits.min_personal if asks.is_personal(query) else limits.min_of_others)


@dataclass(frozen=True)
class _Asked:
    """What the model is asked for a match: `score` confirms keys, `judge` tells personal messages."""

    score: Scorer | None
    judge: Judge | None
    recalls_text: bool

    def is_personal(self, query: Query) -> bool:
        """Whether a query asks for something personal, by the model if it can tell, else by its words."""
        judged = self.judge(query.text) if self.judge else None
        return _speaks_of_writer(query.wide) if judged is None else judged

    def judged_personal(self, query: Query) -> bool:
        """Whether a model that can tell says that a query asks for something personal."""
        return bool(self.judge and self.judge(query.text))


def part_of(stack: AdapterStack, matched: Collection[str]) -> AdapterStack:
    """The active part of `stack`: adapters that are always active, and the matched ones, if they have weights."""
    return AdapterStack(
        tuple(e for e in stack.entries if e.ref.has_weights and (not e.is_routed or e.ref.id in matched))
    )


Keys = tuple[tuple[str, str], ...]
"""Pairs of adapter id and key; for equal ids the last one counts."""


class Routers:
    """The cached routers of one namespace: for the served stack, a candidate, an older version. Thread-safe.

    A router holds learned text. It is dropped together with its namespace, and when a router is built after one of its
    keys was deleted from the database.
    """

    def __init__(self, limits: RouteLimits) -> None:
        self._limits = limits
        self._built: OrderedDict[Keys, Router] = OrderedDict()
        self._lock = threading.Lock()

    def over(self, keys: Keys, known: Mapping[str, str]) -> Router:
        """The router for those pairs, cached until they change; `known` holds all keys that are still stored."""
        with self._lock:
            router = self._built.get(keys)
        if router is None:
            router = Router(dict(keys), self._limits)
        with self._lock:
            if keys not in self._built:
                kept = [(old, each) for old, each in self._built.items() if set(old) <= known.items()]
                self._built = OrderedDict(kept[1 - MAX_ROUTERS :])
            self._built[keys] = router
            self._built.move_to_end(keys)
        return router


def _questions(key: str) -> list[str]:
    """The questions generated from a user's statements about themselves, for exact matches."""
    language = for_text(key)
    lines = key.split("\n") if len(key.split()) <= MOST_TOLD else []
    sentences = [s for line in lines if language.speaks_of_writer(line) for s in language.sentences(line)]
    placed = [(s, span) for s in sentences for span in language.noun_phrases(s)]
    asked = [(language.echo_question(s, span), language.direct_question(s, span)) for s, span in placed]
    return [question for pair in asked for question in pair if question]


def _speaks_of_writer(text: str) -> bool:
    return for_text(text).speaks_of_writer(text)


def key_of(texts: Sequence[str], questions: Sequence[str] = ()) -> str:
    """The routing key of an adapter: the texts that it holds, and questions that call for it when they are asked."""
    return TRAINED.join(["\n".join(text.partition(TRAINED)[0] for text in texts).strip(), *questions])


def _words(text: str) -> frozenset[str]:
    return frozenset(WORD.findall(text.lower()))


def _asked(text: str) -> frozenset[str]:
    """The words of a question without the interrogative ones."""
    return for_text(text).without_asking(_words(text))


@dataclass(frozen=True)
class Query:
    """What a prompt asks: the last message, `earlier` what was said before it if it is read as a follow-up.

    `view`: what the user said before the last message, with single spaces and without regard to case. What the model
    answered does not count: it may be a fact that was corrected since.
    """

    text: str
    earlier: str = ""
    view: str = ""

    @property
    def wide(self) -> str:
        """The words that may name what is asked about."""
        return f"{self.earlier} {self.text}".strip()


def _queries(prompt: Prompt) -> list[Query]:
    if not prompt.messages:
        return [Query(prompt.text)]
    said = [message.content for message in prompt.messages if message.role != "system"]
    view = _squeezed(" ".join(message.content for message in prompt.messages[:-1] if message.role == "user"))
    alone = Query(said[-1], view=view)
    return [alone] if len(said) == 1 else [alone, replace(alone, earlier=" ".join(said[-3:-1]))]


def _squeezed(text: str) -> str:
    return " ".join(text.casefold().split())


def _proof(by_chance: NDArray[np.float64]) -> NDArray[np.float64]:
    """The evidence, in nats, of a word that occurs in a text, given its expected number of occurrences there."""
    proof: NDArray[np.float64] = np.clip(math.log(FOUND) - np.log(-np.expm1(-by_chance)), 0.0, MOST)
    return proof
