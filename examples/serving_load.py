"""A vLLM server under load: swaps of the stack, several namespaces, and kill -9 during requests.

   SEAL_VLLM_PYTHON=/path/to/vllm/bin/python python examples/serving_load.py --requests 1000 --swaps 20

Every stack version is a random adapter whose greedy answer was recorded on an idle server. Under load each
answer must be that of the requested version: another answer is a mixture, a missing one is a loss.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from seal_agent.adapters.folding import LowRank, write_adapter
from seal_agent.adapters.loading import find_model
from seal_agent.adapters.vllm.backend import VLLMBackend
from seal_agent.adapters.vllm.options import LINEAR
from seal_agent.adapters.vllm.server import Server, ServerOptions, find_python
from seal_agent.core.messages import Prompt
from seal_agent.core.models import EMBEDDED
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.factory import open_backend
from seal_agent.storage.adapter_store import AdapterRegistry
from seal_agent.storage.database import Home

# Longer than a block of the prefix cache (128 tokens on a CPU), so that a stale block would be noticed.
PROMPT = Prompt.user("The ferry leaves at nine and at noon. " * 12 + "What is the capital of France?")
RANK = 8
STRENGTH = 0.1  # of a random adapter: enough to change every answer
NUM_VERSIONS, MAX_SEEDS = 6, 96


def random_adapter(model: Path, registry: AdapterRegistry, identity: str, seed: int) -> AdapterRef:
    """An adapter of random directions in all linear layers."""
    generator = torch.Generator().manual_seed(seed)
    pairs = {}
    with safe_open(model / "model.safetensors", "pt") as weights:
        for name in sorted(weights.keys()):
            if name.removesuffix(".weight").rpartition(".")[2] in LINEAR:
                num_out, num_in = weights.get_slice(name).get_shape()
                a = torch.randn(RANK, num_in, generator=generator) / num_in**0.5
                pairs[name.removesuffix(".weight")] = (a, torch.randn(num_out, RANK, generator=generator) * STRENGTH)

    def write(folder: Path) -> None:
        write_adapter(folder, LowRank(pairs), model=identity)

    return registry.add(write, model=identity, rank=RANK, manifest={"topic": f"random {seed}"})


def versions(backend: VLLMBackend, model: Path, registry: AdapterRegistry, num_tokens: int) -> list[AdapterStack]:
    """The base model and random adapters, all with different answers."""
    found: dict[str, AdapterStack] = {}
    for seed in range(MAX_SEEDS):
        stack = AdapterStack()
        if seed:
            stack = stack.push(random_adapter(model, registry, backend.model, seed))
        found.setdefault(backend.with_stack(stack).generate([PROMPT], max_new_tokens=num_tokens)[0][0], stack)
        if len(found) == NUM_VERSIONS:
            return list(found.values())
    raise SystemExit(
        f"{MAX_SEEDS} random adapters gave {len(found)} different answers, {NUM_VERSIONS} are needed; raise --tokens"
    )


class Load:
    """Clients that request answers of different stacks, and their results."""

    def __init__(self, backend: VLLMBackend, stacks: Sequence[AdapterStack], num_tokens: int, num_clients: int) -> None:
        self.backend = backend
        self.stacks = stacks
        self.num_tokens = num_tokens
        self.num_clients = num_clients
        self.expected = [self.answer(stack) for stack in stacks]
        self.done = 0
        self.lost: list[str] = []
        self.mixed: list[str] = []
        self._lock = threading.Lock()

    def answer(self, stack: AdapterStack) -> str:
        """The greedy answer of `stack`."""
        return self.backend.with_stack(stack).generate([PROMPT], max_new_tokens=self.num_tokens)[0][0]

    def ask(self, version: int) -> None:
        """One request to `version`, counted."""
        try:
            text = self.answer(self.stacks[version])
        except Exception as error:
            with self._lock:
                self.lost.append(f"{type(error).__name__}: {error}")
            return
        with self._lock:
            self.done += 1
            if text != self.expected[version]:
                self.mixed.append(f"version {version}: {text!r}")

    def run(self, num_requests: int, choose: Callable[[int], int]) -> dict[str, Any]:
        """Send `num_requests`; request n goes to the version `choose(n)` at the time of sending."""
        self.done, self.mixed, self.lost = 0, [], []
        began = time.perf_counter()
        with ThreadPoolExecutor(self.num_clients) as clients:
            list(clients.map(lambda n: self.ask(choose(n)), range(num_requests)))
        seconds = time.perf_counter() - began
        return {
            "requests": num_requests,
            "answered": self.done,
            "lost": len(self.lost),
            "mixed": len(self.mixed),
            "seconds": round(seconds, 1),
            "per_second": round(num_requests / seconds, 2),
            "faults": [*self.lost[:3], *self.mixed[:9]],
        }

    def swapped(self, num_requests: int, num_swaps: int) -> dict[str, Any]:
        """As `run`, while the stack is swapped at intervals."""

        def choose(number: int) -> int:
            return min(number * (num_swaps + 1) // num_requests, num_swaps) % len(self.stacks)

        return {"swaps": num_swaps, **self.run(num_requests, choose)}


def killed(load: Load, server: Server, num_requests: int) -> dict[str, Any]:
    """`run` while the server's processes are killed, and restarted as `seal-agent serve` would."""
    times: dict[str, float] = {}

    def kill_and_restart() -> None:
        while load.done < num_requests // 4:
            time.sleep(0.01)
        times["killed"] = time.perf_counter()
        server.kill()
        server.start()
        times["up"] = time.perf_counter()

    killer = threading.Thread(target=kill_and_restart)
    killer.start()
    result = load.run(num_requests, lambda number: number % len(load.stacks))
    killer.join()
    return {**result, "up_again_after": round(times["up"] - times["killed"], 1)}


