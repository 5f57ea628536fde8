"""The backend on vLLM, which generates and scores; a second backend, the trainer, does the rest.

A server, or an engine in this process, answers many conversations at once, each with its own stack. Training, hidden
states, embeddings and folding need the weights and go to another `Backend` on the same model. It is made on first use:
in this process (`TransformersBackend`) or in a subprocess (`subprocess_backend.ProcessBackend`) on another device.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from seal_agent.adapters.context import DEFAULT_CONTEXT, check_texts, check_trainable
from seal_agent.adapters.encoding import Encoder
from seal_agent.adapters.loading import find_model, load_tokenizer
from seal_agent.adapters.vllm.adapters import ServedAdapters
from seal_agent.adapters.vllm.client import VLLMClient
from seal_agent.adapters.vllm.options import MAX_KEPT, MAX_LORA_RANK, EngineOptions
from seal_agent.adapters.vllm.protocol import VLLM, Sampling
from seal_agent.adapters.vllm.zero_adapter import is_on_gpu, neutral
from seal_agent.core.backend import Backend, Reading, check_fits, check_grammars, check_sampling, room_for_reply, silent
from seal_agent.core.edits import SelfEdit
from seal_agent.core.episodes import Progress, Score
from seal_agent.core.errors import ModelError, ServerError
from seal_agent.core.messages import Generated, Grammar, Prompt
from seal_agent.core.models import EMBEDDED
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.core.tool_format import ToolFormat
from seal_agent.storage.adapter_store import AdapterRegistry

T = TypeVar("T")
IN_PROCESS = "in-process"
"""Given instead of a server's URL: the engine in this process."""
SCORE_BATCH = 32  # rows in one request


