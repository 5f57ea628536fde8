"""The adapters on a vLLM server: each stack as one adapter, loaded on demand and unloaded when unused.

A request uses one LoRA adapter, so a stack is folded into one, compressed if its ranks exceed the server's limit. Names
contain the hash of the adapter's content, so the server's prefix cache, keyed by name and path, never mixes two stacks.
Adapters folded for serving are in `<home>/served/` and are rebuilt when missing.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from seal_agent.adapters.vllm.protocol import VLLM, Sampling, UnknownAdapter
from seal_agent.core.errors import ServerError
from seal_agent.core.messages import Generated
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.storage.adapter_store import AdapterRegistry

T = TypeVar("T")
NAME = "seal-"
NAME_DIGITS = 24
MAX_FOLDED = 256  # stacks whose folded adapter is cached
MAX_RELOADS = 3  # of one request, if other processes keep unloading its adapter
UNSTEADY = f"the server lost an adapter {MAX_RELOADS} times during one request; does another process unload it?"

log = logging.getLogger(__name__)


@dataclass
class _Loaded:
    """One adapter on the server; `num_requests` use it now."""

    ref: AdapterRef
    num_requests: int = 0
    is_loaded: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class ServedAdapters:
    """The adapters of one server. Thread-safe, and safe with other processes on the same server.

    `max_rank` is the server's limit; `max_kept` unused adapters stay loaded, the most recently used ones.
    """

    def __init__(self, client: VLLM, folder: Path, *, max_rank: int, max_kept: int) -> None:
        self.max_rank = max_rank
        self._client = client
        self.registry = AdapterRegistry(folder)
        self._max_kept = max_kept
        self._lock = threading.Lock()
        self._adapters: OrderedDict[str, _Loaded] = OrderedDict()  # most recently used last
        self._refs: OrderedDict[AdapterStack, AdapterRef] = OrderedDict()

    @property
    def loaded(self) -> list[str]:
        """The names of the loaded adapters, as far as this process knows."""
        with self._lock:
            return [name for name, adapter in self._adapters.items() if adapter.is_loaded]

    def ask(self, stack: AdapterStack, request: Callable[[str], T]) -> T:
        """Call `request(name)` with `stack` loaded under that name; load it again if the server has lost it."""
        for _ in range(MAX_RELOADS):
            with self.using(stack) as name:
                try:
                    return request(name)
                except UnknownAdapter:
                    self.forget(name)
        raise ServerError(UNSTEADY)

    def stream(self, stack: AdapterStack, tokens: Sequence[int], sampling: Sampling) -> Iterator[Generated]:
        """A reply of `stack` in pieces; the adapter is loaded again if the server lost it before the reply began."""
        for _ in range(MAX_RELOADS):
            with self.using(stack) as name:
                try:
                    yield from self._client.stream(name, tokens, sampling)
                    return
                except UnknownAdapter:
                    self.forget(name)
        raise ServerError(UNSTEADY)

    @contextmanager
    def using(self, stack: AdapterStack) -> Iterator[str]:
        """The name of `stack` on the server; it stays loaded inside the block."""
        ref = self._folded(stack)
        name = name_of(ref)
        with self._lock:
            adapter = self._adapters.setdefault(name, _Loaded(ref))
            self._adapters.move_to_end(name)
            adapter.num_requests += 1
        try:
            with adapter.lock:
                if not adapter.is_loaded:
                    self._client.load(name, ref.path)
                    adapter.is_loaded = True
                    log.info("adapter %s was loaded on the server", name)
            yield name
        finally:
            with self._lock:
                adapter.num_requests -= 1
            self._unload_unused()

    def forget(self, name: str) -> None:
        """Note that `name` is no longer loaded on the server."""
        with self._lock:
            if name in self._adapters:
                self._adapters[name].is_loaded = False

    def unload(self, ref: AdapterRef) -> None:
        """Unload every unused adapter that contains `ref`."""
        with self._lock:
            names = {name_of(folded) for stack, folded in self._refs.items() if ref.id in stack.ids} | {name_of(ref)}
            idle = [name for name in names if name in self._adapters and not self._adapters[name].num_requests]
        for name in idle:
            self._drop(name)

    def _unload_unused(self) -> None:
        """Unload adapters beyond `max_kept`, and those whose folder was deleted by any process."""
        with self._lock:
            idle = [name for name, adapter in self._adapters.items() if not adapter.num_requests]
            surplus = idle[: max(len(self._adapters) - self._max_kept, 0)]
            gone = [name for name in idle if not Path(self._adapters[name].ref.path).is_dir()]
        for name in dict.fromkeys([*surplus, *gone]):
            self._drop(name)

    def _drop(self, name: str) -> None:
        with self._lock:
            adapter = self._adapters.get(name)
            if adapter is None or adapter.num_requests:
                return
            del self._adapters[name]
        if adapter.is_loaded:
            self._client.unload(name)
            log.info("adapter %s was unloaded from the server", name)

    def _folded(self, stack: AdapterStack) -> AdapterRef:
        """The adapter that holds `stack` on the server."""
        with self._lock:
            if stack in self._refs:
                self._refs.move_to_end(stack)
                return self._refs[stack]
        ref = self._fold(stack)
        with self._lock:
            self._refs[stack] = ref
            if len(self._refs) > MAX_FOLDED:
                self._refs.popitem(last=False)
        return ref

    def _fold(self, stack: AdapterStack) -> AdapterRef:
        (first, *others) = stack.entries
        if not others and first.weight == 1 and first.ref.rank <= self.max_rank:
            return first.ref
        from seal_agent.adapters.folding import fold, read_adapter, store_folded

        update = fold([read_adapter(Path(entry.ref.path)).scaled(entry.weight) for entry in stack.entries])
        model = first.ref.model
        ref, error = store_folded(self.registry, stack, update, model=model, max_rank=self.max_rank)
        if error:
            log.warning("a stack was compressed to rank %d; %.1f%% of its update is lost", ref.rank, 100 * error)
        return ref


def name_of(ref: AdapterRef) -> str:
    """The server's name for an adapter: a hash of its content, so that a name is never reused."""
    return f"{NAME}{ref.id[:NAME_DIGITS]}"
