"""Finds every row, adapter and ledger entry derived from the texts to forget.

Pure functions from the ledger and the stacks; `forget` and `plan` do the rest. Texts are compared literally: a fact
that another edit states in other words belongs to that edit and stays.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from seal_agent.core.edits import MESSAGE_QA, REPLAYED, Row, SelfEdit
from seal_agent.core.episodes import Episode
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterRef, AdapterStack, StackEntry
from seal_agent.writing import corrections

Fact = tuple[Prompt, str]


@dataclass(frozen=True)
class Traces:
    """What is to be forgotten: texts, the adapters that learned them, and all rows and questions made from them.

    `threads` are the conversations of the texts.
    """

    texts: frozenset[str]
    adapters: frozenset[str]
    facts: frozenset[Fact]
    threads: frozenset[str]


def traces_of(texts: Collection[str], ledger: Sequence[Episode]) -> Traces:
    """The traces of `texts` in the `ledger` (oldest first), including rows that a correction took over and changed."""
    told = [e for e in ledger if e.text in texts]
    rows = {row: None for e in told if e.edit for row in _rows(e.edit)}
    for episode in ledger:
        if episode.supersedes and episode.edit:
            source = SelfEdit("", "", tuple(rows), ())
            taken = corrections.joined(replace(source, rows=()), [source], episode.corrections, max(len(rows), 1))
            rows |= dict.fromkeys(taken.rows)
    return Traces(
        texts=frozenset(texts),
        adapters=frozenset(e.adapter.id for e in told if e.adapter),
        facts=frozenset((row.prompt, row.answer) for row in rows),
        threads=frozenset(e.thread for e in told if e.thread),
    )


def _rows(edit: SelfEdit) -> list[Row]:
    """The edit's own rows, and its probes as rows, because a repair may train on them."""
    own = [row for row in edit.rows if row.source not in REPLAYED]
    return own + [Row(probe.prompt, probe.answer) for probe in edit.probes]


def kept_rows(edit: SelfEdit, text: str, traces: Traces) -> tuple[Row, ...]:
    """The rows of an edit about `text`, without those that come from forgotten texts, and without quotations of these.

    A message that corrects another one is learned with the statements of that one which it leaves as they were.
    """
    answers = {answer for _, answer in traces.facts}
    rows = []
    for row in edit.rows:
        unquoted = _unquoted(row, text, traces)
        is_taken_over = unquoted != row and row.answer in answers
        if not is_taken_over and ((row.prompt, row.answer) not in traces.facts or _is_own(row, text)):
            rows.append(unquoted)
    return tuple(rows)


def _unquoted(row: Row, text: str, traces: Traces) -> Row:
    """A row about the message `text` without forgotten messages in its evidence: one a line, or as what it answers."""
    forgotten = [each for each in traces.texts if each and each not in text]
    if row.source != MESSAGE_QA or not any(each in row.evidence for each in forgotten):
        return row
    evidence = row.evidence
    for each in forgotten:
        evidence = evidence.replace(f'(after "{each}") ', "")
    lines = [line for line in evidence.split("\n") if text in line or not any(each in line for each in forgotten)]
    return replace(row, evidence="\n".join(lines))


def _is_own(row: Row, text: str) -> bool:
    said, evidence = " ".join(text.split()), " ".join(row.evidence.split())
    if row.source == MESSAGE_QA:  # its evidence quotes the message, with its day and what it answers
        return said in evidence
    return row.source not in REPLAYED and bool(evidence) and evidence in said


def holders(ledger: Sequence[Episode], made_of: Mapping[str, Collection[str]], traces: Traces) -> frozenset[str]:
    """The ids of all adapters that were trained on, on top of, or folded from what is forgotten.

    `made_of`: for every adapter, those that it was trained on top of or made from.
    """
    held = set(traces.adapters)
    for episode in ledger:
        if episode.adapter and episode.edit and kept_rows(episode.edit, episode.text, traces) != episode.edit.rows:
            held.add(episode.adapter.id)
    while more := {adapter for adapter, parts in made_of.items() if held & set(parts)} - held:
        held |= more
    return frozenset(held)


def without(
    stack: AdapterStack,
    held: Collection[str],
    traces: Traces,
    known: Mapping[str, StackEntry],
    edits: Collection[str],
) -> AdapterStack:
    """`stack` without what is forgotten; consolidated adapters that contain it are replaced by their parts.

    `known`: the stack entry of every adapter; `edits`: adapters that learned one edit, and are not consolidated.
    Entries in `held` that remain must be retrained.
    """
    entries = [part for entry in stack.entries for part in _parts(entry, held, traces, known, edits)]
    there = {entry.ref.id: entry for entry in entries}
    return AdapterStack(tuple(there.values()))


def _parts(
    entry: StackEntry, held: Collection[str], traces: Traces, known: Mapping[str, StackEntry], edits: Collection[str]
) -> list[StackEntry]:
    if entry.ref.id not in held:
        return [entry]
    if entry.ref.id in edits and entry.ref.id not in traces.adapters:
        return [replace(entry, consolidates=tuple(i for i in entry.consolidates if i not in traces.adapters))]
    children = [known[i] for i in entry.consolidates if i in known]
    hidden = {i for child in children for i in child.consolidates}
    return [
        part for child in children if child.ref.id not in hidden for part in _parts(child, held, traces, known, edits)
    ]


def replaced(stack: AdapterStack, held: Collection[str], fresh: Mapping[str, AdapterRef]) -> AdapterStack:
    """`stack` with retrained adapters in place of the old ones; a held adapter without a replacement is dropped."""
    entries = [
        replace(
            entry,
            ref=fresh.get(entry.ref.id, entry.ref),
            consolidates=tuple(
                fresh[i].id if i in fresh else i for i in entry.consolidates if i in fresh or i not in held
            ),
        )
        for entry in stack.entries
        if entry.ref.id not in held or entry.ref.id in fresh
    ]
    return AdapterStack(tuple(entries))


def cleaned(episode: Episode, traces: Traces, items: Collection[int]) -> Episode:
    """The ledger line of another episode without traces of the forgotten one, whose replay `items` are deleted too."""
    edit = episode.edit
    if edit is not None:
        edit = replace(edit, rows=kept_rows(edit, episode.text, traces))
    shares_thread = episode.thread in traces.threads
    is_quoted = shares_thread or any(text in episode.earlier for text in traces.texts)
    return replace(
        episode,
        earlier="" if is_quoted else episode.earlier,
        edit=edit,
        probed=tuple(p for p in episode.probed if (p.probe.prompt, p.probe.answer) not in traces.facts),
        corrections=tuple(c for c in episode.corrections if c.item not in items),
        supersedes=tuple(i for i in episode.supersedes if i not in traces.adapters),
        changes=tuple(i for i in episode.changes if i not in traces.adapters),
    )


def redacted(episode: Episode) -> Episode:
    """The ledger line of a forgotten episode: its existence and its adapter, without content."""
    return Episode(
        namespace=episode.namespace,
        text="",
        adapter=episode.adapter,
        outcome="forgotten",
        num_attempts=episode.num_attempts,
        model=episode.model,
        seed=episode.seed,
        seconds=episode.seconds,
    )