def main() -> None:
    """Print one line of JSON for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=8)
    parser.add_argument("--port", type=int, default=8019)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--only", choices=["throughput", "swap", "kill"], action="append")
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    home = Home()
    _, path = find_model(EMBEDDED, home.root / "models")
    parts = args.only or ["throughput", "swap", "kill"]
    with tempfile.TemporaryDirectory() as folder:
        options = ServerOptions(
            path, python=find_python(), port=args.port, dtype=args.dtype, max_lora_rank=8, max_tokens=512,
            extra=("--enforce-eager",),
        )  # fmt: skip
        server = Server(options, Path(folder))
        began = time.perf_counter()
        server.start()
        print(json.dumps({"up_after": round(time.perf_counter() - began, 1), "cores": os.cpu_count()}), flush=True)
        try:
            measure(parts, args, home, server, Path(path), Path(folder))
        finally:
            server.stop()


def measure(parts: list[str], args: Any, home: Home, server: Server, model: Path, folder: Path) -> None:
    """The measurements named in `parts`."""
    backend = VLLMBackend.connect(
        folder, url=server.options.url, trainer=lambda: open_backend(home), max_lora_rank=8, max_kept=4,
        cache=home.root / "models",
    )  # fmt: skip
    registry = AdapterRegistry(folder / "adapters")
    load = Load(backend, versions(backend, model, registry, args.tokens), args.tokens, args.clients)
    print(json.dumps({"versions": len(load.stacks), "answers": load.expected}), flush=True)
    if "throughput" in parts:
        for num_active in (0, 1, 4) * 3:  # in turn, because other processes share the cores
            active = list(range(1, num_active + 1)) or [0]
            result = load.run(max(args.requests // 20, 16), lambda n, v=active: v[n % len(v)])
            print(json.dumps({"namespaces": num_active, **result}), flush=True)
    if "swap" in parts:
        print(json.dumps(load.swapped(args.requests, args.swaps)), flush=True)
    if "kill" in parts:
        print(json.dumps({"kill": signal.SIGKILL.value, **killed(load, server, max(args.requests // 10, 32))}))


if __name__ == "__main__":
    main()
