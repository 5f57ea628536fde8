"""Which adapters a message calls for: a routed adapter answers only where the message speaks of what it learned.

An adapter's key is the text it was learned from. What a key covers of a message is the summed rarity (inverse document
frequency) of the message's words found there, over that of all its words: BM25 (Robertson and Zaragoza 2009) as a
share of the most it could be. With keys as hashed word vectors that is an inner product, which FAISS searches; the
rarities stand in the query alone, so that vectors never go stale. Routed adapters: MEGa, arXiv 2504.21239.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seal_agent.errors import InputError
from seal_agent.types import AdapterStack, Prompt

WIDTH = 16_384  # of a hashed key: 64 KiB; a quarter of it costs two points of accuracy on 87 keys (LOG.md)
STEM = 5  # letters of a word that count, so that "developed" is found in "development"
K1, B, MEAN_WORDS = 1.2, 0.75, 120.0  # BM25's usual constants, and a passage's usual length
COMMON = 2.0  # a word of this rarity or less stands in an eighth of all texts and says nothing
BACKGROUND = "decide_train.json"  # everyday turns, for how common a word is
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class RouteLimits:
    """`min_score`: how much of a message (0 to 1) a key must cover; the best `max_active` of those are active."""

    min_score: float = 0.45
    max_active: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.min_score <= 1 or self.max_active < 1:
            raise InputError("min_score is a share from 0 to 1, and max_active at least 1")


class Router:
    """The keys of routed adapters, searched with FAISS; making one costs about a millisecond a key."""

    def __init__(self, keys: Mapping[str, str], limits: RouteLimits | None = None) -> None:
        self.limits = limits or RouteLimits()
        self._ids = list(keys)
        counted = [terms(text) for text in keys.values()]
        num_texts, counts = _background()
        self._num_texts = num_texts + len(counted)
        self._counts = counts + Counter(word for words in counted for word in words)
        self._index = _index(counted)

    def rarity(self, word: str) -> float:
        """How much a word says: its inverse document frequency over everyday turns and the keys, less the common."""
        count = self._counts[word]
        return max(math.log(1 + (self._num_texts - count + 0.5) / (count + 0.5)) - COMMON, 0.0)

    def scores(self, text: str) -> list[tuple[str, float]]:
        """The best adapters for `text`, best first, with the share of it (about 0 to 1) that each covers."""
        rarities = {word: self.rarity(word) for word in terms(text)}
        total = sum(rarities.values())
        if not total or not self._ids:
            return []
        query = np.zeros((1, WIDTH), dtype=np.float32)
        for word, rarity in rarities.items():
            query[0, _place(word)] += rarity / total
        similarity, found = self._index.search(query, min(len(self._ids), self.limits.max_active + 4))
        return [(self._ids[i], float(s)) for i, s in zip(found[0].tolist(), similarity[0].tolist(), strict=True)]

    def match(self, prompt: Prompt) -> tuple[str, ...]:
        """The adapters `prompt` calls for by its last message; where that matches none, by what was said before too."""
        for text in _queries(prompt):
            matching = [adapter for adapter, score in self.scores(text) if score >= self.limits.min_score]
            if matching:
                return tuple(matching[: self.limits.max_active])
        return ()

    def active(self, stack: AdapterStack, prompt: Prompt) -> AdapterStack:
        """The part of `stack` that answers `prompt`: what is always on, and the routed adapters it calls for."""
        if not any(layer.is_routed for layer in stack.layers):
            return stack
        matching = set(self.match(prompt))
        return AdapterStack(tuple(y for y in stack.layers if not y.is_routed or y.ref.id in matching))


@lru_cache(maxsize=4)
def router_of(keys: tuple[tuple[str, str], ...], limits: RouteLimits) -> Router:
    """The router over those (adapter, key) pairs: the same one for every reply until the keys change."""
    return Router(dict(keys), limits)


def terms(text: str) -> Counter[str]:
    """The words of `text` as they are compared, with how often they occur: lower case, their first letters."""
    return Counter(word[:STEM] for word in _WORD.findall(text.lower()))


def _queries(prompt: Prompt) -> list[str]:
    if not prompt.messages:
        return [prompt.text]
    said = [message.content for message in prompt.messages if message.role != "system"]
    return said if len(said) == 1 else [said[-1], " ".join(said[-3:])]


def _place(word: str) -> int:
    return zlib.crc32(word.encode()) % WIDTH


def _vector(words: Counter[str]) -> NDArray[np.float32]:
    vector = np.zeros(WIDTH, dtype=np.float32)
    length = K1 * (1 - B + B * words.total() / MEAN_WORDS)
    for word, count in words.items():
        vector[_place(word)] += count * (K1 + 1) / (count + length)
    return vector


def _index(counted: list[Counter[str]]) -> Any:
    import faiss

    index: Any = faiss.IndexFlatIP(WIDTH)
    if counted:
        index.add(np.stack([_vector(words) for words in counted]))
    return index


@lru_cache(maxsize=1)
def _background() -> tuple[int, Counter[str]]:
    text = resources.files("seal_agent").joinpath("data", BACKGROUND).read_text(encoding="utf-8")
    turns = [terms(turn["text"]) for turn in json.loads(text)]
    return len(turns), Counter(word for turn in turns for word in turn)
