"""The model writes a self-edit: directives, then rows in the formats that they name; the rows are checked.

A 135M model asked for "facts" invents them (docs/log/writing.md). So formats take the content from the text and leave
the form to the model, and the filters drop what the passage does not support.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from seal_agent.core.backend import Backend, silent
from seal_agent.core.domain import Proposal
from seal_agent.core.edits import Directives, Dropped, Row, SelfEdit
from seal_agent.core.episodes import Progress
from seal_agent.core.errors import EditFault
from seal_agent.core.models import EMBEDDED_FILE
from seal_agent.core.redaction import NOTHING_LEFT, lost_secret
from seal_agent.core.stacks import AdapterStack
from seal_agent.language.few_shot import examples_in
from seal_agent.language.source import Source
from seal_agent.writing import few_shot, filters
from seal_agent.writing.assembly import assemble
from seal_agent.writing.augmentations import AUGMENTATIONS
from seal_agent.writing.directives import choose, for_message
from seal_agent.writing.formats import FORMATS, Format, message_qa, phrase_qa
from seal_agent.writing.messages import write_message
from seal_agent.writing.requests import Writer, Written, generate, parsed, proposal, written

log = logging.getLogger(__name__)
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
    beside_text: bool = False,
    seed: int = 0,
    progress: Progress = silent,
    writer: Writer | None = None,
) -> SelfEdit:
    """A self-edit for `source`, written by the model behind `backend`, or by `writer` in its place.

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
    return write(
        backend,
        source,
        chosen,
        is_document=is_document,
        beside_text=beside_text,
        seed=seed,
        progress=progress,
        writer=writer,
    ).edit


def write(
    backend: Backend,
    source: Source,
    directives: Directives,
    said: tuple[Row, ...] = (),
    *,
    is_document: bool = True,
    beside_text: bool = False,
    seed: int = 0,
    temperature: float = 0.0,
    progress: Progress = silent,
    writer: Writer | None = None,
) -> Proposal:
    """The edit that `directives` ask for, with the prompts and replies of the model that its rows came from (`said`).

    With a `writer` the requests go to it, and none of them is in `said`. Formats that the model, or the writer, cannot
    write are replaced first (`fitting`). A model that writes reads a chat message whole, with its day and what it
    answers, and its answers are checked (`messages`). `beside_text`: replies will have the message in their prompt. A
    `temperature` above 0 overrides those of the formats. Sentences that cannot be understood alone are left out
    (`statements`). The base model checks the rows, so that a policy does not grade itself. A reply of which no row is
    left is not in `said`. Raises `EditFault` if no sentence, or too few rows, are left.
    """
    base = backend.with_stack(AdapterStack())
    directives = fitting(base, directives, progress, writer)
    if not is_document:
        directives = for_message(directives, beside_text=beside_text)
    if message_qa.NAME in directives.formats and not lost_secret(source.passage):
        return write_message(
            backend,
            source,
            directives,
            said,
            seed=seed,
            temperature=temperature,
            progress=progress,
            writer=writer,
            base_reads=writer is None or can_write(base, FORMATS[phrase_qa.NAME], progress),
        )
    given, source = source, _learnable(source)
    texts = [
        each
        for name in directives.formats
        for each in written(writer or backend, name, source, seed=seed, temperature=temperature, progress=progress)
    ]
    edit, kept = _edit_of(texts, base, given, source, directives, is_document=is_document, seed=seed, progress=progress)
    held = {(row.question, row.answer) for row in kept}
    useful = [e.said for e in texts if any((row.question, row.answer) in held for row in e.own_rows)]
    return proposal(edit, said, useful, writer, by_writer=bool(useful))


