"""`seal-agent bench continual`: many edits in sequence; what is still known of the first ones?

After SEAL's figure 6 (arXiv 2506.10943): passages are learned in sequence, and the questions about all of them are
asked repeatedly. Here a learner does it as in an agent, with one data directory per arm and sequence, the steps of the
loop, and a gate that may refuse. The first row of the matrix is the untouched model; a row follows after every edit, or
at checkpoints only. Rows are written at once, and a stopped run can be resumed.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, Protocol

from seal_agent.bench.continual_arms import NOTHING, RETRIEVAL, arms
from seal_agent.bench.continual_arms import Arm as Arm
from seal_agent.bench.knowledge import edit_of_published
from seal_agent.core.backend import Backend, silent
from seal_agent.core.codec import to_json
from seal_agent.core.documents import Passage
from seal_agent.core.edits import SelfEdit
from seal_agent.core.episodes import Episode, Progress
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Generated, Grammar, Prompt
from seal_agent.core.renames import formerly
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.documents.datasets import Item, Question
from seal_agent.learning import loop
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.learning.namespace import Namespace
from seal_agent.policy import grading
from seal_agent.retention.items import report_probes
from seal_agent.serving.router import Router
from seal_agent.storage.adapter_store import read_manifest
from seal_agent.storage.database import Home
from seal_agent.storage.files import write_whole
from seal_agent.storage.run_folder import RunFolder
from seal_agent.writing.directives import CLOZE

MAX_ANSWER_TOKENS = 48
MAX_SLUG = 80  # characters of an arm's name in the name of a folder

ReplyKey = tuple[AdapterStack, Prompt, int]
"""A stack, a prompt, and the maximum length of the reply."""


@dataclass(frozen=True)
class Row:
    """One row of a sequence's matrix: after `step` edits, by passage, the number of right answers and the mean NLL.

    `general_*`: general questions that are never trained, in the first and the last row. `outcome`, `seconds` and
    `bytes` belong to the last edit; `seconds` includes the original training time if its adapter was reused.
    """

    arm: str
    sequence: int
    step: int
    items: tuple[int, ...]
    right: tuple[int, ...]
    asked: tuple[int, ...]
    nll: tuple[float, ...]
    general_right: float
    general_nll: float
    outcome: str = ""
    remedies_tried: Annotated[tuple[str, ...], formerly("remedies_tried", "tried")] = ()
    seconds: float = 0.0
    num_bytes: int = 0


class View(Protocol):
    """A model to question: a served stack, or a base model with a retrieved passage before the question."""

    def generate(self, prompts: Sequence[Prompt], *, max_new_tokens: int) -> Sequence[Sequence[str]]:
        """One greedy answer per prompt."""

    def score(self, prompts: Sequence[Prompt], answers: Sequence[str]) -> list[Any]:
        """The log-probability of every answer."""


def sequences(items: Sequence[Item], *, num: int, length: int, seed: int) -> list[list[Item]]:
    """`num` orders of `length` passages, without repeats within one; raises `InputError` if there are too few."""
    if not 2 <= length <= len(items):
        raise InputError(f"a sequence of {length} passages cannot be drawn from {len(items)}; choose 2 to that many")
    return [random.Random(seed * 7919 + number).sample(list(items), length) for number in range(num)]


class Run(RunFolder):
    """The rows of one run: `rows.jsonl`, by part."""

    def rows(self) -> dict[tuple[str, int, int], Row]:
        """The stored rows of all parts, by arm, sequence and step."""
        return {(row.arm, row.sequence, row.step): row for row in self.values("rows", Row)}

    def add(self, row: Row) -> None:
        """Append one row."""
        self.append("rows", asdict(row))


@dataclass
class _Known:
    """Cached replies of a backend and its views, and the training seconds saved."""

    replies: dict[ReplyKey, list[Generated]] = field(default_factory=dict)
    saved: float = 0.0


class CachedBackend:
    """A caching backend: repeats no training and no greedy or seeded reply.

    An edit that was trained on the same stack before gets the stored adapter in `folder`. Routed adapters do not depend
    on earlier ones, so all sequences share them; their training time is added to `saved`. Replies are cached per stack
    and prompt in memory: with routed adapters most replies are the same after the next edit.
    """

    def __init__(self, backend: Backend, folder: Path, known: _Known | None = None) -> None:
        self._backend = backend
        self._folder = folder
        self._known = known or _Known()
        folder.mkdir(parents=True, exist_ok=True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def with_stack(self, stack: AdapterStack) -> CachedBackend:
        """A caching view with `stack`."""
        return CachedBackend(self._backend.with_stack(stack), self._folder, self._known)

    @property
    def saved(self) -> float:
        """The seconds of training saved so far."""
        return self._known.saved

    def generate(
        self, prompts: Sequence[Prompt], *, max_new_tokens: int = 64, grammars: Sequence[Grammar] = (), **options: Any
    ) -> list[list[Generated]]:
        """As `Backend.generate`; greedy replies without a grammar are cached."""
        if grammars or options:
            return self._backend.generate(prompts, max_new_tokens=max_new_tokens, grammars=grammars, **options)
        keys = [(self._backend.stack, prompt, max_new_tokens) for prompt in prompts]
        replies = self._known.replies
        fresh = [key for key in dict.fromkeys(keys) if key not in replies]
        if fresh:
            written = self._backend.generate([prompt for _, prompt, _ in fresh], max_new_tokens=max_new_tokens)
            replies.update(zip(fresh, written, strict=True))
        return [replies[key] for key in keys]

    def train(self, edit: SelfEdit, *, seed: int = 0, progress: Progress = silent) -> AdapterRef:
        """As `Backend.train`, cached."""
        asked = json.dumps([to_json(self._backend.stack), to_json(edit), seed, self._backend.model], sort_keys=True)
        path = self._folder / f"{hashlib.sha256(asked.encode()).hexdigest()[:32]}.json"
        before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if "adapter" in before:  # older runs stored no seconds
            known = AdapterRef(**before["adapter"])
            if Path(known.path).is_dir():
                self._known.saved += before["seconds"]
                return known
        start = time.perf_counter()
        ref = self._backend.train(edit, seed=seed, progress=progress)
        facts = {"adapter": asdict(ref), "seconds": round(time.perf_counter() - start, 1)}
        write_whole(path, json.dumps(facts).encode())  # another process may be reading it
        return ref


class _SharedAdapters(Namespace):
    """A namespace that deletes no adapters: a rejected one may be served in another sequence."""

    def discard(self, adapter: AdapterRef) -> None:
        """Keep the adapter."""


class _Sharing(Learner):
    """A learner that shares its adapters with others."""

    def __init__(self, backend: Backend, home: Home, config: LearnerConfig) -> None:
        super().__init__(backend, home, config=config)
        self.state = _SharedAdapters(backend, home, self.namespace, config)


def measure(
    backend: Backend,
    run: Run,
    orders: Sequence[Sequence[Item]],
    chosen: Sequence[str],
    checkpoints: Sequence[int] = (),
    *,
    own: Sequence[Arm] = (),
    numbers: Sequence[int] | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> None:
    """Run every arm on every sequence that `run` does not hold yet, sequence by sequence.

    `checkpoints`: the steps after which all passages are asked (default: all steps). `own`: further arms. `numbers`:
    only these sequences, possibly none. An interrupted sequence is resumed from its learner's data directory.
    """
    known = {**arms(), **{arm.name: arm for arm in own}}
    for name in chosen:
        if name not in (NOTHING, RETRIEVAL, *known):
            raise InputError(f"there is no arm called {name!r}; choose {', '.join([NOTHING, RETRIEVAL, *known])}")
    cached = CachedBackend(backend, run.folder / "trained")
    # Arms that differ only in the treatment of bad edits share the edits before one. So an interrupted run has
    # every arm on the same sequences.
    for number in range(len(orders)) if numbers is None else numbers:
        for name in chosen:
            progress(name, number, len(orders))
            if name in known:
                _learned(cached, run, known[name], number, orders[number], checkpoints, seed, progress)
            else:
                _without_learning(cached, run, name, number, orders[number], checkpoints)
        for arm in (known[name] for name in chosen if name in known):
            _clear(run, arm, number)


def _learned(
    backend: CachedBackend,
    run: Run,
    arm: Arm,
    number: int,
    order: Sequence[Item],
    checkpoints: Sequence[int],
    seed: int,
    progress: Progress,
) -> None:
    done = run.rows()
    if (arm.name, number, len(order)) in done:
        return
    home = _home(run, arm, number)
    learner = _Sharing(backend, home, config=replace(arm.config, seed=seed))
    if (arm.name, number, 0) not in done:
        run.add(_row(arm.name, number, 0, order, learner.state.view(learner.stack)))
    learned = [episode for episode in home.episodes("default") if episode.text]
    for step, item in enumerate(order, 1):
        if (arm.name, number, step) in done:
            continue
        start, saved = time.perf_counter(), backend.saved
        was_cut_off = len(learned) >= step  # learned, but the row was not written
        episode = learned[step - 1] if was_cut_off else learn(learner, arm, item, seed, progress)
        seconds = time.perf_counter() - start + backend.saved - saved
        is_whole = not checkpoints or step in checkpoints or step == len(order)
        asked = order if is_whole else [item]  # between checkpoints only the passage just learned
        row = _row(arm.name, number, step, asked, learner.state.view(learner.stack), general=step == len(order))
        num_bytes = sum(_size(Path(entry.ref.path)) for entry in learner.stack.entries)
        outcome = episode.outcome
        run.add(
            replace(
                row,
                outcome=outcome,
                remedies_tried=episode.remedies_tried,
                seconds=round(seconds, 1),
                num_bytes=num_bytes,
            )
        )


def learn(learner: Learner, arm: Arm, item: Item, seed: int, progress: Progress = silent) -> Episode:
    """Run one passage through the loop; without a gate every trained adapter is accepted."""
    episode = replace(learner.begin(Passage(item.title, item.passage)), seed=seed * 1_000_003 + item.number)
    if arm.published:
        edit = edit_of_published(item, arm.published, learner.config.directives or CLOZE, seed)
        episode = replace(episode, edit=edit)
    if arm.is_gated:
        return loop.run(learner, episode, step="train" if episode.edit else "write", progress=progress)
    while episode.edit is None and (not episode.fault or learner.can_retry(episode)):
        episode = learner.write(episode, progress)
    if episode.edit is None:
        return learner.close(episode)
    episode = learner.accept(learner.train(episode, progress), ungated=True)
    learner.consolidate(progress, is_gated=False)
    return episode


def _without_learning(
    backend: CachedBackend, run: Run, name: str, number: int, order: Sequence[Item], checkpoints: Sequence[int]
) -> None:
    """The arms without weights: the untouched model, and retrieval of the best matching passage learned so far."""
    done = run.rows()
    base = backend.with_stack(AdapterStack())
    steps = checkpoints or range(1, len(order) + 1)
    for step in sorted({0, len(order), *steps}) if name == RETRIEVAL else (0, len(order)):
        if (name, number, step) not in done:
            known = {str(item.number): f"{item.title} {item.passage}" for item in order[:step]}
            view = _Retrieval(base, known) if name == RETRIEVAL else base
            run.add(_row(name, number, step, order, view, general=step in (0, len(order))))


class _Retrieval:
    """A base model whose prompts include the passage that a question is about, if there is one."""

    def __init__(self, backend: CachedBackend, passages: Mapping[str, str]) -> None:
        self._backend, self._passages, self._router = backend, passages, Router(passages)

    def _shown(self, prompts: Sequence[Prompt]) -> list[Prompt]:
        return [self._with_passage(prompt) for prompt in prompts]

    def _with_passage(self, prompt: Prompt) -> Prompt:
        [matching] = self._router.match([prompt], self._backend.score)
        if not matching:
            return prompt
        return prompt.after(self._passages[matching[0]])

    def generate(self, prompts: Sequence[Prompt], *, max_new_tokens: int) -> Sequence[Sequence[str]]:
        return self._backend.generate(self._shown(prompts), max_new_tokens=max_new_tokens)

    def score(self, prompts: Sequence[Prompt], answers: Sequence[str]) -> list[Any]:
        return list(self._backend.score(self._shown(prompts), answers))


def _row(arm: str, number: int, step: int, asked: Sequence[Item], view: View, *, general: bool = True) -> Row:
    questions: list[tuple[Item, Question]] = [(item, q) for item in asked for q in item.questions]
    probes = report_probes() if general else []
    prompts = [Prompt.user(q.question) for _, q in questions] + [probe.prompt for probe in probes]
    gold = [q.answer for _, q in questions] + [probe.answer for probe in probes]
    replies = [samples[0] for samples in view.generate(prompts, max_new_tokens=MAX_ANSWER_TOKENS)]
    nll = [-score.per_token for score in view.score(prompts, gold)]
    right = [grading.is_right(g, reply.strip()) for g, reply in zip(gold, replies, strict=True)]

    def of(item: Item, values: Sequence[Any]) -> list[Any]:
        return [value for (other, _), value in zip(questions, values, strict=False) if other is item]

    rest = len(questions)
    return Row(
        arm,
        number,
        step,
        tuple(item.number for item in asked),
        tuple(sum(of(item, right)) for item in asked),
        tuple(len(item.questions) for item in asked),
        tuple(round(fmean(of(item, nll)), 4) for item in asked),
        round(fmean(right[rest:]), 4) if probes else 0.0,
        round(fmean(nll[rest:]), 4) if probes else 0.0,
    )


def _home(run: Run, arm: Arm, number: int) -> Home:
    slug = "".join(c if c.isalnum() else "-" for c in arm.name)
    if arm.name.startswith("{") or len(slug) > MAX_SLUG:  # too long, or unlike another in nothing but a mark
        slug = f"settings-{hashlib.sha256(arm.name.encode()).hexdigest()[:16]}"
    return Home(run.folder / "homes" / f"{slug}-{number}")


def _clear(run: Run, arm: Arm, number: int) -> None:
    """Delete the files that only this sequence uses; a run of 100 edits would otherwise keep gigabytes.

    Routed adapters, and the first of every stack, are shared with other sequences.
    """
    if arm.config.strategy == "route":
        return
    versions = _home(run, arm, number).all_versions()
    for path in {Path(entry.ref.path) for version in versions for entry in version.stack.entries}:
        facts = read_manifest(path) if path.is_dir() else {}
        if facts.get("parents") or facts.get("folded"):
            shutil.rmtree(path)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir()) if folder.is_dir() else 0
