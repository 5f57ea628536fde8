"""LoRA training of K candidates in one pass: packed batches, AdamW, warm-up and linear decay.

Each candidate has its own rows, seed, learning rate, clipping, optimiser state and end; all share the frozen model and
the forward and backward pass. Training together gives the same result as training one by one, up to rounding.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from seal_agent.adapters.folding import LowRank
from seal_agent.adapters.frozen_layers import blocks_below, remembered
from seal_agent.adapters.linear import AdaptedLinear
from seal_agent.adapters.packing import Pack, TokenRow, computed_length, labelled_logits, pack, split
from seal_agent.adapters.schedule import batches, learning_rate_share, trained_layers
from seal_agent.core.edits import Directives
from seal_agent.core.episodes import Progress
from seal_agent.core.errors import TrainingFault

BETAS, EPSILON = (0.9, 0.999), 1e-8  # AdamW's own defaults; no weight decay
TOP = 64  # most likely tokens of a frozen prediction that are stored
REST = 1e-6  # lower limit of the probability of all other tokens together
MAX_TOGETHER_TOKENS = 8192  # of one pass; larger passes only cost memory
MAX_ANCHOR_TOKENS = 1024  # of one pass that stores frozen predictions; the model may serve others between passes


@dataclass(frozen=True)
class Job:
    """One candidate to train. `anchored`: numbers of the rows about earlier knowledge (see `Anchor`).

    `taught`: by row number, the row as the teacher reads it: the same answer after a prompt with the text in view.
    """

    rows: Sequence[TokenRow]
    directives: Directives
    seed: int
    anchored: frozenset[int] = frozenset()
    taught: Mapping[int, TokenRow] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, float, str, float]:
        """The settings that candidates must share to be trained in one pass."""
        d = self.directives
        return d.rank, d.alpha, d.layers, d.top_layers


@dataclass(frozen=True)
class TrainingRun:
    """The cost and the losses of a run, and the update itself; losses in nats per token.

    `num_tokens`: tokens computed for this candidate; `num_padding`: padding in its sequences; `num_steps`: steps taken.
    """

    update: LowRank
    num_tokens: int
    num_padding: int
    num_steps: int
    first_loss: float
    last_loss: float


def train(
    model: Any,
    layers: Mapping[str, AdaptedLinear],
    jobs: Sequence[Job],
    *,
    dtype: torch.dtype,
    device: torch.device,
    between_steps: Callable[[], None] = lambda: None,
    progress: Progress,
) -> list[TrainingRun]:
    """Train every job on top of the served stack of `layers`; deterministic for its seeds on one machine.

    `progress` is called with the candidates attached to the model. `between_steps` is called without them, between two
    passes, so that the model may serve others there.

    Every row has the same weight, whatever its length: a batch's loss is the mean of its rows' mean losses. Otherwise
    long statements would dominate short answers. Raises `TrainingFault` if a loss is not finite.
    """
    runs: dict[int, TrainingRun] = {}
    groups: dict[tuple[int, float, str, float], list[int]] = {}
    for number, job in enumerate(jobs):
        groups.setdefault(job.shape, []).append(number)
    total = sum(job.directives.num_steps(len(job.rows)) for job in jobs)
    done = 0

    def stepped(num_candidates: int) -> None:
        nonlocal done
        done += num_candidates
        progress("training", min(done, total), total)

    for group in groups.values():
        size = max(1, MAX_TOGETHER_TOKENS // max(_tokens_of_a_step(jobs[n]) for n in group))
        for start in range(0, len(group), size):
            numbers = group[start : start + size]
            together = _Together(model, layers, [jobs[n] for n in numbers], dtype, device)
            runs |= dict(zip(numbers, together.run(stepped, between_steps), strict=True))
    return [runs[number] for number in range(len(jobs))]


def _tokens_of_a_step(job: Job) -> int:
    lengths = sorted((len(prompt) + len(answer) for prompt, answer in job.rows), reverse=True)
    return max(1, sum(lengths[: job.directives.batch_size]))


@dataclass(frozen=True)
class Anchor:
    """The frozen model's prediction at the N answer tokens of one row: `TOP` tokens, and the rest as one class.

    KL(frozen ‖ candidate) over these classes is a lower bound of the full divergence, and zero for equal predictions.
    """

    tokens: Tensor  # (N, TOP)
    probabilities: Tensor  # (N, TOP + 1); the last column is all other tokens

    def divergence(self, logprobs: Tensor) -> Tensor:
        """KL in nats at every token, (N,); `logprobs` (M, V) are the candidate's, of which the last N rows count."""
        top = logprobs[-len(self.tokens) :].gather(1, self.tokens)
        rest = torch.log1p(-top.exp().sum(1, keepdim=True).clamp(max=1 - REST)).clamp(min=math.log(REST))
        return torch.nn.functional.kl_div(torch.cat([top, rest], 1), self.probabilities, reduction="none").sum(1)


