"""The verbs of one learning episode: decide, write, train, probe, judge, accept, rollback.

Each takes an `Episode` and returns it one step further; the graphs call one verb per node and add nothing.
A candidate adapter is never served: `answer` uses the stack in the database, and only `accept` changes it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from seal_agent import corrections, decision, decision_head, retention, writing
from seal_agent.adapters.backend import Backend, silent
from seal_agent.adapters.registry import AdapterRegistry
from seal_agent.decision_head import Head
from seal_agent.directives import DEFAULT, checked
from seal_agent.errors import EditFault, InputError
from seal_agent.formats import Source
from seal_agent.home import Home, check_namespace
from seal_agent.passages import Passage, topic_of
from seal_agent.replay import ReplayStore, with_rehearsal
from seal_agent.retention import Limits
from seal_agent.types import (
    AdapterRef,
    AdapterStack,
    Directives,
    Episode,
    Message,
    Probe,
    Probed,
    Progress,
    Prompt,
    SelfEdit,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LearnerConfig:
    """How an agent learns.

    `directives`: how edits are written and trained; None leaves the choice to the model. `num_probes` replay
    probes are drawn first, up to `max_probes` when undecided. `rehearsal`: general questions trained beside an
    edit, as a share of its rows, but at least `min_rehearsal`.
    """

    directives: Directives | None = DEFAULT

    limits: Limits = field(default_factory=Limits)
    num_probes: int = 32
    max_probes: int = 128
    max_attempts: int = 2
    rehearsal: float = 0.25
    min_rehearsal: int = 24
    max_reply_tokens: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        if self.directives:
            checked(self.directives)
        if not 1 <= self.num_probes <= self.max_probes:
            raise InputError(f"num_probes={self.num_probes} must lie between 1 and max_probes={self.max_probes}")
        if not 0 <= self.rehearsal <= 2:
            raise InputError(f"rehearsal={self.rehearsal} is a share of an edit's rows; choose 0 to 2")
        if self.min_rehearsal < 0:
            raise InputError(f"min_rehearsal={self.min_rehearsal} is a number of questions; choose 0 or more")
        if self.max_attempts < 1 or self.max_reply_tokens < 1:
            raise InputError("max_attempts and max_reply_tokens must be at least 1")

    def num_rehearsed(self, num_rows: int) -> int:
        """How many general questions are trained beside an edit of so many rows."""
        return max(round(self.rehearsal * num_rows), self.min_rehearsal)


class Learner:
    """A model that learns within one namespace: its backend, its home on disk and its limits."""

    def __init__(
        self, backend: Backend, home: Home, namespace: str = "default", config: LearnerConfig | None = None
    ) -> None:
        self.home = home
        self.namespace = check_namespace(namespace)
        self.config = config or LearnerConfig()
        self.registry = AdapterRegistry(home.root / "adapters")
        self.replay = ReplayStore(home, namespace, backend)
        self._backend = backend
        self._head: Head | None = None

    @property
    def stack(self) -> AdapterStack:
        """The stack served now, read from the database: another process may have changed it."""
        return self.home.stack(self.namespace)

    def answer(self, conversations: Sequence[Sequence[Message]], *, max_new_tokens: int = 0) -> list[str]:
        """The served model's greedy reply to each conversation."""
        served = self._backend.with_stack(self.stack)
        prompts = [Prompt(tuple(messages)) for messages in conversations]
        replies = served.generate(prompts, max_new_tokens=max_new_tokens or self.config.max_reply_tokens)
        return [samples[0].strip() for samples in replies]

    def nll(self, questions: Sequence[str], answers: Sequence[str]) -> float:
        """Mean negative log-likelihood of the answers in nats per token, under the served model."""
        scores = self._backend.with_stack(self.stack).score([Prompt.user(q) for q in questions], answers)
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
            model=self._backend.model,
            seed=self.config.seed * 1_000_003 + number,
            thread=thread,
        )

    def decide(self, episode: Episode, progress: Progress = silent) -> Episode:
        """Whether the text is worth learning: the model's own choice."""
        view = self._backend.with_stack(episode.parent)
        if self._head is None:
            base = self._backend.with_stack(AdapterStack())
            self._head = decision_head.load(base, self.home.root / "heads", progress)
        return replace(episode, decision=decision.decide(view, self._head, episode.text, episode.earlier))

    def write(self, episode: Episode, progress: Progress = silent) -> Episode:
        """One attempt at a self-edit; a malformed one leaves its fault for the next attempt.

        The writer is the base model: what it has learned since must not colour what it writes.
        """
        attempt = episode.num_attempts
        base = self._backend.with_stack(AdapterStack())
        source = Source(episode.topic, episode.text, episode.earlier, episode.fault)
        found = corrections.find(base, self.replay.items(episode.parent), source)
        try:
            written = writing.write_self_edit(
                base, source, self.config.directives, seed=episode.seed + attempt * 7919, progress=progress
            )
        except EditFault as error:
            log.info("attempt %d at a self-edit failed: %s", attempt + 1, error)
            if not found:
                return replace(episode, edit=None, fault=str(error), num_attempts=attempt + 1)
            # "No, Friday." says nothing by itself, but it answers what is watched.
            written = SelfEdit(source.topic, source.passage, (), (), self.config.directives or DEFAULT)
        corrected = corrections.added(written, found)
        edit = with_rehearsal(corrected, self.config.num_rehearsed(len(corrected.rows)), episode.seed)
        return replace(episode, edit=edit, corrections=found, fault="", num_attempts=attempt + 1)

    def can_retry(self, episode: Episode) -> bool:
        """Whether another attempt at writing is left."""
        return episode.edit is None and episode.num_attempts < self.config.max_attempts

    def train(self, episode: Episode, progress: Progress = silent) -> Episode:
        """A candidate adapter on top of the episode's parent stack."""
        view = self._backend.with_stack(episode.parent)
        return replace(episode, adapter=view.train(_edit(episode), seed=episode.seed, progress=progress))

    def probe(self, episode: Episode, progress: Progress = silent) -> Episode:
        """Gold answers scored before and after; called again on an undecided episode it draws more."""
        edit = _edit(episode)
        self.replay.seed_general()
        num_probes = self.config.num_probes
        if episode.probed:
            num_probes = min(2 * sum(p.probe.item is not None for p in episode.probed), self.config.max_probes)
        corrected = {correction.item for correction in episode.corrections}
        drawn: list[tuple[Probe, float | None]] = [(probe, None) for probe in edit.probes]
        drawn += self.replay.draw(edit.probes, episode.parent, num_probes, without=corrected)
        probes = [probe for probe, _ in drawn]
        prompts, answers = [p.prompt for p in probes], [p.answer for p in probes]
        before = self._backend.with_stack(episode.parent).score(prompts, answers, progress=progress)
        after = self._backend.with_stack(_candidate(episode)).score(prompts, answers, progress=progress)
        probed = tuple(Probed(probe, b, a, best) for (probe, best), b, a in zip(drawn, before, after, strict=True))
        return replace(episode, probed=probed)

    def judge(self, episode: Episode, progress: Progress = silent) -> Episode:
        """The verdict, a pure function of the scores; undecided only while there are probes left to draw."""
        num_drawn = sum(p.probe.item is not None for p in episode.probed)
        corrected = {correction.item for correction in episode.corrections}
        num_items = len([item for item in self.replay.items(episode.parent) if item.id not in corrected])
        available = min(num_items, self.config.max_probes)
        verdict = retention.judge(episode.probed, self.config.limits, final=num_drawn >= available)
        return replace(episode, verdict=verdict)

    def accept(self, episode: Episode, progress: Progress = silent) -> Episode:
        """Serve the candidate from the next turn on: stack, replay items and ledger in one transaction."""
        edit, adapter = _edit(episode), _adapter(episode)
        self.registry.verify(adapter)
        done = replace(episode, outcome="accepted")
        own = [p for p in episode.probed if p.probe.stratum == "edit"]
        vectors = self.replay.embed([p.probe for p in own])
        with self.home.connect() as db:
            self.home.set_stack(
                db,
                self.namespace,
                _candidate(episode),
                expected=episode.parent,
                reason=f"accepted: {edit.topic}",
            )
            self.replay.insert(
                db, [p.probe for p in own], vectors, adapter=adapter.id, best=[p.after.per_token for p in own]
            )
            self.replay.record(db, episode.probed, kept=True)
            self.replay.supersede(db, [correction.item for correction in episode.corrections], adapter.id)
            self.home.append_episode(db, done)
        log.info("accepted %s: %s", adapter.short, edit.topic)
        return done

    def rollback(self, episode: Episode, progress: Progress = silent) -> Episode:
        """Discard the candidate; the stack was never changed."""
        adapter = _adapter(episode)
        done = replace(episode, outcome="rolled back")
        with self.home.connect() as db:
            self.replay.record(db, episode.probed, kept=False)
            self.home.append_episode(db, done)
        if adapter.id not in self._used_adapters():
            self._backend.unload(adapter)
            self.registry.discard(adapter)
        log.info("rolled back %s", adapter.short)
        return done

    def ignore(self, episode: Episode, progress: Progress = silent) -> Episode:
        """Close an episode nothing was learned from: not worth it, or no usable edit."""
        done = replace(episode, outcome="rejected" if episode.fault else "ignored")
        with self.home.connect() as db:
            self.home.append_episode(db, done)
        return done

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


def _candidate(episode: Episode) -> AdapterStack:
    """The stack with the candidate on top, as it would be served."""
    return episode.parent.push(_adapter(episode), _edit(episode).directives.weight)
