"""Generation for a batch of prompts: shared prefixes, grammars, stop texts, streaming.

A prefix that all prompts share is computed once and kept for later calls (`prefixes`), and finished rows leave the
batch. The caller, who holds the model, chooses the prompts of a batch and the active stack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from seal_agent.adapters.engine import Engine
from seal_agent.adapters.grammar import GrammarProcessor
from seal_agent.adapters.loading import cache_argument
from seal_agent.adapters.packing import shared_prefix
from seal_agent.adapters.prefixes import BLOCK
from seal_agent.adapters.streaming import UNFINISHED, Pieces, cut
from seal_agent.core.backend import TOP_P
from seal_agent.core.messages import Generated, Grammar
from seal_agent.core.stacks import AdapterStack

MIN_SHARED_PREFIX = 16  # tokens; a shorter prefix does not pay for a pass of its own
TOKENS_BETWEEN_LEAVING = 16  # rearranging the batch costs about as much as generating a token
LONG_PROMPT = 1024  # tokens; a longer prompt is read in chunks, between which other threads may run
STRETCH = 512  # tokens of one chunk, over all rows of the batch


@dataclass(frozen=True)
class Asked:
    """Sampling settings; temperature 0 is greedy."""

    max_new_tokens: int
    temperature: float
    stop: tuple[str, ...]

    @property
    def sampling(self) -> dict[str, Any]:
        """The settings under transformers' names."""
        if self.temperature > 0:
            return {"do_sample": True, "temperature": self.temperature, "top_p": TOP_P}
        return {"do_sample": False}


def continue_rows(
    engine: Engine,
    stack: AdapterStack,
    rows: list[list[int]],
    grammars: list[Grammar],
    asked: Asked,
    pieces: Pieces | None = None,
) -> list[Generated]:
    """The continuation of each row of tokens with `stack` active; yields to other threads and restores `stack`."""
    model, tokenizer = engine.model, engine.tokenizer
    shared = _shared(rows)
    ids, mask = (tensor.to(engine.loaded.device) for tensor in _aligned(rows, shared, tokenizer.pad_token_id))
    cache = read_prefix(engine, stack, rows[0][:shared], pieces)
    cached = {cache_argument(model): cache}
    length = ids.shape[1]
    if shared:
        cache.batch_repeat_interleave(len(rows))
    if length > LONG_PROMPT:
        stretch = max(STRETCH // len(rows), 1)
        _take_in(engine, stack, ids, mask, cache, range(shared, length - 1), pieces, stretch)
    if pieces and pieces.is_cancelled:
        return [Generated("", 0, "stop")]
    held = [GrammarProcessor(engine.grammar_tokenizer, grammars, length)] if grammars else []
    ends: list[StoppingCriteria] = [_GivesWay(engine, stack)]
    ends += [_StopTexts(tokenizer, asked.stop, length)] if asked.stop else []
    ends += [pieces.cancelled] if pieces else []
    going = list(range(len(rows)))
    texts: dict[int, Generated] = {}
    while going:
        left = length + asked.max_new_tokens - ids.shape[1]
        ids = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=min(left, TOKENS_BETWEEN_LEAVING) if len(going) > 1 else left,
            pad_token_id=tokenizer.pad_token_id,
            stopping_criteria=StoppingCriteriaList(ends),
            logits_processor=LogitsProcessorList(held),
            streamer=pieces,
            **cached,
            **asked.sampling,
        )
        written = [_generated(engine, row, asked.stop) for row in ids[:, length:].tolist()]
        texts |= dict(zip(going, written, strict=True))
        is_over = bool(pieces) or ids.shape[1] >= length + asked.max_new_tokens
        places = [n for n, text in enumerate(written) if text.ending == "length" and not is_over]
        going = [going[place] for place in places]
        mask = torch.nn.functional.pad(mask, (0, ids.shape[1] - mask.shape[1]), value=1)[places]
        ids = ids[places]
        cache.batch_select_indices(torch.tensor(places, dtype=torch.long, device=ids.device))
        for processor in held:
            processor.keep(places)
    return [texts[number] for number in range(len(rows))]


