"""States of the beginnings of prompts, kept between calls, so that the next prompt with one need not compute it again.

A conversation's next turn begins with the turns before it, and the few-shot prompts of the learning loop all begin
alike. As in vLLM's automatic prefix caching the states are kept in blocks. A prompt is always read block by block, so
that a reply is the same, bit for bit, whether its blocks were kept or not.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from seal_agent.core.stacks import AdapterStack

BLOCK = 128  # tokens
MAX_BLOCKS = 48  # 28 KB a token for Qwen2.5-1.5B in 16 bits: 176 MB
States = list[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values (1, heads, BLOCK, d) of every layer."""


class Prefixes:
    """Blocks of states by the stack they were computed with and the tokens up to their end; the oldest use goes."""

    def __init__(self, max_blocks: int = MAX_BLOCKS) -> None:
        self._max_blocks = max_blocks
        self._blocks: OrderedDict[tuple[AdapterStack, tuple[int, ...]], States] = OrderedDict()

    def __len__(self) -> int:
        """The number of blocks."""
        return len(self._blocks)

    def clear(self) -> None:
        """Drop all states: they tell what was in the prompts."""
        self._blocks.clear()

    def fill(self, cache: DynamicCache, stack: AdapterStack, tokens: Sequence[int]) -> int:
        """Put the kept states of the beginning of `tokens` into an empty `cache`; returns how many tokens they are."""
        found: list[States] = []
        for end in range(BLOCK, len(tokens) + 1, BLOCK):
            if (block := self._blocks.get((stack, tuple(tokens[:end])))) is None:
                break
            self._blocks.move_to_end((stack, tuple(tokens[:end])))
            found.append(block)
        if not found or not _is_plain(cache):
            return 0
        for layer, states in zip(cache.layers, zip(*found, strict=True), strict=True):
            layer.update(torch.cat([k for k, _ in states], -2), torch.cat([v for _, v in states], -2))
        return len(found) * BLOCK

    def keep(self, cache: DynamicCache, stack: AdapterStack, tokens: Sequence[int]) -> None:
        """Keep the states of the whole blocks of `tokens`, which `cache` begins with."""
        if not _is_plain(cache):
            return
        for end in range(BLOCK, len(tokens) + 1, BLOCK):
            key = (stack, tuple(tokens[:end]))
            if key not in self._blocks:
                part = slice(end - BLOCK, end)
                self._blocks[key] = [
                    (layer.keys[:, :, part].clone(), layer.values[:, :, part].clone()) for layer in cache.layers
                ]
            self._blocks.move_to_end(key)
        while len(self._blocks) > self._max_blocks:
            self._blocks.popitem(last=False)


def _is_plain(cache: DynamicCache) -> bool:
    """Whether every layer keeps the states of all tokens, in order: not so with a sliding window."""
    return bool(cache.layers) and all(type(layer) is DynamicLayer for layer in cache.layers)
