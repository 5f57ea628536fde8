"""A linear layer with the served stack, and with K candidates while they are trained.

It replaces a model's linear layers in place and never changes their weights, so that without a stack the output is
unchanged bit for bit. `folding` and `training` set the updates.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

LINEAR = (nn.Linear, Conv1D)


class AdaptedLinear(nn.Module):
    """y = x Wᵀ + bias, with the served stack inside W or beside it, plus s · (x Aₖᵀ) Bₖᵀ of the candidates.

    `folded`: (out, in), the base weight plus the stack, used instead of it. `beside`: A (R, in) and B (out, R) of the
    stack, for bases whose precision would round it away. `candidates`: A (K, r, in), B (K, out, r) and s; sequence k of
    a batch of K uses candidate k (batched LoRA as in S-LoRA, arXiv 2311.03285).
    """

    def __init__(self, base: nn.Module) -> None:
        super().__init__()
        self.base = base
        self.folded: Tensor | None = None
        self.beside: tuple[Tensor, Tensor] | None = None
        self.candidates: tuple[Tensor, Tensor, float] | None = None

    @property
    def weight(self) -> Tensor:
        """The base weight, (out, in), in whatever form the base layer stores it."""
        weight: Tensor = self.base.get_parameter("weight")
        return weight if isinstance(self.base, nn.Linear) else weight.t()

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""
        if isinstance(self.base, nn.Linear):  # a quantizer may have packed the weight
            return self.base.out_features, self.base.in_features
        return self.weight.shape[0], self.weight.shape[1]

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        bias: Any = self.base.bias
        y: Tensor = self.base(x) if self.folded is None else nn.functional.linear(x, self.folded, bias)
        if self.beside:
            a, b = self.beside
            y = y + (x @ a.t()) @ b.t()
        if self.candidates:
            a, b, scale = self.candidates
            y = _Candidates.apply(y, x, a.to(x.dtype), b.to(x.dtype), scale)  # type: ignore[no-untyped-call]
        return y


class _Candidates(torch.autograd.Function):
    """y + s · (x Aₖᵀ) Bₖᵀ, added in place; forward and backward consist of matrix products only.

    The products have the precision of x, as under autocast; A, B and their gradients stay float32.
    """

    @staticmethod
    def forward(ctx: Any, y: Tensor, x: Tensor, a: Tensor, b: Tensor, scale: float) -> Tensor:
        """The new y, (K, T, out); x (K, T, in), A (K, r, in), B (K, out, r)."""
        low = x @ a.transpose(1, 2)  # (K, T, r)
        ctx.save_for_backward(x, a, b, low)
        ctx.scale = scale
        ctx.mark_dirty(y)
        return y.baddbmm_(low, b.transpose(1, 2), alpha=scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of y, x, A and B; none of the scale."""
        x, a, b, low = ctx.saved_tensors
        of_low = (gradient @ b).mul_(ctx.scale)
        of_x = of_low @ a if ctx.needs_input_grad[1] else None
        return gradient, of_x, of_low.transpose(1, 2) @ x, (gradient.transpose(1, 2) @ low).mul_(ctx.scale), None


def adapt(model: Any) -> dict[str, AdaptedLinear]:
    """Replace every linear layer of `model` but its output layer by an `AdaptedLinear`; return them by name.

    Names and choice are those of PEFT's "all-linear", so that its adapters fit.
    """
    output = model.get_output_embeddings()
    output.register_forward_pre_hook(_in_one_piece)
    found = [(n, m) for n, m in model.named_modules() if isinstance(m, LINEAR) and m is not output]
    adapted: dict[str, AdaptedLinear] = {}
    for name, module in found:
        parent, _, attribute = name.rpartition(".")
        adapted[name] = AdaptedLinear(module)
        setattr(model.get_submodule(parent), attribute, adapted[name])
    return adapted


def _in_one_piece(_module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """A copy of the last states in one piece: torch multiplies a strided view of sequences by a copy of W for each.

    `contiguous` would keep the view of the last token of a single sequence, which is strided all the same.
    """
    return (arguments[0].clone(memory_format=torch.contiguous_format),)


def numbers_in(name: str) -> list[int]:
    """The numbers in a layer's name: the block's first, then those of parts of it, such as an expert."""
    return [int(part) for part in name.split(".") if part.isdigit()]
