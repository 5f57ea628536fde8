"""`seal-agent bench gate`: the judge's error rates, by simulation without a model.

Edits are drawn from a model of what an edit does to a replay store (`World`) and judged as in the learning loop: 32
probes by `SHARES`; while undecided 64, then 128, the last look final. A true loss of 10 points means that 10% of all
known items are forgotten. The target is to find that loss with power .9 at 5% false alarms. The report also has each of
the judge's rules alone, and counts of right answers. Deterministic for a seed; the constants in `Limits` were chosen
with `CHOOSING_SEED`, the report uses another one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from seal_agent.core.backend import silent
from seal_agent.core.edits import Probe, Stratum
from seal_agent.core.episodes import Probed, Progress, Score
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Prompt
from seal_agent.retention.items import SHARES
from seal_agent.retention.judge import Limits, judge
from seal_agent.retention.statistics import binomial_tail, share_at_least

CHOOSING_SEED, REPORT_SEED = 0, 1
LOOKS = (32, 64, 128)  # probes, as in LearnerConfig
CONFIDENCE = 0.95
NUM_COUNTED = 35  # items of the counting rules (docs/log/retention.md)
COUNTED_DROP = 0.07
OURS = "judge (default)"
PROMPT = Prompt.user("Question?")

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """The simulated effect of edits on a replay store; scores and changes in nats per token, shares from 0 to 1.

    Values without a source are assumptions; the judge keeps both its targets with 1.5 times the jitter.
    """

    num_documents: int = 100  # a year of two edits a week
    items_per_document: int = 3  # gate items per edit; repair and report items come in addition
    num_general: int = 121  # gate items of general knowledge (151 are probed), each a document of its own
    known: float = 0.8  # of what was learned, asked in other words: 8 of 10
    known_score: float = -0.5  # mean; exponential, because a log-probability ends at 0
    unknown_score: tuple[float, float] = (-3.0, 0.7)  # mean and sd; an untrained 135M answers at -3 to -8
    jitter: float = 0.15  # sd of any edit's change of an item that is neither learned nor lost
    jitter_degrees: int = 4  # of Student's t: a few items change much without being lost
    document_jitter: float = 0.1  # sd of the part that items of one document share
    lost_by: tuple[float, float] = (1.0, 4.0)  # uniform: from uncertain to untrained
    local: float = 0.5  # share of the losses in documents near the edit: interference is only partly local
    num_near_documents: int = 20  # documents that the local losses come from
    similarity: float = 2.0  # by how many sds their items are more similar to the edit
    num_earlier: int = 8  # accepted edits since an item was learned, each with jitter (SEAL's sequences: 8)
    flip: float = 0.12  # chance that an unchanged answer is counted differently: gives 11% false alarms

    @property
    def num_items(self) -> int:
        """The number of items in the store."""
        return self.num_documents * self.items_per_document + self.num_general


@dataclass(frozen=True)
class Condition:
    """A kind of edit: `lost` is the share of known items that it makes the model forget, `shift` moves every score."""

    name: str
    lost: float = 0.0
    shift: float = 0.0


CONDITIONS = (
    Condition("nothing lost"),
    Condition("nothing lost, form -0.1", 0.0, -0.1),
    Condition("5 points", 0.05),
    Condition("10 points", 0.10),
    Condition("20 points", 0.20),
    Condition("10 points under form +0.5", 0.10, 0.5),
)


@dataclass(frozen=True)
class Edit:
    """One simulated edit: scores per item (n,), and the order in which each stratum offers items."""

    document: Indices
    before: Array
    after: Array
    best: Array
    right_before: Flags
    right_after: Flags
    orders: dict[Stratum, Indices]
    cache: dict[int, list[Probed]] = field(default_factory=dict, repr=False)

    def draw(self, num_probes: int) -> list[tuple[int, Stratum]]:
        """Items with their strata, as in `ReplayStore.draw`."""
        drawn: dict[int, Stratum] = {}
        quotas: list[tuple[Stratum, int]] = [(s, round(share * num_probes)) for s, share in SHARES.items()]
        for stratum, quota in [*quotas, ("coverage", num_probes), ("general", num_probes)]:
            left = min(quota, num_probes - len(drawn))
            fresh = (item for item in self.orders[stratum].tolist() if item not in drawn)
            drawn.update({item: stratum for item, _ in zip(fresh, range(left), strict=False)})
        return list(drawn.items())

    def probed(self, num_probes: int) -> list[Probed]:
        """The judge's input: drawn items, and one well learned probe of the edit itself."""
        if num_probes not in self.cache:
            own = Probed(Probe(PROMPT, "answer"), Score(-4.0, 1), Score(-0.5, 1))
            self.cache[num_probes] = [own, *(self._probed(item, stratum) for item, stratum in self.draw(num_probes))]
        return self.cache[num_probes]

    def _probed(self, item: int, stratum: Stratum) -> Probed:
        probe = Probe(PROMPT, "answer", stratum, f"document {self.document[item]}", item)
        before, after = Score(float(self.before[item]), 1), Score(float(self.after[item]), 1)
        return Probed(probe, before, after, float(self.best[item]))


