"""Which adapters a message calls for: a routed adapter answers only where the message speaks of what it learned.

An adapter's key is the topic and the text it was learned from, a line each. For every key the words of the message are
evidence, in nats: a word found there counts by how unlikely it is to stand in any text of that length, a word that is
missing speaks against it. That is the binary independence model (Robertson and Spärck Jones 1976) with chance by
length, so that one rare word in a long text proves less than a common one in a text of ten words. What the words call
for, the model confirms (`relevance`); no model is asked here. Who asks word for word what his own words about himself
were made questions of needs neither. Routed adapters: MEGa, arXiv 2504.21239.
"""

from __future__ import annotations

import json
import math
import re
import threading
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from seal_agent.core.messages import Prompt
from seal_agent.core.numbers import check_number, check_whole
from seal_agent.core.stacks import AdapterStack
from seal_agent.language.base import for_text
from seal_agent.language.sentences import split_sentences
from seal_agent.serving.relevance import Scorer, relevance

STEM = 5  # letters of a word that count, so that "developed" is found in "development"
FOUND = 0.65  # of the words of a question, the share that stands in the text it is about
MISSING_COUNTS = 0.5  # as much as it should by that: questions are put in words of their own
MARGIN, MOST_CALLED = 5.0, 3  # nats behind the best, and how many, for the model to choose among
SHORT, OPENING = 60, 8  # words: of a key that is shown whole, of the opening that says what a longer one is about
MOST = 9.0  # nats that one word can prove: it may be a slip of the pen
MIN_ASKED = 3  # words of a question, "I" among them, for one to be left out: "How tall am I?" is not "What am I?"
MOST_TOLD = 120  # words of a key of messages: in a longer one it may be the "I" of somebody's letter
MAX_ROUTERS = 4  # that are kept for a namespace
BACKGROUND = "decide_train.json"  # everyday turns, for how common a word is
_WORD = re.compile(r"\w+")
_WITHOUT_SPACES = re.compile("[\u3040-\u30ff\u3400-\u9fff]")


@dataclass(frozen=True)
class RouteLimits:
    """From which evidence on an adapter is active, and how many at once.

    `min_evidence`: the nats by which the words of a message must speak for a key. `min_relevance`: the nats by which
    the key must make the message likelier to the base model; 0: the model is not asked, and more words of everyday
    questions call for what was learned by accident. What a user said of himself in a few words he asks for in other
    words ("Which food should I avoid?"): there half of `min_relevance` is enough, and together the two must reach
    `min_personal`, or `min_of_others` where the message is not about him ("When was Napoleon born?" and when the user
    was). Of those that pass, the best `max_active` are active.
    """

    min_evidence: float = 4.0
    min_relevance: float = 4.0
    min_personal: float = 10.0
    min_of_others: float = 20.0
    max_active: int = 1

    def __post_init__(self) -> None:
        for name in ("min_evidence", "min_relevance", "min_personal", "min_of_others"):
            check_number(name, getattr(self, name), 0)
        check_whole("max_active", self.max_active, 1)


