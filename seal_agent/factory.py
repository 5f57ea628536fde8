"""Opens a learner on a model: the one call that an application needs before it builds a graph."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from seal_agent.core.backend import Backend
from seal_agent.core.errors import InputError
from seal_agent.core.models import EMBEDDED
from seal_agent.core.numbers import check_whole
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.learning.learners import Learners, Scope
from seal_agent.storage.database import Home

SCRIPTED = "scripted"
"""Not a model but a deterministic stand-in, for tests of applications (`seal_agent.adapters.scripted`)."""


def open_learner(
    model: str = EMBEDDED,
    *,
    home: str | Path | None = None,
    namespace: str = "default",
    device: str = "auto",
    chat_template: str | Path | None = None,
    server: str = "",
    config: LearnerConfig | None = None,
    max_context: int = 0,
) -> Learner:
    """Load `model` (a Hugging Face name, a folder, a GGUF file or "embedded") and open its learned state.

    `home` is the data directory, by default $SEAL_HOME. `chat_template` is a Jinja file for models without a template.
    `server` is the URL of a vLLM server that answers instead of this process (`seal-agent serve` starts one), or a
    value as in `open_backend`. `max_context` limits the tokens of a prompt and its reply; 0: the model's own limit.
    Raises `ModelError` for a model that cannot be used and `StorageError` for a data directory that is not writable.
    """
    template = _template(chat_template)
    opened = Home(Path(home) if home is not None else None)
    backend = open_backend(opened, model, device=device, chat_template=template, server=server, max_context=max_context)
    return Learner(backend, opened, namespace, config)


def open_learners(
    model: str = EMBEDDED,
    *,
    home: str | Path | None = None,
    scope: Scope = "user",
    device: str = "auto",
    chat_template: str | Path | None = None,
    config: LearnerConfig | None = None,
) -> Learners:
    """As `open_learner`, for a graph with many users: each "user" or "thread" learns in its own namespace.

    A run names its user in its `configurable` or context (`learners.namespace_of`), for example as "user" or
    "thread_id".
    """
    template = _template(chat_template)
    opened = Home(Path(home) if home is not None else None)
    backend = open_backend(opened, model, device=device, chat_template=template)
    return Learners(backend, opened, config, scope=scope)


def _template(file: str | Path | None) -> str:
    """The text of a Jinja file; "" without a file."""
    if file is None:
        return ""
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the chat template {file}: {error}; give a Jinja file") from error


def open_backend(
    home: Home,
    model: str = EMBEDDED,
    *,
    device: str = "auto",
    chat_template: str = "",
    adapters: Path | None = None,
    server: str = "",
    max_context: int = 0,
) -> Backend:
    """Load the model alone, without learned state; `chat_template` is Jinja text.

    Adapters are written to `adapters` (default: `home`). With `server`, the URL of a vLLM server, the server answers,
    and the model is loaded in a subprocess when something is first learned; "in-process" instead of a URL is a vLLM
    engine in this process, for offline work. `max_context` limits the tokens of a prompt and its reply; 0: the model's
    own limit.
    """
    check_whole("max_context", max_context, 0)
    if not isinstance(model, str):
        raise InputError(f"model={model!r} is not a text; give a name, a folder or a GGUF file, or 'embedded'")
    root = adapters or home.root
    if model == SCRIPTED:
        from seal_agent.adapters.context import DEFAULT_CONTEXT
        from seal_agent.adapters.scripted import ScriptedBackend

        return ScriptedBackend(root, context_length=max_context or DEFAULT_CONTEXT)
    cache = home.root / "models"
    if server:
        return _served(home, root, model, server, device=device, chat_template=chat_template, max_context=max_context)
    from seal_agent.adapters.huggingface import TransformersBackend

    return TransformersBackend.load(
        root, model, device=device, chat_template=chat_template, cache=cache, max_context=max_context
    )


def _served(
    home: Home, root: Path, model: str, server: str, *, device: str, chat_template: str, max_context: int
) -> Backend:
    from seal_agent.adapters.subprocess_backend import ProcessBackend
    from seal_agent.adapters.vllm.backend import IN_PROCESS, VLLMBackend
    from seal_agent.adapters.vllm.options import MAX_LORA_RANK
    from seal_agent.adapters.vllm.server import state_of

    started = state_of(home.root)  # a server started for this data directory records its maximum rank
    trainer = partial(
        open_backend,
        Home(home.root),
        model,
        device=device,
        chat_template=chat_template,
        adapters=root,
        max_context=max_context,
    )
    apart = partial(ProcessBackend, trainer)
    if server == IN_PROCESS:
        cache = home.root / "models"
        return VLLMBackend.in_process(
            root, model, trainer=apart, chat_template=chat_template, cache=cache, max_context=max_context
        )
    return VLLMBackend.connect(
        root,
        model,
        url=server,
        trainer=apart,
        max_lora_rank=int(started.get("max_lora_rank", MAX_LORA_RANK))
        if started.get("url") == server
        else MAX_LORA_RANK,
        chat_template=chat_template,
        cache=home.root / "models",
        max_context=max_context,
    )


def device_and_precision(device: str = "auto") -> tuple[str, str]:
    """The device that a model would run on, and the name of its precision: ("cpu", "bfloat16").

    Raises `ModelError` for a device that does not exist.
    """
    from seal_agent.adapters.loading import pick_device

    chosen, dtype = pick_device(device)
    return str(chosen), str(dtype).removeprefix("torch.")


def embedded_model_file() -> Path:
    """The GGUF file of the embedded model; raises `ModelError` if it is not installed."""
    from seal_agent.adapters.loading import embedded_gguf

    return embedded_gguf()
