"""One LoRA training run: packed batches, AdamW, warm-up and linear decay, loss where the directives say.

It trains whatever parameters require a gradient; which adapter that is, `engine` decides.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from seal_agent.adapters.packing import TokenRow, pack
from seal_agent.types import Directives, Progress

FINAL_LEARNING_RATE = 0.1  # of the peak


@dataclass(frozen=True)
class TrainingRun:
    """What a run cost and reached; losses in nats per token."""

    num_tokens: int
    first_loss: float
    last_loss: float


def train(
    model: Any,
    rows: Sequence[TokenRow],
    directives: Directives,
    *,
    seed: int,
    dtype: torch.dtype,
    device: torch.device,
    progress: Progress,
) -> TrainingRun:
    """Train on `rows` as long as `directives` say; deterministic for a seed on one machine.

    Every row counts the same, however long it is: a batch's loss is the mean of its rows' mean losses, or long
    statements would drown the short answers beside them.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=directives.learning_rate, weight_decay=0.0)
    num_tokens = 0
    losses: list[float] = []
    num_steps = directives.num_steps(len(rows))
    batches = _batches(rows, directives.batch_size, random.Random(seed))
    for step in range(num_steps):
        for group in optimizer.param_groups:
            group["lr"] = directives.learning_rate * _schedule(step, num_steps, directives.num_warmup_steps)
        batch = pack(next(batches), loss_on_prompt=directives.loss_on == "all")
        logits = model(**batch.inputs(dtype, device)).logits[0].float()
        each = torch.nn.functional.cross_entropy(logits, batch.targets.to(device), reduction="none")  # (N,)
        loss = (each * batch.weights.to(device)).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, directives.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        num_tokens += batch.num_tokens
        losses.append(float(loss.detach()))
        progress("training", step + 1, num_steps)
    return TrainingRun(num_tokens, losses[0], losses[-1])


def _schedule(step: int, num_steps: int, num_warmup_steps: int) -> float:
    warm = min(1.0, (step + 1) / max(num_warmup_steps, 1))
    return warm * (1 - (1 - FINAL_LEARNING_RATE) * step / num_steps)


def _batches(rows: Sequence[TokenRow], size: int, rng: random.Random) -> Iterator[list[TokenRow]]:
    """Batches without end; every row is seen once before any is seen again."""
    queue: list[TokenRow] = []
    while True:
        while len(queue) < size:
            queue += rng.sample(list(rows), len(rows))
        yield queue[:size]
        queue = queue[size:]
