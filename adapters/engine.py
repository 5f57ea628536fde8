"""The live model with its LoRA adapters: activates a stack, trains one adapter on top of it, saves it.

Every rule about PEFT that is easy to break stands here and nowhere else (../shared/FACTS.md, "PEFT").
The base weights are never changed: with the empty stack the adapters are switched off, not merged out.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file

from seal_agent.adapters.constrained import grammar_tokenizer
from seal_agent.adapters.loading import LoadedModel
from seal_agent.adapters.packing import TokenRow
from seal_agent.adapters.training import TrainingRun, train
from seal_agent.errors import AdapterError
from seal_agent.types import AdapterRef, AdapterStack, Directives, Progress

# PEFT asks transformers for an attribute that transformers calls deprecated; nobody who uses us can help that.
warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)

CANDIDATE = "edit__candidate__"  # as long as every other name: PEFT matches names by substring in places


class Engine:
    """One base model in memory and the adapters loaded onto it; `lock` serialises its users."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.lock = threading.RLock()
        self._peft: PeftModel | None = None
        self._names: set[str] = set()

    @property
    def model(self) -> Any:
        """The module to call, with whatever stack was activated last."""
        return self.loaded.model

    @cached_property
    def grammar_tokenizer(self) -> Any:
        """The tokenizer as grammars see it."""
        return grammar_tokenizer(self.loaded.tokenizer, self.loaded.model.config.vocab_size)

    def is_loaded(self, ref: AdapterRef) -> bool:
        """Whether the adapter's weights are in memory already."""
        return _name(ref.id) in self._names

    def unload(self, ref: AdapterRef) -> None:
        """Take the adapter out of memory, and with it out of whatever stack was active."""
        if self.is_loaded(ref):
            self._names.discard(_name(ref.id))
            self._delete(_name(ref.id))
            self.activate(AdapterStack())

    def activate(self, stack: AdapterStack) -> None:
        """Make `stack` the one the model answers with; the empty stack is the bare base model."""
        for layer in stack.layers:
            if layer.ref.model != self.loaded.name:
                raise AdapterError(
                    f"adapter {layer.ref.short} was trained on {layer.ref.model}, not on {self.loaded.name}; "
                    "use that model or another namespace"
                )
            self._load(_name(layer.ref.id), layer.ref.path)
        if self._peft is None:
            return
        if stack.layers:
            self._apply(stack)
        else:
            self._peft.base_model.disable_adapter_layers()

    def train(
        self,
        stack: AdapterStack,
        rows: Sequence[TokenRow],
        directives: Directives,
        *,
        seed: int,
        target: Path,
        progress: Progress,
    ) -> TrainingRun:
        """Train a fresh adapter on top of the frozen `stack` and write it to `target`; then it is gone from memory."""
        self.activate(stack)
        with torch.random.fork_rng(devices=_cuda(self.loaded.device)):
            torch.manual_seed(seed)
            self._add_candidate(directives)
            try:
                self._apply(stack, CANDIDATE)
                for name, parameter in self._peft_model.named_parameters():
                    parameter.requires_grad_(f".{CANDIDATE}." in name)
                run = train(
                    self.model,
                    rows,
                    directives,
                    seed=seed,
                    dtype=self.loaded.dtype,
                    device=self.loaded.device,
                    progress=progress,
                )
                self._save_candidate(target)
            finally:
                self._drop_candidate(stack)
        return run

    @property
    def _peft_model(self) -> PeftModel:
        if self._peft is None:
            raise AdapterError("no adapter is loaded; this is a fault of seal-agent, please report it")
        return self._peft

    def _lora_layers(self) -> list[LoraLayer]:
        return [module for module in self.model.modules() if isinstance(module, LoraLayer)]

    def _apply(self, stack: AdapterStack, *on_top: str) -> None:
        """Switch on the adapters of `stack`, each with its weight, and those named `on_top`."""
        self._peft_model.base_model.enable_adapter_layers()
        self._set_active([*(_name(adapter_id) for adapter_id in stack.ids), *on_top])
        for module in self._lora_layers():
            for layer in stack.layers:
                module.set_scale(_name(layer.ref.id), layer.weight)

    def _set_active(self, names: list[str]) -> None:
        # PeftModel.set_adapter refuses lists; without inference_mode every listed adapter would become trainable.
        self._peft_model.base_model.set_adapter(names, inference_mode=True)

    def _load(self, name: str, path: str) -> None:
        if name in self._names:
            return
        try:
            if self._peft is None:
                self._peft = PeftModel.from_pretrained(self.loaded.model, path, adapter_name=name)
            else:
                self._peft.load_adapter(path, adapter_name=name, torch_device=str(self.loaded.device))
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            reason = str(error).splitlines()[0][:160]
            raise AdapterError(
                f"cannot load the adapter at {path}: {reason}; restore the folder or roll back"
            ) from error
        self._peft.requires_grad_(False).eval()
        self._names.add(name)

    def _add_candidate(self, directives: Directives) -> None:
        config = LoraConfig(
            r=directives.rank,
            lora_alpha=directives.alpha,
            target_modules=directives.layers if directives.layers == "all-linear" else directives.layers.split(","),
            lora_dropout=0.0,  # dropout would also fall on the frozen adapters
            task_type="CAUSAL_LM",
        )
        if self._peft is None:
            self._peft = get_peft_model(self.loaded.model, config, adapter_name=CANDIDATE)
        else:
            self._peft.add_adapter(CANDIDATE, config)

    def _save_candidate(self, target: Path) -> None:
        state = get_peft_model_state_dict(self._peft_model, adapter_name=CANDIDATE, save_embedding_layers=False)
        weights = {key: value.detach().to("cpu", torch.float32).contiguous() for key, value in state.items()}
        save_file(weights, target / "adapter_model.safetensors", metadata={"format": "pt"})
        config = self._peft_model.peft_config[CANDIDATE]
        config.inference_mode = True
        # Folders are hashed and shared between machines: where the base lies on this one is not content.
        config.base_model_name_or_path = self.loaded.name
        config.save_pretrained(str(target))

    def _drop_candidate(self, stack: AdapterStack) -> None:
        self._delete(CANDIDATE)
        self.activate(stack)

    def _delete(self, name: str) -> None:
        peft = self._peft_model
        if self._names:
            # Deleting an active adapter silently activates another and thaws the survivors.
            self._set_active(sorted(self._names))
            peft.delete_adapter(name)
        else:
            self.loaded.model = peft.unload()
            self._peft = None
        self.model.requires_grad_(False).eval()


def _name(adapter_id: str) -> str:
    return f"edit_{adapter_id[:12]}"


def _cuda(device: torch.device) -> list[int]:
    return [device.index or 0] if device.type == "cuda" else []