class _Candidate:
    """The state of one candidate without its tensors: batches, schedule, costs."""

    def __init__(self, job: Job) -> None:
        self.directives = job.directives
        self.num_steps = job.directives.num_steps(len(job.rows))
        self.rows = job.rows
        self.batches = batches(len(job.rows), job.directives.batch_size, random.Random(job.seed))
        self.anchored = job.anchored if job.directives.kl_weight else frozenset()
        self.taught = job.taught if job.directives.distill else {}
        self.anchors: dict[int, Anchor] = {}
        self.losses: list[float] = []
        self.row_losses: dict[int, float] = {}  # the loss of each row when it was seen last
        self.num_tokens = self.num_padding = 0

    def next_batch(self) -> tuple[list[int], Pack]:
        numbers = next(self.batches)
        return numbers, self.packed(numbers)

    def packed(self, numbers: Sequence[int]) -> Pack:
        return pack([self.rows[n] for n in numbers], loss_on_prompt=self.directives.loss_on == "all")

    def to_anchor(self) -> Iterator[tuple[list[int], Pack]]:
        """The rows that need a frozen prediction, as the teacher reads them; rows with the same text are neighbours."""
        for number in sorted(self.anchored):
            yield [number], self.packed([number])
        numbers, rows = list(self.taught), list(self.taught.values())
        for group in split(rows, MAX_ANCHOR_TOKENS):
            yield [numbers[place] for place in group], pack([rows[place] for place in group])

    def divergence(self, numbers: Sequence[int], batch: Pack, logits: Tensor) -> Tensor:
        """The weighted mean over the batch's rows of their mean divergence, (); rows without an anchor count as 0."""
        total = logits.new_zeros(())
        for place, number in enumerate(numbers):
            if number in self.anchors:
                own = torch.log_softmax(logits[batch.rows.to(logits.device) == place], -1)
                weight = self.directives.distill if number in self.taught else self.directives.kl_weight
                total = total + weight * self.anchors[number].divergence(own).mean() / len(numbers)
        return total

    def hard(self, numbers: Sequence[int], batch: Pack) -> Tensor:
        """For each target the weight of its likelihood in the loss, (N,); the rest is the weight of its divergence."""
        shares = torch.tensor([1 - self.directives.distill * (number in self.taught) for number in numbers])
        return shares[batch.rows]

    def learning_rate(self, step: int) -> float:
        return self.directives.learning_rate * learning_rate_share(
            step, self.num_steps, self.directives.num_warmup_steps
        )

    def saw(self, numbers: Sequence[int], batch: Pack, weighted: Tensor) -> None:
        """Record the loss of a batch and of its rows, from the weighted losses of its targets (N,)."""
        shares = torch.zeros(len(numbers)).index_add_(0, batch.rows, weighted.detach().cpu())
        self.losses.append(float(shares.sum()))
        self.row_losses |= dict(zip(numbers, (shares * len(numbers)).tolist(), strict=True))

    @property
    def has_ended(self) -> bool:
        """Whether it is at its last step, or all rows were seen and their mean loss is low enough."""
        if len(self.losses) >= self.num_steps:
            return True
        seen = self.row_losses.values()
        return len(seen) == len(self.rows) and sum(seen) <= self.directives.stop_loss * len(seen)