class Router:
    """The keys of routed adapters; a look-up costs microseconds a key and word."""

    def __init__(self, keys: Mapping[str, str], limits: RouteLimits | None = None) -> None:
        self.limits = limits or RouteLimits()
        self._keys = dict(keys)
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
        """Every adapter with the evidence, in nats, that `text` speaks of its key, the best first."""
        evidence = np.zeros(len(self._ids))
        for word in terms(text):
            by_chance = self._lengths * frequency(word)  # how often the word is expected in each key
            missing = MISSING_COUNTS * np.minimum(math.log(1 - FOUND) + by_chance, 0.0)
            evidence += missing
            if (keys := self._found.get(word)) is not None:
                evidence[keys] += _proof(by_chance[keys]) - missing[keys]
        order = np.argsort(-evidence, kind="stable")
        return [(self._ids[i], float(evidence[i])) for i in order]

    def called(self, text: str, *, is_confirmed: bool = False) -> list[tuple[str, float]]:
        """The adapters that `text` may call for with their evidence, the best first; none is far behind the best.

        Where the model is to confirm them, the words need not speak for what a user said of himself.
        """
        if not terms(text):
            return []
        scores = self.scores(text)[: max(MOST_CALLED, self.limits.max_active)]
        personal = self._personal if is_confirmed else frozenset[str]()
        return [
            (adapter, evidence)
            for adapter, evidence in scores
            if evidence >= scores[0][1] - MARGIN
            and evidence >= (0.0 if adapter in personal else self.limits.min_evidence)
        ]

    def excerpt(self, adapter: str, text: str) -> str:
        """What of an adapter's key `text` may speak of: its opening and its nearest sentence, or all if it is short.

        The words of the topic, which stand before the first sentence, make none of them nearer.
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
        """The adapters each prompt calls for, by its last message, else by what was said before too.

        `score` is the base model's; without it words alone decide.
        """
        queries = [_queries(prompt) for prompt in prompts]
        matched: list[tuple[str, ...]] = [()] * len(prompts)
        for place in range(max(map(len, queries), default=0)):
            unmatched = [n for n, texts in enumerate(queries) if not matched[n] and place < len(texts)]
            for n, adapters in zip(unmatched, self._chosen([queries[n][place] for n in unmatched], score), strict=True):
                matched[n] = adapters
        return matched

    def _chosen(self, texts: Sequence[str], score: Scorer | None) -> list[tuple[str, ...]]:
        """Of what each text calls for, the best that the model confirms."""
        asks = score if self.limits.min_relevance else None
        called = [[] if self._told(text) else self.called(text, is_confirmed=asks is not None) for text in texts]
        pairs = [(t, self.excerpt(adapter, t)) for t, found in zip(texts, called, strict=True) for adapter, _ in found]
        nats = iter(relevance(asks, pairs)) if asks else None
        chosen: list[tuple[str, ...]] = []
        for text, found in zip(texts, called, strict=True):
            if told := self._told(text):
                chosen.append((told,))
                continue
            rated = [(adapter, e, next(nats) if nats else 0.0) for adapter, e in found]
            passing = [
                (e + r / 2, adapter) for adapter, e, r in rated if not nats or self._confirms(text, adapter, e, r)
            ]
            best = sorted(passing, key=lambda each: -each[0])[: self.limits.max_active]
            chosen.append(tuple(adapter for _, adapter in best))
        return chosen

    def _told(self, text: str) -> str:
        """The adapter of what a user said of himself, where `text` asks for just that, with one word more perhaps."""
        asked = _asked(text)
        if asked in self._asked:
            return self._asked[asked]
        if not for_text(text).asks_about_oneself(text) or len(asked) < MIN_ASKED:
            return ""
        return next((self._asked[fewer] for word in sorted(asked) if (fewer := asked - {word}) in self._asked), "")

    def _confirms(self, text: str, adapter: str, evidence: float, nats: float) -> bool:
        if adapter not in self._personal:
            return nats >= self.limits.min_relevance
        least = self.limits.min_personal if _speaks_of_writer(text) else self.limits.min_of_others
        return nats >= self.limits.min_relevance / 2 and evidence + nats >= least


def part_of(stack: AdapterStack, matched: Collection[str]) -> AdapterStack:
    """The part of `stack` that answers: what is always on, and the routed adapters that were called for."""
    return AdapterStack(tuple(entry for entry in stack.entries if not entry.is_routed or entry.ref.id in matched))


Keys = tuple[tuple[str, str], ...]
"""Pairs of an adapter's id and its key; of equals the latest comes last."""


class Routers:
    """The routers of one namespace, each built once: over what is served, a candidate, an older version.

    Safe to use from several threads. A router holds what was learned, so it lives with its namespace, and it is dropped
    when another is built after a key of it was removed from the home.
    """

    def __init__(self, limits: RouteLimits) -> None:
        self._limits = limits
        self._built: OrderedDict[Keys, Router] = OrderedDict()
        self._lock = threading.Lock()

    def over(self, keys: Keys, known: Mapping[str, str]) -> Router:
        """The router over those pairs, the same one until they change; `known` is every key that may be kept."""
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


def terms(text: str) -> Counter[str]:
    """The words of `text` as they are compared, with how often they occur: lower case, their first letters.

    Of what is written without spaces (Chinese, Japanese) every two characters that follow each other.
    """
    return Counter(term for word in _WORD.findall(text.lower()) for term in _terms_of(word))


def _terms_of(word: str) -> list[str]:
    if _WITHOUT_SPACES.search(word):
        return ["".join(pair) for pair in pairwise(word)] or [word]
    return [word[:STEM]]


def _questions(key: str) -> list[str]:
    """What a user's own words about himself were made questions of: who asks for it so means that."""
    language = for_text(key)
    lines = key.split("\n") if len(key.split()) <= MOST_TOLD else []
    sentences = [s for line in lines if language.speaks_of_writer(line) for s in language.sentences(line)]
    placed = [(s, span) for s in sentences for span in language.noun_phrases(s)]
    asked = [(language.echo_question(s, span), language.direct_question(s, span)) for s, span in placed]
    return [question for pair in asked for question in pair if question]


def _speaks_of_writer(text: str) -> bool:
    return for_text(text).speaks_of_writer(text)


def _asked(text: str) -> frozenset[str]:
    """What tells a question from others: its words, but for those that ask."""
    return for_text(text).without_asking(frozenset(_WORD.findall(text.lower())))


def _queries(prompt: Prompt) -> list[str]:
    if not prompt.messages:
        return [prompt.text]
    said = [message.content for message in prompt.messages if message.role != "system"]
    return said if len(said) == 1 else [said[-1], " ".join(said[-3:])]


def _proof(by_chance: NDArray[np.float64]) -> NDArray[np.float64]:
    """What it proves, in nats, that a word stands in a text where it is expected so often."""
    proof: NDArray[np.float64] = np.clip(math.log(FOUND) - np.log(-np.expm1(-by_chance)), 0.0, MOST)
    return proof


def frequency(word: str) -> float:
    """How often `word` is expected at any one place of any text, from everyday turns."""
    total, counts = _background()
    return (counts[word] + 0.5) / total


@lru_cache(maxsize=1)
def _background() -> tuple[int, Counter[str]]:
    text = resources.files("seal_agent").joinpath("data", BACKGROUND).read_text(encoding="utf-8")
    counts = terms("\n".join(turn["text"] for turn in json.loads(text)))
    return counts.total(), counts
