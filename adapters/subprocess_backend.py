"""A backend in a subprocess: training there uses neither the lock nor the device of the serving process.

The process starts with the first call, and again after it died. Frozen core values, arrays and errors of seal-agent
cross the pipe; any other error ends the process, with its traceback on stderr.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seal_agent.core import interruption
from seal_agent.core.backend import Backend, Reading, silent
from seal_agent.core.edits import SelfEdit
from seal_agent.core.episodes import Progress, Score
from seal_agent.core.errors import ModelError, SealError
from seal_agent.core.messages import Generated, Grammar, Prompt
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.core.tool_format import ToolFormat

PROGRESS, RESULT, FAULT = range(3)
# `multiprocessing.Process` would import the user's script again, which would need a main guard.
PROGRAM = "import sys; from seal_agent.adapters.subprocess_backend import serve; serve(int(sys.argv[1]))"


class _Process:
    """The subprocess and the pipe to it; one call at a time."""

    def __init__(self, make: Callable[[], Backend]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._running: tuple[subprocess.Popen[bytes], Connection] | None = None

    def call(self, stack: AdapterStack, method: str, arguments: dict[str, Any], progress: Progress | None) -> Any:
        with self._lock:
            process, pipe = self._running or self._started()
            try:
                pipe.send((stack, method, arguments, progress is not None))
                kind, value = pipe.recv()
                while kind == PROGRESS:
                    if progress:
                        progress(*value)
                    kind, value = pipe.recv()
            except (EOFError, OSError) as error:
                self._running = None
                raise ModelError(
                    f"the training process ended with code {process.wait()} (-9: killed, perhaps for want of "
                    "memory); nothing half-trained is kept, and the next call starts it again"
                ) from error
            except BaseException:  # such as Ctrl-C: a late reply would be taken for that of the next call
                process.kill()
                interruption.lets_go(process.pid)
                self._running = None
                raise
        if kind == FAULT:
            raise value
        return value

    def stop(self) -> None:
        with self._lock:
            if self._running:
                _end(*self._running)
                self._running = None

    def _started(self) -> tuple[subprocess.Popen[bytes], Connection]:
        ours, theirs = Pipe()
        child = theirs.fileno()
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(child)], pass_fds=[child])  # noqa: S603
        interruption.owns(process.pid)
        theirs.close()
        ours.send(sys.path)  # first: later messages are unpickled by imports from it
        ours.send(self._make)
        self._running = (process, ours)
        weakref.finalize(self, _end, process, ours)
        return self._running


def _end(process: subprocess.Popen[bytes], pipe: Connection) -> None:
    pipe.close()
    process.wait()
    interruption.lets_go(process.pid)


def serve(handle: int) -> None:
    """The subprocess's main loop: receive calls and send results until the pipe closes or the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the parent, which closes the pipe
    interruption.end_with_parent()
    pipe = Connection(handle)
    sys.path[:] = pipe.recv()
    make: Callable[[], Backend] = pipe.recv()
    backend: Backend | None = None

    def progress(what: str, done: int, total: int) -> None:
        pipe.send((PROGRESS, (what, done, total)))

    while True:
        try:
            stack, method, arguments, is_followed = pipe.recv()
        except EOFError:
            return
        try:
            backend = backend or make()
            view = backend.with_stack(stack)
            more = {"progress": progress} if is_followed else {}
            found = getattr(view, method)
            value = found(**arguments, **more) if callable(found) else found
            pipe.send((RESULT, list(value) if isinstance(value, Iterator) else value))
        except SealError as error:
            pipe.send((FAULT, error))
        except BrokenPipeError:
            os._exit(interruption.EXIT_STOPPED)


