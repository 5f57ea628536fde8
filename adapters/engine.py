"""The live model: serves a stack folded into one update, trains candidates on top of it.

The base weights are never changed. A served stack is a second set of weights beside them, the sum taken once in
float32, so that 32 adapters answer as fast as none. Where weights have 16 bits the sum is rounded, so a stack of few
ranks stays an adapter of its own, exact, and costs every token something (docs/log/speed.md); so does every stack where
weights are quantized. With the empty stack the model is the bare base, bit for bit.
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
from seal_agent.adapters.training import Job, TrainingRun, train
from seal_agent.core.backend import check_fits
from seal_agent.core.edits import Directives
from seal_agent.core.episodes import Progress
from seal_agent.core.errors import AdapterError
from seal_agent.core.priority import Turns
from seal_agent.core.stacks import AdapterRef, AdapterStack

MAX_FOLDED = 2  # stacks kept ready: the served one and a candidate on top of it
MAX_BESIDE = 64  # ranks; more are added to 16-bit weights, which costs .3% of what an edit changes in its answers
MAX_ADAPTERS = 128  # updates kept in memory; a forgotten one is read again

Folded = dict[str, tuple[Tensor, ...]]
"""By layer: (weight,) in place of the base's, or (A, B) beside it."""


class Engine:
    """One base model in memory; `lock` serialises its users, and learning in the background gives way."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.lock = Turns(leaving=give_up_team)
        give_up_team()  # of the thread that loaded it
        self._layers: dict[str, AdaptedLinear] = adapt(loaded.model)
        self._updates: OrderedDict[str, LowRank] = OrderedDict()
        self._folded: OrderedDict[AdapterStack, Folded] = OrderedDict()
        self._active = AdapterStack()

    @property
    def layers(self) -> Mapping[str, AdaptedLinear]:
        """The model's linear layers by their names."""
        return self._layers

    @property
    def model(self) -> Any:
        """The module to call, with whatever stack was activated last."""
        return self.loaded.model

    @property
    def tokenizer(self) -> Any:
        """The base model's."""
        return self.loaded.tokenizer

    @property
    def context_length(self) -> int:
        """The tokens a prompt and its reply may have together."""
        return context_length(self.model.config, self.tokenizer, self.loaded.max_context)

    @cached_property
    def encoder(self) -> Encoder:
        """Prompts and answers as this model's tokens; finding out what there is to know of them takes a while."""
        return Encoder(self.tokenizer)

    @cached_property
    def grammar_tokenizer(self) -> Any:
        """The tokenizer as grammars see it."""
        return grammar_tokenizer(self.tokenizer, self.loaded.model.config.vocab_size)

    @cached_property
    def learning_rate(self) -> float:
        """What fits this model (`rates`)."""
        return fitting_rate(self._layers.values(), self.loaded.dtype, self.loaded.device)

    def fitted(self, directives: Directives) -> Directives:
        """`directives` with the learning rate that fits this model, where they name none."""
        return directives if directives.learning_rate else replace(directives, learning_rate=self.learning_rate)

    def is_loaded(self, ref: AdapterRef) -> bool:
        """Whether the adapter's weights are in memory already."""
        return ref.id in self._updates

    def unload(self, ref: AdapterRef) -> None:
        """Take the adapter out of memory, and every stack that holds it."""
        self._updates.pop(ref.id, None)
        if ref.id in self._active.ids:
            self.activate(AdapterStack())
        for stack in [s for s in self._folded if ref.id in s.ids]:
            del self._folded[stack]

    def activate(self, stack: AdapterStack) -> None:
        """Make `stack` the one the model answers with; the empty stack is the bare base model."""
        if stack == self._active:
            return
        folded = self._fold(stack)
        for name, layer in self._layers.items():
            tensors = folded.get(name, ())
            layer.folded = tensors[0] if len(tensors) == 1 else None
            layer.beside = (tensors[0], tensors[1]) if len(tensors) == 2 else None
        self._active = stack

    def train(self, stack: AdapterStack, jobs: Sequence[Job], *, progress: Progress) -> list[TrainingRun]:
        """Train a fresh update for every job on top of the frozen `stack`; none of them is served."""
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
        """Between two steps: let others go first where it is their turn, then answer with `stack` again.

        Called by the holder of `lock`.
        """
        if not self.lock.is_others_turn:
            return
        state = torch.get_rng_state()  # shared by all threads
        if self.lock.give_way():
            torch.set_rng_state(state)
            self.activate(stack)

    def update(self, stack: AdapterStack) -> LowRank:
        """What `stack` adds to the base weights, exactly, in float32 on the CPU."""
        return fold([self._load(entry.ref).scaled(entry.weight) for entry in stack.entries])

    def _fold(self, stack: AdapterStack) -> Folded:
        if not stack.entries:
            return {}
        if stack in self._folded:
            self._folded.move_to_end(stack)
            return self._folded[stack]
        while len(self._folded) >= MAX_FOLDED:  # before the next is made: each is as large as the model
            self._folded.popitem(last=False)
        folded: Folded = {}
        with torch.inference_mode(mode=False), torch.no_grad():  # training on top of it needs ordinary tensors
            for name, (a, b) in self.update(stack).pairs.items():
                weight, device, dtype = self._layers[name].weight, self.loaded.device, self.loaded.dtype
                is_plain = weight.dtype == dtype  # quantized ones, 8-bit floats too, mean nothing without their scales
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
