"""The layers below the trained ones: their states are computed once for a batch that is seen again and again.

An update of the upper layers leaves the lower ones alone, so the state that the first trained block receives is the
same in every step for the same rows. Where all rows of an edit are one batch, half of each forward pass is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from seal_agent.adapters.linear import AdaptedLinear, numbers_in


def blocks_below(model: Any, layers: Mapping[str, AdaptedLinear], trained: Iterable[str]) -> list[Any]:
    """The model's blocks below the first one with a trained layer, in order; empty unless they are one plain list."""
    first = min((next(iter(numbers_in(name)), -1) for name in trained), default=-1)
    lists = {_list_of(name) for name in layers if numbers_in(name)}
    if first < 1 or len(lists) != 1:
        return []
    blocks = model.get_submodule(lists.pop())
    return [blocks[number] for number in range(first)] if len(blocks) > first else []


def _list_of(name: str) -> str:
    """The name of the list that holds the block of a layer: "model.layers" for "model.layers.3.mlp.up_proj"."""
    parts = name.split(".")
    return ".".join(parts[: next(place for place, part in enumerate(parts) if part.isdigit())])


@contextmanager
def remembered(blocks: Sequence[Any], kept: list[Any]) -> Iterator[None]:
    """Inside the block the output of the last of `blocks` is put into `kept`, or, if it holds one, used again.

    While an output is used again none of `blocks` computes anything.
    """
    if not blocks:
        yield
    elif kept:
        for block in blocks:
            block.forward = lambda *_args, **_kwargs: kept[0]
        try:
            yield
        finally:
            for block in blocks:
                del block.forward
    else:
        handle = blocks[-1].register_forward_hook(lambda _module, _given, out: kept.append(out))
        try:
            yield
        finally:
            handle.remove()
