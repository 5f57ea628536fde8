"""The steps of a learning episode: decide, write, train, probe, judge, accept, reject.

Each takes an `Episode` and returns it one step further; the graphs call one step per node and add nothing.
A candidate adapter is never served: `answer` uses the stack in the database, and only `accept` changes it.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from seal_agent.core.backend import Backend, silent
from seal_agent.core.documents import Passage
from seal_agent.core.edits import MESSAGE_QA, Probe
from seal_agent.core.episodes import Decision, Episode, Progress
from seal_agent.core.errors import InputError, Refused, StackChanged, TrainingFault
from seal_agent.core.facts import last_said
from seal_agent.core.messages import Message, Prompt
from seal_agent.core.stacks import AdapterStack, StackEntry
from seal_agent.deciding import decide as decision
from seal_agent.deciding.requests import REASONS
from seal_agent.documents.passages import topic_of
from seal_agent.language.context import context_of
from seal_agent.learning import consolidation, remedies
from seal_agent.learning.changes import changed_by, repeats
from seal_agent.learning.config import LearnerConfig as LearnerConfig
from seal_agent.learning.config import check_config
from seal_agent.learning.namespace import Namespace
from seal_agent.learning.remedies import Remedy
from seal_agent.learning.requirements import required_adapter, required_edit
from seal_agent.learning.train_step import repair_candidate, train_candidate
from seal_agent.learning.write_step import write
from seal_agent.serving.router import key_of
from seal_agent.serving.served import compared
from seal_agent.storage import deletion
from seal_agent.storage.database import Home

if TYPE_CHECKING:
    from seal_agent.retention.items import Embeddings

log = logging.getLogger(__name__)


class Learner:
    """A model that learns within one namespace: its backend, its data directory and its settings."""

    def __init__(
        self,
        backend: Backend,
        home: Home,
        namespace: str = "default",
        config: LearnerConfig | None = None,
        *,
        embeddings: Embeddings | None = None,
    ) -> None:
        check_config(config)
        deletion.delete_marked(home)
        self.state = Namespace(backend, home, namespace, config or LearnerConfig(), embeddings=embeddings)
        self._remedies: tuple[Remedy, ...] = remedies.parse_remedies(self.config.remedies)

    @property
    def backend(self) -> Backend:
        """The model."""
        return self.state.backend

    @property
    def home(self) -> Home:
        """The data directory."""
        return self.state.home

    @property
    def namespace(self) -> str:
        """The namespace that this learner reads and writes."""
        return self.state.name

    @property
    def config(self) -> LearnerConfig:
        """The settings."""
        return self.state.config

    @property
    def stack(self) -> AdapterStack:
        """The stack served now, read from the database: another process may have changed it."""
        return self.state.stack

    def within(self, namespace: str) -> Learner:
        """A learner for another namespace or thread that shares this one's model, data directory and settings."""
        return Learner(self.backend, self.home, namespace, self.config, embeddings=self.state.embeddings)

    def answer(self, conversations: Sequence[Sequence[Message]], *, max_new_tokens: int = 0) -> list[str]:
        """The served model's greedy replies, of up to `max_new_tokens` (0: `config.max_reply_tokens`)."""
        if isinstance(conversations, str) or not all(isinstance(m, Message) for each in conversations for m in each):
            raise InputError('answer takes conversations; give a list of lists: [[Message("user", "Hi")]]')
        return self.state.answer(conversations, max_new_tokens=max_new_tokens)

    def begin(self, passage: Passage, *, thread: str = "") -> Episode:
        """An open episode about `passage` on top of the stack served now."""
        if not passage.text.strip():
            raise InputError("there is no text to learn from; give at least one sentence")
        number = self.home.num_episodes(self.namespace)
        return Episode(
            namespace=self.namespace,
            text=passage.text,
            topic=passage.topic or topic_of(passage.text),
            earlier=passage.earlier,
            parent=self.stack,
            model=self.backend.model,
            seed=self.config.seed * 1_000_003 + number,
            thread=thread,
            source=passage.source,
            heading=passage.heading,
            said_on=passage.said_on,
            about=passage.about,
            namespace_generation=self.home.namespace_generation(self.namespace),
            id=secrets.token_hex(8),
        )

    def closed(self, episode: Episode) -> Episode | None:
        """The ledger line of an episode that is closed already: a restarted process may repeat its last step."""
        return self.home.episode(self.namespace, episode.id)

    def decide(self, episode: Episode, progress: Progress = silent) -> Episode:
        """Let the model decide whether the text is worth learning; the user's own `decide` may overrule it."""
        is_document = bool(episode.source)
        request = "" if is_document else self.state.classifier.request_of(episode.text, episode.earlier)
        if request in REASONS:
            return replace(episode, decision=decision.not_learned(request))
        view = self.backend.with_stack(self.state.view(episode.parent).active(Prompt.raw(episode.text)))
        kind, judged, head = "", None, None
        if decision.needs_head(episode.text, is_document=is_document):
            head = self.state.classifier.head(progress, may_wait=is_document)
            if not is_document:
                kind = self.state.classifier.kind_of(episode.text, episode.earlier)
                judged = self.state.classifier.noteworthy(episode.text, episode.earlier)
        made = decision.decide(
            view,
            head,
            episode.text,
            episode.earlier,
            is_document=is_document,
            kind=kind,
            judged=judged,
            is_wished=request == "remember",
        )
        if made.learn and (self.state.recalls(episode.text) or repeats(self.state, episode)):
            made = replace(made, learn=False, reason=decision.KNOWN)
        made = self._overruled(episode, made)
        changes = changed_by(self.state, episode) if made.learn else ()
        return replace(episode, decision=made, changes=changes)

    def _overruled(self, episode: Episode, made: Decision) -> Decision:
        """The decision after the user's own rule `decide`."""
        overruled = self.config.decide(episode, made) if self.config.decide else made
        if not isinstance(overruled, Decision):
            raise InputError(
                f"LearnerConfig.decide returned {overruled!r}, which is no Decision; return the one it received, "
                "or replace(it, learn=True, reason=...)"
            )
        return overruled

    def write(self, episode: Episode, progress: Progress = silent) -> Episode:
        """One attempt at a self-edit; a malformed one stores its fault for the next attempt (`write_step`)."""
        return write(self.state, episode, progress)

    def can_retry(self, episode: Episode) -> bool:
        """Whether another attempt at writing is left."""
        return episode.edit is None and episode.num_attempts < self.config.max_attempts

    def train(self, episode: Episode, progress: Progress = silent) -> Episode:
        """Train a candidate adapter and compute the stack as it would be served with it.

        An edit that cannot be trained, for example because its loss is not finite, gets a fault and no adapter.
        """
        try:
            return train_candidate(self.state, episode, progress)
        except TrainingFault as error:
            log.warning("the edit about %r cannot be trained: %s", episode.topic, error)
            return replace(episode, adapter=None, fault=str(error))

    def probe(self, episode: Episode, progress: Progress = silent) -> Episode:
        """Score gold answers before and after the edit; on an undecided episode, draw more of them."""
        edit = required_edit(episode)
        self.state.replay.seed_general()
        num_probes = self.config.num_probes
        if episode.probed:
            num_probes = min(2 * sum(p.probe.item is not None for p in episode.probed), self.config.max_probes)
        drawn: list[tuple[Probe, float | None]] = [(probe, None) for probe in edit.probes]
        drawn += self.state.replay.draw(edit.probes, episode.parent, num_probes, without=self._outdated(episode))
        parent = self.state.view(episode.parent, scores=self.state.scores)
        candidate = self.state.view(episode.candidate, self._key(episode), scores=self.state.scores)
        probed = compared(drawn, parent, candidate, progress)
        return replace(episode, probed=probed, probed_on=episode.candidate_digest, verdict=None)

    def _key(self, episode: Episode) -> dict[str, str]:
        """The routing key of the candidate: its topic and text, and the keys of the adapters it supersedes."""
        known = self.home.route_keys(self.namespace)
        own = f"{episode.topic}\n{episode.text}"
        if not episode.source:
            before = context_of(episode.text, last_said(episode.earlier))
            own = f"{own}\n{before}".strip()  # "No, 2 pm." is found by what it answers
        texts = [own, *(known.get(adapter, "") for adapter in episode.supersedes)]
        questions = [row.question for row in episode.edit.rows if row.source == MESSAGE_QA] if episode.edit else []
        return {required_adapter(episode).id: key_of(texts, questions)}

    def judge(self, episode: Episode, progress: Progress = silent) -> Episode:
        """The verdict, a pure function of the scores; "undecided" only while more probes can be drawn.

        Raises `InputError` if the candidate is not the one that was probed.
        """
        if episode.probed_on != episode.candidate_digest:
            raise InputError(
                f"the candidate of {episode.topic!r} is not the one that was probed; probe it before judging"
            )
        num_drawn = sum(p.probe.item is not None for p in episode.probed)
        budget = self.config.max_probes
        available = self.state.replay.num_items(episode.parent, without=self._outdated(episode), at_most=budget)
        verdict = self.config.judge(episode.probed, self.config.limits, final=num_drawn >= available)
        return replace(episode, verdict=verdict)

    def has_remedy(self, episode: Episode) -> bool:
        """Whether the edit forgets and a remedy is left."""
        outcome = episode.verdict.outcome if episode.verdict else ""
        has_forgotten = outcome == "forgot" or (outcome == "reject" and bool(episode.remedies_tried))
        return has_forgotten and self._next_remedy(episode) is not None

    def _next_remedy(self, episode: Episode) -> Remedy | None:
        is_routed = any(y.is_routed for y in episode.candidate.entries if y.ref == episode.adapter)
        return remedies.next_remedy(self._remedies, episode.remedies_tried, is_routed=is_routed)

    def apply_remedy(self, episode: Episode, progress: Progress = silent) -> Episode:
        """Apply the next remedy to an edit that forgets; probe it again afterwards."""
        remedy = self._next_remedy(episode)
        if remedy is None:
            raise InputError("no remedy is left for this edit; reject it")
        log.info("the edit forgets: %s", remedy.name)
        if remedy.kind == remedies.REPAIR:
            episode = repair_candidate(self.state, episode, progress)
        is_routed = remedy.kind == remedies.ROUTE or any(y.is_routed for y in episode.candidate.entries[-1:])
        weight = required_edit(episode).directives.weight * remedy.weight
        candidate = remedies.with_entry_changed(
            episode.candidate, required_adapter(episode), weight=weight, is_routed=is_routed
        )
        return replace(
            episode, candidate=candidate, remedies_tried=(*episode.remedies_tried, remedy.name), probed=(), verdict=None
        )

    def accept(self, episode: Episode, progress: Progress = silent, *, ungated: bool = False) -> Episode:
        """Serve the candidate from the next turn on: stack, replay items and ledger line in one transaction.

        Raises `InputError` unless a verdict accepts exactly this candidate; `ungated` skips that check.
        """
        edit, adapter = required_edit(episode), required_adapter(episode)
        self._check_own(episode)
        if not ungated and not episode.is_accepted_by_verdict:
            raise InputError(_unjudged(episode))
        done = replace(episode, outcome="accepted")
        own = [p for p in episode.probed if p.probe.stratum == "edit"]
        vectors = self.state.replay.embed([p.probe for p in own])
        key = self._key(episode)
        try:
            with self.home.transaction() as tx:
                self.home.set_stack(
                    tx,
                    self.namespace,
                    episode.candidate,
                    expected=episode.parent,
                    reason=f"accepted: {edit.topic}",
                )
                self.state.registry.verify(adapter)  # inside the transaction no other process can delete it
                self.home.set_route_keys(tx, self.namespace, key)
                self.state.replay.insert(
                    tx,
                    [p.probe for p in own],
                    vectors,
                    adapter=adapter.id,
                    best=[p.after.per_token for p in own],
                    source=edit.topic,
                )
                self.state.replay.record(tx, episode.probed, kept=True, adapter=adapter.id)
                self.state.replay.supersede(tx, sorted(self._outdated(episode)), adapter.id)
                self.home.append_episode(tx, done)
        except StackChanged:
            self.state.discard(adapter)
            raise
        log.info("accepted %s: %s", adapter.short, edit.topic)
        return done

    def remember(self, episode: Episode, progress: Progress = silent) -> Episode:
        """Serve the text itself from the next turn on, to be recalled into prompts; nothing is trained.

        A candidate whose edit was not accepted is discarded. The user's rule `before_learn` may refuse the text.
        """
        self._check_own(episode)
        if episode.adapter and episode.adapter.has_weights:
            self.state.discard(episode.adapter)
        bare = replace(
            episode, adapter=None, candidate=AdapterStack(), supersedes=episode.changes, corrections=(), edit=None
        )
        try:
            allowed = self.config.before_learn(bare) if self.config.before_learn else bare
        except Refused as error:
            return self.close(replace(bare, fault=f"refused: {error}"))
        adapter = self.state.registry.add_text(allowed.id, allowed.text, model=self.backend.model)
        stack = self.stack
        kept = AdapterStack(tuple(entry for entry in stack.entries if entry.ref.id not in allowed.changes))
        entry = StackEntry(adapter, is_routed=True, consolidates=stack.origins(allowed.changes))
        candidate = AdapterStack((*kept.entries, entry))
        done = replace(allowed, adapter=adapter, parent=stack, candidate=candidate, outcome="accepted")
        with self.home.transaction() as tx:
            reason = f"accepted as text: {done.topic}"
            self.home.set_stack(tx, self.namespace, done.candidate, expected=stack, reason=reason)
            self.state.registry.verify(adapter)
            self.home.set_route_keys(tx, self.namespace, self._key(done))
            self.home.append_episode(tx, done)
        return done

    def reject(self, episode: Episode, progress: Progress = silent) -> Episode:
        """Discard the candidate; the stack was never changed."""
        adapter = required_adapter(episode)
        self._check_own(episode)
        done = replace(episode, outcome="rejected")
        self.state.discard(adapter)  # first: after the ledger line a restarted process does not come here
        with self.home.transaction() as tx:
            self.state.replay.record(tx, episode.probed, kept=False, adapter="".join(episode.parent.ids[-1:]))
            self.home.append_episode(tx, done)
        log.info("rejected %s", adapter.short)
        return done

    def close(self, episode: Episode, progress: Progress = silent) -> Episode:
        """Close an episode from which nothing was learned: not worth it, no usable edit, declined or a dry run."""
        self._check_own(episode)
        done = episode
        if episode.outcome == "open" and episode.edit and self.config.dry_run:
            done = replace(episode, outcome="dry run")
        elif episode.outcome == "open":
            done = replace(episode, outcome="rejected" if episode.fault else "ignored")
        with self.home.transaction() as tx:
            self.home.append_episode(tx, done, is_trial=self.config.dry_run)
        return done

    def give_up(self, passage: Passage, reason: str, *, thread: str = "") -> Episode:
        """Close a passage that will not be tried again, with the reason in the ledger."""
        return self.close(replace(self.begin(passage, thread=thread), fault=f"given up: {reason}"))

    def _outdated(self, episode: Episode) -> set[int]:
        """The replay items that are no longer true with the edit."""
        changed = self.state.replay.items_of_adapters(episode.changes) if episode.changes else []
        return {correction.item for correction in episode.corrections} | set(changed)

    def _check_own(self, episode: Episode) -> None:
        if episode.namespace != self.namespace:
            log.warning("an episode of %r was refused by the learner of %r", episode.namespace, self.namespace)
            raise InputError("this episode belongs to another namespace; use the learner that began it")

    def can_consolidate(self) -> bool:
        """Whether the strategy asks for a consolidation now."""
        return bool(self.state.strategy.consolidation(self.stack))

    def consolidate(self, progress: Progress = silent, *, is_gated: bool = True) -> Episode | None:
        """Replace the stack by one adapter if the strategy asks for it; else None (`consolidation`)."""
        return consolidation.consolidate(self.state, progress, is_gated=is_gated)

    def rollback(self, adapter_id: str) -> AdapterStack:
        """Remove an accepted adapter from the stack by the beginning of its id; its folder stays on disk."""
        return self.state.rollback(adapter_id)


Verb = Callable[[Episode, Progress], Episode]


def _unjudged(episode: Episode) -> str:
    """The error message for an episode that may not be accepted."""
    found = f"the verdict is {episode.verdict.outcome!r}" if episode.verdict else "there is no verdict"
    if episode.verdict and episode.verdict.outcome == "accept":
        found = "the verdict belongs to another candidate"
    return (
        f"the edit about {episode.topic!r} must not be served: {found}; "
        "probe and judge it first, or accept it with ungated=True"
    )