class _Together:
    """K candidates of one shape: their parameters are one tensor (K, P); every layer's A and B are views of it."""

    def __init__(
        self,
        model: Any,
        layers: Mapping[str, AdaptedLinear],
        jobs: Sequence[Job],
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        first = jobs[0].directives
        self._model, self._dtype, self._device = model, dtype, device
        self._layers = {name: layers[name] for name in trained_layers(layers, first)}
        if not self._layers:
            raise TrainingFault(f"the model has no layers called {first.layers}; choose all-linear")
        self._rank, self._scale = first.rank, first.alpha / first.rank
        self._candidates = [_Candidate(job) for job in jobs]
        self._below = blocks_below(model, layers, self._layers)
        self._kept: tuple[list[list[int]], list[Any]] = ([], [])  # batches, and the states below the trained layers
        self._parameters = torch.stack([self._initial(job.seed) for job in jobs]).to(device)  # (K, P)
        self._moments = [torch.zeros_like(self._parameters) for _ in BETAS]
        self._gradients = torch.zeros_like(self._parameters)

    def run(self, stepped: Callable[[int], None], between_steps: Callable[[], None]) -> list[TrainingRun]:
        """Train until all candidates have ended; one that ends leaves the pass."""
        runs: dict[int, TrainingRun] = {}
        active = list(range(len(self._candidates)))
        self._anchor(between_steps)
        try:
            self._bind()
            while active:
                self._attach()
                self._step([self._candidates[n] for n in active])
                stepped(len(active))
                self._detach()
                between_steps()
                ended = [place for place, n in enumerate(active) if self._candidates[n].has_ended]
                for place in ended:
                    runs[active[place]] = self._result(self._candidates[active[place]], place)
                if ended:
                    going = [place for place in range(len(active)) if place not in ended]
                    self._keep(going)
                    active = [active[place] for place in going]
        finally:
            self._detach()
        return [runs[number] for number in range(len(self._candidates))]

    @torch.no_grad()
    def _anchor(self, between_steps: Callable[[], None]) -> None:
        """Store the frozen model's predictions on anchored and taught rows before training starts."""
        for candidate in self._candidates:
            for numbers, batch in candidate.to_anchor():
                candidate.anchors |= dict(zip(numbers, self._anchors(batch), strict=True))
                between_steps()

    def _anchors(self, batch: Pack) -> list[Anchor]:
        logits = labelled_logits(self._model, [batch], self._dtype, self._device).float()
        top = torch.softmax(logits, -1).topk(min(TOP, logits.shape[1] - 1))
        rest = (1 - top.values.sum(1, keepdim=True)).clamp(min=REST)
        probabilities = torch.cat([top.values, rest], 1)
        owners = batch.rows.to(self._device)
        return [
            Anchor(top.indices[owners == place], probabilities[owners == place])
            for place in range(int(batch.rows.max()) + 1)
        ]

    def _step(self, candidates: Sequence[_Candidate]) -> None:
        batches = [candidate.next_batch() for candidate in candidates]
        packs = [batch for _, batch in batches]
        with self._states_below(candidates, [numbers for numbers, _ in batches]):
            logits = labelled_logits(self._model, packs, self._dtype, self._device).float()  # (N, V)
        targets = torch.cat([p.targets for p in packs]).to(self._device)
        weights = torch.cat([p.weights for p in packs]).to(self._device)
        each = torch.nn.functional.cross_entropy(logits, targets, reduction="none") * weights
        sizes = [len(p.targets) for p in packs]
        parts = torch.split(each, sizes)
        losses = torch.stack([part.sum() for part in parts])  # (K,)
        hard = torch.cat([c.hard(numbers, batch) for c, (numbers, batch) in zip(candidates, batches, strict=True)])
        held = torch.zeros((), device=self._device)
        for candidate, (numbers, batch), part in zip(candidates, batches, torch.split(logits, sizes), strict=True):
            if candidate.anchors:
                held = held + candidate.divergence(numbers, batch, part)
        if not bool(losses.isfinite().all()):
            raise TrainingFault(
                f"the loss became {losses.tolist()} in step {len(candidates[0].losses) + 1}; "
                "lower the learning rate or check the rows"
            )
        found = torch.autograd.grad((each * hard.to(self._device)).sum() + held, self._leaves)
        torch._foreach_copy_(self._places, found)
        self._update([c.learning_rate(len(c.losses)) for c in candidates], candidates)
        length = computed_length(packs, self._dtype)
        for candidate, (numbers, batch), part in zip(candidates, batches, parts, strict=True):
            candidate.saw(numbers, batch, part)
            candidate.num_tokens += batch.num_tokens
            candidate.num_padding += length - batch.num_tokens

    def _states_below(self, candidates: Sequence[_Candidate], batches: list[list[int]]) -> AbstractContextManager[None]:
        """Where every batch holds all rows of its candidate, the frozen blocks below are computed in the first step."""
        if any(len(numbers) < len(c.rows) for c, numbers in zip(candidates, batches, strict=True)):
            return nullcontext()
        if self._kept[0] != batches:
            self._kept = (batches, [])
        return remembered(self._below, self._kept[1])

    @torch.no_grad()
    def _update(self, rates: Sequence[float], candidates: Sequence[_Candidate]) -> None:
        """Clip each candidate's gradient, then AdamW (Loshchilov and Hutter, arXiv 1711.05101) without decay."""
        limits = torch.tensor([c.directives.max_grad_norm for c in candidates], device=self._device)
        norms = self._gradients.norm(dim=1)  # (K,)
        if not bool(norms.isfinite().all()):
            raise TrainingFault(
                f"the gradient's norm became {norms.tolist()} in step {len(candidates[0].losses) + 1}; "
                "lower the learning rate or check the rows"
            )
        self._gradients *= (limits / (norms + 1e-6)).clamp(max=1.0)[:, None]
        mean, square = self._moments
        step = torch.tensor(float(len(candidates[0].losses)), device=self._device)  # the same for all
        for number, rate in enumerate(rates):
            adamw(
                [self._parameters[number]],
                [self._gradients[number]],
                [mean[number]],
                [square[number]],
                [],
                [step.clone()],
                fused=True,
                amsgrad=False,
                beta1=BETAS[0],
                beta2=BETAS[1],
                lr=rate,
                weight_decay=0.0,
                eps=EPSILON,
                maximize=False,
            )

    def _initial(self, seed: int) -> Tensor:
        """A by Kaiming, B zero, as in LoRA (arXiv 2106.09685), (P,); drawn on the CPU, so that all devices agree."""
        generator = torch.Generator().manual_seed(seed)
        parts = []
        for layer in self._layers.values():
            num_out, num_in = layer.shape
            bound = 1 / math.sqrt(num_in)  # kaiming_uniform_ with a = sqrt(5)
            parts.append(torch.empty(self._rank * num_in).uniform_(-bound, bound, generator=generator))
            parts.append(torch.zeros(num_out * self._rank))
        return torch.cat(parts)

    def _bind(self) -> None:
        """Give every layer its A and B: leaf tensors that share memory with the parameters."""
        self._leaves: list[Tensor] = []
        self._places: list[Tensor] = []  # slices of the gradient tensor for each leaf
        offset = 0
        for layer in self._layers.values():
            num_out, num_in = layer.shape
            for shape in ((self._rank, num_in), (num_out, self._rank)):
                end = offset + math.prod(shape)
                view = torch.unflatten(self._parameters[:, offset:end], 1, shape)
                self._leaves.append(view.detach().requires_grad_())
                self._places.append(torch.unflatten(self._gradients[:, offset:end], 1, shape))
                offset = end

    def _attach(self) -> None:
        for number, layer in enumerate(self._layers.values()):
            layer.candidates = (self._leaves[2 * number], self._leaves[2 * number + 1], self._scale)

    def _detach(self) -> None:
        for layer in self._layers.values():
            layer.candidates = None

    def _result(self, candidate: _Candidate, place: int) -> TrainingRun:
        pairs = {}
        for number, name in enumerate(self._layers):
            a, b = self._leaves[2 * number : 2 * number + 2]
            pairs[name] = (a[place].detach().clone(), b[place].detach() * self._scale)
        return TrainingRun(
            LowRank(pairs),
            candidate.num_tokens,
            candidate.num_padding,
            len(candidate.losses),
            candidate.losses[0],
            candidate.losses[-1],
        )

    def _keep(self, places: Sequence[int]) -> None:
        chosen = torch.tensor(list(places), dtype=torch.long, device=self._device)
        self._parameters = self._parameters[chosen]
        self._moments = [moment[chosen] for moment in self._moments]
        self._gradients = self._gradients[chosen]
        self._bind()
