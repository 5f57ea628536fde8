"""Packing: many short rows in one sequence without padding; shared prefixes are computed once.

SEAL pads every row to 2048 tokens and trains on the padding (https://github.com/Continual-Intelligence/SEAL). Here the
rows of a batch are concatenated. A mask lets each row see its shared prefix and itself only, and its positions continue
from the prefix. The logits equal those of each row alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from seal_agent.adapters.loading import cache_argument

TokenRow = tuple[list[int], list[int]]
"""(prompt tokens, answer tokens)."""

ALIGNMENT = 8  # tokens; 16-bit products of other lengths take 25% longer (docs/log/speed.md)
MAX_EAGER = 512  # tokens; up to here plain matrix products beat the fused attention kernel in 16 bits on a CPU


@dataclass(frozen=True)
class Pack:
    """One packed sequence of T tokens holding several rows.

    `sources[j]` is the position whose logits predict `targets[j]`, and `rows[j]` the row it belongs to.
    """

    input_ids: torch.Tensor  # (1, T)
    position_ids: torch.Tensor  # (1, T)
    visible: torch.Tensor  # (1, 1, T, T) bool, True where a token may attend
    sources: torch.Tensor  # (N,)
    targets: torch.Tensor  # (N,)
    rows: torch.Tensor  # (N,)

    @property
    def num_tokens(self) -> int:
        """T, the number of computed tokens."""
        return int(self.input_ids.shape[1])

    @property
    def weights(self) -> torch.Tensor:
        """The weight of each target in the mean of the rows' mean losses, (N,); sums to one."""
        lengths = torch.bincount(self.rows)
        return 1.0 / (lengths[self.rows] * (lengths > 0).sum())


def shared_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """The number of leading tokens that all prompts share."""
    first = min(prompts, key=len)
    for index, token in enumerate(first):
        if any(prompt[index] != token for prompt in prompts):
            return index
    return len(first)


@contextmanager
def _projected_only(model: Any, sequences: torch.Tensor, positions: torch.Tensor) -> Iterator[None]:
    """Inside the block the output layer of `model` sees only the states at (sequences[n], positions[n]).

    Further processing of the logits by the model applies to these: (1, N, V).
    """

    def pick(_module: Any, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (arguments[0][sequences, positions][None],)

    handle = model.get_output_embeddings().register_forward_pre_hook(pick)
    try:
        yield
    finally:
        handle.remove()


def computed_length(packs: Sequence[Pack], dtype: torch.dtype) -> int:
    """The padded length of the sequences in a batch of `packs`."""
    longest = max(p.num_tokens for p in packs)
    return longest if dtype.itemsize > 2 else -(-longest // ALIGNMENT) * ALIGNMENT


@contextmanager
def _attention_for(model: Any, length: int, dtype: torch.dtype, device: torch.device) -> Iterator[None]:
    """The fastest attention for sequences of `length` tokens."""
    usual = model.config._attn_implementation
    if usual != "sdpa" or length > MAX_EAGER or dtype.itemsize > 2 or device.type != "cpu":
        yield
        return
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(usual)


def labelled_logits(
    model: Any,
    packs: Sequence[Pack],
    dtype: torch.dtype,
    device: torch.device,
    *,
    after: Any = None,
    num_after: int = 0,
) -> torch.Tensor:
    """The logits that predict the targets of all packs in order, (N, V). Each pack is one sequence of the batch.

    `after`: a cache with the states of `num_after` tokens that stand before every row of the only pack.
    """
    longest = computed_length(packs, dtype)
    ids = torch.zeros(len(packs), longest, dtype=torch.long)
    positions = torch.zeros(len(packs), longest, dtype=torch.long)
    visible = torch.eye(longest, dtype=torch.bool).repeat(len(packs), 1, 1)  # padding: no row may be empty
    for number, p in enumerate(packs):
        ids[number, : p.num_tokens] = p.input_ids[0]
        positions[number, : p.num_tokens] = p.position_ids[0]
        visible[number, : p.num_tokens, : p.num_tokens] = p.visible[0, 0]
    visible = torch.nn.functional.pad(visible, (num_after, 0), value=True)
    mask = torch.zeros(visible.shape, dtype=dtype).masked_fill(~visible, torch.finfo(dtype).min)[:, None]
    cached = {} if after is None else {cache_argument(model): after}
    sequences = torch.cat([torch.full((len(p.sources),), number) for number, p in enumerate(packs)]).to(device)
    sources = torch.cat([p.sources for p in packs]).to(device)
    with _projected_only(model, sequences, sources), _attention_for(model, longest, dtype, device):
        out = model(
            input_ids=ids.to(device),
            position_ids=(positions + num_after).to(device),
            attention_mask=mask.to(device),
            use_cache=after is not None,
            **cached,
        )
    logits: torch.Tensor = out.logits[0]
    return logits


def pack(rows: Sequence[TokenRow], *, loss_on_prompt: bool = False) -> Pack:
    """Pack `rows` into one sequence; prompts must hold at least one token.

    Prefixes shared by any prompts are stored once: the prompts form a tree, and a token attends to the path from the
    root to itself. With the loss on prompts too, rows share nothing.
    """
    ids: list[int] = []
    parents: list[int] = []  # the position of the previous token, -1 for a first one
    places: dict[tuple[int, int], int] = {}  # position of a prompt's token, by the position before it and its id
    sources: list[int] = []
    targets: list[int] = []
    owners: list[int] = []

    def add(before: int, token: int) -> int:
        ids.append(token)
        parents.append(before)
        return len(ids) - 1

    for number, (prompt, answer) in enumerate(rows):
        place = -1
        for offset, token in enumerate([*prompt, *answer]):
            before = place
            if loss_on_prompt or offset >= len(prompt):
                place = add(before, token)
                if before >= 0:
                    sources.append(before)
                    targets.append(token)
                    owners.append(number)
            elif (before, token) in places:
                place = places[before, token]
            else:
                place = places[before, token] = add(before, token)
    visible, positions = _ways(parents)
    return Pack(
        torch.tensor([ids]),
        positions[None],
        visible[None, None],
        torch.tensor(sources),
        torch.tensor(targets),
        torch.tensor(owners),
    )


def _ways(parents: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """For each token the tokens on the path from the root, itself included, (T, T), and its depth (T,)."""
    visible = np.eye(len(parents), dtype=np.bool_)
    for place, before in enumerate(parents):
        if before >= 0:
            visible[place, : before + 1] |= visible[before, : before + 1]
    return torch.from_numpy(visible), torch.from_numpy(visible.sum(1) - 1)


def split(rows: Sequence[TokenRow], max_tokens: int) -> Iterator[list[int]]:
    """Indices of rows in groups of at most `max_tokens` packed tokens; neighbours share prefixes."""
    order = sorted(range(len(rows)), key=lambda i: (rows[i][0], len(rows[i][1])))
    group: list[int] = []
    size = 0
    for index in order:
        prompt, answer = rows[index]
        shared = shared_prefix([prompt, rows[group[-1]][0]]) if group else 0
        cost = len(prompt) - shared + len(answer)
        if group and size + cost > max_tokens:
            yield group
            group, size, cost = [], 0, len(prompt) + len(answer)
        group.append(index)
        size += cost
    if group:
        yield group
