"""The nouns of the domain: frozen values that cross the boundaries between rooms.

Nothing here loads a model, reads a clock or touches a disk. `to_json` and `from_json` are the only way
in and out of dictionaries.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from seal_agent.errors import InputError
from seal_agent.numbers import check_number, check_whole

T = TypeVar("T")
Role = Literal["system", "user", "assistant", "tool"]
Ending = Literal["", "stop", "length"]
Outcome = Literal["accept", "forgot", "undecided", "rollback"]
Stratum = Literal["edit", "near", "fragile", "coverage", "general"]
Progress = Callable[[str, int, int], None]
"""Called with (what, done, total) while something long is running."""


_UNLESS_EMPTY = Field(exclude_if=lambda value: not value)
"""Left out of JSON where it is empty: what is found by its JSON, as replay items and results are, is found as ever."""


HOLDS_JSON = "holds_json"
"""In the metadata of a field whose text is JSON."""


@dataclass(frozen=True)
class ToolSpec:
    """A tool the model may call; `parameters` is its JSON schema, as text."""

    name: str
    description: str = ""
    parameters: str = field(default='{"type": "object", "properties": {}}', metadata={HOLDS_JSON: True})


@dataclass(frozen=True)
class ToolCall:
    """A call the model makes; `arguments` is a JSON object, as text."""

    name: str
    arguments: str = field(default="{}", metadata={HOLDS_JSON: True})
    id: str = ""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation.

    `tool_calls` are an assistant's; a tool's message holds what the call `call_id` came to.
    """

    role: Role
    content: str
    tool_calls: Annotated[tuple[ToolCall, ...], _UNLESS_EMPTY] = ()
    call_id: Annotated[str, _UNLESS_EMPTY] = ""


@dataclass(frozen=True)
class Prompt:
    """What the model sees before it continues.

    With `messages` the chat template is applied, `tools` are offered and `text` is how the assistant's turn already
    begins. Without messages `text` is given to the model raw.
    """

    messages: tuple[Message, ...] = ()
    text: str = ""
    tools: Annotated[tuple[ToolSpec, ...], _UNLESS_EMPTY] = ()

    @staticmethod
    def user(content: str) -> Prompt:
        """A conversation of one user message."""
        return Prompt((Message("user", content),))

    @staticmethod
    def raw(text: str) -> Prompt:
        """Text that is continued without a chat template."""
        return Prompt((), text)

    @property
    def is_chat(self) -> bool:
        """Whether the chat template applies."""
        return bool(self.messages)

    @property
    def asked(self) -> str:
        """What the last message says; of a prompt without messages its text."""
        return self.messages[-1].content if self.messages else self.text

    def after(self, text: str) -> Prompt:
        """This prompt, which has messages, with `text` before what the last one says."""
        *before, asked = self.messages
        return replace(self, messages=(*before, replace(asked, content=f"{text}\n\n{asked.content}")))


class Generated(str):
    """Text a model generated, or a piece of it, and what only the model can say about it.

    `num_tokens`: how many tokens it took, with the last one that ended it. `ending`: "stop" where it came to an end
    by itself or at a stop text, "length" where `max_new_tokens` cut it off, "" for a piece after which more comes.
    """

    num_tokens: int
    ending: Ending

    def __new__(cls, text: str = "", num_tokens: int = 0, ending: Ending = "") -> Generated:
        """The text with those facts."""
        generated = super().__new__(cls, text)
        generated.num_tokens = num_tokens
        generated.ending = ending
        return generated


@dataclass(frozen=True)
class Grammar:
    """What a continuation must look like, in llguidance's dialect of Lark.

    Source: https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md
    """

    lark: str

    @staticmethod
    def json(schema: Mapping[str, Any]) -> Grammar:
        """JSON that fits a JSON schema, on one line."""
        return Grammar(f"start: %json {json.dumps({**schema, 'x-guidance': {'whitespace_flexible': False}})}\n")

    @staticmethod
    def one_of(options: Sequence[tuple[str, Mapping[str, Any]]]) -> Grammar:
        """One of those texts, followed by JSON that fits its schema, on one line and with a blank after : and ,."""
        spaced = {"whitespace_flexible": False, "key_separator": ": ", "item_separator": ", "}
        ways = (f"{json.dumps(text)} %json {json.dumps({**schema, 'x-guidance': spaced})}" for text, schema in options)
        return Grammar(f"start: {' | '.join(ways)}\n")