def read_prefix(
    engine: Engine, stack: AdapterStack, tokens: Sequence[int], pieces: Pieces | None = None
) -> DynamicCache:
    """A cache that holds the states of `tokens` with `stack` active; whole blocks of them are kept for later calls."""
    cache = DynamicCache(config=engine.model.config)
    if not tokens:
        return cache
    ids = torch.tensor([list(tokens)], device=engine.loaded.device)
    begun = engine.prefixes.fill(cache, stack, tokens)
    _take_in(engine, stack, ids, torch.ones_like(ids), cache, range(begun, len(tokens)), pieces, BLOCK)
    if not (pieces and pieces.is_cancelled):
        engine.prefixes.keep(cache, stack, tokens)
    return cache


def _shared(rows: list[list[int]]) -> int:
    """The number of leading tokens that are read once for all rows; of a single row its whole blocks."""
    if len(rows) == 1:
        return (len(rows[0]) - 1) // BLOCK * BLOCK
    shared = min(shared_prefix(rows), min(map(len, rows)) - 1)
    return shared if shared >= MIN_SHARED_PREFIX else 0


def _take_in(
    engine: Engine,
    stack: AdapterStack,
    ids: torch.Tensor,
    mask: torch.Tensor,
    cache: DynamicCache,
    places: range,
    pieces: Pieces | None,
    stretch: int,
) -> None:
    """Read the tokens at `places` of every row into `cache`, `stretch` at a time, with yields in between."""
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    for start in places[::stretch]:
        if pieces and pieces.is_cancelled:
            return
        end = min(start + stretch, places.stop)
        engine.model(
            input_ids=ids[:, start:end],
            attention_mask=mask[:, :end],
            position_ids=positions[:, start:end],
            use_cache=True,
            logits_to_keep=1,
            **{cache_argument(engine.model): cache},
        )
        engine.give_way(stack)


def _aligned(rows: list[list[int]], shared: int, padding: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and mask (B, T): prefix, padding, rest, so that the prefix stays aligned for the cache."""
    length = max(map(len, rows))
    ids = torch.full((len(rows), length), padding)
    mask = torch.ones((len(rows), length), dtype=torch.long)
    for number, row in enumerate(rows):
        rest = row[shared:]
        ids[number, :shared] = torch.tensor(row[:shared], dtype=torch.long)
        ids[number, length - len(rest) :] = torch.tensor(rest)
        mask[number, shared : length - len(rest)] = 0
    return ids, mask


def _generated(engine: Engine, ids: list[int], stop: tuple[str, ...]) -> Generated:
    """The text of generated ids, which end with the end token, at a stop text, or at the length limit."""
    tokenizer = engine.tokenizer
    eos = engine.model.generation_config.eos_token_id
    ends = {tokenizer.eos_token_id, tokenizer.pad_token_id, *(eos if isinstance(eos, list) else [eos])}
    num_tokens = next((number for number, token in enumerate(ids) if token in ends), len(ids))
    text: str = tokenizer.decode(ids[:num_tokens], skip_special_tokens=True)
    kept = cut(text, stop)
    if kept != text:
        return Generated(kept, num_tokens, "stop")
    if num_tokens < len(ids):
        return Generated(text, num_tokens + 1, "stop")
    return Generated(text.rstrip(UNFINISHED), num_tokens, "length")  # the limit may fall inside a character


class _GivesWay(StoppingCriteria):  # type: ignore[misc]
    """Never stops a row; it is called after every token, where background generation yields to other threads."""

    def __init__(self, engine: Engine, stack: AdapterStack) -> None:
        self._engine, self._stack = engine, stack

    def __call__(self, input_ids: torch.Tensor, scores: object, **_kwargs: object) -> torch.Tensor:
        self._engine.give_way(self._stack)
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


class _StopTexts(StoppingCriteria):  # type: ignore[misc]
    """Ends a row when its last tokens contain a stop text.

    Transformers' own `stop_strings` goes through tables of the whole vocabulary after every token.
    """

    def __init__(self, tokenizer: Any, stop: tuple[str, ...], prompt_length: int) -> None:
        self._tokenizer = tokenizer
        self._stop = stop
        self._prompt_length = prompt_length
        self._window = max(len(tokenizer(mark, add_special_tokens=False).input_ids) for mark in stop) + 2

    def __call__(self, input_ids: torch.Tensor, scores: object, **_kwargs: object) -> torch.Tensor:
        start = max(self._prompt_length, input_ids.shape[1] - self._window)
        tails = self._tokenizer.batch_decode(input_ids[:, start:])
        ended = [any(mark in tail for mark in self._stop) for tail in tails]
        return torch.tensor(ended, device=input_ids.device)