class Trainer:
    """A backend that is made once, on first use."""

    def __init__(self, make: Callable[[], Backend]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._backend: Backend | None = None

    @property
    def is_made(self) -> bool:
        """Whether the backend exists already."""
        return self._backend is not None

    def with_stack(self, stack: AdapterStack) -> Backend:
        """The backend's view of `stack`."""
        with self._lock:
            if self._backend is None:
                self._backend = self._make()
            return self._backend.with_stack(stack)


@dataclass(frozen=True)
class Served:
    """State that all views of one server or engine share."""

    client: VLLM
    adapters: ServedAdapters
    registry: AdapterRegistry
    trainer: Trainer
    model: str  # the identity of the base model
    base_name: str  # vLLM's name for it
    encoder: Encoder
    base: AdapterStack = field(default_factory=AdapterStack)  # asked for the base model: empty, or zeros
    verified: set[AdapterRef] = field(default_factory=set)
    context_length: int = DEFAULT_CONTEXT  # tokens of a prompt and its reply


class VLLMBackend:
    """A causal language model on vLLM, seen through one adapter stack; see `Backend` for the contract."""

    def __init__(self, served: Served, stack: AdapterStack | None = None) -> None:
        self._served = served
        self._stack = stack or AdapterStack()
        weighted = AdapterStack(tuple(entry for entry in self._stack.entries if entry.weight))
        self._active = weighted if weighted.entries else served.base

    @classmethod
    def connect(
        cls,
        home: Path,
        model: str = EMBEDDED,
        *,
        url: str,
        trainer: Callable[[], Backend],
        max_lora_rank: int = MAX_LORA_RANK,
        max_kept: int = MAX_KEPT,
        chat_template: str = "",
        cache: Path | None = None,
        guarded: bool | None = None,
        max_context: int = 0,
    ) -> VLLMBackend:
        """The backend on the server at `url`, which must serve `model`; `trainer` opens the same model for training.

        `guarded`: requests to the base model use an adapter of zeros, as servers on a CPU need it (`zero_adapter`);
        None: unless the server runs on this machine with a GPU. `max_context` limits the tokens of a prompt and its
        reply; 0: the server's limit. The server's API key is read from $VLLM_API_KEY. Raises `ServerError` if no server
        answers, `ModelError` if it serves another model.
        """
        cache = cache or home / "models"
        client = VLLMClient(url, api_key=os.environ.get("VLLM_API_KEY", ""))
        if not client.is_healthy():  # without retries: the caller can start the server
            raise ServerError(f"no vLLM server answers at {url}; start one with `seal-agent serve`")
        base = client.models()[0]
        identity, path = find_model(model, cache)
        if Path(base.root).name != Path(path).name:
            raise ModelError(f"the server at {url} serves {base.root}, not {path}; restart it with that model")
        encoder = Encoder(load_tokenizer(path, model, chat_template=chat_template))
        adapters = ServedAdapters(client, home / "served", max_rank=max_lora_rank, max_kept=max_kept)
        registry = AdapterRegistry(home / "adapters")
        is_guarded = not is_on_gpu(url) if guarded is None else guarded
        zeros = neutral(adapters.registry, path, identity) if is_guarded else AdapterStack()
        served = Served(client, adapters, registry, Trainer(trainer), identity, base.name, encoder, zeros)
        return cls(replace(served, context_length=_context(base.max_tokens, max_context)))

    @classmethod
    def in_process(
        cls,
        home: Path,
        model: str = EMBEDDED,
        *,
        trainer: Callable[[], Backend],
        chat_template: str = "",
        cache: Path | None = None,
        max_context: int = 0,
        **options: Any,
    ) -> VLLMBackend:
        """The backend on its own engine, with `options` of `EngineOptions`; for offline work.

        `trainer` opens the same model for training, in another process. Raises `InputError` if vLLM is not installed in
        this Python.
        """
        from seal_agent.adapters.vllm.engine import VLLMEngine

        identity, path = find_model(model, cache or home / "models")
        wanted = EngineOptions(path, **options)
        encoder = Encoder(load_tokenizer(path, model, chat_template=chat_template))
        engine = VLLMEngine(wanted)
        adapters = ServedAdapters(engine, home / "served", max_rank=wanted.max_lora_rank, max_kept=wanted.max_kept)
        registry = AdapterRegistry(home / "adapters")
        zeros = AdapterStack() if engine.is_on_gpu else neutral(adapters.registry, wanted.model, identity)
        served = Served(engine, adapters, registry, Trainer(trainer), identity, engine.base_name, encoder, zeros)
        return cls(replace(served, context_length=_context(engine.max_tokens, max_context)))

    @property
    def model(self) -> str:
        """The identity of the base model."""
        return self._served.model

    @property
    def stack(self) -> AdapterStack:
        """The stack that this view answers with."""
        return self._stack

    @property
    def tool_format(self) -> ToolFormat:
        """The format in which this model writes tool calls."""
        return self._served.encoder.template.tool_format

    @property
    def learning_rate(self) -> float:
        """The learning rate that suits this model, from the trainer."""
        return self._base_at_the_trainer().learning_rate

    @property
    def context_length(self) -> int:
        """The maximum number of tokens of a prompt and its reply."""
        return self._served.context_length

    def with_stack(self, stack: AdapterStack) -> VLLMBackend:
        """A view that answers with `stack`; the server loads it on first use."""
        for entry in stack.entries:
            self._check(entry.ref)
        return VLLMBackend(self._served, stack)

    def _check(self, ref: AdapterRef) -> None:
        check_fits(ref, self.model)
        if ref not in self._served.verified:
            self._served.registry.verify(ref)
            self._served.verified.add(ref)

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
        """`num_samples` continuations of every prompt, cut before the first `stop` text; a request for each prompt."""
        check_grammars(prompts, grammars)
        check_sampling(max_new_tokens, num_samples, temperature, stop, seed)
        rows = self.encode(prompts)
        wanted = [
            Sampling(
                max_new_tokens=self._room(rows[number], max_new_tokens),
                num_samples=num_samples if temperature > 0 else 1,
                temperature=temperature,
                stop=tuple(stop),
                grammar=grammars[number] if grammars else None,
                seed=seed + number * num_samples,  # vLLM adds the sample's number to it
            )
            for number in range(len(rows))
        ]

        def ask(number: int) -> list[Generated]:
            return self._ask(lambda name: self._served.client.complete(name, rows[number], wanted[number]))

        texts: list[list[Generated]] = []
        for found in self._at_once(ask, len(rows)):
            texts.append(found if temperature > 0 else found * num_samples)
            progress("generating", len(texts) * num_samples, len(rows) * num_samples)
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
        """One continuation of `prompt` in pieces; its adapter stays loaded until the end."""
        check_sampling(max_new_tokens, 1, temperature, stop, seed)
        (row,) = self.encode([prompt])
        sampling = Sampling(self._room(row, max_new_tokens), 1, temperature, tuple(stop), grammar, seed)
        if not self._active.entries:
            return self._served.client.stream(self._served.base_name, row, sampling)
        return self._served.adapters.stream(self._active, row, sampling)

    def _room(self, row: list[int], max_new_tokens: int) -> int:
        return room_for_reply(len(row), max_new_tokens, self.context_length, self.model)

    def encode(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Token ids of every prompt."""
        return [self._served.encoder.prompt(prompt) for prompt in prompts]

    def score(self, prompts: Sequence[Prompt], answers: Sequence[str], *, progress: Progress = silent) -> list[Score]:
        """Teacher-forced log-probability of `answers[i]` after `prompts[i]`."""
        given = self.encode(prompts)
        asked = [self._served.encoder.answer(answer) for answer in answers]
        rows = [prompt + answer for prompt, answer in zip(given, asked, strict=True)]
        check_texts(map(len, rows), self.context_length - 1, self.model)  # the server generates a token after each
        groups = [rows[start : start + SCORE_BATCH] for start in range(0, len(rows), SCORE_BATCH)]

        def ask(number: int) -> list[list[float]]:
            return self._ask(lambda name: self._served.client.logprobs(name, groups[number]))

        found: list[list[float]] = []
        for part in self._at_once(ask, len(groups)):
            found += part
            progress("scoring", len(found), len(rows))
        return [
            Score(sum(logprobs[-len(answer) :]), len(answer)) for logprobs, answer in zip(found, asked, strict=True)
        ]

    def _at_once(self, ask: Callable[[int], T], count: int) -> Iterator[T]:
        """Yield `ask(0)`, `ask(1)`, … in that order, with several requests in flight."""
        with ThreadPoolExecutor(max_workers=max(min(count, self._served.client.max_requests), 1)) as pool:
            yield from pool.map(ask, range(count))

    def _ask(self, request: Callable[[str], T]) -> T:
        """Call `request(name)` with the server's name for this view's stack."""
        if not self._active.entries:
            return request(self._served.base_name)
        return self._served.adapters.ask(self._active, request)

    def _at_the_trainer(self) -> Backend:
        return self._served.trainer.with_stack(self._stack)

    def _base_at_the_trainer(self) -> Backend:
        return self._served.trainer.with_stack(AdapterStack())

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors (len(texts), d) of the base model, from the trainer."""
        return self._base_at_the_trainer().embed(texts)

    def read(self, texts: Sequence[str], earlier: Sequence[str] = ()) -> list[Reading]:
        """One reading of every text by this view, from the trainer."""
        lengths = (len(self._served.encoder.answer(text)) for text in texts if text)
        check_texts(lengths, self.context_length, self.model)
        return self._at_the_trainer().read(texts, earlier)

    def train(self, edit: SelfEdit, *, seed: int = 0, progress: Progress = silent) -> AdapterRef:
        """Train a new adapter on top of this view's stack, at the trainer."""
        self._check_rows(edit)
        return self._at_the_trainer().train(edit, seed=seed, progress=progress)

    def train_many(
        self, edits: Sequence[SelfEdit], *, seed: int = 0, seeds: Sequence[int] = (), progress: Progress = silent
    ) -> list[AdapterRef]:
        """One independent candidate per edit, trained together at the trainer."""
        for edit in edits:
            self._check_rows(edit)
        return self._at_the_trainer().train_many(edits, seed=seed, seeds=seeds, progress=progress)

    def _check_rows(self, edit: SelfEdit) -> None:
        """Raise `TrainingFault` for rows longer than vLLM's context, even if the trainer's is longer."""
        asked = self.encode([row.prompt for row in edit.rows])
        lengths = (
            len(prompt) + len(self._served.encoder.answer(row.answer))
            for prompt, row in zip(asked, edit.rows, strict=True)
        )
        check_trainable(lengths, self.context_length, self.model)

    def fold(self, *, max_rank: int) -> AdapterRef:
        """Store this view's stack as one adapter, at the trainer."""
        return self._at_the_trainer().fold(max_rank=max_rank)

    def unload(self, ref: AdapterRef) -> None:
        """Unload an adapter from the server and the trainer's memory, if no request uses it."""
        self._served.adapters.unload(ref)
        self._served.verified.discard(ref)
        if self._served.trainer.is_made:
            self._base_at_the_trainer().unload(ref)


def _context(served: int, chosen: int) -> int:
    """The maximum number of tokens of a prompt and its reply: vLLM's limit, at most `chosen` unless that is 0."""
    return min(served or chosen or DEFAULT_CONTEXT, chosen or served or DEFAULT_CONTEXT)
