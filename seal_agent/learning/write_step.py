"""The step that writes a self-edit: the model's rows, corrections, the user's rule, rehearsal rows."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from seal_agent.core.backend import silent
from seal_agent.core.edits import MESSAGE_QA, Directives, Probe, SelfEdit
from seal_agent.core.episodes import Correction, Episode, Progress
from seal_agent.core.errors import EditFault, InputError, Refused, SameAgain, WriterFault
from seal_agent.core.facts import Fact, last_said
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.deciding.capability import passes
from seal_agent.deciding.classifier import HEADS_FOLDER
from seal_agent.deciding.judgements import CHANGES
from seal_agent.language.context import context_of
from seal_agent.language.dates import relative_dates
from seal_agent.language.source import Source
from seal_agent.learning.changes import MIN_OF_CORRECTION
from seal_agent.learning.namespace import Namespace
from seal_agent.learning.requirements import required_edit
from seal_agent.retention.general_knowledge import with_rehearsal
from seal_agent.retention.items import ReplayItem, Split
from seal_agent.retention.rehearsal import replayed_rows
from seal_agent.storage.policies import PolicyStore
from seal_agent.writing import corrections, writer
from seal_agent.writing.chat_writer import ChatWriter, is_unanswered
from seal_agent.writing.directives import CLOZE
from seal_agent.writing.formats import FORMATS

log = logging.getLogger(__name__)
MESSAGE = "message"  # the thread of a fact that was told outside a conversation
NUM_CORRECTABLE = 64  # items of each split that are compared with a text


def write(state: Namespace, episode: Episode, progress: Progress = silent) -> Episode:
    """One attempt at a self-edit; a malformed one stores its fault for the next attempt.

    The base model writes, or the policy in use, which also chooses directives, or `LearnerConfig.writer` in the place
    of both. Adapters learned since are not active, so that they do not influence what is written.
    """
    attempt = episode.num_attempts
    base = state.backend.with_stack(AdapterStack())
    fact = None if episode.source else _fact(state, episode)
    noted = "" if is_unanswered(episode.fault) else episode.fault
    source = Source(episode.topic, episode.text, episode.earlier, noted, episode.heading, fact)
    watched = _watched_near(state, episode)
    found = _judged(state, fact, watched, corrections.find(base, watched, source))
    try:
        written = _written(state, episode, source, progress)
    except EditFault as error:
        log.info("attempt %d at a self-edit failed: %s", attempt + 1, error)
        if not found or isinstance(error, WriterFault):
            num_attempts = state.config.max_attempts if isinstance(error, SameAgain) else attempt + 1
            return replace(episode, edit=None, fault=str(error), num_attempts=num_attempts)
        # "No, Friday." has no statement of its own, but it may correct a replay item.
        fitting = writer.fitting(base, state.config.directives or CLOZE)
        written = SelfEdit(source.topic, source.passage, (), (), fitting)
    edit = corrections.added(written, found)
    corrected = [i for i in _corrected_adapters(state, episode.parent, found) if i not in episode.changes]
    supersedes = tuple(i for i in episode.parent.ids if i in corrected or i in episode.changes)
    if corrected:
        earlier = [e.edit for e in state.accepted(corrected) if e.edit]
        edit = corrections.joined(edit, earlier, found, edit.directives.num_rows)
    written_down = replace(
        episode, edit=edit, corrections=found, supersedes=supersedes, fault="", num_attempts=attempt + 1
    )
    return _allowed(state, written_down)


def _written(state: Namespace, episode: Episode, source: Source, progress: Progress) -> SelfEdit:
    """The edit by the base model, the policy or the writer; raises `EditFault` if there is no usable one."""
    policy = PolicyStore(state.home, state.name, state.backend.model).current()
    directives, stack, author = state.config.directives, policy.stack, None
    if state.config.writer is not None:
        stack, author = AdapterStack(), ChatWriter(state.config.writer)
    elif policy.adapter:
        directives = None
    _note_tests(state, directives, progress)
    return writer.write_self_edit(
        state.backend.with_stack(stack),
        source,
        directives,
        is_document=bool(episode.source),
        beside_text=state.config.recall == "both",
        seed=episode.seed + episode.num_attempts * 7919,
        progress=progress,
        writer=author,
    )


def _note_tests(state: Namespace, directives: Directives | None, progress: Progress) -> None:
    """Let the base model take the capability tests of its formats, once for a data directory."""
    base = state.backend.with_stack(AdapterStack())
    for name in directives.formats if directives and state.config.writer is None else ():
        form = FORMATS[name]
        if not writer.is_tested(base.model, form):
            take = partial(writer.take_test, base, form, progress)
            passed = passes(base.model, name, state.home.root / HEADS_FOLDER, take, writer.MIN_PASSED)
            writer.note(base.model, form, passed=passed)


def _fact(state: Namespace, episode: Episode) -> Fact:
    """The message as a fact, with the facts that it changes."""
    ids = episode.parent.origins(episode.changes)
    answers = {e.adapter.id: e.edit.answers for e in state.accepted(ids) if e.adapter and e.edit} if ids else {}
    changed = [
        replace(fact, dates=relative_dates(fact.text, fact.said_on), answers=answers.get(fact.adapter, ()))
        for fact in state.home.facts(state.name, ids)
    ]
    return Fact(
        "",
        episode.text,
        episode.said_on,
        episode.thread or MESSAGE,
        earlier=context_of(episode.text, last_said(episode.earlier)),
        dates=relative_dates(episode.text, episode.said_on),
        changed=tuple(changed),
    )


def _allowed(state: Namespace, episode: Episode) -> Episode:
    """The episode after the user's own rule, with rehearsal and replay rows added."""
    try:
        allowed = state.config.before_learn(episode) if state.config.before_learn else episode
        edit = required_edit(allowed)
        if not edit.rows:
            raise Refused("the rule left no row to train on")
    except Refused as error:
        log.info("not learned: %s", error)
        return replace(
            episode, edit=None, corrections=(), fault=f"refused: {error}", num_attempts=state.config.max_attempts
        )
    edit = _with_replay(state, edit, episode.parent, episode.seed)
    kept = (episode.namespace, episode.parent, episode.seed, episode.id)
    if (allowed.namespace, allowed.parent, allowed.seed, allowed.id) != kept:
        raise InputError(
            "before_learn changed the namespace, the parent, the seed or the id; change text and edit only"
        )
    return replace(allowed, edit=edit)


