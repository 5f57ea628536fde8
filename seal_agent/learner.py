"""The verbs of one learning episode: decide, write, train, probe, judge, accept, rollback.

Each takes an `Episode` and returns it one step further; the graphs call one verb per node and add nothing.
A candidate adapter is never served: `answer` uses the stack in the database, and only `accept` changes it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from seal_agent import (
    consolidation,
    corrections,
    decision,
    decision_head,
    erasure,
    ladder,
    retention,
    strategies,
    unlearning,
    writing,
)
from seal_agent.adapters.backend import Backend, silent
from seal_agent.adapters.registry import AdapterRegistry
from seal_agent.canaries import with_rehearsal
from seal_agent.decision_head import Head
from seal_agent.directives import CLOZE
from seal_agent.errors import EditFault, InputError, Refused, StackChanged, StorageError, TrainingFault
from seal_agent.formats import Source
from seal_agent.home import Home, check_namespace
from seal_agent.ladder import Rung
from seal_agent.learner_config import LearnerConfig as LearnerConfig
from seal_agent.numbers import check_whole
from seal_agent.passages import Passage, topic_of
from seal_agent.policies import PolicyStore
from seal_agent.rehearsal import REPLAY, replayed_rows
from seal_agent.replay import ReplayItem, ReplayStore, Split
from seal_agent.routing import Keys, Router, Routers
from seal_agent.serving import ScoreCache, Served, compared
from seal_agent.types import (
    AdapterRef,
    AdapterStack,
    Correction,
    Episode,
    Message,
    Probe,
    Progress,
    Prompt,
    Row,
    SelfEdit,
)

if TYPE_CHECKING:
    from seal_agent.replay import Embeddings
    from seal_agent.unlearning import Forgotten

log = logging.getLogger(__name__)
NUM_CORRECTABLE = 64  # items of each split that a text is compared with
REPAIR_KL_WEIGHT = 1.0  # at least, while a repair is trained


class Learner:
    """A model that learns within one namespace: its backend, its home on disk and its limits."""

    def __init__(
        self,
        backend: Backend,
        home: Home,
        namespace: str = "default",
        config: LearnerConfig | None = None,
        *,
        embeddings: Embeddings | None = None,
    ) -> None:
        self.home = home
        erasure.sweep(home)
        self.namespace = check_namespace(namespace)
        self.config = config or LearnerConfig()
        self.registry = AdapterRegistry(home.root / "adapters")
        self.replay = ReplayStore(home, namespace, backend, embeddings)
        chosen = self.config.strategy
        self.strategy = strategies.strategy(chosen) if isinstance(chosen, str) else chosen
        self._ladder: tuple[Rung, ...] = ladder.rungs(self.config.ladder)
        self.backend = backend
        self.embeddings = embeddings
        self._head: Head | None = None
        self._scores = ScoreCache()
        self._routers = Routers(self.config.routes)

    def within(self, namespace: str) -> Learner:
        """The same model, home and settings for another namespace, or for another thread; only weights are shared."""
        return Learner(self.backend, self.home, namespace, self.config, embeddings=self.embeddings)

    @property
    def stack(self) -> AdapterStack:
        """The stack served now, read from the database: another process may have changed it."""
        return self.home.stack(self.namespace)

    def serve(
        self, stack: AdapterStack, keys: Mapping[str, str] | None = None, *, scores: ScoreCache | None = None
    ) -> Served:
        """The model through `stack`; `keys` of adapters that are not accepted yet, `scores` that need no computing."""
        routed = {layer.ref.id for layer in stack.layers if layer.is_routed}
        known = {**self.home.route_keys(self.namespace), **(keys or {})} if routed else {}
        if lost := routed - known.keys():
            raise StorageError(f"nothing routes to adapter {min(lost)[:12]} any more; run `seal-agent doctor --repair`")
        kept = tuple((layer.ref.id, known[layer.ref.id]) for layer in stack.layers if layer.is_routed)
        return Served(self.backend, stack, self._routers.over(kept, known), scores)

    def router_over(self, adapters: Collection[str]) -> Router:
        """What finds the texts of those adapters, routed or not, among what was learned here."""
        known = self.home.route_keys(self.namespace)
        keys: Keys = tuple((adapter, key) for adapter, key in known.items() if adapter in adapters)
        return self._routers.over(keys, known)

    def answer(self, conversations: Sequence[Sequence[Message]], *, max_new_tokens: int = 0) -> list[str]:
        """The served model's greedy reply to each conversation, of `config.max_reply_tokens` unless one is given."""
        return self.answer_with(self.stack, conversations, max_new_tokens=max_new_tokens)

    def answer_with(
        self, stack: AdapterStack, conversations: Sequence[Sequence[Message]], *, max_new_tokens: int = 0
    ) -> list[str]:
        """The greedy reply of another stack, an older version's say, to each conversation."""
        check_whole("max_new_tokens", max_new_tokens, 0)
        served = self.serve(stack)
        prompts = [Prompt(tuple(messages)) for messages in conversations]
        replies = served.generate(prompts, max_new_tokens=max_new_tokens or self.config.max_reply_tokens)
        return [samples[0].strip() for samples in replies]

    def nll(self, questions: Sequence[str], answers: Sequence[str]) -> float:
        """Mean negative log-likelihood of the answers in nats per token, under the served model."""
        scores = self.serve(self.stack).score([Prompt.user(q) for q in questions], answers)
        return -sum(score.per_token for score in scores) / len(scores)

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
            life=self.home.life(self.namespace),
        )

    def closed(self, episode: Episode) -> Episode | None:
        """The ledger's line of an episode that was closed before: a process killed then runs its last step again."""
        number = max(episode.seed - self.config.seed * 1_000_003, 0)  # of lines when it began
        since = self.home.episodes(self.namespace, skip=number)
        same = (episode.seed, episode.text, episode.thread)
        return next((e for e in since if (e.seed, e.text, e.thread) == same), None)

    def decide(self, episode: Episode, progress: Progress = silent) -> Episode:
        """Whether the text is worth learning: the model's own choice."""
        view = self.backend.with_stack(self.serve(episode.parent).active(Prompt.raw(episode.text)))
        is_document = bool(episode.source)
        head = self._fitted_head(progress) if decision.needs_head(episode.text, is_document=is_document) else None
        made = decision.decide(view, head, episode.text, episode.earlier, is_document=is_document)
        return replace(episode, decision=made)

    def _fitted_head(self, progress: Progress) -> Head:
        """The head that decides, loaded once; fitted first for a model without one."""
        if self._head is None:
            base = self.backend.with_stack(AdapterStack())
            self._head = decision_head.load(base, self.home.root / decision_head.HEADS_FOLDER, progress)
        return self._head

    def write(self, episode: Episode, progress: Progress = silent) -> Episode:
        """One attempt at a self-edit; a malformed one leaves its fault for the next attempt.

        The writer is the base model, or the policy in use with directives of its own choice: what was learned since
        must not colour what it writes.
        """
        attempt = episode.num_attempts
        base = self.backend.with_stack(AdapterStack())
        policy = PolicyStore(self.home, self.namespace, self.backend.model).current()
        directives = None if policy.adapter else self.config.directives
        source = Source(episode.topic, episode.text, episode.earlier, episode.fault, episode.heading)
        found = corrections.find(base, self._watched_near(episode), source)
        try:
            written = writing.write_self_edit(
                self.backend.with_stack(policy.stack),
                source,
                directives,
                is_document=bool(episode.source),
                seed=episode.seed + attempt * 7919,
                progress=progress,
            )
        except EditFault as error:
            log.info("attempt %d at a self-edit failed: %s", attempt + 1, error)
            if not found:
                return replace(episode, edit=None, fault=str(error), num_attempts=attempt + 1)
            # "No, Friday." says nothing by itself, but it answers what is watched.
            fitting = writing.fitting(base, self.config.directives or CLOZE)
            written = SelfEdit(source.topic, source.passage, (), (), fitting)
        edit = corrections.added(written, found)
        replaces = self._corrected_adapters(episode.parent, found)
        if replaces:
            earlier = [e.edit for e in self.accepted(replaces) if e.edit]
            edit = corrections.joined(edit, earlier, found, edit.directives.num_rows)
        written_down = replace(
            episode, edit=edit, corrections=found, replaces=replaces, fault="", num_attempts=attempt + 1
        )
        return self._allowed(written_down)

    def _allowed(self, episode: Episode) -> Episode:
        """The episode as the user's own rule lets it be learned, beside what is rehearsed and replayed."""
        try:
            allowed = self.config.before_learn(episode) if self.config.before_learn else episode
            edit = _edit(allowed)
            if not edit.rows:
                raise Refused("the rule left no row to train on")
        except Refused as error:
            log.info("not learned: %s", error)
            return replace(
                episode, edit=None, corrections=(), fault=f"refused: {error}", num_attempts=self.config.max_attempts
            )
        edit = self._with_replay(edit, episode.parent, episode.seed)
        kept = (episode.namespace, episode.parent, episode.seed)
        if (allowed.namespace, allowed.parent, allowed.seed) != kept:
            raise InputError("before_learn changed the namespace, the parent or the seed; change text and edit only")
        return replace(allowed, edit=edit)

    def _watched_near(self, episode: Episode) -> list[ReplayItem]:
        """The watched items of every split that lie nearest to the text: what it may correct."""
        about = [Probe(Prompt.user(episode.text), episode.topic)]
        splits: tuple[Split, ...] = ("gate", "repair", "report")
        return [i for split in splits for i in self.replay.items_of(split, episode.parent, NUM_CORRECTABLE, about)]

    def _corrected_adapters(self, stack: AdapterStack, found: Sequence[Correction]) -> tuple[str, ...]:
        """The routed adapters of `stack` that hold what `found` corrects: two about one thing would compete."""
        routed = {layer.ref.id for layer in stack.layers if layer.is_routed}
        holders = self.replay.adapters_of([correction.item for correction in found])
        return tuple(adapter for adapter in stack.ids if adapter in routed & holders)

    def accepted(self, adapters: Collection[str]) -> list[Episode]:
        """The episodes in which the adapters of those ids were accepted, oldest first."""
        episodes = self.home.episodes(self.namespace, ("accepted",))
        return [e for e in episodes if e.adapter and e.adapter.id in adapters]

    def _with_replay(self, edit: SelfEdit, stack: AdapterStack, seed: int) -> SelfEdit:
        """`edit` beside general questions, and beside rows of the edits that its adapter will always lie on."""
        num_rows = self.config.num_replayed(edit.directives, len(edit.rows))
        below = self.strategy.parent(stack).learned
        earlier = [e.edit for e in self.accepted(below) if e.edit] if below and num_rows else []
        rows = replayed_rows(earlier, round(edit.directives.replay * len(edit.rows)), seed)
        return with_rehearsal(replace(edit, rows=edit.rows + rows), num_rows, seed)

    def can_retry(self, episode: Episode) -> bool:
        """Whether another attempt at writing is left."""
        return episode.edit is None and episode.num_attempts < self.config.max_attempts

    def train(self, episode: Episode, progress: Progress = silent) -> Episode:
        """A candidate adapter on top of what the strategy says, and the stack as it would be served with it.

        An edit that cannot be trained, because its loss is not finite, say, leaves its fault and no adapter.
        """
        try:
            return self._trained(episode, progress)
        except TrainingFault as error:
            log.warning("the edit about %r cannot be trained: %s", episode.topic, error)
            return replace(episode, adapter=None, fault=str(error))

    def _trained(self, episode: Episode, progress: Progress) -> Episode:
        edit = _edit(episode)
        kept = AdapterStack(tuple(y for y in episode.parent.layers if y.ref.id not in episode.replaces))
        view = self.backend.with_stack(self.strategy.parent(kept))
        adapter = view.train(edit, seed=episode.seed, progress=progress)
        candidate = self.strategy.pushed(kept, adapter, edit.directives.weight)
        if episode.replaces:
            candidate = ladder.with_layer(candidate, adapter, stands_for=episode.replaces)
        return replace(episode, adapter=adapter, candidate=candidate)

    def probe(self, episode: Episode, progress: Progress = silent) -> Episode:
        """Gold answers scored before and after; called again on an undecided episode it draws more."""
        edit = _edit(episode)
        self.replay.seed_general()
        num_probes = self.config.num_probes
        if episode.probed:
            num_probes = min(2 * sum(p.probe.item is not None for p in episode.probed), self.config.max_probes)
        drawn: list[tuple[Probe, float | None]] = [(probe, None) for probe in edit.probes]
        drawn += self.replay.draw(edit.probes, episode.parent, num_probes, without=_corrected(episode))
        parent = self.serve(episode.parent, scores=self._scores)
        candidate = self.serve(episode.candidate, self._key(episode), scores=self._scores)
        probed = compared(drawn, parent, candidate, progress)
        return replace(episode, probed=probed, probed_on=episode.candidate_digest, verdict=None)

    def _key(self, episode: Episode) -> dict[str, str]:
        """What routes to the candidate: its topic and text, and what routed to the adapters it replaces."""
        known = self.home.route_keys(self.namespace)
        texts = [f"{episode.topic}\n{episode.text}", *(known.get(adapter, "") for adapter in episode.replaces)]
        return {_adapter(episode).id: "\n".join(texts).strip()}

    def judge(self, episode: Episode, progress: Progress = silent) -> Episode:
        """The verdict, a pure function of the scores; undecided only while there are probes left to draw.

        Raises `InputError` where the candidate is another than the one that was probed.
        """
        if episode.probed_on != episode.candidate_digest:
            raise InputError(
                f"the candidate of {episode.topic!r} is not the one that was probed; probe it before judging"
            )
        num_drawn = sum(p.probe.item is not None for p in episode.probed)
        budget = self.config.max_probes
        available = self.replay.num_items(episode.parent, without=_corrected(episode), at_most=budget)
        verdict = self.config.judge(episode.probed, self.config.limits, final=num_drawn >= available)
        return replace(episode, verdict=verdict)

    def can_amend(self, episode: Episode) -> bool:
        """Whether the edit forgets and something is left to try for it."""
        outcome = episode.verdict.outcome if episode.verdict else ""
        has_forgotten = outcome == "forgot" or (outcome == "rollback" and bool(episode.tried))
        return has_forgotten and self._next_rung(episode) is not None

    def _next_rung(self, episode: Episode) -> Rung | None:
        is_routed = any(y.is_routed for y in episode.candidate.layers if y.ref == episode.adapter)
        return ladder.next_rung(self._ladder, episode.tried, is_routed=is_routed)

    def amend(self, episode: Episode, progress: Progress = silent) -> Episode:
        """The next rung of the ladder for an edit that forgets; it is probed again afterwards."""
        rung = self._next_rung(episode)
        if rung is None:
            raise InputError("nothing is left to try for this edit; roll it back")
        log.info("the edit forgets: %s", rung.name)
        if rung.kind == ladder.REPAIR:
            episode = self._repaired(episode, progress)
        is_routed = rung.kind == ladder.ROUTE or any(y.is_routed for y in episode.candidate.layers[-1:])
        weight = _edit(episode).directives.weight * rung.weight
        candidate = ladder.with_layer(episode.candidate, _adapter(episode), weight=weight, is_routed=is_routed)
        return replace(episode, candidate=candidate, tried=(*episode.tried, rung.name), probed=(), verdict=None)

    def _repaired(self, episode: Episode, progress: Progress) -> Episode:
        """The edit trained again beside what it forgot, held to what the stack below it says on what is replayed.

        Trained on are questions of the repair split near to the forgotten ones; those that judge never are.
        """
        edit, limits = _edit(episode), self.config.limits
        fallen = [
            p.probe for p in episode.probed if p.probe.item is not None and retention.change(p) < -limits.max_drop
        ]
        near = self.replay.items_of("repair", episode.parent, len(edit.rows), about=fallen)
        rows = tuple(Row(item.probe.prompt, item.probe.answer, REPLAY) for item in near)
        directives = replace(edit.directives, kl_weight=max(edit.directives.kl_weight, REPAIR_KL_WEIGHT))
        repaired = replace(edit, rows=edit.rows + rows, directives=directives)
        try:
            trained = self._trained(replace(episode, edit=repaired), progress)
        except TrainingFault as error:
            log.warning("the repair of the edit about %r cannot be trained: %s", episode.topic, error)
            return episode
        if trained.adapter != episode.adapter:
            self.discard(_adapter(episode))
        return trained

    def accept(self, episode: Episode, progress: Progress = silent, *, ungated: bool = False) -> Episode:
        """Serve the candidate from the next turn on: stack, replay items and ledger in one transaction.

        Raises `InputError` unless a verdict accepts just this candidate; `ungated` serves it without one.
        """
        edit, adapter = _edit(episode), _adapter(episode)
        self._check_own(episode)
        if not ungated and not episode.is_accepted_by_verdict:
            raise InputError(_unjudged(episode))
        done = replace(episode, outcome="accepted")
        own = [p for p in episode.probed if p.probe.stratum == "edit"]
        vectors = self.replay.embed([p.probe for p in own])
        key = self._key(episode)
        try:
            with self.home.connect() as db:
                self.home.set_stack(
                    db,
                    self.namespace,
                    episode.candidate,
                    expected=episode.parent,
                    reason=f"accepted: {edit.topic}",
                )
                self.registry.verify(adapter)  # now, while nobody else can write and clean up
                self.home.set_route_keys(db, self.namespace, key)
                self.replay.insert(
                    db,
                    [p.probe for p in own],
                    vectors,
                    adapter=adapter.id,
                    best=[p.after.per_token for p in own],
                    source=edit.topic,
                )
                self.replay.record(db, episode.probed, kept=True, adapter=adapter.id)
                self.replay.supersede(db, [correction.item for correction in episode.corrections], adapter.id)
                self.home.append_episode(db, done)
        except StackChanged:
            self.discard(adapter)
            raise
        log.info("accepted %s: %s", adapter.short, edit.topic)
        return done

    def rollback(self, episode: Episode, progress: Progress = silent) -> Episode:
        """Discard the candidate; the stack was never changed."""
        adapter = _adapter(episode)
        self._check_own(episode)
        done = replace(episode, outcome="rolled back")
        self.discard(adapter)  # first: what is closed is never closed again
        with self.home.connect() as db:
            self.replay.record(db, episode.probed, kept=False, adapter="".join(episode.parent.ids[-1:]))
            self.home.append_episode(db, done)
        log.info("rolled back %s", adapter.short)
        return done

    def forget(
        self, *, edit: str = "", document: str = "", thread: str = "", user: str = "", progress: Progress = silent
    ) -> Forgotten:
        """Unlearn an edit, a document, a thread or this namespace, and check that the facts are gone (`unlearning`)."""
        return unlearning.forget(self, edit=edit, document=document, thread=thread, user=user, progress=progress)

    def let_go(self) -> None:
        """Drop what memory holds of texts that were removed from the home."""
        self._scores = ScoreCache()
        self.replay.reset_index()
        self._routers = Routers(self.config.routes)

    def discard(self, adapter: AdapterRef) -> None:
        """Delete an adapter that no stack ever held."""
        if adapter.id not in self._used_adapters():
            self.backend.unload(adapter)
            self.registry.discard(adapter)

    def ignore(self, episode: Episode, progress: Progress = silent) -> Episode:
        """Close an episode nothing was learned from: not worth it, no usable edit, declined or a dry run."""
        self._check_own(episode)
        done = episode
        if episode.outcome == "open" and episode.edit and self.config.dry_run:
            done = replace(episode, outcome="dry run")
        elif episode.outcome == "open":
            done = replace(episode, outcome="rejected" if episode.fault else "ignored")
        with self.home.connect() as db:
            self.home.append_episode(db, done, is_trial=self.config.dry_run)
        return done

    def give_up(self, passage: Passage, reason: str, *, thread: str = "") -> Episode:
        """Close a passage that is not tried any more: the ledger says why."""
        return self.ignore(replace(self.begin(passage, thread=thread), fault=f"given up: {reason}"))

    def _check_own(self, episode: Episode) -> None:
        if episode.namespace != self.namespace:
            log.warning("an episode of %r was refused to %r", episode.namespace, self.namespace)
            raise InputError("this episode is another namespace's; close it with the learner that it was begun with")

    def can_consolidate(self) -> bool:
        """Whether the strategy wants the stack made smaller now."""
        return bool(self.strategy.consolidation(self.stack))

    def consolidate(self, progress: Progress = silent, *, is_gated: bool = True) -> Episode | None:
        """One adapter in the place of the stack, where the strategy wants it; else None (`consolidation`)."""
        return consolidation.consolidate(self, progress, is_gated=is_gated)

    def undo(self, adapter_id: str) -> AdapterStack:
        """Take an accepted adapter (by the beginning of its id) off the stack; its folder stays on disk."""
        return self.home.undo(self.namespace, adapter_id)

    def _used_adapters(self) -> set[str]:
        return {i for version in self.home.all_versions() for i in version.stack.ids}


Verb = Callable[[Episode, Progress], Episode]


def _edit(episode: Episode) -> SelfEdit:
    if episode.edit is None:
        raise InputError("this episode has no self-edit yet; write one before training or probing")
    return episode.edit


def _adapter(episode: Episode) -> AdapterRef:
    if episode.adapter is None:
        raise InputError("this episode has no candidate adapter yet; train before probing or judging")
    return episode.adapter


def _unjudged(episode: Episode) -> str:
    """Why an episode must not be accepted, and what to do."""
    found = f"the verdict is {episode.verdict.outcome!r}" if episode.verdict else "there is no verdict"
    if episode.verdict and episode.verdict.outcome == "accept":
        found = "the verdict is about another candidate"
    return (
        f"the edit about {episode.topic!r} must not be served: {found}; "
        "probe and judge it first, or accept it with ungated=True"
    )


def _corrected(episode: Episode) -> set[int]:
    return {correction.item for correction in episode.corrections}
