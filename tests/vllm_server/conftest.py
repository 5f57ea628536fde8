"""Fixtures of the suite on a real vLLM server, which `make test-vllm` runs; the embedded model on both sides.

$SEAL_VLLM_PYTHON is a Python that has vLLM. On the port $SEAL_VLLM_PORT a server that is up already is taken over.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from seal_agent.adapters.backend import Backend
from seal_agent.adapters.loading import EMBEDDED, find_model
from seal_agent.adapters.serve import Server, ServerOptions
from seal_agent.adapters.vllm_server import VLLMBackend
from seal_agent.agent import open_backend
from seal_agent.home import Home, default_home

MAX_RANK = 32


@pytest.fixture(scope="session")
def home() -> Home:
    """Where the converted model is cached."""
    return Home(default_home())


@pytest.fixture(scope="session")
def server(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    _, model = find_model(EMBEDDED, home.root / "models")
    options = ServerOptions(
        model,
        python=os.environ["SEAL_VLLM_PYTHON"],
        port=int(os.environ.get("SEAL_VLLM_PORT", "8017")),
        dtype=os.environ.get("SEAL_VLLM_DTYPE", "float32"),
        max_lora_rank=MAX_RANK,
        max_tokens=2048,
        extra=("--enforce-eager",),
    )
    server = Server(options, tmp_path_factory.mktemp("server"))
    if not server.adopt():
        server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where adapters lie."""
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="session")
def real_backend(home: Home, root: Path) -> Backend:
    """The transformers backend, which trains what the server serves."""
    return open_backend(home, adapters=root)


@pytest.fixture(scope="session")
def served_backend(home: Home, root: Path, server: Server, real_backend: Backend) -> VLLMBackend:
    return VLLMBackend.connect(
        root,
        trainer=lambda: real_backend,
        url=server.options.url,
        max_lora_rank=server.options.max_lora_rank,
        cache=home.root / "models",
    )
