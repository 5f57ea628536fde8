"""vLLM in this process, for offline work: `vllm.LLM`, with adapters as `LoRARequest`.

No server is needed, but vLLM must be installed in this Python. One thread runs the engine; requests of all other
threads are batched. Checked with vLLM 0.32.
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
MEMORY_SHARE = 0.6  # of a GPU's memory; the trainer, in another process, needs the rest
ID_DIGITS = 15  # hexadecimal: vLLM stores adapter numbers in 64 bits
# Without a subprocess: by default vLLM would run the user's script again in another process.
SETTINGS = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
ENDED = "the vLLM engine of this process has ended; open the backend again"

log = logging.getLogger(__name__)


class VLLMEngine:
    """One engine; see `VLLM` for the interface."""

    max_requests = MAX_REQUESTS

    def __init__(self, options: EngineOptions) -> None:
        """Load the model; raises `InputError` if vLLM is not installed in this Python."""
        self.base_name = options.model
        self._engine = _engine(options)
        self._adapters: dict[str, Any] = {}  # LoRARequest by name
        self._numbers = count()
        self._hearing: dict[str, Callable[[Any], None]] = {}  # receivers of a request's outputs or its error
        self._calls: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._has_ended = False
        self._thread = threading.Thread(target=self._run, name="seal-vllm", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @property
    def max_tokens(self) -> int:
        """The context length in tokens."""
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
        """As `VLLM.load`; raises `AdapterError` for a folder that vLLM refuses."""
        from vllm.lora.request import LoRARequest

        adapter = LoRARequest(name, number_of(name), path)
        try:
            self._do(lambda: self._engine.add_lora(adapter))
        except ServerError:
            raise
        except Exception as error:  # any error of vLLM's loader; the engine continues
            raise AdapterError(f"vLLM cannot load the adapter at {path}: {why_not_loaded(_line(error))}") from error
        self._adapters[name] = adapter

    def unload(self, name: str) -> None:
        """As `VLLM.unload`."""
        if adapter := self._adapters.pop(name, None):
            self._do(lambda: self._engine.remove_lora(adapter.lora_int_id))

    def close(self) -> None:
        """End the engine; running requests fail."""
        atexit.unregister(self.close)
        self._calls.put(None)
        self._thread.join()

    def _finished(self, model: str, rows: Sequence[Sequence[int]], params: Any) -> list[Any]:
        """The last output of every row; all rows run together."""

        def begin(row: Sequence[int], future: Future[Any]) -> Future[str]:
            def hear(output: Any) -> None:
                if isinstance(output, Exception):
                    future.set_exception(output)
                else:  # the only output
                    future.set_result(output)

            return self._submit(lambda: self._add(model, row, params, hear))

        futures: list[Future[Any]] = [Future() for _ in rows]
        for begun in [begin(row, future) for row, future in zip(rows, futures, strict=True)]:
            begun.result()
        return [future.result() for future in futures]

    def _add(self, model: str, tokens: Sequence[int], params: Any, hear: Callable[[Any], None]) -> str:
        """Start a request in the engine's thread and return its name."""
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
        """Run `call()` in the engine's thread, between two steps."""
        return self._submit(call).result()

    def _submit(self, call: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        with self._lock:
            if self._has_ended:
                raise ServerError(ENDED)
            self._calls.put((call, future))
        return future

    def _run(self) -> None:
        """The thread's loop: run submitted calls, and step the engine while requests are running."""
        fault = ServerError(ENDED)
        try:
            while self._took_calls():
                for output in self._engine.step():
                    if hear := self._hearing.get(output.request_id):
                        if output.finished:
                            del self._hearing[output.request_id]
                        hear(output)
        except Exception as error:  # edge of the thread: all waiting callers get the error
            log.exception("vLLM's engine died")
            fault = ServerError(f"the vLLM engine of this process died: {_line(error)}; open the backend again")
        self._end(fault)

    def _took_calls(self) -> bool:
        """Run submitted calls, waiting for one if no request is running; False when the engine is to end."""
        while not self._hearing or not self._calls.empty():
            if (asked := self._calls.get()) is None:
                return False
            call, future = asked
            try:
                future.set_result(call())
            except Exception as error:  # raised again in the caller
                future.set_exception(error)
        return True

    def _end(self, fault: Exception) -> None:
        """Pass `fault` to all waiting and all future callers."""
        with self._lock:
            self._has_ended = True
        for hear in self._hearing.values():
            hear(fault)
        while not self._calls.empty():
            if asked := self._calls.get():
                asked[1].set_exception(fault)
        self._engine.engine_core.shutdown()


def number_of(name: str) -> int:
    """The number of an adapter in vLLM: derived from its name, so equal in every process; at least 1."""
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