@dataclass(frozen=True)
class Row:
    """One training example: the loss falls on `answer` (and on the prompt, if the directives say so).

    `source` is the format or tool that made it, `evidence` the text of the document it rests on.
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
        """The prompt with `topic` and the evidence before its last message; None without a message or evidence."""
        if not self.prompt.messages or not self.evidence:
            return None
        return self.prompt.after(f"{topic}\n{self.evidence}")


@dataclass(frozen=True)
class Dropped:
    """Something the model wrote that is not trained on, and why."""

    text: str
    source: str
    reason: str


@dataclass(frozen=True)
class Probe:
    """A question with a gold answer whose log-probability is watched.

    `item` is the id of the replay item it comes from; None for the probes an edit brings with it.
    `document` clusters probes that are not independent of each other.
    """

    prompt: Prompt
    answer: str
    stratum: Stratum = "edit"
    document: str = ""
    item: int | None = None


@dataclass(frozen=True)
class Directives:
    """How an edit is written and trained; a value outside its range raises `InputError`.

    `formats` and `tools` name what makes the rows, at most `num_rows` of them. Training ends after `num_epochs`, but
    not before `min_steps` and not after `max_steps`; and once the rows are learned: their mean loss, each as it was
    seen last, is at most `stop_loss` (nats per token; 0: never). `weight` is the λ with which the adapter is served.
    `learning_rate`: of Adam, at its peak; 0: what fits the model (`Backend.learning_rate`). `top_layers`: the share of
    the model's layers, from the top, that gets an update.
    `replay`: rows of earlier edits and general questions trained beside the edit, as a share of its rows; on those
    `kl_weight` times the divergence from what the model said before (nats) is added to the loss. `distill`: the share
    of the loss on questions about the text that is not the answer's likelihood but the divergence (nats) from what the
    model says with a row's evidence in view: context distillation (Snell et al., arXiv 2209.15189), for models that
    read well.
    """

    formats: tuple[str, ...] = ("cloze",)
    tools: tuple[str, ...] = ()
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
    replay: float = 0.25
    kl_weight: float = 0.0
    distill: Annotated[float, _UNLESS_EMPTY] = 0.0

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
            ("replay", 0.0, 2.0),
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
        if not self.formats and not self.tools:
            raise InputError("directives name no format and no tool; nothing would make a training row")

    def num_steps(self, num_rows: int) -> int:
        """The optimiser steps that training on so many rows takes."""
        wanted = math.ceil(self.num_epochs * num_rows / self.batch_size)
        return min(max(wanted, self.min_steps), self.max_steps)


@dataclass(frozen=True)
class SelfEdit:
    """What the model wrote to learn from: training rows, directives, and probes held back from training."""

    topic: str
    passage: str
    rows: tuple[Row, ...]
    probes: tuple[Probe, ...]
    directives: Directives = Directives()
    dropped: tuple[Dropped, ...] = ()

    @property
    def document(self) -> str:
        """A stable id of the passage, the cluster its probes belong to."""
        return hashlib.sha256(self.passage.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class AdapterRef:
    """An immutable adapter on disk; `id` is the SHA-256 of its content (64 hex digits)."""

    id: str
    path: str
    model: str
    rank: int

    @property
    def short(self) -> str:
        """The first 12 digits, for people."""
        return self.id[:12]


@dataclass(frozen=True)
class Layer:
    """One adapter of a stack with its weight λ.

    A routed one is active only for what its key matches. A consolidated one `stands_for` the adapters it was made of.
    """

    ref: AdapterRef
    weight: float = 1.0
    is_routed: bool = False
    stands_for: tuple[str, ...] = ()


@dataclass(frozen=True)
class AdapterStack:
    """The ordered adapters of a model: a value, not a service. Those not routed are active together."""

    layers: tuple[Layer, ...] = ()

    def push(self, ref: AdapterRef, weight: float = 1.0, *, is_routed: bool = False) -> AdapterStack:
        """This stack with one more adapter on top."""
        return AdapterStack((*self.layers, Layer(ref, weight, is_routed)))

    def without(self, adapter_id: str) -> AdapterStack:
        """This stack without the adapter of that id."""
        return AdapterStack(tuple(layer for layer in self.layers if layer.ref.id != adapter_id))

    @property
    def ids(self) -> tuple[str, ...]:
        """The adapters' ids from the bottom up."""
        return tuple(layer.ref.id for layer in self.layers)

    @property
    def learned(self) -> tuple[str, ...]:
        """The ids of the adapters whose edits it holds: its own, and those its layers stand for."""
        return tuple(i for layer in self.layers for i in (layer.ref.id, *layer.stands_for))

    def __len__(self) -> int:
        return len(self.layers)


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
    """How surprised the model is by a text: total nats and nats per token."""

    nats: float
    num_tokens: int

    @property
    def per_token(self) -> float:
        """Mean surprise in nats per token."""
        return self.nats / max(self.num_tokens, 1)


