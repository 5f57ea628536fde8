"""vLLM in this process, for work that nobody waits for: `vllm.LLM`, its adapters as `LoRARequest`.

Offline a server is not needed: nothing to start, adopt, watch or restart, and no port. vLLM has to be in this Python.
One thread has the engine, and the requests of all others meet in its batches. Checked with vLLM 0.32.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from itertools import count
from queue import SimpleQueue
from typing import Any, TypeVar

import torch

from seal_agent.adapters.vllm.options import EngineOptions
from seal_agent.adapters.vllm.protocol import Sampling, UnknownAdapter, generated, refused, why_not_loaded
from seal_agent.core.errors import AdapterError, InputError, ServerError
from seal_agent.core.messages import Generated

T = TypeVar("T")
MAX_REQUESTS = 256
MEMORY_SHARE = 0.6  # of a GPU's memory; the trainer, a process of its own, needs the rest
ID_DIGITS = 15  # hexadecimal: vLLM keeps the numbers of adapters in 64 bits
# In this process, as the name says: vLLM's own default runs the user's script once more in another.
SETTINGS = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
ENDED = "the vLLM engine of this process has ended; open the backend again"

log = logging.getLogger(__name__)


class VLLMEngine:
    """One engine; see `VLLM` for what is asked of it."""

    max_requests = MAX_REQUESTS

    def __init__(self, options: EngineOptions) -> None:
        """Load the model; raises `InputError` where this Python has no vLLM."""
        self.base_name = options.model
        self._engine = _engine(options)
        self._adapters: dict[str, Any] = {}  # LoRARequest by name
        self._numbers = count()
        self._hearing: dict[str, Callable[[Any], None]] = {}  # what a request's outputs, or its error, go to
        self._calls: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._has_ended = False
        self._thread = threading.Thread(target=self._run, name="seal-vllm", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @property
    def max_tokens(self) -> int:
        """How many tokens it reads at once."""
        return int(self._engine.model_config.max_model_len)

    @property
    def is_on_gpu(self) -> bool:
        """Whether the engine runs on a GPU."""
        from vllm.platforms import current_platform

        return bool(current_platform.is_cuda_alike())

    def complete(self, model: str, tokens: Sequence[int], sampling: Sampling) -> list[Generated]:
        """As `VLLM.complete`."""
        (output,) = self._finished(model, [tokens], _params(sampling))
        choices = sorted(output.outputs, key=lambda choice: int(choice.index))
        return [generated(choice.text, choice.token_ids, choice.finish_reason) for choice in choices]

    def stream(self, model: str, tokens: Sequence[int], sampling: Sampling) -> Iterator[Generated]:
        """As `VLLM.stream`; closing the iterator ends the request."""
        heard: SimpleQueue[Any] = SimpleQueue()
        request = self._do(lambda: self._add(model, tokens, _params(sampling, is_streamed=True), heard.put))
        is_over = False
        try:
            while not is_over:
                output = heard.get()
                if isinstance(output, Exception):
                    raise output
                (piece,) = output.outputs
                is_over = output.finished
                yield generated(piece.text, piece.token_ids, piece.finish_reason)
        finally:
            if not is_over:
                self._submit(lambda: self._drop(request))

    def logprobs(self, model: str, rows: Sequence[Sequence[int]]) -> list[list[float]]:
        """As `VLLM.logprobs`."""
        outputs = self._finished(model, rows, _params(Sampling(max_new_tokens=1), prompt_logprobs=0))
        return [
            [float(place[token].logprob) for token, place in zip(row[1:], output.prompt_logprobs[1:], strict=True)]
            for row, output in zip(rows, outputs, strict=True)
        ]

    def load(self, name: str, path: str) -> None:
        """As `VLLM.load`; raises `AdapterError` for a folder the engine does not take."""
        from vllm.lora.request import LoRARequest

        adapter = LoRARequest(name, number_of(name), path)
        try:
            self._do(lambda: self._engine.add_lora(adapter))
        except ServerError:
            raise
        except Exception as error:  # whatever the loader stumbled over; the engine goes on
            raise AdapterError(f"vLLM cannot load the adapter at {path}: {why_not_loaded(_line(error))}") from error
        self._adapters[name] = adapter

    def unload(self, name: str) -> None:
        """As `VLLM.unload`."""
        if adapter := self._adapters.pop(name, None):
            self._do(lambda: self._engine.remove_lora(adapter.lora_int_id))

    def close(self) -> None:
        """End the engine; what is on its way is given up."""
        atexit.unregister(self.close)
        self._calls.put(None)
        self._thread.join()

    def _finished(self, model: str, rows: Sequence[Sequence[int]], params: Any) -> list[Any]:
        """The last output of every row, all on their way together."""

        def begin(row: Sequence[int], future: Future[Any]) -> Future[str]:
            def hear(output: Any) -> None:
                if isinstance(output, Exception):
                    future.set_exception(output)
                else:  # the only one
                    future.set_result(output)

            return self._submit(lambda: self._add(model, row, params, hear))

        futures: list[Future[Any]] = [Future() for _ in rows]
        for begun in [begin(row, future) for row, future in zip(rows, futures, strict=True)]:
            begun.result()
        return [future.result() for future in futures]

    def _add(self, model: str, tokens: Sequence[int], params: Any, hear: Callable[[Any], None]) -> str:
        """Begin a request, in the engine's thread; its name."""
        from vllm.exceptions import VLLMClientError

        if model != self.base_name and model not in self._adapters:
            raise UnknownAdapter(f"the adapter {model} is not loaded")
        request = str(next(self._numbers))
        prompt = {"prompt_token_ids": list(tokens)}
        try:
            self._engine.add_request(request, prompt, params, lora_request=self._adapters.get(model))
        except (VLLMClientError, ValueError) as error:
            raise refused(_line(error)) from error
        self._hearing[request] = hear
        return request

    def _drop(self, request: str) -> None:
        if self._hearing.pop(request, None):
            self._engine.abort_request([request])

    def _do(self, call: Callable[[], T]) -> T:
        """`call()` in the engine's thread, between two steps."""
        return self._submit(call).result()

    def _submit(self, call: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        with self._lock:
            if self._has_ended:
                raise ServerError(ENDED)
            self._calls.put((call, future))
        return future

    def _run(self) -> None:
        """Calls as they come, and a step whenever something is to be written."""
        fault = ServerError(ENDED)
        try:
            while self._took_calls():
                for output in self._engine.step():
                    if hear := self._hearing.get(output.request_id):
                        if output.finished:
                            del self._hearing[output.request_id]
                        hear(output)
        except Exception as error:  # the thread's edge: whoever waits is told
            log.exception("vLLM's engine died")
            fault = ServerError(f"the vLLM engine of this process died: {_line(error)}; open the backend again")
        self._end(fault)

    def _took_calls(self) -> bool:
        """Do what others ask, waiting for them where nothing is to be written; False when the engine is to end."""
        while not self._hearing or not self._calls.empty():
            if (asked := self._calls.get()) is None:
                return False
            call, future = asked
            try:
                future.set_result(call())
            except Exception as error:  # raised again where it was asked
                future.set_exception(error)
        return True

    def _end(self, fault: Exception) -> None:
        """Tell whoever waits, or asks from now on."""
        with self._lock:
            self._has_ended = True
        for hear in self._hearing.values():
            hear(fault)
        while not self._calls.empty():
            if asked := self._calls.get():
                asked[1].set_exception(fault)
        self._engine.engine_core.shutdown()


def number_of(name: str) -> int:
    """What vLLM counts an adapter by: made of its name, so the same in every process; 1 at least."""
    return 1 + int(hashlib.sha256(name.encode()).hexdigest()[:ID_DIGITS], 16)


def _engine(options: EngineOptions) -> Any:
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        from vllm import LLM
    except ImportError as error:
        raise InputError(
            f"this Python has no vLLM ({error}); install it beside seal-agent, or run `seal-agent serve`, which takes "
            "one from another environment"
        ) from error
    is_gpu = torch.cuda.is_available()
    return LLM(
        **options.arguments(),
        enforce_eager=not is_gpu,  # on a CPU compiling takes longer than it saves, and needs a compiler
        gpu_memory_utilization=MEMORY_SHARE,
        disable_log_stats=True,
    ).llm_engine


def _params(sampling: Sampling, *, is_streamed: bool = False, prompt_logprobs: int | None = None) -> Any:
    from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

    return SamplingParams(
        **sampling.fields(),
        structured_outputs=StructuredOutputsParams(grammar=sampling.grammar.lark) if sampling.grammar else None,
        prompt_logprobs=prompt_logprobs,
        output_kind=RequestOutputKind.DELTA if is_streamed else RequestOutputKind.FINAL_ONLY,
    )


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
