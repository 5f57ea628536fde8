"""Streaming: text is passed on while the model still generates.

The model runs in a thread of its own and holds its lock only while it generates, so that a slow or vanished reader does
not block other callers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any

import torch
from transformers import StoppingCriteria
from transformers.generation.streamers import BaseStreamer

from seal_agent.core.messages import Generated

UNFINISHED = "\N{REPLACEMENT CHARACTER}"  # result of decoding an incomplete UTF-8 sequence


def cut(text: str, stop: Sequence[str]) -> str:
    """`text` before the first `stop` text in it."""
    ends = [text.find(mark) for mark in stop if mark in text]
    return text[: min(ends)] if ends else text


def settled(text: str, stop: Sequence[str]) -> str:
    """The part of an unfinished `text` that is final: no incomplete character, no possible beginning of a stop text."""
    text = cut(text, stop).rstrip(UNFINISHED)
    longest = max((n for mark in stop for n in range(1, len(mark)) if text.endswith(mark[:n])), default=0)
    return text[: len(text) - longest]


class Pieces(BaseStreamer):  # type: ignore[misc]
    """Receives tokens from `generate` and queues final text; `is_cancelled` ends the generation."""

    def __init__(self, tokenizer: Any, stop: Sequence[str]) -> None:
        self.queue: SimpleQueue[Generated | BaseException] = SimpleQueue()
        self.is_cancelled = False
        self.sent = Generated()
        self._tokenizer = tokenizer
        self._stop = stop
        self._ids: list[int] | None = None

    @property
    def cancelled(self) -> StoppingCriteria:
        """The criterion that ends a generation without a reader."""
        return _Cancelled(self)

    def put(self, value: torch.Tensor) -> None:
        """Receives the prompt (ignored), then each token."""
        if self._ids is None:
            self._ids = []
            return
        self._ids += value.flatten().tolist()
        text = settled(self._tokenizer.decode(self._ids, skip_special_tokens=True), self._stop)
        if len(text) > len(self.sent):
            self.queue.put(Generated(text[len(self.sent) :], len(self._ids) - self.sent.num_tokens))
            self.sent = Generated(text, len(self._ids))

    def end(self) -> None:
        """Does nothing: the rest is sent by `finish`, which knows the ending."""

    def finish(self, whole: Generated) -> None:
        """Queue the part of `whole` that was not sent yet, with its ending."""
        self.queue.put(Generated(whole[len(self.sent) :], whole.num_tokens - self.sent.num_tokens, whole.ending))


class _Cancelled(StoppingCriteria):  # type: ignore[misc]
    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces

    def __call__(self, input_ids: torch.Tensor, scores: object, **_kwargs: object) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self._pieces.is_cancelled, device=input_ids.device)


def stream_of(generate: Callable[[Pieces], Generated], tokenizer: Any, stop: Sequence[str]) -> Iterator[Generated]:
    """The text of `generate(pieces)` in pieces; generation starts at the first `next`."""
    pieces = Pieces(tokenizer, stop)

    def run() -> None:
        try:
            pieces.finish(generate(pieces))
        except BaseException as error:  # edge of the thread: raised again in the reader
            pieces.queue.put(error)

    threading.Thread(target=run, name="seal-stream", daemon=True).start()
    try:
        while True:
            piece = pieces.queue.get()
            if isinstance(piece, BaseException):
                raise piece
            yield piece
            if piece.ending:
                return
    finally:
        pieces.is_cancelled = True
