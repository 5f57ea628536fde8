"""Every setting of a `Learner`; invalid values raise when the config is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, get_args

from seal_agent.core.documents import MAX_PASSAGES
from seal_agent.core.edits import Directives
from seal_agent.core.episodes import Decision, Episode
from seal_agent.core.errors import InputError
from seal_agent.core.facts import Recall, WhenUnknown
from seal_agent.core.numbers import check_whole
from seal_agent.core.renames import takes_former_names
from seal_agent.learning import remedies, strategies
from seal_agent.learning.strategies import Strategy
from seal_agent.retention import judge as retention
from seal_agent.retention.judge import Judge, Limits
from seal_agent.serving.router import RouteLimits
from seal_agent.writing.chat_writer import ChatModel
from seal_agent.writing.directives import DEFAULT, checked
from seal_agent.writing.formats import FORMATS

MAX_RUN_SEED = 2**31 - 1
"""Upper limit of `LearnerConfig.seed`; the seeds of episodes are derived from it and must fit into 63 bits."""


@takes_former_names(ladder="remedies", min_replay="min_rehearsal_rows")
@dataclass(frozen=True)
class LearnerConfig:
    """The settings of a learner.

    `directives`: how edits are written and trained; None lets the model choose. `strategy`: how the stack grows
    ("route", "stack", "merge", "rebuild" or an own one); `routes`: when a routed adapter is active. `judge`: the
    function that decides within `limits` which edits forget; `remedies`: what is tried for those. `num_probes`: replay
    probes drawn first, more up to `max_probes` while the verdict is undecided. `max_rank`: of a stack folded into one
    adapter. `min_rehearsal_rows`: the least number of general questions trained beside an edit, unless its directives
    want none. `max_passages`: of one document; a longer one is refused. `approval`: a person sees the rows before
    training and accepts or declines. `dry_run`: all steps but training; the outcome says what would be learned.
    `writer`: a LangChain chat model that writes the rows in the model's place; texts, without secrets, are sent to it.
    `decide`: the user's own last word on whether a text is learned; it receives the open episode and the decision made,
    and returns that decision or another.
    `before_learn`: the user's own rule; it receives every written edit before training and returns the episode to
    learn, for example with fewer rows, or raises `Refused` with a reason (`examples/pii_filter.py`).
    `recall`: where a reply gets what was learned from: "weights" (adapters), "text" (their texts in the prompt, nothing
    is trained) or "both" (a text whose edit cannot be learned is still recalled). `when_unknown`: "say so" has the
    model say that it was not told what a message asks, instead of guessing, if the model can tell such messages.
    `max_attempts`: how often an edit without usable rows is written. `max_reply_tokens`: of a reply, unless a call says
    otherwise. `seed`: of all random draws.
    """

    directives: Directives | None = DEFAULT
    strategy: str | Strategy = "route"
    routes: RouteLimits = field(default_factory=RouteLimits)
    remedies: tuple[str, ...] = ("scale 0.7", "scale 0.5", "repair", "route")
    limits: Limits = field(default_factory=Limits)
    judge: Judge = retention.judge
    num_probes: int = 32
    max_probes: int = 128
    max_attempts: int = 2
    min_rehearsal_rows: int = 8
    max_rank: int = 256
    max_reply_tokens: int = 128
    recall: Recall = "weights"
    when_unknown: WhenUnknown = "answer"
    writer: ChatModel | None = field(default=None, repr=False)
    decide: Callable[[Episode, Decision], Decision] | None = None
    before_learn: Callable[[Episode], Episode] | None = None
    seed: int = 0
    max_passages: int = MAX_PASSAGES
    approval: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.directives is not None and not isinstance(self.directives, Directives):
            raise InputError(f"directives={self.directives!r} is not a Directives; give one, or None")
        if self.directives:
            checked(self.directives)
        if isinstance(self.strategy, str):
            strategies.strategy(self.strategy)
        self._check_recall()
        self._check_writer()
        remedies.parse_remedies(self.remedies)
        for name in ("num_probes", "max_probes", "max_attempts", "max_reply_tokens", "max_rank", "max_passages"):
            check_whole(name, getattr(self, name), 1)
        check_whole("min_rehearsal_rows", self.min_rehearsal_rows, 0)
        check_whole("seed", self.seed, 0, MAX_RUN_SEED)
        if self.num_probes > self.max_probes:
            raise InputError(f"num_probes={self.num_probes} must be between 1 and max_probes={self.max_probes}")

    def _check_recall(self) -> None:
        if self.recall not in get_args(Recall):
            known = ", ".join(map(repr, get_args(Recall)))
            raise InputError(f"recall={self.recall!r} is unknown; choose {known}")
        if self.when_unknown not in get_args(WhenUnknown):
            known = ", ".join(map(repr, get_args(WhenUnknown)))
            raise InputError(f"when_unknown={self.when_unknown!r} does not exist; choose {known}")
        if self.recall != "weights" and self.strategy != "route":
            raise InputError(f"recall={self.recall!r} recalls routed texts; leave strategy at 'route'")
        if self.recall == "text" and self.approval:
            raise InputError("recall='text' trains nothing that could be approved; leave approval=False")

    def _check_writer(self) -> None:
        if self.writer is None:
            return
        if isinstance(self.writer, type) or not isinstance(self.writer, ChatModel):
            raise InputError(
                f"writer={self.writer!r} is no chat model; give a LangChain chat model, such as "
                'ChatSeal("model@v0") or init_chat_model("provider:model")'
            )
        if self.directives is None:
            raise InputError("directives=None lets the model choose how edits are written; with a writer, give some")
        if held := [name for name in self.directives.formats if FORMATS[name].needs_grammar]:
            raise InputError(f"a writer cannot write the format {held[0]!r}, which needs a grammar; leave it out")

    def num_rehearsed(self, directives: Directives, num_rows: int) -> int:
        """The number of general questions trained beside an edit of `num_rows` rows."""
        return (
            max(round(directives.rehearsal_share * num_rows), self.min_rehearsal_rows)
            if directives.rehearsal_share
            else 0
        )


def check_config(config: Any) -> None:
    """Raise `InputError` unless `config` is a `LearnerConfig` or None (the default)."""
    if config is not None and not isinstance(config, LearnerConfig):
        raise InputError(f"config={config!r} is not a LearnerConfig; give LearnerConfig(approval=True), say, or None")
