"""Which stacks a vLLM server answers with: each as one adapter, loaded when asked for, unloaded when nobody needs it.

A server takes one LoRA a request, so that a stack is folded into one; where its ranks do not fit, into the nearest
that does. Names are made from the hash of what lies in the adapter's folder: another stack has another name, and the
server's prefix cache, keyed by name and path, can never answer for it. What is folded for serving lies in
`<home>/served/`, made again when it is missing.
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
MAX_FOLDED = 256  # stacks whose folded adapter is remembered
MAX_RELOADS = 3  # of one request, when others keep unloading what it needs
UNSTEADY = f"the server forgot an adapter {MAX_RELOADS} times during one request; does another process unload it?"

log = logging.getLogger(__name__)


@dataclass
class _Loaded:
    """One adapter of the server; `num_requests` are on their way with it."""

    ref: AdapterRef
    num_requests: int = 0
    is_loaded: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class ServedAdapters:
    """The adapters of one server. Safe to use from several threads, and beside other processes on the same server.

    `max_rank` is the server's; `max_kept` adapters without requests stay loaded, the last used.
    """

    def __init__(self, client: VLLM, folder: Path, *, max_rank: int, max_kept: int) -> None:
        self.max_rank = max_rank
        self._client = client
        self.registry = AdapterRegistry(folder)
        self._max_kept = max_kept
        self._lock = threading.Lock()
        self._adapters: OrderedDict[str, _Loaded] = OrderedDict()  # the last used last
        self._refs: OrderedDict[AdapterStack, AdapterRef] = OrderedDict()

    @property
    def loaded(self) -> list[str]:
        """The names that are loaded, as far as this process knows."""
        with self._lock:
            return [name for name, adapter in self._adapters.items() if adapter.is_loaded]

    def ask(self, stack: AdapterStack, request: Callable[[str], T]) -> T:
        """`request(name)` while `stack` is loaded under that name; loaded again if the server has forgotten it."""
        for _ in range(MAX_RELOADS):
            with self.using(stack) as name:
                try:
                    return request(name)
                except UnknownAdapter:
                    self.forget(name)
        raise ServerError(UNSTEADY)

    def stream(self, stack: AdapterStack, tokens: Sequence[int], sampling: Sampling) -> Iterator[Generated]:
        """A reply of `stack`, piece by piece; loaded again if the server has forgotten it before it began."""
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
        """The name under which the server answers with `stack`, which stays loaded until the block ends."""
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
                    log.info("the server answers as %s", name)
            yield name
        finally:
            with self._lock:
                adapter.num_requests -= 1
            self._unload_unused()

    def forget(self, name: str) -> None:
        """Note that the server does not know `name` any more."""
        with self._lock:
            if name in self._adapters:
                self._adapters[name].is_loaded = False

    def unload(self, ref: AdapterRef) -> None:
        """Take every idle adapter off the server that holds `ref`."""
        with self._lock:
            names = {name_of(folded) for stack, folded in self._refs.items() if ref.id in stack.ids} | {name_of(ref)}
            idle = [name for name in names if name in self._adapters and not self._adapters[name].num_requests]
        for name in idle:
            self._drop(name)

    def _unload_unused(self) -> None:
        """Those beyond `max_kept`, and those whose folder is gone: somebody, in whichever process, forgot them."""
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
            log.info("the server no longer answers as %s", name)

    def _folded(self, stack: AdapterStack) -> AdapterRef:
        """The one adapter that stands for `stack` on the server."""
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
            log.warning("a stack is served at rank %d, %.1f%% of its update lost", ref.rank, 100 * error)
        return ref


def name_of(ref: AdapterRef) -> str:
    """What a server calls an adapter: its content, so that a name never means two things."""
    return f"{NAME}{ref.id[:NAME_DIGITS]}"
