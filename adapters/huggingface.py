"""The backend for causal models of transformers, with adapters in PEFT's format, on CPU or CUDA."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seal_agent.adapters import hidden_states
from seal_agent.adapters.context import check_texts, check_trainable
from seal_agent.adapters.engine import Engine
from seal_agent.adapters.folding import store_folded, write_adapter
from seal_agent.adapters.generation import Asked, continue_rows, read_prefix
from seal_agent.adapters.loading import load_model
from seal_agent.adapters.packing import TokenRow, labelled_logits, pack, shared_prefix, split
from seal_agent.adapters.prefixes import BLOCK
from seal_agent.adapters.streaming import Pieces, stream_of
from seal_agent.adapters.training import Job, TrainingRun
from seal_agent.core.backend import (
    Reading,
    check_foldable,
    check_grammars,
    check_rows,
    check_sampling,
    room_for_reply,
    seeds_of,
    silent,
)
from seal_agent.core.codec import to_json
from seal_agent.core.edits import REPLAYED, SelfEdit
from seal_agent.core.episodes import Progress, Score
from seal_agent.core.messages import Generated, Grammar, Prompt
from seal_agent.core.models import EMBEDDED
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.core.tool_format import ToolFormat
from seal_agent.storage.adapter_store import AdapterRegistry

MAX_PACK_TOKENS = 768  # the mask is T×T; beyond this length attention costs more than the padding it saves
MAX_GENERATE_BATCH = 64
MAX_GENERATE_TOKENS = 32768  # of all prompts in one batch; limits the memory of the key-value cache


class TransformersBackend:
    """A causal language model seen through one adapter stack; see `Backend` for the contract."""

    def __init__(self, engine: Engine, registry: AdapterRegistry, stack: AdapterStack | None = None) -> None:
        self._engine = engine
        self._registry = registry
        self._stack = stack or AdapterStack()
        self._tokenizer: Any = engine.tokenizer

    @classmethod
    def load(
        cls,
        home: Path,
        model: str = EMBEDDED,
        *,
        device: str = "auto",
        chat_template: str = "",
        cache: Path | None = None,
        max_context: int = 0,
    ) -> TransformersBackend:
        """Load `model` (a Hugging Face name, folder, GGUF file or "embedded").

        Adapters are stored in `home`, converted models in `cache` (default: `home`). `max_context` limits the tokens of
        a prompt and its reply; 0: the model's own limit.
        """
        loaded = load_model(model, cache or home / "models", device=device, chat_template=chat_template)
        return cls(Engine(replace(loaded, max_context=max_context)), AdapterRegistry(home / "adapters"))

    @property
    def model(self) -> str:
        """The identity of the base model."""
        return self._engine.loaded.name

    @property
    def stack(self) -> AdapterStack:
        """The stack that this view answers with."""
        return self._stack

    @property
    def tool_format(self) -> ToolFormat:
        """The format in which this model writes tool calls."""
        return self._engine.encoder.template.tool_format

    @property
    def learning_rate(self) -> float:
        """The learning rate that suits this model, measured on its weights."""
        return self._engine.learning_rate

    @property
    def context_length(self) -> int:
        """The maximum number of tokens of a prompt and its reply."""
        return self._engine.context_length

    @property
    def registry(self) -> AdapterRegistry:
        """The store of adapters."""
        return self._registry

    def with_stack(self, stack: AdapterStack) -> TransformersBackend:
        """A view of the same weights that answers with `stack`; adapters are checked when they are first loaded."""
        with self._engine.lock:
            for entry in stack.entries:
                if not self._engine.is_loaded(entry.ref):
                    self._registry.verify(entry.ref)
            self._engine.activate(stack)
        return TransformersBackend(self._engine, self._registry, stack)

    @contextmanager
    def _active(self, stack: AdapterStack | None = None) -> Iterator[Any]:
        with self._engine.lock:
            self._engine.activate(self._stack if stack is None else stack)
            yield self._engine.model

    def _tokens(self, prompt: Prompt) -> list[int]:
        return self._engine.encoder.prompt(prompt)

    def _answer_tokens(self, answer: str) -> list[int]:
        return self._engine.encoder.answer(answer)

    def _room(self, row: list[int], max_new_tokens: int) -> int:
        return room_for_reply(len(row), max_new_tokens, self.context_length, self.model)

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
        """`num_samples` continuations of every prompt, cut before the first `stop` text."""
        check_grammars(prompts, grammars)
        check_sampling(max_new_tokens, num_samples, temperature, stop, seed)
        rows = [row for row in self.encode(prompts) for _ in range(num_samples)]
        held = [grammar for grammar in grammars for _ in range(num_samples)]
        rooms = [self._room(row, max_new_tokens) for row in rows]
        texts: dict[int, Generated] = {}
        with self._sampling(seed):
            for group in _batches([len(row) for row in rows], rooms):
                grammars_of = [held[i] for i in group] if held else []
                asked = Asked(rooms[group[0]], temperature, tuple(stop))
                written = continue_rows(self._engine, self._stack, [rows[i] for i in group], grammars_of, asked)
                texts |= dict(zip(group, written, strict=True))
                progress("generating", len(texts), len(rows))
        whole = [texts[i] for i in range(len(rows))]
        return [whole[i : i + num_samples] for i in range(0, len(whole), num_samples)]

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
        """The reply that `generate` gives for `prompt` alone, in pieces."""
        check_sampling(max_new_tokens, 1, temperature, stop, seed)
        row, held = self._tokens(prompt), [grammar] if grammar else []
        asked = Asked(self._room(row, max_new_tokens), temperature, tuple(stop))

        def generate(pieces: Pieces) -> Generated:
            with self._sampling(seed):
                return continue_rows(self._engine, self._stack, [row], held, asked, pieces)[0]

        return stream_of(generate, self._tokenizer, asked.stop)

    @contextmanager
    def _sampling(self, seed: int) -> Iterator[None]:
        with self._active(), torch.inference_mode(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield

    def encode(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Token ids of every prompt."""
        return [self._tokens(prompt) for prompt in prompts]

    def score(self, prompts: Sequence[Prompt], answers: Sequence[str], *, progress: Progress = silent) -> list[Score]:
        """Teacher-forced log-probability of `answers[i]` after `prompts[i]`."""
        rows: list[TokenRow] = [
            (self._tokens(prompt), self._answer_tokens(answer)) for prompt, answer in zip(prompts, answers, strict=True)
        ]
        check_texts(map(_length, rows), self.context_length, self.model)
        sums = [0.0] * len(rows)
        done = 0
        loaded, opening = self._engine.loaded, _opening(rows)
        rests = [(prompt[len(opening) :], answer) for prompt, answer in rows]
        with self._active() as model, torch.inference_mode():
            for group in split(rests, MAX_PACK_TOKENS):
                batch = pack([rests[i] for i in group])
                before = read_prefix(self._engine, self._stack, opening) if opening else None
                logits = labelled_logits(
                    model, [batch], loaded.dtype, loaded.device, after=before, num_after=len(opening)
                )
                logits = logits.float().cpu()
                chosen = torch.log_softmax(logits, -1).gather(1, batch.targets[:, None])[:, 0]  # (N,)
                for owner, value in zip(batch.rows.tolist(), chosen.tolist(), strict=True):
                    sums[group[owner]] += value
                done += len(group)
                progress("scoring", done, len(rows))
                self._engine.give_way(self._stack)
        return [Score(total, len(answer)) for total, (_, answer) in zip(sums, rows, strict=True)]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of the base model: without adapters, vectors stay comparable while the stack grows."""
        with self._active(AdapterStack()), torch.inference_mode():
            return hidden_states.embed(self._engine, texts)

    def read(self, texts: Sequence[str], earlier: Sequence[str] = ()) -> list[Reading]:
        """One reading of every text by this view, with `earlier[i]` as its context."""
        before = list(earlier) or [""] * len(texts)
        rows = [hidden_states.row_of(self._engine, text, said) for text, said in zip(texts, before, strict=True)]
        check_texts(map(_length, rows), self.context_length, self.model)
        readings: list[Reading] = []
        with self._active(), torch.inference_mode():
            for row in rows:
                readings.append(hidden_states.read(self._engine, row))
                self._engine.give_way(self._stack)
        return readings

    def train(self, edit: SelfEdit, *, seed: int = 0, progress: Progress = silent) -> AdapterRef:
        """Train a new adapter on top of this view's frozen stack and store it."""
        return self.train_many([edit], seed=seed, progress=progress)[0]

    def train_many(
        self, edits: Sequence[SelfEdit], *, seed: int = 0, seeds: Sequence[int] = (), progress: Progress = silent
    ) -> list[AdapterRef]:
        """One independent candidate per edit, in one pass; equal to training them one by one, up to rounding."""
        for edit in edits:
            check_rows(edit)
        jobs = [self._job(edit, own) for edit, own in zip(edits, seeds_of(edits, seed, seeds), strict=True)]
        with self._engine.lock:
            runs = self._engine.train(self._stack, jobs, progress=progress)
        return [self._store(edit, job, run) for edit, job, run in zip(edits, jobs, runs, strict=True)]

    def token_rows(self, edit: SelfEdit) -> list[TokenRow]:
        """The edit's rows as they are trained on; an assistant's turn ends with the end-of-sequence token."""
        eos = self._tokenizer.eos_token_id
        return [
            (self._tokens(row.prompt), [*self._answer_tokens(row.answer), *([eos] if row.prompt.is_chat else [])])
            for row in edit.rows
        ]

    def _job(self, edit: SelfEdit, seed: int) -> Job:
        """The training job: replayed rows are anchored; with `distill`, questions are taught with evidence in view."""
        rows = self.token_rows(edit)
        anchored = frozenset(number for number, row in enumerate(edit.rows) if row.source in REPLAYED)
        taught: dict[int, TokenRow] = {}
        if edit.directives.distill:
            shown = {n: row.in_view(edit.topic) for n, row in enumerate(edit.rows) if n not in anchored}
            taught = {n: (self._tokens(prompt), rows[n][1]) for n, prompt in shown.items() if prompt}
        check_trainable(map(_length, [*rows, *taught.values()]), self.context_length, self.model)
        return Job(rows, edit.directives, seed, anchored, taught)

    def _store(self, edit: SelfEdit, job: Job, run: TrainingRun) -> AdapterRef:
        facts = {
            "parents": list(self._stack.ids),
            "topic": edit.topic,
            "seed": job.seed,
            "directives": to_json(self._engine.fitted(job.directives)),
            "num_rows": len(job.rows),
            "num_tokens": run.num_tokens,
            "num_padding": run.num_padding,
            "num_steps": run.num_steps,
            "loss": [round(run.first_loss, 4), round(run.last_loss, 4)],
        }

        def write(folder: Path) -> None:
            write_adapter(folder, run.update, model=self.model, alpha=edit.directives.alpha)

        return self._registry.add(write, model=self.model, rank=edit.directives.rank, manifest=facts)

    def fold(self, *, max_rank: int) -> AdapterRef:
        """Store this view's stack as one adapter of rank `max_rank` at most; exact if its ranks fit."""
        check_foldable(self._stack, max_rank)
        with self._engine.lock:
            update = self._engine.update(self._stack)
        return store_folded(self._registry, self._stack, update, model=self.model, max_rank=max_rank)[0]

    def unload(self, ref: AdapterRef) -> None:
        """Free the memory of an adapter; it is loaded again when a stack names it."""
        with self._engine.lock:
            self._engine.unload(ref)


def _opening(rows: Sequence[TokenRow]) -> list[int]:
    """The blocks of tokens that all prompts begin with, as far as each has a token left."""
    prompts = [prompt for prompt, _ in rows]
    shared = min(shared_prefix(prompts), min(map(len, prompts)) - 1) if prompts else 0
    return prompts[0][: shared // BLOCK * BLOCK] if shared >= BLOCK else []


def _length(row: TokenRow) -> int:
    prompt, answer = row
    return len(prompt) + len(answer)


def _batches(lengths: Sequence[int], rooms: Sequence[int]) -> Iterator[list[int]]:
    """Groups of prompts, by number, that are continued together: similar lengths and the same room for the reply."""
    group: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        is_full = len(group) == MAX_GENERATE_BATCH or (len(group) + 1) * lengths[number] > MAX_GENERATE_TOKENS
        if group and (is_full or rooms[number] != rooms[group[0]]):
            yield group
            group = []
        group.append(number)
    if group:
        yield group
