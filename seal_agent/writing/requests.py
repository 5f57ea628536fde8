"""Requests of formats put to the model, and the rows in what it writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from seal_agent.core.backend import Backend, silent
from seal_agent.core.edits import Dropped, Row
from seal_agent.core.episodes import Progress
from seal_agent.core.messages import Generated
from seal_agent.language.source import Source
from seal_agent.writing.formats import FORMATS, Ask, Format

NOT_A_ROW = "does not fit the format"


@dataclass(frozen=True)
class Written:
    """One request of a format with the model's text ("" without a request) and the rows in it."""

    name: str
    asked: Ask
    text: str
    rows: tuple[Row, ...]

    @property
    def said(self) -> Row:
        """The request and the model's text as a training row for a policy."""
        return Row(self.asked.prompt, self.text, self.name, self.asked.evidence)

    @property
    def own_rows(self) -> tuple[Row, ...]:
        """The rows that were made from the model's text, without fallback rows."""
        return tuple(row for row in self.rows if row.source == self.name) if self.text else ()

    @property
    def malformed(self) -> Dropped:
        """The text for the ledger, if no row was found in it."""
        return Dropped(" ".join((*self.asked.meta[:1], self.text.strip()[:200])), self.name, NOT_A_ROW)


def written(
    backend: Backend,
    name: str,
    source: Source,
    *,
    seed: int = 0,
    temperature: float = 0.0,
    progress: Progress = silent,
) -> list[Written]:
    """All requests of one format, with the model's texts and the rows in them, unchecked."""
    form = FORMATS[name]
    asks = [replace(asked, temperature=temperature or asked.temperature) for asked in form.ask(source)]
    texts = generate(backend, asks, seed, name, progress)
    return [parsed(form, source, asked, text) for asked, text in zip(asks, texts, strict=True)]


def parsed(form: Format, source: Source, asked: Ask, text: str) -> Written:
    """The model's text for one request with the rows in it."""
    return Written(form.name, asked, text, tuple(form.parse(source, asked, text)))


def generate(backend: Backend, asks: Sequence[Ask], seed: int, what: str, progress: Progress) -> list[Generated]:
    """The model's text for every request; requests with equal settings share a batch."""
    groups: dict[tuple[int, float, tuple[str, ...], bool], list[int]] = {}
    for number, each in enumerate(asks):
        if not each.max_new_tokens:
            continue
        key = (each.max_new_tokens, each.temperature, each.stop, each.grammar is not None)
        groups.setdefault(key, []).append(number)
    texts = [Generated()] * len(asks)
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
