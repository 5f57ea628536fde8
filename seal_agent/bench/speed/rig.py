"""The test rig of `bench speed`: the model loaded twice, with our engine on one copy and SEAL's loop on the other.

It measures one thing at a time and returns numbers; `seal_agent.bench.speed.bench` repeats and interprets them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from seal_agent.adapters.engine import Engine
from seal_agent.adapters.folding import LowRank, write_adapter
from seal_agent.adapters.huggingface import MAX_PACK_TOKENS, TransformersBackend
from seal_agent.adapters.loading import LoadedModel, cache_argument, load_model, pick_device
from seal_agent.adapters.packing import TokenRow, labelled_logits, pack, split
from seal_agent.adapters.training import Job, TrainingRun
from seal_agent.bench.speed.bench import OURS, PAPER_LENGTH, UNPADDED, Curve, Steps
from seal_agent.bench.speed.meter import Clock, arithmetic_of, clock_of, cost_of, matrix_speed
from seal_agent.bench.speed.published import PublishedLoop
from seal_agent.core.documents import Passage
from seal_agent.core.edits import Directives
from seal_agent.core.episodes import Progress
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Prompt
from seal_agent.core.models import EMBEDDED
from seal_agent.core.priority import in_background
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.language.source import Source
from seal_agent.storage.adapter_store import AdapterRegistry
from seal_agent.storage.database import Home
from seal_agent.storage.jobs import LearningQueue
from seal_agent.writing.directives import DEFAULT
from seal_agent.writing.writer import write_self_edit

NUM_PROMPT_TOKENS = 16
RANDOM_SIZES = {  # hidden, intermediate, layers, heads, key-value heads: SmolLM2-135M, Llama-3.2-1B, Llama-3.1-8B
    "135m": (576, 1536, 30, 9, 3),
    "1b": (2048, 8192, 16, 32, 8),
    "8b": (4096, 14336, 32, 32, 8),
}


def random_model(size: str, cache: Path, device: str) -> LoadedModel:
    """A Llama of about `size` ("135m", "1b", "8b") with random weights and the embedded model's tokenizer."""
    if size not in RANDOM_SIZES:
        raise InputError(f"there is no random model of size {size}; choose {', '.join(RANDOM_SIZES)}")
    hidden, intermediate, num_layers, num_heads, num_shared = RANDOM_SIZES[size]
    torch_device, dtype = pick_device(device)
    tokenizer: Any = load_model(EMBEDDED, cache, device="cpu").tokenizer
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        num_key_value_heads=num_shared,
        max_position_embeddings=PAPER_LENGTH,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    with torch_device:
        model: Any = LlamaForCausalLM(config).to(dtype).eval().requires_grad_(False)
    return LoadedModel(f"random-{size}", model, tokenizer, torch_device, dtype)


