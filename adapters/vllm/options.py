"""vLLM's settings, the same for a server and for an engine in this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seal_agent.core.errors import InputError
from seal_agent.core.numbers import check_whole

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # allowed by vLLM 0.32 for --max-lora-rank
MAX_LORA_RANK = 64
MAX_KEPT = 8
# Without the output layer: with adapters on it, vLLM 0.32 crashes on a CPU when it scores two prompts at once.
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class EngineOptions:
    """How a model is run. `model` is a folder or a Hugging Face name.

    `max_loras`: adapters in one batch; `max_kept`: adapters in memory; `max_tokens`: the context (0: the model's);
    `modules`: the layers that adapters change.
    """

    model: str
    dtype: str = "auto"
    max_lora_rank: int = MAX_LORA_RANK
    max_loras: int = 4
    max_kept: int = MAX_KEPT
    max_tokens: int = 0
    modules: tuple[str, ...] = LINEAR

    def __post_init__(self) -> None:
        check_whole("max_lora_rank", self.max_lora_rank, 1)
        check_whole("max_loras", self.max_loras, 1)
        check_whole("max_kept", self.max_kept, 1)
        check_whole("max_tokens", self.max_tokens, 0)
        if self.max_lora_rank not in RANKS:
            raise InputError(f"vLLM refuses --max-lora-rank {self.max_lora_rank}; choose {', '.join(map(str, RANKS))}")
        if not 1 <= self.max_loras <= self.max_kept:
            raise InputError(f"{self.max_loras} adapters in a batch and {self.max_kept} kept; give 1 ≤ batch ≤ kept")

    def arguments(self) -> dict[str, Any]:
        """The settings under vLLM's names."""
        context = {"max_model_len": self.max_tokens} if self.max_tokens else {}
        return {
            "model": self.model,
            "dtype": self.dtype,
            "enable_lora": True,
            "max_lora_rank": self.max_lora_rank,
            "max_loras": self.max_loras,
            "max_cpu_loras": self.max_kept,
            "lora_target_modules": list(self.modules),
            "generation_config": "vllm",
            "structured_outputs_config": {"backend": "guidance"},  # llguidance, whose Lark dialect our grammars use
            **context,
        }
