"""Our own vLLM server process: command line, start and stop, and the diagnosis of its log when it does not start.

vLLM pins its own torch and transformers, so it may run with another Python. Whoever reaches the server can load
adapters from any folder, so it listens on this machine only; users go through the gateway.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seal_agent.adapters.vllm.client import VLLMClient
from seal_agent.adapters.vllm.options import RANKS, EngineOptions
from seal_agent.core import interruption
from seal_agent.core.errors import InputError, ServerError
from seal_agent.core.numbers import check_whole
from seal_agent.core.stacks import AdapterStack

LEAST_RANK, MOST_RANK = 32, 128  # limits of the rank chosen by default: a higher rank makes every token slower
LOCAL = ("127.0.0.1", "localhost", "::1")
START_SECONDS = 600.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.5
STATE = "server.json"
LOG = "server.log"
TAIL_BYTES = 20_000
QUIET = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "PYTHONUNBUFFERED": "1"}
RUN_TIME_LOADING = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"}


@dataclass(frozen=True)
class ServerOptions(EngineOptions):
    """How a server is started. `python` is an interpreter with vLLM; `extra` is appended to the command line."""

    python: str = sys.executable
    host: str = LOCAL[0]
    port: int = 8000
    extra: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("port", self.port, 1, 65535)
        if self.host not in LOCAL:
            raise InputError(
                f"anyone who reaches {self.host} could load adapters; keep the server on {LOCAL[0]} and put "
                "`seal-agent gateway` in front"
            )

    @property
    def url(self) -> str:
        """The server's URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def command(self) -> list[str]:
        """The command line; it runs the module, because the command `vllm` is broken in some builds."""
        words = []
        for name, value in {**self.arguments(), "host": self.host, "port": self.port}.items():
            words += [f"--{name.replace('_', '-')}", *_words(value)]
        return [self.python, "-m", "vllm.entrypoints.openai.api_server", *words, *self.extra]


def _words(value: Any) -> list[str]:
    """One argument's value on a command line."""
    if value is True:
        return []
    if isinstance(value, list):
        return value
    return [json.dumps(value) if isinstance(value, dict) else str(value)]


def allowed_rank(stacks: Iterable[AdapterStack]) -> int:
    """The least rank that vLLM allows and that serves each of `stacks` exactly, from `LEAST_RANK` to `MOST_RANK`.

    Of routed adapters one is active at a time. Stacks of higher rank are compressed to `MOST_RANK`.
    """
    needed = LEAST_RANK
    for stack in stacks:
        always = sum(entry.ref.rank for entry in stack.entries if not entry.is_routed)
        needed = max(needed, always + max((y.ref.rank for y in stack.entries if y.is_routed), default=0))
    return next((rank for rank in RANKS if needed <= rank <= MOST_RANK), MOST_RANK)


def find_python(named: str = "") -> str:
    """The interpreter with vLLM: the one named, $SEAL_VLLM_PYTHON, or this one; raises `InputError` if it has none."""
    named = named or os.environ.get("SEAL_VLLM_PYTHON", "")
    if named:
        if not Path(named).is_file():
            raise InputError(f"there is no Python at {named}; name the one of the environment that has vLLM")
        return named
    if importlib.util.find_spec("vllm") is None:
        raise InputError(
            "vLLM is not installed in this Python; it pins its own torch and transformers, so give it "
            "an environment of its own and name its Python with --python or $SEAL_VLLM_PYTHON"
        )
    return sys.executable


