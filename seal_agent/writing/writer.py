"""The model writes a self-edit: directives, then rows in the formats that they name; the rows are checked.

A 135M model asked for "facts" invents them (docs/log/writing.md). So formats take the content from the text and leave
the form to the model, and the filters drop what the passage does not support.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from seal_agent.core.backend import Backend, silent
from seal_agent.core.domain import Proposal
from seal_agent.core.edits import Directives, Dropped, Row, SelfEdit
from seal_agent.core.episodes import Progress
from seal_agent.core.errors import EditFault
from seal_agent.core.models import EMBEDDED_FILE
from seal_agent.core.redaction import NOTHING_LEFT, lost_secret
from seal_agent.core.stacks import AdapterStack
from seal_agent.language.few_shot import examples_in
from seal_agent.language.sentences import split_sentences
from seal_agent.language.source import Source
from seal_agent.writing import few_shot, filters
from seal_agent.writing.assembly import assemble
from seal_agent.writing.augmentations import AUGMENTATIONS
from seal_agent.writing.directives import choose, for_message
from seal_agent.writing.formats import FORMATS, Ask, Format, message_qa

log = logging.getLogger(__name__)
ENDS = (".", "!", "。", "！")
NOT_A_ROW = "does not fit the format"
NO_ROW = "no training row is left that says it"
UNCLEAR = 'it is about you and also says "{word}", so its subject is unclear; say it with the name'
TEXT = "text"
"""The `source` of a sentence of the text that was left out before writing."""
MIN_PASSED = 0.3  # share of the requests in a format's capability test
MAX_EXAMINED = 12  # requests
_passed: dict[tuple[str, str], bool] = {(EMBEDDED_FILE, "phrase-qa"): False}
"""Which model passed which format's test, for this process; the embedded model's result is known."""


def write_self_edit(
    backend: Backend,
    source: Source,
    directives: Directives | None = None,
    *,
    is_document: bool = False,
    seed: int = 0,
    progress: Progress = silent,
) -> SelfEdit:
    """A self-edit for `source`, written by the model behind `backend`.

    Without `directives` the model chooses them. A message in which a user shows a task by examples is learned as a
    task, whatever the formats; a document is always written about and checked. Statements that users make about
    themselves become statements about "you" (`second_person`). Raises `EditFault` if the directives are malformed or
    too few rows are left.
    """
    chosen = directives or choose(backend, source)
    if not is_document and (shown := examples_in(source.passage)):
        chosen = replace(chosen, formats=(few_shot.NAME,), augmentations=())
        rows = few_shot.rows_of(shown, seed)
        return assemble(rows, topic=source.topic, passage=source.passage, directives=chosen, seed=seed)
    return write(backend, source, chosen, is_document=is_document, seed=seed, progress=progress).edit


def write(
    backend: Backend,
    source: Source,
    directives: Directives,
    said: tuple[Row, ...] = (),
    *,
    is_document: bool = True,
    seed: int = 0,
    temperature: float = 0.0,
    progress: Progress = silent,
) -> Proposal:
    """The edit that `directives` ask for, with the prompts and replies of the model that its rows came from (`said`).

    Formats that the model cannot write are replaced first (`fitting`). A `temperature` above 0 overrides those of the
    formats. Sentences that cannot be understood alone are left out (`statements`). The base model checks the rows, so
    that a policy does not grade itself. A reply of which no row is left is not in `said`. Raises `EditFault` if no
    sentence, or too few rows, are left.
    """
    given, source = source, source.learnable()
    if not source.passage:
        if lost_secret(given.passage):
            raise EditFault(NOTHING_LEFT)
        raise EditFault("; ".join(left.reason for left in given.left_out) or "the text has no sentence")
    left_out = [Dropped(left.sentence, TEXT, left.reason) for left in given.left_out]
    directives = fitting(backend, directives, progress)
    if not is_document:
        directives = for_message(directives, backend.learning_rate)
    texts = [
        each
        for name in directives.formats
        for each in written(backend, name, source, seed=seed, temperature=temperature, progress=progress)
    ]
    rows = _answered([row for each in texts for row in each.rows], backend, source, seed, progress)
    malformed = [each.malformed for each in texts if not each.rows]
    for name in directives.augmentations:
        rows = AUGMENTATIONS[name](source, rows, seed)
    unclear: list[Dropped] = []
    if not is_document:
        rows, unclear = _spoken(rows, source)
    kept, dropped = filters.check(backend.with_stack(AdapterStack()), rows, source, progress)
    edit = assemble(
        kept,
        topic=source.topic,
        passage=given.passage,
        directives=directives,
        dropped=[*left_out, *malformed, *unclear, *dropped],
        seed=seed,
    )
    edit = replace(edit, dropped=(*edit.dropped, *_without_row(given, edit)))
    held = {(row.question, row.answer) for row in kept}
    useful = (e.said for e in texts if any((row.question, row.answer) in held for row in e.own_rows))
    return Proposal(edit, (*said, *useful))


def _answered(rows: Sequence[Row], backend: Backend, source: Source, seed: int, progress: Progress) -> list[Row]:
    """The rows, each question without an answer answered by the model with the row's evidence in view.

    A question that several requests led to is answered once. An answer that was cut off is left out, and one that says
    yes or no: small models err in those.
    """
    known: dict[str, Row] = {}
    for row in rows:
        if row.answer == message_qa.TO_ANSWER:
            known.setdefault(row.question.casefold(), row)
    asked = list(known.values())
    if not asked:
        return list(rows)
    asks = [
        Ask(shown, row.evidence, message_qa.MAX_ANSWER_TOKENS) for row in asked if (shown := row.in_view(source.topic))
    ]
    texts = _generate(backend, asks, seed, "answers", progress)
    own = [replace(row, answer=_first_sentence(text)) for row, text in zip(asked, texts, strict=True)]
    kept = [row for row in own if row.answer and not source.language.is_yes_or_no(row.answer.partition(",")[0])]
    return [row for row in rows if row.answer != message_qa.TO_ANSWER] + kept


def _first_sentence(text: str) -> str:
    """The first sentence of an answer; empty if it was cut off."""
    first = next(iter(split_sentences(" ".join(text.split()))), "")
    return first if first[-1:] in ENDS else ""


def _spoken(rows: Sequence[Row], source: Source) -> tuple[list[Row], list[Dropped]]:
    """The rows rewritten in the second person, and those dropped because the speaker would be wrong."""
    language, kept, dropped = source.language, list[Row](), list[Dropped]()
    for row in rows:
        told = row.answer if row.source == message_qa.NAME else row.evidence  # the model's own answer is to the writer
        if word := language.unclear_speaker(told) or language.unclear_speaker(row.answer):
            dropped.append(Dropped(row.evidence or row.answer, TEXT, UNCLEAR.format(word=word)))
        else:
            kept.append(row)
    return language.rows_in_second_person(kept, source.passage), list(dict.fromkeys(dropped))


def _without_row(given: Source, edit: SelfEdit) -> list[Dropped]:
    """The sentences of the text that no row or probe holds and that were not dropped with a reason before."""
    texts = [text for row in edit.rows for text in (row.evidence, row.question, row.answer)]
    texts += [text for probe in edit.probes for text in (probe.prompt.asked, probe.answer)]
    said = "\n".join(dict.fromkeys(texts)).casefold()
    known = {dropped.text for dropped in edit.dropped}
    told = {statement.quoted: statement.sentence for statement in given.statements}
    missing = []
    for quoted in given.language.sentences(edit.passage):
        field = given.language.field_questions(quoted, given.title)
        wordings = (quoted, told.get(quoted, quoted), field[1] if field else quoted)
        if quoted not in known and not any(wording.strip(" .").casefold() in said for wording in wordings):
            missing.append(Dropped(quoted, TEXT, NO_ROW))
    return missing


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
    texts = _generate(backend, asks, seed, name, progress)
    return [_parsed(form, source, asked, text) for asked, text in zip(asks, texts, strict=True)]


def fitting(backend: Backend, directives: Directives, progress: Progress = silent) -> Directives:
    """`directives` adapted to the model behind `backend`.

    A format whose capability test the model fails is replaced by its fallback. A model that fails one cannot answer
    from a text in view, so distillation is switched off too.
    """
    forms = map(FORMATS.__getitem__, directives.formats)
    instead = {form.name: form.fallback for form in forms if not can_write(backend, form, progress)}
    names = dict.fromkeys(instead.get(name, name) for name in directives.formats)
    return replace(directives, formats=tuple(names), distill=0.0) if instead else directives


def can_write(backend: Backend, form: Format, progress: Progress = silent) -> bool:
    """Whether the base model passes the capability test of `form` with greedy decoding; tested once a process."""
    if form.capability_test is None:
        return True
    if (key := (backend.model, form.name)) not in _passed:
        asks = form.ask(form.capability_test)
        asks = asks[:: -(-len(asks) // MAX_EXAMINED)]  # spread over the text
        texts = _generate(backend.with_stack(AdapterStack()), asks, 0, f"a test of {form.name}", progress)
        test = form.capability_test
        fit = [_parsed(form, test, asked, text).own_rows for asked, text in zip(asks, texts, strict=True)]
        _passed[key] = sum(map(bool, fit)) >= MIN_PASSED * len(fit)
        log.info("%s passed %d of %d requests in a test of %s", backend.model, sum(map(bool, fit)), len(fit), form.name)
    return _passed[key]


def _parsed(form: Format, source: Source, asked: Ask, text: str) -> Written:
    return Written(form.name, asked, text, tuple(form.parse(source, asked, text)))


def _generate(backend: Backend, asks: Sequence[Ask], seed: int, what: str, progress: Progress) -> list[str]:
    """The model's text for every request; requests with equal settings share a batch."""
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
