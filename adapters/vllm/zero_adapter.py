"""Requests to the base model of a vLLM that may run on a CPU: through an adapter of zeros.

A row without an adapter has the index −1, which vLLM's CPU operators take for the last adapter slot. In a mixed batch
the base model then answers with whatever adapter is in that slot, even an unloaded one (vLLM 0.32; pull requests 48421
and 49656). GPU operators skip such rows. A row with an adapter of zeros has a valid slot everywhere.
"""

from __future__ import annotations

from functools import partial
from urllib.parse import urlsplit

import torch

from seal_agent.adapters.folding import LowRank, write_adapter
from seal_agent.adapters.vllm.options import LINEAR
from seal_agent.core.stacks import AdapterStack
from seal_agent.storage.adapter_store import AdapterRegistry

LOCAL = ("localhost", "127.0.0.1", "::1")


def is_on_gpu(url: str) -> bool:
    """Whether the server at `url` certainly runs on a GPU: it is on this machine, which has one."""
    return urlsplit(url).hostname in LOCAL and torch.cuda.is_available()


def neutral(registry: AdapterRegistry, path: str, model: str) -> AdapterStack:
    """A stack of one adapter of zeros; `path` is the model's folder or its Hugging Face name.

    vLLM refuses an adapter without layers, so it has one: the first linear layer. Empty for a model without any.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):  # names and shapes, no weights
        whole = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(path))
    changed = ((name, layer) for name, layer in whole.named_modules() if name.rpartition(".")[2] in LINEAR)
    name, layer = next(changed, ("", None))
    if layer is None:
        return AdapterStack()
    zeros = LowRank({name: (torch.zeros(1, layer.in_features), torch.zeros(layer.out_features, 1))})
    write = partial(write_adapter, update=zeros, model=model)
    return AdapterStack().push(registry.add(write, model=model, rank=1, manifest={"topic": "nothing"}))
