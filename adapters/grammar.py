"""Constrained generation: llguidance masks the tokens that would violate a grammar.

The mask is applied before temperature and top-p, so that sampling draws from the allowed tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import llguidance.hf
import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer
from transformers import LogitsProcessor

from seal_agent.core.errors import InputError
from seal_agent.core.messages import Grammar


def grammar_tokenizer(tokenizer: Any, vocab_size: int) -> LLTokenizer:
    """The tokenizer in llguidance's form; takes half a second, so cache it."""
    return llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocab_size)


class GrammarProcessor(LogitsProcessor):  # type: ignore[misc]
    """Masks the logits of each row by its own grammar; prompts end at `prompt_length`."""

    def __init__(self, tokenizer: LLTokenizer, grammars: Sequence[Grammar], prompt_length: int) -> None:
        self._prompt_length = prompt_length
        self._eos = tokenizer.eos_token
        self._matchers = [LLMatcher(tokenizer, grammar.lark) for grammar in grammars]
        self._check()

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The scores (B, V) with every token at minus infinity that would break its row's grammar."""
        if input_ids.shape[1] > self._prompt_length:
            for matcher, token in zip(self._matchers, input_ids[:, -1].tolist(), strict=True):
                if not matcher.is_stopped():
                    matcher.consume_token(token)
        self._check()
        masks = np.stack([_allowed(matcher, scores.shape[1], self._eos) for matcher in self._matchers])
        return scores.masked_fill(~torch.from_numpy(masks).to(scores.device), float("-inf"))

    def keep(self, places: Sequence[int]) -> None:
        """Continue with these rows of the batch only."""
        self._matchers = [self._matchers[place] for place in places]

    def _check(self) -> None:
        for matcher in self._matchers:
            if matcher.is_error():
                raise InputError(f"the grammar cannot be used: {matcher.get_error().strip()[:200]}; fix its Lark text")


def _allowed(matcher: LLMatcher, vocab_size: int, eos: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which tokens may come next, (V,); only the end token once a row's grammar is complete."""
    allowed = np.zeros(vocab_size, dtype=np.bool_)
    if matcher.is_stopped():
        allowed[eos] = True
        return allowed
    bits = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
    unpacked = np.unpackbits(bits, bitorder="little")[:vocab_size].astype(np.bool_)
    allowed[: len(unpacked)] = unpacked
    return allowed
