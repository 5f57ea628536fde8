"""Episodes: the record of one text, from the decision to the verdict."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from pydantic import BeforeValidator

from seal_agent.core.codec import UNLESS_EMPTY
from seal_agent.core.edits import Probe, SelfEdit
from seal_agent.core.renames import formerly, takes_former_names
from seal_agent.core.stacks import AdapterRef, AdapterStack


def _today(outcome: object) -> object:
    former = {"rollback": "reject", "rolled back": "rejected"}  # the values stored before schema 9
    return former.get(outcome, outcome) if isinstance(outcome, str) else outcome


VerdictOutcome = Annotated[Literal["accept", "forgot", "undecided", "reject"], BeforeValidator(_today)]
EpisodeOutcome = Annotated[
    Literal["open", "ignored", "rejected", "accepted", "declined", "dry run", "forgotten"], BeforeValidator(_today)
]
Progress = Callable[[str, int, int], None]
"""Called with (what, done, total) during long work."""


@dataclass(frozen=True)
class Score:
    """The teacher-forced log-probability of one answer: sum in nats, over `num_tokens` tokens."""

    logprob: float
    num_tokens: int

    @property
    def per_token(self) -> float:
        """Nats per token; higher is more likely."""
        return self.logprob / max(self.num_tokens, 1)


@dataclass(frozen=True)
class Novelty:
    """How surprising a text is to the model: nats in all and nats per token."""

    nats: float
    num_tokens: int

    @property
    def per_token(self) -> float:
        """Mean surprise in nats per token."""
        return self.nats / max(self.num_tokens, 1)


ASKS_TO_FORGET = "asks to forget something"
"""The reason of a `Decision` about a message that asks to forget something that was learned."""
ASKS_TO_UNDO = "asks to undo what was learned last"
"""The reason of a `Decision` about a message that takes back what was learned last in its thread."""
ASKS_ABOUT_MEMORY = "asks about what was learned"
"""The reason of a `Decision` about a message that asks what was learned, or what a reply used."""


@dataclass(frozen=True)
class Decision:
    """Whether a text is to be learned; `margin` is the classifier's score minus its threshold."""

    learn: bool
    reason: str
    margin: float
    novelty: Novelty
    topic: str = ""


@dataclass(frozen=True)
class Correction:
    """A replay item whose answer is no longer true; the edit that corrects it also removes it from the replay set.

    `said`: the sentence that was the stored answer, with `new` in it; "" if the answer was a phrase.
    """

    item: int
    question: str
    old: str
    new: str
    said: str = ""


@dataclass(frozen=True)
class Probed:
    """One probe with its score before and after; `best` is the item's best score ever, nats per token."""

    probe: Probe
    before: Score
    after: Score
    best: float | None = None


@dataclass(frozen=True)
class Verdict:
    """The judge's outcome for an edit, and the figures behind it.

    `gain` is the mean change on the edit's own probes, `change` the mean change on the replay probes with
    its one-sided 95% limits `low` and `high`. All are in nats per token; positive is better.
    """

    outcome: VerdictOutcome
    reason: str
    gain: float
    change: float = 0.0
    low: float = 0.0
    high: float = 0.0
    num_probes: int = 0
    num_lost: int = 0
    by_stratum: Mapping[str, float] = field(default_factory=dict)


@takes_former_names(life="namespace_generation")
@dataclass(frozen=True)
class Episode:
    """The record of one text; closed, it is a line of the ledger.

    What it is about: `namespace`, `text`, `topic`, `earlier` (the conversation before a message that cannot be
    understood alone), `source` (the document of the text), `heading` (title and section headings of the text), `thread`
    (the conversation's id), `said_on` (the day of the message, ISO 8601), `about` (for a request to forget or undo, the
    id of the adapter that the reply named), `model` and `seed`. `id` is random and unique.
    `namespace_generation` is the namespace's generation id when the episode began; it changes when the user is erased
    (empty: any).

    Results of the steps: `decision`; `changes`, the served adapters whose facts the text corrects or ends; `edit`;
    `corrections` of stored answers; `supersedes`, the adapters whose rows the edit takes over; `num_attempts` at
    writing and the `fault` of the last one; `parent`, the stack at the beginning; `adapter`, the trained one;
    `candidate`, the stack as it would be served; `remedies_tried`, for an edit that forgets; `probed`, scores before
    and after, of the candidate whose checksum is `probed_on` (`candidate_digest`): a `verdict` holds for that candidate
    only; `seconds` of each step.

    The end: `outcome` is "open" until it is "ignored" (not worth learning), "rejected" (the model could not write a
    usable edit, or the candidate may not be served: `adapter` is given then), "accepted", "declined" (a person
    refused), "dry run" (no training was asked for), or "forgotten" (unlearned later).
    """

    namespace: str
    text: str
    topic: str = ""
    earlier: str = ""
    decision: Decision | None = None
    edit: SelfEdit | None = None
    corrections: tuple[Correction, ...] = ()
    adapter: AdapterRef | None = None
    parent: AdapterStack = AdapterStack()
    candidate: AdapterStack = AdapterStack()
    supersedes: Annotated[tuple[str, ...], formerly("supersedes", "replaces")] = ()
    remedies_tried: Annotated[tuple[str, ...], formerly("remedies_tried", "tried")] = ()
    probed: tuple[Probed, ...] = ()
    probed_on: str = ""
    verdict: Verdict | None = None
    outcome: EpisodeOutcome = "open"
    fault: str = ""
    num_attempts: int = 0
    model: str = ""
    seed: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    thread: str = ""
    source: str = ""
    heading: str = ""
    namespace_generation: Annotated[str, formerly("namespace_generation", "life")] = ""
    id: Annotated[str, UNLESS_EMPTY] = ""
    said_on: Annotated[str, UNLESS_EMPTY] = ""
    changes: Annotated[tuple[str, ...], UNLESS_EMPTY] = ()
    about: Annotated[str, UNLESS_EMPTY] = ""

    @property
    def reason(self) -> str:
        """The reason for the outcome in one line: the verdict's, else the fault, else the decision's."""
        if self.verdict:
            return self.verdict.reason
        return self.fault or (self.decision.reason if self.decision else "")

    @property
    def candidate_digest(self) -> str:
        """A checksum of what would be served: the adapter, the candidate stack, and the text that routes to it."""
        entries = [
            [(y.ref.id, y.weight, y.is_routed, y.consolidates) for y in stack.entries]
            for stack in (self.parent, self.candidate)
        ]
        adapter = self.adapter.id if self.adapter else ""
        facts = (self.namespace, adapter, entries, self.topic, self.text, self.supersedes)
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    @property
    def is_accepted_by_verdict(self) -> bool:
        """Whether a verdict accepts exactly this candidate."""
        is_judged = bool(self.probed_on) and self.probed_on == self.candidate_digest
        return is_judged and self.verdict is not None and self.verdict.outcome == "accept"

    def timed(self, step: str, seconds: float) -> Episode:
        """This episode with the duration of one step added."""
        total = round(self.seconds.get(step, 0.0) + seconds, 3)
        return replace(self, seconds={**self.seconds, step: total})
