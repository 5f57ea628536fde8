"""A stack of LoRA adapters as one: exact in float32 for any ranks and weights λ, or compressed to a given rank.

The update of a stack is Σ λ s B A. As one adapter: A = [A₁; A₂; …], B = [λ₁ s₁ B₁, λ₂ s₂ B₂, …].
PEFT's own `combination_type="cat"` gives the same sum for plain LoRA, but stores it in the base model's precision,
where an edit loses part of its effect in bfloat16.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from seal_agent.adapters.linear import numbers_in
from seal_agent.core.backend import folded_facts
from seal_agent.core.errors import AdapterError
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.storage.adapter_store import AdapterRegistry

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
PREFIX = "base_model.model."  # of the names in PEFT's files
UNKNOWN_KINDS = ("use_dora", "modules_to_save", "trainable_token_indices", "layer_replication")


@dataclass(frozen=True)
class LowRank:
    """One update of a model's linear layers: A (R, in) and B (out, R) by layer, float32; the update is B A."""

    pairs: Mapping[str, tuple[Tensor, Tensor]]

    @property
    def rank(self) -> int:
        """The largest R."""
        return max((a.shape[0] for a, _ in self.pairs.values()), default=0)

    def scaled(self, weight: float) -> LowRank:
        """This update times λ; only B is multiplied."""
        return LowRank({name: (a, b * weight) for name, (a, b) in self.pairs.items()})


def read_adapter(folder: Path) -> LowRank:
    """Read a plain LoRA adapter in PEFT's format; raises `AdapterError` if it is damaged or of another kind."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        tensors = load_file(folder / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).splitlines()[0][:160]
        raise AdapterError(f"cannot load the adapter at {folder}: {reason}; restore the folder or roll back") from error
    unknown = [kind for kind in UNKNOWN_KINDS if config.get(kind)]
    if config.get("peft_type") != "LORA" or unknown or config.get("bias", "none") != "none":
        raise AdapterError(f"the adapter at {folder} is no plain LoRA adapter ({unknown or config.get('peft_type')})")
    pairs: dict[str, tuple[Tensor, Tensor]] = {}
    for key, a in tensors.items():
        if key.endswith(".lora_A.weight"):
            name = key.removesuffix(".lora_A.weight")
            b = tensors.get(f"{name}.lora_B.weight")
            if b is None or b.shape[1] != a.shape[0]:
                raise AdapterError(f"the adapter at {folder} lacks the second matrix of {key}; restore the folder")
            rank = a.shape[0]
            alpha = (config.get("alpha_pattern") or {}).get(name.removeprefix(PREFIX), config["lora_alpha"])
            scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
            pairs[name.removeprefix(PREFIX)] = (a.float(), b.float() * scale)
    return LowRank(pairs)


def write_adapter(folder: Path, update: LowRank, *, model: str, alpha: int | None = None) -> None:
    """Write `update` in PEFT's format; with `alpha`, B is divided by the factor alpha / rank that PEFT applies."""
    ranks = {a.shape[0] for a, _ in update.pairs.values()}
    if len(ranks) != 1:
        raise AdapterError(f"an adapter is stored with one rank, this one has {sorted(ranks)}; compress it first")
    (rank,) = ranks
    alpha = alpha or rank
    tensors: dict[str, Tensor] = {}
    for name, (a, b) in update.pairs.items():
        tensors[f"{PREFIX}{name}.lora_A.weight"] = a.detach().to("cpu", torch.float32).contiguous()
        tensors[f"{PREFIX}{name}.lora_B.weight"] = (b.detach().to("cpu", torch.float32) * (rank / alpha)).contiguous()
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules=sorted({name.rpartition(".")[2] for name in update.pairs}),
        layers_to_transform=_blocks(update.pairs),
        task_type="CAUSAL_LM",
        inference_mode=True,
        # Folders are hashed and shared between machines, so the local path of the base model is left out.
        base_model_name_or_path=model,
    )
    config.save_pretrained(str(folder))


def _blocks(names: Iterable[str]) -> list[int] | None:
    """The numbers of the blocks with an update; None (all) if a name has no block number."""
    numbers = [numbers_in(name) for name in names]
    return sorted({found[0] for found in numbers}) if all(len(found) == 1 for found in numbers) else None


def fold(updates: Sequence[LowRank]) -> LowRank:
    """The exact sum of `updates`; its rank is the sum of their ranks."""
    names = dict.fromkeys(name for update in updates for name in update.pairs)
    folded = {}
    for name in names:
        parts = [update.pairs[name] for update in updates if name in update.pairs]
        folded[name] = (torch.cat([a for a, _ in parts]), torch.cat([b for _, b in parts], dim=1))
    return LowRank(folded)


def store_folded(
    registry: AdapterRegistry, stack: AdapterStack, update: LowRank, *, model: str, max_rank: int
) -> tuple[AdapterRef, float]:
    """Store `update`, what `stack` adds to `model`, as one adapter of rank `max_rank` at most; return it and its error.

    The error is 0 if the rank suffices; otherwise see `compress`. The manifest holds the error too.
    """
    ranks = {a.shape[0] for a, _ in update.pairs.values()}
    error = 0.0
    if len(ranks) > 1 or update.rank > max_rank:
        update, error = compress(update, min(update.rank, max_rank))

    def write(folder: Path) -> None:
        write_adapter(folder, update, model=model)

    facts = {**folded_facts(stack), "error": round(error, 6)}
    return registry.add(write, model=model, rank=update.rank, manifest=facts), error


def compress(update: LowRank, max_rank: int) -> tuple[LowRank, float]:
    """The nearest update of rank `max_rank` in every layer, and its error: ‖difference‖ / ‖update‖ (Frobenius).

    Truncated SVD of B A by QR of both factors, without forming (out, in) (Eckart–Young). Layers of lower rank are
    padded with zeros, so that all layers have one rank, as servers require.
    """
    lost = total = 0.0
    pairs = {}
    for name, (a, b) in update.pairs.items():
        q_b, r_b = torch.linalg.qr(b)  # (out, R), (R, R)
        q_a, r_a = torch.linalg.qr(a.t())  # (in, R), (R, R)
        u, s, v = torch.linalg.svd(r_b @ r_a.t(), full_matrices=False)
        kept = min(max_rank, len(s))
        root = s[:kept].sqrt()
        near_a, near_b = root[:, None] * (v[:kept] @ q_a.t()), (q_b @ u[:, :kept]) * root
        fill = max_rank - kept
        pairs[name] = (
            torch.nn.functional.pad(near_a, (0, 0, 0, fill)),
            torch.nn.functional.pad(near_b, (0, fill)),
        )
        lost += float((s[kept:] ** 2).sum())
        total += float((s**2).sum())
    return LowRank(pairs), math.sqrt(lost / total) if total else 0.0