def _edit_of(
    texts: Sequence[Written],
    base: Backend,
    given: Source,
    source: Source,
    directives: Directives,
    *,
    is_document: bool,
    seed: int,
    progress: Progress,
) -> tuple[SelfEdit, list[Row]]:
    """The edit with the rows in `texts` that pass the checks, and all of these rows.

    `source` is `given` without the sentences that are left out.
    """
    left_out = [Dropped(left.sentence, TEXT, left.reason) for left in given.left_out]
    rows = [row for each in texts for row in each.rows]
    malformed = [each.malformed for each in texts if not each.rows]
    for name in directives.augmentations:
        rows = AUGMENTATIONS[name](source, rows, seed)
    unclear: list[Dropped] = []
    if not is_document:
        rows, unclear = _spoken(rows, source)
    kept, dropped = filters.check(base, rows, source, progress)
    edit = assemble(
        kept,
        topic=source.topic,
        passage=given.passage,
        directives=directives,
        dropped=[*left_out, *malformed, *unclear, *dropped],
        seed=seed,
    )
    return replace(edit, dropped=(*edit.dropped, *_without_row(given, edit))), kept


def _learnable(source: Source) -> Source:
    """`source` without the sentences that are left out; raises `EditFault` if none is left."""
    learnable = source.learnable()
    if learnable.passage:
        return learnable
    if lost_secret(source.passage):
        raise EditFault(NOTHING_LEFT)
    raise EditFault("; ".join(left.reason for left in source.left_out) or "the text has no sentence")


def _spoken(rows: Sequence[Row], source: Source) -> tuple[list[Row], list[Dropped]]:
    """The rows rewritten in the second person, and those dropped because the speaker would be wrong."""
    language, kept, dropped = source.language, list[Row](), list[Dropped]()
    for row in rows:
        if word := language.unclear_speaker(row.evidence) or language.unclear_speaker(row.answer):
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


def fitting(
    base: Backend, directives: Directives, progress: Progress = silent, writer: Writer | None = None
) -> Directives:
    """`directives` adapted to the base model, and to the `writer` that writes in its place.

    A format whose capability test is failed by who writes is replaced by its fallback. A base model that fails one
    cannot answer from a text in view, so distillation is switched off: it learns a writer's answers by their
    likelihood.
    """
    forms = [FORMATS[name] for name in directives.formats]
    instead = {form.name: form.fallback for form in forms if not can_write(writer or base, form, progress)}
    if instead and writer:
        log.warning("the writer %s fails the test of %s: rules make the rows", writer.model, ", ".join(instead))
    names = dict.fromkeys(instead.get(name, name) for name in directives.formats)
    reads = not instead and (writer is None or all(can_write(base, form, progress) for form in forms))
    return directives if reads else replace(directives, formats=tuple(names), distill=0.0)


def can_write(writer: Writer, form: Format, progress: Progress = silent) -> bool:
    """Whether a base model or a chat model passes the capability test of `form`; tested once a process (`note`)."""
    if form.capability_test is None:
        return True
    if (key := (writer.model, form.name)) not in _passed:
        right = take_test(writer, form, progress)
        _passed[key] = sum(right) >= MIN_PASSED * len(right)
    return _passed[key]


def take_test(writer: Writer, form: Format, progress: Progress = silent) -> list[bool]:
    """For each request of the capability test of `form` whether the model's text gives a row."""
    if (test := form.capability_test) is None:
        return [True]
    asks = form.ask(test)
    asks = asks[:: -(-len(asks) // MAX_EXAMINED)]  # spread over the text
    texts = generate(writer, asks, 0, f"a test of {form.name}", progress)
    right = [bool(parsed(form, test, asked, text).own_rows) for asked, text in zip(asks, texts, strict=True)]
    log.info("%s passed %d of %d requests in a test of %s", writer.model, sum(right), len(right), form.name)
    return right


def is_tested(model: str, form: Format) -> bool:
    """Whether the result of the capability test is known in this process, or there is none."""
    return form.capability_test is None or (model, form.name) in _passed


def note(model: str, form: Format, *, passed: bool) -> None:
    """Take over the result of a capability test that was taken before, by another process."""
    _passed[model, form.name] = passed
