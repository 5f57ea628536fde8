"""Self-edits: training rows, probes and directives."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from seal_agent.core.codec import UNLESS_EMPTY
from seal_agent.core.errors import InputError
from seal_agent.core.facts import RECALLED
from seal_agent.core.messages import Message, Prompt
from seal_agent.core.numbers import check_number, check_whole
from seal_agent.core.renames import formerly, takes_former_names

MESSAGE_QA = "message-qa"
"""The source of rows about a chat message (`seal_agent.writing.formats.message_qa`)."""
Stratum = Literal["edit", "near", "fragile", "coverage", "general"]


@dataclass(frozen=True)
class Row:
    """One training example: the loss falls on `answer` (and on the prompt, if the directives say so).

    `source` is the format or the augmentation that made it, `evidence` the text of the document it rests on.
    """

    prompt: Prompt
    answer: str
    source: str = "chat-qa"
    evidence: str = ""

    @property
    def question(self) -> str:
        """The last message of the prompt; empty for a row of plain text."""
        return self.prompt.messages[-1].content if self.prompt.messages else ""

    def in_view(self, topic: str) -> Prompt | None:
        """The prompt with `topic` and evidence before its last message; None without a message or without evidence.

        The evidence of a row of `MESSAGE_QA` is a statement (`Fact.statement`); it is shown as recalled facts are.
        """
        if not self.prompt.messages or not self.evidence:
            return None
        if self.source == MESSAGE_QA:
            told = Message("system", RECALLED.format(facts=self.evidence))
            return replace(self.prompt, messages=(told, *self.prompt.messages))
        return self.prompt.after(f"{topic}\n{self.evidence}")


@dataclass(frozen=True)
class Dropped:
    """A text that the model wrote and that is not trained on, with the reason."""

    text: str
    source: str
    reason: str


@dataclass(frozen=True)
class Probe:
    """A question with a gold answer whose log-probability is measured before and after an edit.

    `item` is the id of its replay item; None for a probe that belongs to the edit itself.
    `document` groups probes that are not independent of each other (clusters of the bootstrap).
    """

    prompt: Prompt
    answer: str
    stratum: Stratum = "edit"
    document: str = ""
    item: int | None = None


@takes_former_names(replay="rehearsal_share", tools="augmentations")
@dataclass(frozen=True)
class Directives:
    """How an edit is written and trained; a value outside its range raises `InputError`.

    `formats` and `augmentations` make at most `num_rows` rows. Training ends after `num_epochs`, but not before
    `min_steps` and not after `max_steps`. It also ends when the mean of the rows' losses, each as measured last, is at
    most `stop_loss` (nats per token; 0: never). `weight` is the λ of the served adapter. `learning_rate`: Adam's peak
    rate; 0: the model's own (`Backend.learning_rate`). `top_layers`: the share of the model's layers, from the top,
    that is trained. `rehearsal_share`: rows of earlier edits and general questions trained beside the edit, as a share
    of its rows; on them `kl_weight` times the KL divergence (nats) from the model's earlier prediction is added to the
    loss. `distill`: for questions about the text, the share of the loss that is the KL divergence (nats) from the
    model's prediction with the row's evidence in view, not the NLL: context distillation (Snell et al., arXiv
    2209.15189), for capable models.
    """

    formats: tuple[str, ...] = ("cloze",)
    augmentations: Annotated[tuple[str, ...], formerly("augmentations", "tools")] = ()
    num_rows: int = 128
    num_epochs: int = 2
    min_steps: int = 48
    max_steps: int = 96
    batch_size: int = 2
    learning_rate: float = 0.0
    num_warmup_steps: int = 3
    max_grad_norm: float = 1.0
    stop_loss: float = 0.03
    rank: int = 16
    alpha: int = 32
    layers: Literal["all-linear", "q_proj,v_proj"] = "all-linear"
    top_layers: float = 0.5
    loss_on: Literal["answers", "all"] = "answers"
    weight: float = 1.0
    rehearsal_share: Annotated[float, formerly("rehearsal_share", "replay")] = 0.25
    kl_weight: float = 0.0
    distill: Annotated[float, UNLESS_EMPTY] = 0.0

    def __post_init__(self) -> None:
        limits: tuple[tuple[str, float, float], ...] = (
            ("num_rows", 2, 10_000),
            ("num_epochs", 1, 1_000),
            ("min_steps", 1, 100_000),
            ("max_steps", 1, 100_000),
            ("batch_size", 1, 256),
            ("num_warmup_steps", 0, 1_000),
            ("max_grad_norm", 1e-3, 1e3),
            ("stop_loss", 0.0, 10.0),
            ("rank", 1, 512),
            ("alpha", 1, 1024),
            ("top_layers", 0.01, 1.0),
            ("weight", 0.05, 2.0),
            ("rehearsal_share", 0.0, 2.0),
            ("kl_weight", 0.0, 100.0),
            ("distill", 0.0, 1.0),
        )
        if self.learning_rate != 0:  # 0: what fits the model
            limits += (("learning_rate", 1e-6, 1e-1),)
        for name, low, high in limits:
            value = getattr(self, name)
            if type(low) is int:
                check_whole(f"directive {name}", value, low, int(high))
            else:
                check_number(f"directive {name}", value, low, high)
        if not self.formats and not self.augmentations:
            raise InputError("directives name no format and no augmentation; nothing would make a training row")

    def num_steps(self, num_rows: int) -> int:
        """The number of optimiser steps for `num_rows` training rows."""
        wanted = math.ceil(self.num_epochs * num_rows / self.batch_size)
        return min(max(wanted, self.min_steps), self.max_steps)


@dataclass(frozen=True)
class SelfEdit:
    """What the model wrote in order to learn a text: training rows, directives, and probes held out from training.

    `writer`: who wrote rows in the model's place (`LearnerConfig.writer`); "" if the model wrote them, or rules.
    """

    topic: str
    passage: str
    rows: tuple[Row, ...]
    probes: tuple[Probe, ...]
    directives: Directives = Directives()
    dropped: tuple[Dropped, ...] = ()
    writer: Annotated[str, UNLESS_EMPTY] = ""

    @property
    def document(self) -> str:
        """A stable id of the passage; it names the cluster of the edit's probes."""
        return hashlib.sha256(self.passage.encode()).hexdigest()[:16]

    @property
    def answers(self) -> tuple[str, ...]:
        """The statements about a chat message that its rows answer with, each once."""
        return tuple(dict.fromkeys(row.answer for row in self.rows if row.source == MESSAGE_QA))


GENERAL_ROWS = "rehearsal"
"""Source of a row with a question of general knowledge."""
EARLIER_ROWS = "replay"
"""Source of a row of an earlier edit, or of a stored question."""
REPLAYED = (GENERAL_ROWS, EARLIER_ROWS)
"""Sources of rows about what the model knew before; these rows are no part of the edit itself."""