def _watched_near(state: Namespace, episode: Episode) -> list[ReplayItem]:
    """The replay items nearest to the text in every split; the text may correct them."""
    about = [Probe(Prompt.user(episode.text), episode.topic)]
    splits: tuple[Split, ...] = ("gate", "repair", "report")
    return [i for split in splits for i in state.replay.items_of(split, episode.parent, NUM_CORRECTABLE, about)]


def _judged(
    state: Namespace, fact: Fact | None, watched: Sequence[ReplayItem], found: tuple[Correction, ...]
) -> tuple[Correction, ...]:
    """Of the corrections that rules find in a chat message those that the model finds as well, if it can judge them."""
    if fact is None or not found or not state.classifier.judges(CHANGES):
        return found
    told = {item.id: f"{item.probe.prompt.asked} {item.probe.answer}" for item in watched}
    margins = state.classifier.margins(CHANGES, [(told[correction.item], fact.text) for correction in found])
    return tuple(each for each, margin in zip(found, margins, strict=True) if margin >= MIN_OF_CORRECTION)


def _corrected_adapters(state: Namespace, stack: AdapterStack, found: Sequence[Correction]) -> tuple[str, ...]:
    """The routed adapters of `stack` that hold corrected facts: two adapters on one fact would compete."""
    routed = {entry.ref.id for entry in stack.entries if entry.is_routed}
    holders = state.replay.adapters_of([correction.item for correction in found])
    return tuple(adapter for adapter in stack.ids if adapter in routed & holders)


def _with_replay(state: Namespace, edit: SelfEdit, stack: AdapterStack, seed: int) -> SelfEdit:
    """`edit` with general questions, and with rows of the edits that are always active below it."""
    num_rows = state.config.num_rehearsed(edit.directives, len(edit.rows))
    is_message = MESSAGE_QA in edit.directives.formats
    if edit.directives.distill or is_message:  # few rows in the model's own words leave the rest of it alone
        num_rows = min(num_rows, max(1, len(edit.rows) // 4))
    below = state.strategy.parent(stack).learned
    earlier = [e.edit for e in state.accepted(below) if e.edit] if below and num_rows else []
    rows = replayed_rows(earlier, round(edit.directives.rehearsal_share * len(edit.rows)), seed)
    return with_rehearsal(replace(edit, rows=edit.rows + rows), num_rows, seed)
