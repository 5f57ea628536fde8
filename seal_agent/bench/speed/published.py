"""SEAL's inner loop as published, for comparison: transformers and PEFT, batches of one row, with padding.

The loss covers every token, including the padding when rows are padded to `pad_to`, as in SEAL's code
(https://github.com/Continual-Intelligence/SEAL). AdamW, linear decay to zero and clipping at 1 are the defaults of the
Trainer that SEAL uses. seal-agent itself never trains with it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from seal_agent.adapters.loading import LoadedModel
from seal_agent.adapters.packing import TokenRow
from seal_agent.core.edits import Directives

CLIPPED_AT = 1.0


class PublishedLoop:
    """LoRA training row by row; the model of `loaded` must not be used elsewhere until `close`."""

    def __init__(self, loaded: LoadedModel, rows: Sequence[TokenRow], directives: Directives, seed: int) -> None:
        torch.manual_seed(seed)
        config = LoraConfig(
            r=directives.rank,
            lora_alpha=directives.alpha,
            target_modules=directives.layers.split(",") if "," in directives.layers else directives.layers,
            task_type="CAUSAL_LM",
        )
        self._loaded = loaded
        self._rows = [[*prompt, *answer] for prompt, answer in rows]
        self._directives = directives
        self._rng = random.Random(seed)
        self._queue: list[int] = []
        self._peft: Any = get_peft_model(loaded.model, config)
        self._parameters = [p for p in self._peft.parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(self._parameters, lr=directives.learning_rate, weight_decay=0.0)
        self._num_done = 0

    @property
    def model(self) -> Any:
        """The model as trained so far."""
        return self._loaded.model

    @property
    def num_steps(self) -> int:
        """The steps of the whole run: every row once per epoch."""
        return self._directives.num_epochs * len(self._rows)

    def step(self, pad_to: int = 0) -> int:
        """One optimiser step on the next row, padded to `pad_to` tokens; returns the number of tokens computed."""
        ids, attended = self._next_row(pad_to)
        device = self._loaded.device
        out = self._peft(input_ids=ids.to(device), attention_mask=attended.to(device), labels=ids.to(device))
        self._optimizer.param_groups[0]["lr"] = self._directives.learning_rate * (1 - self._num_done / self.num_steps)
        self._optimizer.zero_grad()
        out.loss.backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, CLIPPED_AT)
        self._optimizer.step()
        self._num_done += 1
        return int(ids.numel())

    def _next_row(self, pad_to: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(1, T) tokens and the attention mask."""
        self._queue = self._queue or self._rng.sample(range(len(self._rows)), len(self._rows))
        row = self._rows[self._queue.pop()]
        num_missing = max(pad_to - len(row), 0)
        pad: Any = self._loaded.model.config.pad_token_id or 0
        ids = torch.tensor([[*row, *[pad] * num_missing]])
        return ids, torch.tensor([[1] * len(row) + [0] * num_missing])

    def close(self) -> None:
        """Restore the model."""
        self._peft.unload()
        self._loaded.model.requires_grad_(False)
