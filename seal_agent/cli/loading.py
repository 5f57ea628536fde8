"""Loading a model for a command: check the input first, announce what takes long, load."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from seal_agent.cli.progress import Display
from seal_agent.learning import estimates

if TYPE_CHECKING:
    from seal_agent.core.backend import Backend
    from seal_agent.learning.config import LearnerConfig
    from seal_agent.learning.learner import Learner
    from seal_agent.storage.database import Home

LOADING = "loading the model"


def load_learner(
    display: Display,
    model: str,
    home: Path | None,
    namespace: str,
    device: str,
    chat_template: Path | None = None,
    config: LearnerConfig | None = None,
    *,
    server: str = "",
) -> Learner:
    """The learner of a namespace; `display` shows that its model loads. `server` as in `open_learner`."""
    from seal_agent.factory import open_learner
    from seal_agent.storage.database import check_namespace

    check_namespace(namespace)
    begin_loading(display, model, home)
    learner = open_learner(
        model,
        home=home,
        namespace=namespace,
        device=device,
        chat_template=chat_template,
        server=server,
        config=config,
    )
    display.clear()
    return learner


def begin_loading(display: Display, model: str, home: Path | None) -> None:
    """Show that the model loads, and the cost of converting it if needed."""
    from seal_agent.adapters.loading import gguf_to_convert
    from seal_agent.storage.database import default_home

    gguf = gguf_to_convert(model, (home or default_home()).expanduser() / "models")
    if gguf is not None:
        display.line(estimates.conversion(gguf.name, gguf.stat().st_size / 1e6))
    display.busy(LOADING)


def announce_head(display: Display, backend: Backend, home: Home) -> None:
    """Announce the cost of fitting a classifier for a new model, if it has none."""
    from seal_agent.deciding import classifier

    heads = home.root / classifier.HEADS_FOLDER
    if classifier.is_fitted(backend.model, heads):
        return
    sample = estimates.reading_of(backend)
    num_turns, num_read = classifier.num_turns(), classifier.num_read(backend.model, heads, sample.state_width)
    if (num_turns - num_read) * sample.seconds > estimates.WORTH_SAYING:
        display.line(estimates.fitting_notice(num_turns, num_read, sample.seconds))


def announce_waiting(display: Display, backend: Backend, home: Home) -> None:
    """Announce the cost of learning the queued texts, unless it is small."""
    from seal_agent.storage.jobs import LearningQueue

    num_texts = len(LearningQueue(home).jobs(states=("waiting", "running")))
    cost = estimates.cost_of_an_edit(home, backend) if num_texts else None
    if cost and num_texts * cost.seconds > estimates.WORTH_SAYING:
        display.line(estimates.waiting(num_texts, cost))


def server_named() -> str:
    """The vLLM server in $SEAL_SERVER; "" if it is not set."""
    return os.environ.get("SEAL_SERVER", "")


def open_home(home: Path | None, namespace: str) -> Home:
    """The data directory for a command without a model; raises `InputError` for an invalid namespace."""
    from seal_agent.storage.database import Home, check_namespace

    check_namespace(namespace)
    return Home(home)
