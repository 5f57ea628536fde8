"""The learning rate that suits a model.

A step of Adam changes every number of A and B by about the rate, for any model. The effect depends on the weights that
the update B A is added to: those of SmolLM2-135M are ten times as large as those of Qwen2.5-0.5B, and the rate that
suits the first ruins the second. So the rate follows the gain of the layers, as Adafactor scales its steps by the size
of its parameters (Shazeer and Stern, arXiv 1804.04235, section 8). The update grows linearly while only B moves and
quadratically once A moves too, hence a power between 1/2 and 1. The constants were set on SmolLM2-135M and
Qwen2.5-Coder-0.5B; docs/log/training.md has the rates for other models.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import fmean

import torch

from seal_agent.adapters.linear import AdaptedLinear

RATE = 7.63e-4
"""The rate for layers of gain 1."""
POWER = 0.75
NUM_VECTORS = 32


@torch.no_grad()
def fitting_rate(layers: Iterable[AdaptedLinear], dtype: torch.dtype, device: torch.device) -> float:
    """`RATE` times a power of the geometric mean of the layers' gains, rounded to two digits."""
    gains = [gain for layer in layers if (gain := gain_of(layer, dtype, device))]  # a layer of zeros has no gain
    mean = math.exp(fmean(map(math.log, gains))) if gains else 1.0
    return float(f"{RATE * mean**POWER:.2g}")


def gain_of(layer: AdaptedLinear, dtype: torch.dtype, device: torch.device) -> float:
    """rms(W x) / rms(x) for random vectors x, which is ‖W‖ / √out; works for any storage format of W."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(NUM_VECTORS, layer.shape[1], generator=generator).to(device, dtype)
    bias = layer.base(torch.zeros_like(x[:1]))
    lengths = [each.float().square().mean().sqrt().item() for each in (layer.base(x) - bias, x)]
    return lengths[0] / lengths[1]