class ProcessBackend:
    """The backend that `make` opens in a subprocess, seen through one stack; see `Backend` for the contract.

    `make` must be picklable: a function of a module, or a `functools.partial` of one.
    """

    def __init__(self, make: Callable[[], Backend]) -> None:
        self._process = _Process(make)
        self._stack = AdapterStack()

    def _call(self, method: str, progress: Progress | None = None, **arguments: Any) -> Any:
        return self._process.call(self._stack, method, arguments, progress)

    def stop(self) -> None:
        """End the subprocess and free its memory; the next call starts another."""
        self._process.stop()

    @property
    def model(self) -> str:
        """The identity of the base model."""
        return str(self._call("model"))

    @property
    def stack(self) -> AdapterStack:
        """The stack that this view answers with."""
        return self._stack

    @property
    def tool_format(self) -> ToolFormat:
        """As `Backend.tool_format`."""
        found: ToolFormat = self._call("tool_format")
        return found

    @property
    def learning_rate(self) -> float:
        """As `Backend.learning_rate`."""
        return float(self._call("learning_rate"))

    @property
    def context_length(self) -> int:
        """As `Backend.context_length`."""
        return int(self._call("context_length"))

    def with_stack(self, stack: AdapterStack) -> ProcessBackend:
        """A view of the same subprocess that answers with `stack`."""
        self._process.call(stack, "model", {}, None)  # raises if an adapter does not fit
        view = ProcessBackend.__new__(ProcessBackend)
        view._process, view._stack = self._process, stack
        return view

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int = 64,
        num_samples: int = 1,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        grammars: Sequence[Grammar] = (),
        seed: int = 0,
        progress: Progress = silent,
    ) -> list[list[Generated]]:
        """As `Backend.generate`."""
        texts: list[list[Generated]] = self._call(
            "generate",
            progress,
            prompts=prompts,
            max_new_tokens=max_new_tokens,
            num_samples=num_samples,
            temperature=temperature,
            stop=stop,
            grammars=grammars,
            seed=seed,
        )
        return texts

    def stream(
        self,
        prompt: Prompt,
        *,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        grammar: Grammar | None = None,
        seed: int = 0,
    ) -> Iterator[Generated]:
        """As `Backend.stream`, but all pieces arrive when the last one is generated."""
        options: dict[str, Any] = {
            "max_new_tokens": max_new_tokens,
            "temperature": temperature,
            "stop": stop,
            "grammar": grammar,
        }
        yield from self._call("stream", prompt=prompt, seed=seed, **options)

    def encode(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """As `Backend.encode`."""
        rows: list[list[int]] = self._call("encode", prompts=prompts)
        return rows

    def score(self, prompts: Sequence[Prompt], answers: Sequence[str], *, progress: Progress = silent) -> list[Score]:
        """As `Backend.score`."""
        scores: list[Score] = self._call("score", progress, prompts=prompts, answers=answers)
        return scores

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As `Backend.embed`."""
        vectors: NDArray[np.float32] = self._call("embed", texts=texts)
        return vectors

    def read(self, texts: Sequence[str], earlier: Sequence[str] = ()) -> list[Reading]:
        """As `Backend.read`."""
        readings: list[Reading] = self._call("read", texts=texts, earlier=earlier)
        return readings

    def train(self, edit: SelfEdit, *, seed: int = 0, progress: Progress = silent) -> AdapterRef:
        """As `Backend.train`."""
        return self.train_many([edit], seed=seed, progress=progress)[0]

    def train_many(
        self, edits: Sequence[SelfEdit], *, seed: int = 0, seeds: Sequence[int] = (), progress: Progress = silent
    ) -> list[AdapterRef]:
        """As `Backend.train_many`."""
        refs: list[AdapterRef] = self._call("train_many", progress, edits=edits, seed=seed, seeds=seeds)
        return refs

    def fold(self, *, max_rank: int) -> AdapterRef:
        """As `Backend.fold`."""
        ref: AdapterRef = self._call("fold", max_rank=max_rank)
        return ref

    def unload(self, ref: AdapterRef) -> None:
        """As `Backend.unload`."""
        self._call("unload", ref=ref)
