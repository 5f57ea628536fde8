"""Fixtures of the suite on a real vLLM, which `make test-vllm` runs; the embedded model on both sides.

$SEAL_VLLM_PYTHON is a Python that has vLLM. Both sides compute in the precision of this machine, or in $SEAL_DTYPE.
The server takes a free port; where $SEAL_VLLM_PORT names one, a server that is up there already is taken over.
"""

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from agreement import ANSWERS, PROMPTS, Gaps

from seal_agent.adapters.engine import Engine
from seal_agent.adapters.huggingface import TransformersBackend
from seal_agent.adapters.loading import find_model, load_model, pick_device
from seal_agent.adapters.vllm.backend import VLLMBackend
from seal_agent.adapters.vllm.server import Server, ServerOptions, find_python
from seal_agent.core.errors import InputError, ServerError
from seal_agent.core.models import EMBEDDED
from seal_agent.storage.adapter_store import AdapterRegistry
from seal_agent.storage.database import Home, default_home

MAX_RANK = 32
# A server is a session of its own, which nothing ends when the tests are killed. So this program becomes the server and
# leaves a process beside it, which ends the server's group when the tests are gone.
MORTAL = """#!/usr/bin/env python3
import os, signal, sys, time
tests, server = os.getppid(), os.getpid()
if os.fork():
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
os.setsid()
while os.path.exists(f"/proc/{{tests}}"):
    time.sleep(1)
    if os.getppid() != server:
        sys.exit()
os.killpg(server, signal.SIGTERM)
time.sleep(10)
os.killpg(server, signal.SIGKILL)  # while vLLM starts it may not listen
"""


def pytest_collection_modifyitems(config: pytest.Config) -> None:
    """Whoever runs these tests alone is told in one line what they lack; in a run of all tests they are skipped."""
    if config.getoption("markexpr") == "vllm":
        try:
            find_python()
        except InputError as error:
            raise pytest.UsageError(f"{error}; `make test-vllm` makes one and runs these tests in it") from error


@pytest.fixture(scope="session")
def home() -> Home:
    """Where the converted model is cached."""
    return Home(default_home())


@pytest.fixture(scope="session")
def dtype() -> str:
    """What both sides compute in."""
    return str(pick_device()[1]).removeprefix("torch.")


@pytest.fixture(scope="session")
def server(home: Home, dtype: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    _, model = find_model(EMBEDDED, home.root / "models")
    python = find_python()
    port = os.environ.get("SEAL_VLLM_PORT")
    options = ServerOptions(
        model,
        python=_mortal(python, folder),
        port=int(port) if port else _free_port(),
        dtype=dtype,
        max_lora_rank=MAX_RANK,
        max_tokens=2048,
        extra=("--enforce-eager",),
    )
    server = Server(options, folder)
    try:
        if not (port and server.adopt()):
            server.start()
        yield server
    except ServerError as error:  # told once, not by each of the tests
        pytest.exit(f"no vLLM server to test: {str(error).replace(options.python, python)}", returncode=1)
    finally:
        server.stop()


def _mortal(python: str, folder: Path) -> str:
    """A program that becomes `python`, and ends with the process that started it."""
    program = folder / "python"
    program.write_text(MORTAL.format(python=python))
    program.chmod(0o755)
    return str(program)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where adapters lie."""
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="session")
def real_backend(home: Home, root: Path) -> TransformersBackend:
    """The transformers backend, which trains what the server serves."""
    return TransformersBackend.load(root, cache=home.root / "models")


@pytest.fixture(scope="session")
def exact_backend(home: Home, root: Path) -> TransformersBackend:
    """The same model in float32 on every machine, which the others are measured against."""
    loaded = load_model(EMBEDDED, home.root / "models")
    exact = replace(loaded, model=loaded.model.float(), dtype=torch.float32)
    return TransformersBackend(Engine(exact), AdapterRegistry(root / "adapters"))


@pytest.fixture(scope="session")
def rounding(real_backend: TransformersBackend, exact_backend: TransformersBackend) -> Gaps:
    """What the precision of this run costs the scores of transformers itself; nothing in float32."""
    return Gaps.between(*(backend.score(PROMPTS, ANSWERS) for backend in (real_backend, exact_backend)))


@pytest.fixture(scope="session")
def served_backend(home: Home, root: Path, server: Server, real_backend: TransformersBackend) -> VLLMBackend:
    return VLLMBackend.connect(
        root,
        trainer=lambda: real_backend,
        url=server.options.url,
        max_lora_rank=server.options.max_lora_rank,
        cache=home.root / "models",
    )
