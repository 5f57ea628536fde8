"""The model in memory: serves a stack folded into one update, and trains candidates on top of it.

The base weights are never changed. A served stack is a second set of weights, summed once in float32, so that 32
adapters are as fast as none. With 16-bit weights the sum would be rounded, so a stack of low rank stays a separate
adapter: exact, but slower per token (docs/log/speed.md). With quantized weights every stack stays separate. With the
empty stack the model is the untouched base, bit for bit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seal_agent.adapters.context import context_length
from seal_agent.adapters.encoding import Encoder
from seal_agent.adapters.folding import LowRank, fold, read_adapter
from seal_agent.adapters.grammar import grammar_tokenizer
from seal_agent.adapters.learning_rate import fitting_rate
from seal_agent.adapters.linear import AdaptedLinear, adapt
from seal_agent.adapters.loading import LoadedModel
from seal_agent.adapters.openmp import give_up_team
from seal_agent.adapters.prefixes import Prefixes
from seal_agent.adapters.training import Job, TrainingRun, train
from seal_agent.core.backend import check_fits
from seal_agent.core.edits import Directives
from seal_agent.core.episodes import Progress
from seal_agent.core.errors import AdapterError
from seal_agent.core.priority import Turns
from seal_agent.core.stacks import AdapterRef, AdapterStack

MAX_FOLDED = 2  # stacks kept in memory: the served one and a candidate on top of it
MAX_BESIDE = 64  # ranks; a larger stack is added to 16-bit weights, which loses 0.3% of an edit's effect on its answers
MAX_ADAPTERS = 128  # adapters kept in memory; others are read again from disk

Folded = dict[str, tuple[Tensor, ...]]
"""By layer: (weight,) replaces the base weight, or (A, B) is applied beside it."""


class Engine:
    """One base model in memory. `lock` serialises callers; background learning yields to them."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.lock = Turns(leaving=give_up_team)
        give_up_team()  # of the thread that loaded the model
        self._layers: dict[str, AdaptedLinear] = adapt(loaded.model)
        self._updates: OrderedDict[str, LowRank] = OrderedDict()
        self._folded: OrderedDict[AdapterStack, Folded] = OrderedDict()
        self._active = AdapterStack()
        self.prefixes = Prefixes()
        """States of the beginnings of prompts, read before."""

    @property
    def layers(self) -> Mapping[str, AdaptedLinear]:
        """The model's linear layers by their names."""
        return self._layers

    @property
    def model(self) -> Any:
        """The module to call, with the stack activated last."""
        return self.loaded.model

    @property
    def tokenizer(self) -> Any:
        """The base model's tokenizer."""
        return self.loaded.tokenizer

    @property
    def context_length(self) -> int:
        """The maximum number of tokens of a prompt and its reply."""
        return context_length(self.model.config, self.tokenizer, self.loaded.max_context)

    @cached_property
    def encoder(self) -> Encoder:
        """Encodes prompts and answers; created on first use, because it is slow to create."""
        return Encoder(self.tokenizer)

    @cached_property
    def grammar_tokenizer(self) -> Any:
        """The tokenizer in the form that grammars use."""
        return grammar_tokenizer(self.tokenizer, self.loaded.model.config.vocab_size)

    @cached_property
    def learning_rate(self) -> float:
        """The learning rate that suits this model (`learning_rate`)."""
        return fitting_rate(self._layers.values(), self.loaded.dtype, self.loaded.device)

    def fitted(self, directives: Directives) -> Directives:
        """`directives` with this model's learning rate if they name none."""
        return directives if directives.learning_rate else replace(directives, learning_rate=self.learning_rate)

    def is_loaded(self, ref: AdapterRef) -> bool:
        """Whether the adapter's weights are in memory."""
        return ref.id in self._updates

    def unload(self, ref: AdapterRef) -> None:
        """Remove the adapter, every folded stack that contains it, and all states of prompts from memory.

        An adapter is unloaded when what it learned is forgotten; prompts may have held that too.
        """
        self.prefixes.clear()
        self._updates.pop(ref.id, None)
        if ref.id in self._active.ids:
            self.activate(AdapterStack())
        for stack in [s for s in self._folded if ref.id in s.ids]:
            del self._folded[stack]

    def activate(self, stack: AdapterStack) -> None:
        """Make the model answer with `stack`; the empty stack is the base model."""
        if stack == self._active:
            return
        folded = self._fold(stack)
        for name, layer in self._layers.items():
            tensors = folded.get(name, ())
            layer.folded = tensors[0] if len(tensors) == 1 else None
            layer.beside = (tensors[0], tensors[1]) if len(tensors) == 2 else None
        self._active = stack

    def train(self, stack: AdapterStack, jobs: Sequence[Job], *, progress: Progress) -> list[TrainingRun]:
        """Train a new update for every job on top of the frozen `stack`; none of them is served."""
        self.activate(stack)
        return train(
            self.model,
            self._layers,
            [replace(job, directives=self.fitted(job.directives)) for job in jobs],
            dtype=self.loaded.dtype,
            device=self.loaded.device,
            between_steps=lambda: self.give_way(stack),
            progress=progress,
        )

    def give_way(self, stack: AdapterStack) -> None:
        """Between two steps, yield to waiting threads if it is their turn, then activate `stack` again.

        Called by the holder of `lock`.
        """
        if not self.lock.is_others_turn:
            return
        state = torch.get_rng_state()  # all threads share it
        if self.lock.give_way():
            torch.set_rng_state(state)
            self.activate(stack)

    def update(self, stack: AdapterStack) -> LowRank:
        """The update that `stack` adds to the base weights, exact, in float32 on the CPU."""
        return fold([self._load(entry.ref).scaled(entry.weight) for entry in stack.entries])

    def _fold(self, stack: AdapterStack) -> Folded:
        if not stack.entries:
            return {}
        if stack in self._folded:
            self._folded.move_to_end(stack)
            return self._folded[stack]
        while len(self._folded) >= MAX_FOLDED:  # before the next is made: each takes as much memory as the model
            self._folded.popitem(last=False)
        folded: Folded = {}
        with torch.inference_mode(mode=False), torch.no_grad():  # autograd refuses inference tensors
            for name, (a, b) in self.update(stack).pairs.items():
                weight, device, dtype = self._layers[name].weight, self.loaded.device, self.loaded.dtype
                is_plain = weight.dtype == dtype  # quantized weights need their scales
                if is_plain and (dtype == torch.float32 or len(a) > MAX_BESIDE):
                    folded[name] = (torch.addmm(weight.float(), b.to(device), a.to(device)).to(dtype),)
                else:
                    folded[name] = (a.to(device, dtype), b.to(device, dtype))
        self._folded[stack] = folded
        return folded

    def _load(self, ref: AdapterRef) -> LowRank:
        check_fits(ref, self.loaded.name)
        if ref.id not in self._updates:
            update = read_adapter(Path(ref.path))
            for name, (a, b) in update.pairs.items():
                if name not in self._layers or self._layers[name].shape != (b.shape[0], a.shape[1]):
                    raise AdapterError(f"adapter {ref.short} does not fit layer {name!r} of {self.loaded.name}")
            while len(self._updates) >= MAX_ADAPTERS:
                self._updates.popitem(last=False)
            self._updates[ref.id] = update
        self._updates.move_to_end(ref.id)
        return self._updates[ref.id]
