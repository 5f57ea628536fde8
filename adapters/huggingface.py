"""The real backend: any causal model of transformers, adapters in PEFT's form, on CPU or CUDA."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from seal_agent.adapters.backend import Reading, check_foldable, check_grammars, check_rows, folded_facts, silent
from seal_agent.adapters.constrained import GrammarProcessor
from seal_agent.adapters.engine import Engine
from seal_agent.adapters.folding import compress, write_adapter
from seal_agent.adapters.loading import EMBEDDED, load_model
from seal_agent.adapters.packing import TokenRow, labelled_logits, pack, shared_prefix, split
from seal_agent.adapters.registry import AdapterRegistry
from seal_agent.adapters.training import Job, TrainingRun
from seal_agent.errors import InputError
from seal_agent.rehearsal import REPLAYED
from seal_agent.types import AdapterRef, AdapterStack, Grammar, Progress, Prompt, Score, SelfEdit, to_json

MAX_PACK_TOKENS = 768  # the mask is T×T; beyond this attention costs more than the padding it saves
MAX_GENERATE_BATCH = 64
MIN_SHARED_PREFIX = 16  # a shorter prefix is not worth a pass of its own
EMBED_TOKENS = 256
EMBED_BATCH = 32


class TransformersBackend:
    """A causal language model seen through one adapter stack; see `Backend` for the contract."""

    def __init__(self, engine: Engine, registry: AdapterRegistry, stack: AdapterStack | None = None) -> None:
        self._engine = engine
        self._registry = registry
        self._stack = stack or AdapterStack()
        self._tokenizer: Any = engine.loaded.tokenizer

    @classmethod
    def load(
        cls,
        home: Path,
        model: str = EMBEDDED,
        *,
        device: str = "auto",
        chat_template: str = "",
        cache: Path | None = None,
    ) -> TransformersBackend:
        """Load `model` (a Hugging Face name, folder, GGUF file or "embedded").

        Adapters lie in `home`, converted models in `cache` (default: in `home` too).
        """
        loaded = load_model(model, cache or home / "models", device=device, chat_template=chat_template)
        return cls(Engine(loaded), AdapterRegistry(home / "adapters"))

    @property
    def model(self) -> str:
        """The identity of the base model."""
        return self._engine.loaded.name

    @property
    def stack(self) -> AdapterStack:
        """The stack this view answers with."""
        return self._stack

    @property
    def registry(self) -> AdapterRegistry:
        """Where its adapters lie."""
        return self._registry

    def with_stack(self, stack: AdapterStack) -> TransformersBackend:
        """A view on the same weights that answers with `stack`; its adapters are checked when they are first loaded."""
        with self._engine.lock:
            for layer in stack.layers:
                if not self._engine.is_loaded(layer.ref):
                    self._registry.verify(layer.ref)
            self._engine.activate(stack)
        return TransformersBackend(self._engine, self._registry, stack)

    @contextmanager
    def _active(self, stack: AdapterStack | None = None) -> Iterator[Any]:
        with self._engine.lock:
            self._engine.activate(self._stack if stack is None else stack)
            yield self._engine.model

    def _tokens(self, prompt: Prompt) -> list[int]:
        """Only the chat template makes special tokens: what somebody wrote never becomes a turn."""
        if prompt.is_chat:
            messages = [{"role": m.role, "content": self._harmless(m.content)} for m in prompt.messages]
            opened = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            text = opened + self._harmless(prompt.text)
            ids: list[int] = self._tokenizer(text, add_special_tokens=False).input_ids
        else:
            ids = self._plain_tokens(prompt.text, add_special_tokens=True)
        if not ids and self._tokenizer.bos_token_id is not None:
            ids = [self._tokenizer.bos_token_id]
        if not ids:
            raise InputError("an empty prompt cannot be continued; give at least one character")
        return ids

    def _plain_tokens(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        """Tokens of a text in which a special token's name is nothing but letters."""
        ids: list[int] = self._tokenizer(
            text, add_special_tokens=add_special_tokens, split_special_tokens=True
        ).input_ids
        return ids

    def _harmless(self, text: str) -> str:
        """`text` with a space in the name of every special token, for a template that is tokenised as a whole."""
        while found := next((name for name in self._engine.special_tokens if name in text), ""):
            text = text.replace(found, f"{found[0]} {found[1:]}")
        return text

    def _answer_tokens(self, answer: str) -> list[int]:
        ids = self._plain_tokens(answer)
        if not ids:
            raise InputError("an empty answer cannot be scored; give at least one character")
        return ids

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
    ) -> list[list[str]]:
        """`num_samples` continuations of every prompt, cut before the first `stop` text."""
        check_grammars(prompts, grammars)
        rows = [self._tokens(p) for p in prompts for _ in range(num_samples)]
        held = [grammar for grammar in grammars for _ in range(num_samples)]
        texts: list[str] = []
        sampling: dict[str, Any] = {"do_sample": False}
        if temperature > 0:
            sampling = {"do_sample": True, "temperature": temperature, "top_p": 0.95}
        with self._active() as model, torch.inference_mode(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for start in range(0, len(rows), MAX_GENERATE_BATCH):
                end = start + MAX_GENERATE_BATCH
                texts += self._generate_batch(
                    model, rows[start:end], max_new_tokens, tuple(stop), held[start:end], sampling
                )
                progress("generating", len(texts), len(rows))
        cut = [_cut(text, stop) for text in texts]
        return [cut[i : i + num_samples] for i in range(0, len(cut), num_samples)]

    def _generate_batch(
        self,
        model: Any,
        rows: list[list[int]],
        max_new_tokens: int,
        stop: tuple[str, ...],
        grammars: list[Grammar],
        sampling: dict[str, Any],
    ) -> list[str]:
        shared = min(shared_prefix(rows), min(map(len, rows)) - 1)
        shared = shared if shared >= MIN_SHARED_PREFIX and len(rows) > 1 else 0
        device = self._engine.loaded.device
        length = max(map(len, rows))
        ids = torch.full((len(rows), length), self._tokenizer.pad_token_id)
        mask = torch.ones((len(rows), length), dtype=torch.long)
        for number, row in enumerate(rows):  # prefix, padding, rest: the prefix stays aligned for the cache
            rest = row[shared:]
            ids[number, :shared] = torch.tensor(row[:shared], dtype=torch.long)
            ids[number, length - len(rest) :] = torch.tensor(rest)
            mask[number, shared : length - len(rest)] = 0
        cache: dict[str, Any] = {}
        if shared:
            prefix = DynamicCache(config=model.config)
            model(input_ids=ids[:1, :shared].to(device), past_key_values=prefix, use_cache=True, logits_to_keep=1)
            prefix.batch_repeat_interleave(len(rows))
            cache["past_key_values"] = prefix
        out = model.generate(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            max_new_tokens=max_new_tokens,
            pad_token_id=self._tokenizer.pad_token_id,
            stopping_criteria=self._stopping(stop, length),
            logits_processor=self._processors(grammars, length),
            **cache,
            **sampling,
        )
        decoded: list[str] = self._tokenizer.batch_decode(out[:, length:], skip_special_tokens=True)
        return decoded

    def _stopping(self, stop: tuple[str, ...], prompt_length: int) -> StoppingCriteriaList:
        stops = [_StopTexts(self._tokenizer, stop, prompt_length)] if stop else []
        return StoppingCriteriaList([_GivesWay(self._engine, self._stack), *stops])

    def _processors(self, grammars: list[Grammar], prompt_length: int) -> LogitsProcessorList:
        if not grammars:
            return LogitsProcessorList()
        return LogitsProcessorList([GrammarProcessor(self._engine.grammar_tokenizer, grammars, prompt_length)])

    def score(self, prompts: Sequence[Prompt], answers: Sequence[str], *, progress: Progress = silent) -> list[Score]:
        """Teacher-forced log-probability of `answers[i]` after `prompts[i]`."""
        rows: list[TokenRow] = [
            (self._tokens(prompt), self._answer_tokens(answer)) for prompt, answer in zip(prompts, answers, strict=True)
        ]
        sums = [0.0] * len(rows)
        done = 0
        loaded = self._engine.loaded
        with self._active() as model, torch.inference_mode():
            for group in split(rows, MAX_PACK_TOKENS):
                batch = pack([rows[i] for i in group])
                logits = labelled_logits(model, [batch], loaded.dtype, loaded.device).float().cpu()
                chosen = torch.log_softmax(logits, -1).gather(1, batch.targets[:, None])[:, 0]  # (N,)
                for owner, value in zip(batch.rows.tolist(), chosen.tolist(), strict=True):
                    sums[group[owner]] += value
                done += len(group)
                progress("scoring", done, len(rows))
                self._engine.give_way(self._stack)
        return [Score(total, len(answer)) for total, (_, answer) in zip(sums, rows, strict=True)]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of the base model: mean hidden state of the middle layer, without the first token.

        The first token is left out because decoders park attention there. Adapters are off, so that
        vectors stay comparable while the stack grows.
        """
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        vectors: dict[int, NDArray[np.float32]] = {}
        device = self._engine.loaded.device
        with self._active(AdapterStack()) as model, torch.inference_mode():
            for start in range(0, len(order), EMBED_BATCH):
                group = order[start : start + EMBED_BATCH]
                batch = self._tokenizer(
                    ["\n" + texts[i] for i in group],
                    return_tensors="pt",
                    padding=True,
                    truncation=True,
                    split_special_tokens=True,
                    max_length=EMBED_TOKENS,
                ).to(device)
                states = model(**batch, output_hidden_states=True, logits_to_keep=1).hidden_states
                middle = states[len(states) // 2].float()  # (B, T, d), padded on the left
                first = batch.attention_mask.cumsum(1) == 1
                weight = (batch.attention_mask.bool() & ~first)[..., None].float()
                means = (middle * weight).sum(1) / weight.sum(1).clamp(min=1)
                vectors |= dict(zip(group, means.cpu().numpy(), strict=True))
        matrix = np.asarray([vectors[i] for i in range(len(texts))], dtype=np.float32).reshape(len(texts), -1)
        norms = np.linalg.norm(matrix, axis=1, keepdims=True)
        unit: NDArray[np.float32] = (matrix / np.maximum(norms, 1e-12)).astype(np.float32)
        return unit

    def read(self, texts: Sequence[str], earlier: Sequence[str] = ()) -> list[Reading]:
        """This view's reading of every text, after what `earlier` says came before it."""
        readings = []
        before = list(earlier) or [""] * len(texts)
        with self._active() as model, torch.inference_mode():
            for text, said in zip(texts, before, strict=True):
                answer = self._answer_tokens(text)
                begin = self._tokenizer.bos_token_id
                prompt = [begin] if begin is not None else self._plain_tokens("\n")
                prompt = [*self._plain_tokens("", add_special_tokens=True), *prompt, *self._plain_tokens(said)]
                ids = torch.tensor([prompt + answer], device=self._engine.loaded.device)
                out = model(input_ids=ids, output_hidden_states=True, use_cache=False)
                middle, last = out.hidden_states[len(out.hidden_states) // 2 + 1], out.hidden_states[-1]
                state = torch.cat([middle[0, len(prompt) :].mean(0), last[0, -1]]).float().cpu().numpy()
                logprobs = torch.log_softmax(out.logits[0, len(prompt) - 1 : -1].float(), -1)
                chosen = logprobs.gather(1, ids[0, len(prompt) :, None])[:, 0]
                readings.append(Reading(state, tuple((-chosen).tolist())))
        return readings

    def train(self, edit: SelfEdit, *, seed: int = 0, progress: Progress = silent) -> AdapterRef:
        """Train a new adapter on top of this view's frozen stack and store it."""
        return self.train_many([edit], seed=seed, progress=progress)[0]

    def train_many(self, edits: Sequence[SelfEdit], *, seed: int = 0, progress: Progress = silent) -> list[AdapterRef]:
        """One independent candidate per edit, in one pass; the same as one after the other, to rounding."""
        for edit in edits:
            check_rows(edit)
        jobs = [
            Job(self._rows(edit), edit.directives, seed + number, _anchored(edit)) for number, edit in enumerate(edits)
        ]
        with self._engine.lock:
            runs = self._engine.train(self._stack, jobs, progress=progress)
        return [self._store(edit, job, run) for edit, job, run in zip(edits, jobs, runs, strict=True)]

    def _rows(self, edit: SelfEdit) -> list[TokenRow]:
        eos = self._tokenizer.eos_token_id
        return [
            (self._tokens(row.prompt), [*self._answer_tokens(row.answer), *([eos] if row.prompt.is_chat else [])])
            for row in edit.rows
        ]

    def _store(self, edit: SelfEdit, job: Job, run: TrainingRun) -> AdapterRef:
        facts = {
            "parents": list(self._stack.ids),
            "topic": edit.topic,
            "seed": job.seed,
            "directives": to_json(edit.directives),
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
        """Store this view's stack as one adapter of rank `max_rank` at most; exact where its ranks fit in."""
        check_foldable(self._stack, max_rank)
        with self._engine.lock:
            update = self._engine.update(self._stack)
        ranks = {a.shape[0] for a, _ in update.pairs.values()}
        error = 0.0
        if len(ranks) > 1 or update.rank > max_rank:
            update, error = compress(update, min(max_rank, update.rank))

        def write(folder: Path) -> None:
            write_adapter(folder, update, model=self.model)

        facts = {**folded_facts(self._stack), "error": round(error, 6)}
        return self._registry.add(write, model=self.model, rank=update.rank, manifest=facts)

    def unload(self, ref: AdapterRef) -> None:
        """Free the memory an adapter takes; a stack that names it loads it again."""
        with self._engine.lock:
            self._engine.unload(ref)


def _anchored(edit: SelfEdit) -> frozenset[int]:
    return frozenset(number for number, row in enumerate(edit.rows) if row.source in REPLAYED)


class _GivesWay(StoppingCriteria):  # type: ignore[misc]
    """Ends nothing: it is asked after every token, and writing in the background gives way there."""

    def __init__(self, engine: Engine, stack: AdapterStack) -> None:
        self._engine, self._stack = engine, stack

    def __call__(self, input_ids: torch.Tensor, scores: object, **_kwargs: object) -> torch.Tensor:
        self._engine.give_way(self._stack)
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


class _StopTexts(StoppingCriteria):  # type: ignore[misc]
    """Ends a row once its last tokens hold a stop text.

    transformers' own `stop_strings` made generation 1.6 times slower here: it matches token tables on every step.
    """

    def __init__(self, tokenizer: Any, stop: tuple[str, ...], prompt_length: int) -> None:
        self._tokenizer = tokenizer
        self._stop = stop
        self._prompt_length = prompt_length
        self._window = max(len(tokenizer(mark, add_special_tokens=False).input_ids) for mark in stop) + 2

    def __call__(self, input_ids: torch.Tensor, scores: object, **_kwargs: object) -> torch.Tensor:
        start = max(self._prompt_length, input_ids.shape[1] - self._window)
        tails = self._tokenizer.batch_decode(input_ids[:, start:])
        ended = [any(mark in tail for mark in self._stop) for tail in tails]
        return torch.tensor(ended, device=input_ids.device)


def _cut(text: str, stop: Sequence[str]) -> str:
    ends = [text.find(mark) for mark in stop if mark in text]
    return text[: min(ends)] if ends else text
