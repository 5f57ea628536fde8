"""Asking the base model of a vLLM that may run on a CPU: through an adapter of zeros.

A row that asks for no adapter has the index −1, and vLLM's operators for the CPU take that for the last of its slots:
beside others, the base model answers with whatever adapter lies there, also one that was unloaded (vLLM 0.32; pull
requests 48421 and 49656). On a GPU such rows are skipped. A row that asks for zeros has a slot of its own anywhere.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import torch

from seal_agent.adapters.folding import LowRank, write_adapter
from seal_agent.adapters.registry import AdapterRegistry
from seal_agent.types import AdapterStack

LAYER = "model.layers.0.self_attn.q_proj"  # vLLM takes no adapter without layers
LOCAL = ("localhost", "127.0.0.1", "::1")


def is_on_gpu(url: str) -> bool:
    """Whether the server at `url` surely runs on a GPU: it is this machine's, which has one."""
    return urlsplit(url).hostname in LOCAL and torch.cuda.is_available()


def neutral(registry: AdapterRegistry, path: str, model: str) -> AdapterStack:
    """A stack of one adapter that changes nothing; `path` is the model's folder, or its name on Hugging Face."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(path).get_text_config()
    width = config.num_attention_heads * (
        getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    )
    zeros = LowRank({LAYER: (torch.zeros(1, config.hidden_size), torch.zeros(width, 1))})
    ref = registry.add(
        lambda folder: write_adapter(folder, zeros, model=model), model=model, rank=1, manifest={"topic": "nothing"}
    )
    return AdapterStack().push(ref)