class Rig:
    """All measurements of `bench speed` on one model and one set of rows."""

    def __init__(
        self,
        engine: Engine,
        load: Callable[[], LoadedModel],
        rows: Sequence[TokenRow],
        folder: Path,
        *,
        is_shared: bool = False,
    ) -> None:
        """`load` loads the model of `engine` again; adapters with random weights are stored in `folder`.

        `is_shared`: the processor is shared, so CPU seconds are counted (see `clock_of`).
        """
        self._engine = engine
        self._load = load
        self._rows = list(rows)
        self._folder = folder
        self._plain = load()
        self._device, self._dtype = self._plain.device, self._plain.dtype
        self._clock: Clock = clock_of(self._device, is_shared=is_shared)
        self._operations: dict[str, float] = {}  # matrix operations per token, by loop

    @classmethod
    def open(
        cls, load: Callable[[], LoadedModel], source: Source, folder: Path, *, num_rows: int, seed: int, is_shared: bool
    ) -> Rig:
        """A rig whose rows are the default edit of `source`, at most `num_rows`."""
        backend = TransformersBackend(engine := Engine(load()), AdapterRegistry(folder))
        edit = write_self_edit(backend, source, replace(DEFAULT, num_rows=num_rows), seed=seed)
        return cls(engine, load, backend.token_rows(edit), folder, is_shared=is_shared)

    @property
    def num_rows(self) -> int:
        """The number of rows of the trained edit."""
        return len(self._rows)

    def matrix_speed(self) -> float:
        """The machine's current operations per second in the model's dtype."""
        return matrix_speed(self._device, self._dtype, self._clock)

    def loading(self) -> float:
        """Seconds to load the model again; imports are done already."""
        return cost_of(self._load, self._device, self._clock).seconds

    def curve_of_ours(self, directives: Directives, every: int, seed: int, progress: Progress) -> Curve:
        """The default loop, with the rows' NLL measured every `every` steps and at its end."""
        points: list[tuple[int, float]] = []

        def stepped(_what: str, done: int, total: int) -> None:
            if done % every == 0:
                points.append((done, self._nll(self._engine.model)))
            progress(OURS, done, total)

        (run,) = self._engine.train(AdapterStack(), [Job(self._rows, directives, seed)], progress=stepped)
        if not points or points[-1][0] != run.num_steps:
            points.append((run.num_steps, self._nll_under(run.update)))
        computed = run.num_tokens + run.num_padding
        steps, nll = zip(*points, strict=True)
        return Curve(OURS, steps, nll, computed / run.num_steps, run.num_tokens / computed)

    def curve_as_published(
        self, directives: Directives, level: float, every: int, seed: int, progress: Progress
    ) -> Curve:
        """SEAL's loop without padding until the rows' NLL reaches `level` or its epochs end."""
        points: list[tuple[int, float]] = []
        tokens = []
        with self._published(directives, seed) as loop:
            for number in range(1, loop.num_steps + 1):
                tokens.append(loop.step())
                progress(UNPADDED, number, loop.num_steps)
                if number % every == 0 or number == loop.num_steps:
                    points.append((number, self._nll(loop.model)))
                    if points[-1][1] <= level:
                        break
        steps, nll = zip(*points, strict=True)
        return Curve(UNPADDED, steps, nll, fmean(tokens), 1.0)

    def _nll_under(self, update: LowRank) -> float:
        for name, (a, b) in update.pairs.items():
            self._engine.layers[name].beside = (a.to(self._dtype), b.to(self._dtype))
        try:
            return self._nll(self._engine.model)
        finally:
            for layer in self._engine.layers.values():
                layer.beside = None

    @torch.no_grad()
    def _nll(self, model: Any) -> float:
        """The mean over the rows of the mean NLL of their answers' tokens."""
        total = 0.0
        for group in split(self._rows, MAX_PACK_TOKENS):
            batch = pack([self._rows[n] for n in group])
            logits = labelled_logits(model, [batch], self._dtype, self._device).float()
            each = torch.nn.functional.cross_entropy(logits, batch.targets.to(self._device), reduction="none")
            total += float((each.cpu() * batch.weights).sum()) * len(group)
        return total / len(self._rows)

    def steps_of_ours(self, directives: Directives, num_steps: int, seed: int, num_candidates: int = 1) -> Steps:
        """`num_steps` steps of `num_candidates` joint candidates, without start-up."""
        ends: list[float] = []
        tokens: list[int] = []

        def train() -> None:
            runs = self._train(directives, num_steps + 1, seed, num_candidates, lambda: ends.append(self._clock()))
            tokens.extend(run.num_tokens + run.num_padding for run in runs)

        cost = cost_of(train, self._device, self._clock)
        seconds = (ends[-1] - ends[0]) / num_steps
        computed = sum(tokens) / (num_steps + 1)
        return Steps(seconds, computed, cost.peak_mib, self._operations_of_ours(directives) * computed / seconds)

    def _train(
        self, directives: Directives, num_steps: int, seed: int, num_candidates: int, stepped: Callable[[], None]
    ) -> list[TrainingRun]:
        fixed = replace(directives, max_steps=num_steps, min_steps=num_steps, stop_loss=0.0)
        jobs = [Job(self._rows, fixed, seed + number) for number in range(num_candidates)]
        return self._engine.train(AdapterStack(), jobs, progress=lambda *_: stepped())

    def _operations_of_ours(self, directives: Directives) -> float:
        """Matrix operations per token of our loop."""
        if OURS not in self._operations:
            runs: list[TrainingRun] = []
            count = arithmetic_of(lambda: runs.extend(self._train(directives, 2, 0, 1, lambda: None)))
            self._operations[OURS] = count / runs[0].num_tokens
        return self._operations[OURS]

    def steps_as_published(self, directives: Directives, num_steps: int, seed: int, *, pad_to: int) -> Steps:
        """`num_steps` steps of SEAL's loop, rows padded to `pad_to` tokens (0: no padding)."""
        tokens: list[int] = []
        with self._published(directives, seed) as loop:
            if UNPADDED not in self._operations:
                count = arithmetic_of(lambda: tokens.append(loop.step()))
                self._operations[UNPADDED] = count / tokens.pop()
            cost = cost_of(
                lambda: tokens.extend(loop.step(pad_to) for _ in range(num_steps)), self._device, self._clock
            )
        seconds, computed = cost.seconds / num_steps, fmean(tokens)
        return Steps(seconds, computed, cost.peak_mib, self._operations[UNPADDED] * computed / seconds)

    def _published(self, directives: Directives, seed: int) -> closing[PublishedLoop]:
        return closing(PublishedLoop(self._plain, self._rows, directives, seed))

    def tokens_folded(self, num_adapters: int, num_tokens: int) -> float:
        """Seconds per answer token with `num_adapters` adapters folded into one by the engine."""
        stack = AdapterStack()
        for number in range(num_adapters):
            stack = stack.push(self._adapter(number))
        self._engine.activate(stack)
        try:
            return self._decoding(self._engine.model, num_tokens)
        finally:
            self._engine.activate(AdapterStack())

    def tokens_live(self, num_adapters: int, num_tokens: int) -> float:
        """Seconds per answer token with `num_adapters` PEFT adapters side by side."""
        names = [f"edit_{number:06d}" for number in range(num_adapters)]
        config = LoraConfig(r=Directives().rank, target_modules="all-linear", task_type="CAUSAL_LM")
        live: Any = get_peft_model(self._plain.model, config, adapter_name=names[0]) if names else None
        try:
            for name in names[1:]:
                live.add_adapter(name, config)
            if names:
                live.base_model.set_adapter(names, inference_mode=True)
            return self._decoding(self._plain.model, num_tokens)
        finally:
            if names:
                live.unload()
                self._plain.model.requires_grad_(False)

    def reply(self, num_tokens: int, *, is_learning: bool) -> tuple[float, float]:
        """Wall-clock seconds of a reply, with or without an edit training meanwhile, and of queueing a text."""
        queue = LearningQueue(Home(self._folder / "queue"))
        backend = TransformersBackend(self._engine, AdapterRegistry(self._folder))
        with self._trained_behind() if is_learning else nullcontext():
            start = time.perf_counter()
            backend.generate([Prompt.user("Who are you?")], max_new_tokens=num_tokens)
            replied = time.perf_counter()
            queue.submit([Passage("a test", f"Said at {start}.")])
            return replied - start, time.perf_counter() - replied

    @contextmanager
    def _trained_behind(self) -> Iterator[None]:
        """Inside the block an edit is trained in another thread; some steps are done when the block begins."""
        begun, ended = threading.Event(), threading.Event()

        def stepped(_what: str, _done: int, _total: int) -> None:
            begun.set()
            if ended.is_set():
                raise InterruptedError

        def learn() -> None:
            endless = replace(DEFAULT, max_steps=10_000, min_steps=10_000, stop_loss=0.0)
            with suppress(InterruptedError), in_background(), self._engine.lock:
                self._engine.train(AdapterStack(), [Job(self._rows, endless, 0)], progress=stepped)

        thread = threading.Thread(target=learn, daemon=True)
        thread.start()
        begun.wait()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _adapter(self, number: int) -> AdapterRef:
        """A stored adapter of the default rank with small random weights."""
        folder = self._folder / f"adapter-{number:02d}"
        if not folder.is_dir():
            folder.mkdir(parents=True)
            draw = torch.Generator().manual_seed(number)
            rank = Directives().rank
            shapes = {name: layer.shape for name, layer in self._engine.layers.items()}
            pairs = {
                name: (torch.randn(rank, num_in, generator=draw), 1e-4 * torch.randn(num_out, rank, generator=draw))
                for name, (num_out, num_in) in shapes.items()
            }
            write_adapter(folder, LowRank(pairs), model=self._plain.name)
        return AdapterRef(f"{number:064x}", str(folder), self._plain.name, Directives().rank)

    @torch.inference_mode()
    def _decoding(self, model: Any, num_tokens: int) -> float:
        """Seconds per token generated one by one after a short prompt; the prompt is not counted."""
        cached = {cache_argument(model): DynamicCache(config=model.config)}
        ids = torch.arange(1, NUM_PROMPT_TOKENS + 1, device=self._device)[None]
        for number in range(num_tokens + 1):
            if number == 1:
                start = self._clock()
            logits = model(input_ids=ids, use_cache=True, logits_to_keep=1, **cached).logits
            ids = logits[:, -1:].argmax(-1)
        return (self._clock() - start) / num_tokens