@dataclass(frozen=True)
class Said:
    """An arm's decision on one edit, and its cost."""

    forgot: bool
    num_probes: int
    num_looks: int = 1


@dataclass(frozen=True)
class Row:
    """How often an arm said "forgot" in one condition, with Wilson's 95% interval; means of probes and looks."""

    condition: str
    arm: str
    num_edits: int
    rate: float
    low: float
    high: float
    num_probes: float
    num_looks: float


@dataclass(frozen=True)
class Report:
    """Every arm in every condition."""

    seed: int
    rows: tuple[Row, ...]

    def row(self, condition: str, arm: str) -> Row:
        """The row of that condition and arm."""
        return next(row for row in self.rows if (row.condition, row.arm) == (condition, arm))


Arm = Callable[[Edit], Said]


def run(num_edits: int = 2000, seed: int = REPORT_SEED, progress: Progress = silent) -> Report:
    """All arms on the same `num_edits` simulated edits of every condition."""
    if num_edits < 1:
        raise InputError(f"num_edits={num_edits} shows nothing; simulate 1 or more")
    rows: list[Row] = []
    for number, condition in enumerate(CONDITIONS):
        rows += simulate(condition, arms(), num_edits, seed)
        progress("simulating edits", number + 1, len(CONDITIONS))
    return Report(seed, tuple(rows))


def simulate(
    condition: Condition, by: dict[str, Arm], num_edits: int, seed: int, world: World | None = None
) -> list[Row]:
    """The rates of the arms in one condition; the n-th edits of two conditions differ only in the condition."""
    world = world or World()
    said: dict[str, list[Said]] = {name: [] for name in by}
    for number in range(num_edits):
        edit = sample(world, condition, np.random.default_rng([seed, number]))
        for name, arm in by.items():
            said[name].append(arm(edit))
    return [_row(condition.name, name, answers) for name, answers in said.items()]


def arms() -> dict[str, Arm]:
    """The judge, each of its rules alone (the others switched off by unreachable limits), and counting."""
    never = math.inf
    return {
        "right answers fell by over .07, 35 items": fell,
        "McNemar, 35 items": lambda edit: mcnemar(edit, NUM_COUNTED),
        "McNemar, 128 items": lambda edit: mcnemar(edit, LOOKS[-1]),
        "mean only": judged(Limits(max_lost=1.0, max_drift=never)),
        "lost items only": judged(Limits(max_drop=never, max_drift=never)),
        OURS: judged(Limits()),
    }


def judged(limits: Limits) -> Arm:
    """The judge as in the learning loop: more probes while undecided, the last look final."""

    def arm(edit: Edit) -> Said:
        outcome, num_looks = "undecided", 0
        while outcome == "undecided":
            probed = edit.probed(LOOKS[num_looks])
            num_looks += 1
            outcome = str(judge(probed, limits, final=num_looks == len(LOOKS)).outcome)
        return Said(outcome == "forgot", len(probed) - 1, num_looks)

    return arm


def fell(edit: Edit) -> Said:
    """Whether the share of right answers fell by more than `COUNTED_DROP`."""
    lost, won = _flips(edit, NUM_COUNTED)
    return Said((lost - won) / NUM_COUNTED > COUNTED_DROP, NUM_COUNTED)


def mcnemar(edit: Edit, num_probes: int) -> Said:
    """Whether more answers became wrong than right: McNemar's test, exact, one-sided (1947)."""
    lost, won = _flips(edit, num_probes)
    return Said(binomial_tail(lost, lost + won, 0.5) < 1 - CONFIDENCE, num_probes)


def _flips(edit: Edit, num_probes: int) -> tuple[int, int]:
    items = [item for item, _ in edit.draw(num_probes)]
    before, after = edit.right_before[items], edit.right_after[items]
    return int((before & ~after).sum()), int((after & ~before).sum())