@dataclass(frozen=True)
class Decision:
    """Whether a text is to be learned: the model's own choice with its log-odds, and the novelty beside it."""

    learn: bool
    reason: str
    margin: float
    novelty: Novelty
    topic: str = ""


@dataclass(frozen=True)
class Correction:
    """A watched question whose answer is no longer true: it leaves the replay set with the edit that says so.

    `said`: the sentence that was the watched answer, with `new` in it; "" where the answer was a phrase.
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
    """What became of an edit, and the figures it rests on.

    `gain` is the mean change on the edit's own probes, `change` the mean change on the replay probes with
    its one-sided 95% limits `low` and `high`: all in nats per token, positive is better.
    """

    outcome: Outcome
    reason: str
    gain: float
    change: float = 0.0
    low: float = 0.0
    high: float = 0.0
    num_probes: int = 0
    num_lost: int = 0
    by_stratum: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Episode:
    """One line of the ledger: everything that happened to one text, so far.

    `earlier` is what was said before the text, for a message that means nothing without it. `parent` is the
    stack it began with, `candidate` the stack as it would be served, `replaces` the adapters whose rows the edit
    has taken over, `tried` the rungs of the ladder that were climbed to save an edit that forgets. `probed_on` says
    what the scores in `probed` are of (`candidate_digest`): a verdict holds for that candidate and no other. `outcome`
    is "open" until it is "ignored" (not worth learning), "rejected" (the model could not write a usable edit),
    "accepted" or "rolled back"; "declined" if a person said no, "dry run" if nothing was to be trained, and
    "forgotten" once it was unlearned. `source` names the document the text comes from, `heading` what stands above
    the text there, `life` tells the namespace from
    one of the same name that was erased before (empty: any).
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
    replaces: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()
    probed: tuple[Probed, ...] = ()
    probed_on: str = ""
    verdict: Verdict | None = None
    outcome: Literal["open", "ignored", "rejected", "accepted", "rolled back", "declined", "dry run", "forgotten"] = (
        "open"
    )
    fault: str = ""
    num_attempts: int = 0
    model: str = ""
    seed: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    thread: str = ""
    source: str = ""
    heading: str = ""
    life: str = ""

    @property
    def reason(self) -> str:
        """Why it went as it did, in a line: of the verdict, else the fault, else the decision."""
        if self.verdict:
            return self.verdict.reason
        return self.fault or (self.decision.reason if self.decision else "")

    @property
    def candidate_digest(self) -> str:
        """A checksum of what would be served: the adapter, the candidate stack, and the text that routes to it."""
        layers = [
            [(y.ref.id, y.weight, y.is_routed, y.stands_for) for y in stack.layers]
            for stack in (self.parent, self.candidate)
        ]
        adapter = self.adapter.id if self.adapter else ""
        facts = (self.namespace, adapter, layers, self.topic, self.text, self.replaces)
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    @property
    def is_accepted_by_verdict(self) -> bool:
        """Whether the candidate was judged, as it is now, and may be served."""
        is_judged = bool(self.probed_on) and self.probed_on == self.candidate_digest
        return is_judged and self.verdict is not None and self.verdict.outcome == "accept"

    def timed(self, step: str, seconds: float) -> Episode:
        """This episode with the seconds of one step added."""
        total = round(self.seconds.get(step, 0.0) + seconds, 3)
        return replace(self, seconds={**self.seconds, step: total})


@lru_cache(maxsize=64)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def to_json(value: object) -> Any:
    """Plain JSON data (dicts, lists, text, numbers) of any value of this module."""
    kind: Any = type(value)
    return _adapter(kind).dump_python(value, mode="json")


def from_json(kind: type[T], data: Any) -> T:
    """The value of `kind` in JSON data; raises `InputError` where the data does not fit."""
    wanted: Any = kind
    try:
        result: T = _adapter(wanted).validate_python(data, extra="forbid")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"stored {kind.__name__} does not fit: {where}: {first['msg']}; "
            "it was written by another version or edited by hand"
        ) from error
    return result