class Server:
    """One server process that logs to `<folder>/server.log` and records its address in `<folder>/server.json`."""

    def __init__(self, options: ServerOptions, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.client = VLLMClient(options.url, api_key=os.environ.get("VLLM_API_KEY", ""), patience=0)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The log since the start."""
        return self.folder / LOG

    @property
    def is_ours(self) -> bool:
        """Whether this object started the server; an adopted one is never stopped."""
        return self._process is not None

    @property
    def is_alive(self) -> bool:
        """Whether the server runs; an adopted one must also answer."""
        return self._process.poll() is None if self._process else self.client.is_healthy()

    def adopt(self) -> bool:
        """Use a server that answers already; raises `ServerError` if it serves another model."""
        if not self.client.is_healthy():
            return False
        base = self.client.models()[0]
        if Path(base.root).name != Path(self.options.model).name:
            raise ServerError(
                f"a server at {self.options.url} serves {base.root}, not {self.options.model}; stop it, or choose "
                "another --port"
            )
        return True

    def start(self, waiting: Callable[[float], None] = lambda _: None, *, seconds: float = START_SECONDS) -> None:
        """Start the process and wait until it is healthy; raises `ServerError` with the reason if it fails.

        `waiting` is called with the seconds that have passed.
        """
        if self.client.is_healthy():
            raise ServerError(f"another program answers at {self.options.url}; stop it, or choose another --port")
        self.folder.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, **QUIET, **RUN_TIME_LOADING}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command, without a shell
                self.options.command(), stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
            )
        interruption.owns(self._process.pid)
        try:
            self._wait_until_healthy(waiting, seconds)
        except BaseException:  # also Ctrl-C: no process may be left behind
            self.stop()
            raise
        state = {"url": self.options.url, "pid": self._process.pid, **asdict(self.options)}
        (self.folder / STATE).write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")

    def _wait_until_healthy(self, waiting: Callable[[float], None], seconds: float) -> None:
        began = time.monotonic()
        while not self.client.is_healthy():
            passed = time.monotonic() - began
            if self._process and self._process.poll() is not None:
                raise ServerError(f"vLLM ended with code {self._process.returncode}: {self.fault()}")
            if passed > seconds:
                raise ServerError(f"vLLM was not up after {seconds:.0f} s; see {self.log}: {self.fault()}")
            waiting(passed)
            time.sleep(POLL_SECONDS)

    def fault(self) -> str:
        """The cause of the failure in plain words, from the log."""
        with self.log.open("rb") as log:
            log.seek(max(self.log.stat().st_size - TAIL_BYTES, 0))
            return explain(log.read().decode(errors="replace"), self.options)

    def kill(self) -> None:
        """Kill the server at once, as the system does when memory runs out."""
        if self._process:
            _signal(self._process.pid, signal.SIGKILL)
            self._process.wait()
            interruption.lets_go(self._process.pid)

    def stop(self) -> None:
        """End the process and its children; an adopted server is not stopped."""
        if self._process is None:
            return
        (self.folder / STATE).unlink(missing_ok=True)
        _signal(self._process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        _signal(self._process.pid, signal.SIGKILL)  # the group: children may have ignored SIGTERM
        self._process.wait()
        interruption.lets_go(self._process.pid)
        self._process = None


def state_of(folder: Path) -> Mapping[str, Any]:
    """The content of `server.json` for the last started server; empty if there is none."""
    try:
        state: dict[str, Any] = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state


FAULTS: tuple[tuple[str, str], ...] = (
    (r"No module named '?vllm", "{python} has no vLLM; name a Python that has it with --python"),
    (r"[Aa]ddress already in use", "port {port} is taken by another program; choose another --port"),
    (r"unrecognized arguments: (?P<seen>[^\n]*)", "this vLLM does not know {seen}; use vLLM 0.32 or newer"),
    (
        r"(out of memory|MemoryError|No available memory|[Ff]ree memory on device|Cannot allocate memory)",
        "too little memory for the model, its cache and {max_loras} adapters; lower --max-tokens or --max-loras",
    ),
    (
        r"(KV cache is needed, which is larger|max seq len|max_model_len)[^\n]*",
        "the context of the model does not fit into its cache; lower --max-tokens",
    ),
    (
        r"(not a (valid )?(local folder|model identifier)|config\.json|Repo id must be|Can't load)",
        "vLLM cannot load the model {model}; give a folder with config.json and safetensors files",
    ),
    (r"(does not support LoRA|LoRA is not supported)", "vLLM cannot put adapters on {model}; choose another model"),
)


def explain(log: str, options: ServerOptions) -> str:
    """The cause of a failure and what to do, from the end of a server's log; its last error if the cause is unknown."""
    for pattern, meaning in FAULTS:
        if found := re.search(pattern, log):
            return meaning.format(**asdict(options), **found.groupdict())
    errors = [line.strip() for line in log.splitlines() if re.search(r"\w(Error|Exception)\b", line)]
    lines = errors or [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1][-300:] if lines else "its log is empty"


def _signal(process: int, number: int) -> None:
    """Send signal `number` to a process and its group."""
    with suppress(ProcessLookupError):
        os.killpg(process, number)
