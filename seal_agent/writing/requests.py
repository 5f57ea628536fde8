"""Requests of formats put to the model, and the rows in what it writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from seal_agent.core.backend import silent
from seal_agent.core.domain import Proposal
from seal_agent.core.edits import Dropped, Row, SelfEdit
from seal_agent.core.episodes import Progress
from seal_agent.core.messages import Generated, Grammar, Prompt
from seal_agent.language.source import Source
from seal_agent.writing.formats import FORMATS, Ask, Format

NOT_A_ROW = "does not fit the format"


class Writer(Protocol):
    """What the formats ask of the model that writes: a `Backend`, or a chat model (`chat_writer.ChatWriter`)."""

    @property
    def model(self) -> str:
        """Its identity."""

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        grammars: Sequence[Grammar] = (),
        seed: int = 0,
        progress: Progress = silent,
    ) -> list[list[Generated]]:
        """As `Backend.generate`, with one sample."""


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
    writer: Writer,
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
    texts = generate(writer, asks, seed, name, progress)
    return [parsed(form, source, asked, text) for asked, text in zip(asks, texts, strict=True)]


def parsed(form: Format, source: Source, asked: Ask, text: str) -> Written:
    """The model's text for one request with the rows in it."""
    return Written(form.name, asked, text, tuple(form.parse(source, asked, text)))


def proposal(
    edit: SelfEdit, said: Sequence[Row], own: Sequence[Row], writer: Writer | None, *, by_writer: bool
) -> Proposal:
    """The edit with who wrote it, and what a policy may learn of how it was written.

    `said` and `own` are the requests and replies before the rows and of the rows. Those of a `writer` are not the
    model's own words, so no policy learns them. `by_writer`: rows of the edit are in the writer's words.
    """
    if writer is None:
        return Proposal(edit, (*said, *own))
    return Proposal(replace(edit, writer=writer.model if by_writer else ""), tuple(said))


def generate(writer: Writer, asks: Sequence[Ask], seed: int, what: str, progress: Progress) -> list[Generated]:
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
        written = writer.generate(
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
