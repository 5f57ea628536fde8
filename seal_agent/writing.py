"""The model writes a self-edit: directives, then rows in the formats they name, checked before anything is trained.

A 135M model asked for "facts" invents them (../shared/FACTS.md). So formats help it with form, never with
content, and quality control drops what the passage does not support.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from seal_agent import examples, quality
from seal_agent.adapters.backend import Backend, silent
from seal_agent.directives import choose
from seal_agent.formats import FORMATS, Ask, Source
from seal_agent.passages import examples_in
from seal_agent.selfedit import assemble
from seal_agent.tools import TOOLS
from seal_agent.types import Directives, Dropped, Progress, Row, SelfEdit

NOT_A_ROW = "does not fit the format"


def write_self_edit(
    backend: Backend,
    source: Source,
    directives: Directives | None = None,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> SelfEdit:
    """A self-edit for `source`, written by the model behind `backend`.

    Without `directives` the model chooses them. A text that shows a task by examples is learned as such, whatever
    formats they name. Raises `EditFault` when they are malformed or too little of what was written holds.
    """
    chosen = directives or choose(backend, source)
    if shown := examples_in(source.passage):
        chosen = replace(chosen, formats=(examples.NAME,), tools=())
        rows = examples.rows_of(shown, seed)
        return assemble(rows, topic=source.topic, passage=source.passage, directives=chosen, seed=seed)
    rows = []
    malformed: list[Dropped] = []
    for name in chosen.formats:
        written, faults = write_rows(backend, name, source, seed=seed, progress=progress)
        rows += written
        malformed += faults
    for name in chosen.tools:
        rows = TOOLS[name](source, rows, seed)
    kept, dropped = quality.check(backend, rows, source, progress)
    return assemble(
        kept,
        topic=source.topic,
        passage=source.passage,
        directives=chosen,
        dropped=[*malformed, *dropped],
        seed=seed,
    )


def write_rows(
    backend: Backend, name: str, source: Source, *, seed: int = 0, progress: Progress = silent
) -> tuple[list[Row], list[Dropped]]:
    """What the model writes in one format, unchecked, and what did not fit the format."""
    form = FORMATS[name]
    asks = form.ask(source)
    rows: list[Row] = []
    malformed: list[Dropped] = []
    for asked, text in zip(asks, _generate(backend, asks, seed, name, progress), strict=True):
        parsed = form.parse(source, asked, text)
        rows += parsed
        if not parsed:
            malformed.append(Dropped(" ".join((*asked.about[:1], text.strip()[:200])), name, NOT_A_ROW))
    return rows, malformed


def _generate(backend: Backend, asks: Sequence[Ask], seed: int, what: str, progress: Progress) -> list[str]:
    """The model's text for every ask; asks of one kind share a batch."""
    groups: dict[tuple[int, float, tuple[str, ...], bool], list[int]] = {}
    for number, each in enumerate(asks):
        if not each.max_new_tokens:
            continue
        key = (each.max_new_tokens, each.temperature, each.stop, each.grammar is not None)
        groups.setdefault(key, []).append(number)
    texts = [""] * len(asks)
    finished = 0
    for (max_new_tokens, temperature, stop, _), numbers in groups.items():
        start = finished
        written = backend.generate(
            [asks[n].prompt for n in numbers],
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            stop=stop,
            grammars=[grammar for n in numbers if (grammar := asks[n].grammar)],
            seed=seed,
            progress=lambda _what, done, _total, start=start: progress(f"writing {what}", start + done, len(asks)),  # type: ignore[misc]
        )
        for n, samples in zip(numbers, written, strict=True):
            texts[n] = samples[0]
        finished += len(numbers)
    return texts
