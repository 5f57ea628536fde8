"""Many short rows in one sequence: no padding, and a prefix that all rows share is computed once.

SEAL pads every row to 2048 tokens and trains on the padding (../shared/FACTS.md). Here the rows of a batch
follow each other in one sequence; a block mask lets each row see the shared prefix and itself, and its
positions go on from the prefix. The logits are those of each row alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

TokenRow = tuple[list[int], list[int]]
"""(prompt tokens, answer tokens)."""


@dataclass(frozen=True)
class Pack:
    """One packed sequence of T tokens holding several rows.

    `sources[j]` is the position whose logits predict `targets[j]`, and `rows[j]` the row it belongs to.
    """

    input_ids: torch.Tensor  # (1, T)
    position_ids: torch.Tensor  # (1, T)
    visible: torch.Tensor  # (1, 1, T, T) bool, True where a token may look
    sources: torch.Tensor  # (N,)
    targets: torch.Tensor  # (N,)
    rows: torch.Tensor  # (N,)

    @property
    def num_tokens(self) -> int:
        """T, the tokens that are really computed."""
        return int(self.input_ids.shape[1])

    @property
    def weights(self) -> torch.Tensor:
        """What each target counts in the mean of the rows' mean losses, (N,); sums to one."""
        lengths = torch.bincount(self.rows)
        return 1.0 / (lengths[self.rows] * (lengths > 0).sum())

    def inputs(self, dtype: torch.dtype, device: torch.device) -> dict[str, torch.Tensor]:
        """Keyword arguments of a transformers causal model, with logits only where they are needed."""
        mask = torch.zeros(self.visible.shape, dtype=dtype).masked_fill(~self.visible, torch.finfo(dtype).min)
        return {
            "input_ids": self.input_ids.to(device),
            "position_ids": self.position_ids.to(device),
            "attention_mask": mask.to(device),
            "logits_to_keep": self.sources.to(device),
        }


def shared_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """The number of leading tokens all prompts share."""
    first = min(prompts, key=len)
    for index, token in enumerate(first):
        if any(prompt[index] != token for prompt in prompts):
            return index
    return len(first)


def pack(rows: Sequence[TokenRow], *, loss_on_prompt: bool = False) -> Pack:
    """Pack `rows` into one sequence; prompts must hold at least one token."""
    prefix = 0 if loss_on_prompt else shared_prefix([prompt for prompt, _ in rows])
    ids = list(rows[0][0][:prefix])
    positions = list(range(prefix))
    owner = [-1] * prefix
    sources: list[int] = []
    targets: list[int] = []
    owners: list[int] = []
    for number, (prompt, answer) in enumerate(rows):
        tail = list(prompt[prefix:])
        start = len(ids)
        for offset, token in enumerate(tail + list(answer)):
            if loss_on_prompt or offset >= len(tail):
                previous = start + offset - 1 if offset else prefix - 1
                if previous >= 0:
                    sources.append(previous)
                    targets.append(token)
                    owners.append(number)
        ids += tail + list(answer)
        positions += range(prefix, prefix + len(tail) + len(answer))
        owner += [number] * (len(tail) + len(answer))
    owner_of = torch.tensor(owner)
    same = (owner_of[:, None] == owner_of[None, :]) | (owner_of[None, :] == -1)
    visible = same & torch.ones(len(ids), len(ids), dtype=torch.bool).tril()
    return Pack(
        torch.tensor([ids]),
        torch.tensor([positions]),
        visible[None, None],
        torch.tensor(sources),
        torch.tensor(targets),
        torch.tensor(owners),
    )


def split(rows: Sequence[TokenRow], max_tokens: int) -> Iterator[list[int]]:
    """Indices of rows in groups of about `max_tokens` tokens, neighbours by prompt so that prefixes are shared."""
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