def sample(world: World, condition: Condition, rng: np.random.Generator) -> Edit:
    """Draw one edit and its store."""
    document = _documents(world)
    known = rng.random(world.num_items) < world.known
    before = _scores(world, known, rng)
    earlier = np.stack([_jitter(world, document, rng) for _ in range(world.num_earlier + 1)])  # (earlier + 1, n)
    past = np.minimum(before - earlier[1:].cumsum(axis=0), 0.0)  # backwards in time
    near = document < world.num_near_documents
    lost = _lost(world, condition.lost, known, near, rng)
    fall = np.where(lost, rng.uniform(*world.lost_by, world.num_items), 0.0)
    right, flips = np.stack([known, known & ~lost]), rng.random((2, world.num_items)) < world.flip / 2
    return Edit(
        document,
        before,
        after=np.minimum(before + earlier[0] + condition.shift - fall, 0.0),
        best=np.maximum(past.max(axis=0, initial=-np.inf), before),
        right_before=right[0] ^ flips[0],
        right_after=right[1] ^ flips[1],
        orders=_orders(world, near, earlier[1:].min(axis=0, initial=0.0), rng),
    )


def _documents(world: World) -> Indices:
    told = np.repeat(np.arange(world.num_documents), world.items_per_document)
    return np.concatenate([told, world.num_documents + np.arange(world.num_general)])


def _scores(world: World, known: Flags, rng: np.random.Generator) -> Array:
    well, badly = rng.exponential(-world.known_score, known.size), rng.normal(*world.unknown_score, known.size)
    return np.where(known, -well, np.minimum(badly, 0.0))


def _jitter(world: World, document: Indices, rng: np.random.Generator) -> Array:
    degrees = world.jitter_degrees
    items = rng.standard_t(degrees, document.size) * world.jitter / math.sqrt(degrees / (degrees - 2))
    shared = rng.normal(0.0, world.document_jitter, int(document.max()) + 1)
    return np.asarray(items + shared[document], dtype=np.float64)


def _lost(world: World, share: float, known: Flags, near: Flags, rng: np.random.Generator) -> Flags:
    """Which known items are forgotten: the local share near the edit, the rest anywhere else."""
    lost = np.zeros(known.size, dtype=np.bool_)
    num_lost = round(share * int(known.sum()))
    reach = np.flatnonzero(known & near)
    lost[rng.permutation(reach)[: round(world.local * num_lost)]] = True
    rest = np.flatnonzero(known & ~lost)
    lost[rng.permutation(rest)[: num_lost - int(lost.sum())]] = True
    return lost


def _orders(world: World, near: Flags, worst: Array, rng: np.random.Generator) -> dict[Stratum, Indices]:
    """The items of each stratum in the order of `ReplayStore.draw`."""
    num_told = world.num_documents * world.items_per_document
    items = np.arange(world.num_items)
    similarity = rng.normal(size=items.size) + world.similarity * near
    rounds = items[:num_told].reshape(world.num_documents, world.items_per_document)
    return {
        "near": np.argsort(-similarity),
        "fragile": np.argsort(worst)[: int((worst < 0).sum())],
        "coverage": rounds[rng.permutation(world.num_documents)].T.ravel(),  # one of each document, then a second
        "general": items[num_told:],
    }


def _row(condition: str, arm: str, said: Sequence[Said]) -> Row:
    num, count = len(said), sum(s.forgot for s in said)
    two_sided = (1 + CONFIDENCE) / 2
    return Row(
        condition,
        arm,
        num,
        count / num,
        share_at_least(count, num, two_sided),
        1 - share_at_least(num - count, num, two_sided),
        fmean(s.num_probes for s in said),
        fmean(s.num_looks for s in said),
    )


def as_markdown(report: Report) -> str:
    """The report as Markdown: how often each arm said "forgot", and the number of probes and looks."""
    conditions = _unique(row.condition for row in report.rows)
    names = _unique(row.arm for row in report.rows)
    head = ['said "forgot"', *conditions, "probes", "looks"]
    lines = [_line(head), "|" + " --- |" * len(head)]
    for name in names:
        rows = [report.row(condition, name) for condition in conditions]
        probes, looks = (_range([getattr(row, what) for row in rows]) for what in ("num_probes", "num_looks"))
        lines.append(_line([name, *map(_cell, rows), probes, looks]))
    notes = (
        f"{report.rows[0].num_edits} simulated edits a cell, seed {report.seed}. Brackets: Wilson's 95% intervals. "
        "Points: share of all known items truly forgotten. Probes and looks: means, least to most over the conditions."
    )
    return "\n".join([*lines, "", notes, ""])


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(row: Row) -> str:
    return f"{100 * row.rate:.1f}% [{100 * row.low:.1f}, {100 * row.high:.1f}]"


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.1f}", f"{max(values):.1f}"
    return low if low == high else f"{low} to {high}"
