"""`seal-agent bench speed`: the cost of learning, and the cost of many adapters.

All on the same rows and model, in one run, so that ratios are comparable: SEAL's inner loop as published (every row
padded to 2048 tokens), the same without padding, and the default loop, each until the rows are learned equally well; K
candidates one by one and jointly; the time per answer token under 0 to 32 adapters, live and folded; loading; a reply
while an edit is trained, and the cost of queueing a text.

How a loop learns does not depend on the machine's load, but the time of a step does. So the learning curve is computed
once, and step times are measured in rounds in which all arms alternate; medians are reported. What is learned is
measured by `bench knowledge`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from statistics import fmean, median
from typing import Protocol

from seal_agent.core.backend import silent
from seal_agent.core.edits import Directives
from seal_agent.core.episodes import Progress
from seal_agent.core.errors import InputError
from seal_agent.storage.run_folder import RunFolder
from seal_agent.writing.directives import CLOZE, SEAL_PAPER

OURS, UNPADDED, PADDED = "ours", "published, no padding", "published"
PAPER_LENGTH = 2048  # tokens to which SEAL's code pads every row
LIVE, FOLDED = "live", "folded"
RECIPE, TOGETHER, ADAPTERS, LOADING, REPLIES = PARTS = ("recipe", "together", "adapters", "loading", "replies")
QUIET, LEARNING = "nobody learns", "somebody learns"
NUM_TOGETHER = (1, 2, 4, 8, 16)
NUM_ADAPTERS = (0, 1, 2, 4, 8, 16, 32)
STEPS = {OURS: 6, UNPADDED: 6, PADDED: 1}  # timed per round
STEPS_TOGETHER = 2
TOKENS = 16  # of an answer, timed per round
CURVE_POINTS = 8  # of our loop
EPOCH_POINTS = 2  # per epoch of the published loop


@dataclass(frozen=True)
class Curve:
    """A learning curve: after steps[i], the rows' mean NLL was nll[i] (nats per token of the answers).

    `num_tokens`: tokens computed per step on average; `useful`: the share of them that is not padding.
    """

    arm: str
    steps: tuple[int, ...]
    nll: tuple[float, ...]
    num_tokens: float
    useful: float

    def steps_to(self, level: float) -> float | None:
        """The step at which the NLL first reached `level`, log-linear between two points; None if it never did."""
        before: tuple[int, float] | None = None
        for step, nll in zip(self.steps, self.nll, strict=True):
            if nll <= level:
                if before is None or nll <= 0 or before[1] <= nll:
                    return float(step)
                share = math.log(before[1] / level) / math.log(before[1] / nll)
                return before[0] + share * (step - before[0])
            before = (step, nll)
        return None


@dataclass(frozen=True)
class Steps:
    """The mean of some training steps: seconds and tokens per step; `speed`: FLOP/s of their matrix products.

    `peak_mib`: memory beyond what was held before; -1 if the system cannot measure it.
    """

    seconds: float
    num_tokens: float
    peak_mib: float
    speed: float


@dataclass(frozen=True)
class Measured:
    """One figure of one round: `arm` with `number` candidates or adapters. `values` by name, in SI units and MiB."""

    part: str
    arm: str
    number: int
    round: int
    values: dict[str, float]


class Rig(Protocol):
    """One model and one set of rows on which everything is measured; see `rig`."""

    def matrix_speed(self) -> float:
        """The machine's current operations per second in the model's dtype."""

    def loading(self) -> float:
        """Seconds to load the model again."""

    def curve_of_ours(self, directives: Directives, every: int, seed: int, progress: Progress) -> Curve:
        """The default loop, with the rows' NLL measured every `every` steps and at its end."""

    def curve_as_published(
        self, directives: Directives, level: float, every: int, seed: int, progress: Progress
    ) -> Curve:
        """SEAL's loop without padding until the rows' NLL reaches `level` or its epochs end."""

    def steps_of_ours(self, directives: Directives, num_steps: int, seed: int, num_candidates: int = 1) -> Steps:
        """`num_steps` steps of `num_candidates` joint candidates, without start-up."""

    def steps_as_published(self, directives: Directives, num_steps: int, seed: int, *, pad_to: int) -> Steps:
        """`num_steps` steps of SEAL's loop, rows padded to `pad_to` tokens (0: no padding)."""

    def tokens_folded(self, num_adapters: int, num_tokens: int) -> float:
        """Seconds per answer token with `num_adapters` adapters folded into one."""

    def tokens_live(self, num_adapters: int, num_tokens: int) -> float:
        """Seconds per answer token with `num_adapters` adapters side by side."""

    def reply(self, num_tokens: int, *, is_learning: bool) -> tuple[float, float]:
        """Wall-clock seconds of a reply, with or without an edit training meanwhile, and of queueing a text."""


class Run(RunFolder):
    """The folder of a run: `curves.jsonl` and `metrics.jsonl`."""

    def curves(self) -> dict[str, Curve]:
        """The learning curves by arm."""
        return {curve.arm: curve for curve in self.values("curves", Curve)}

    def measured(self) -> list[Measured]:
        """Every figure of every round."""
        return self.values("metrics", Measured)


def measure(
    rig: Rig, run: Run, parts: Sequence[str], num_rows: int, num_rounds: int, seed: int, progress: Progress = silent
) -> None:
    """Measure what `run` does not hold yet, and store it at once.

    Raises `InputError` for a part that does not exist.
    """
    if unknown := set(parts) - set(PARTS):
        raise InputError(f"there is no part {', '.join(sorted(unknown))}; choose {', '.join(PARTS)}")
    if RECIPE in parts:
        _curves(rig, run, num_rows, seed, progress)
    work = [each for number in range(num_rounds) for each in _round(rig, parts, number, seed)]
    done = {(m.part, m.arm, m.number, m.round) for m in run.measured()}
    for count, (part, arm, number, round_, values_of) in enumerate(work):
        if (part, arm, number, round_) not in done:
            progress(f"{part}: {arm} {number or ''}".strip(), count, len(work))
            run.append("metrics", asdict(Measured(part, arm, number, round_, values_of())))
    progress("measured", len(work), len(work))


def _curves(rig: Rig, run: Run, num_rows: int, seed: int, progress: Progress) -> None:
    found = run.curves()
    if OURS not in found:
        every = max(1, CLOZE.num_steps(num_rows) // CURVE_POINTS)
        found[OURS] = rig.curve_of_ours(CLOZE, every, seed, progress)
        run.append("curves", asdict(found[OURS]))
    if UNPADDED not in found:
        every = max(1, num_rows // EPOCH_POINTS)
        curve = rig.curve_as_published(SEAL_PAPER, found[OURS].nll[-1], every, seed, progress)
        run.append("curves", asdict(curve))


Work = tuple[str, str, int, int, Callable[[], dict[str, float]]]


def _round(rig: Rig, parts: Sequence[str], number: int, seed: int) -> Iterator[Work]:
    """One round of all arms: (part, arm, number, round, measure)."""
    ours, published = partial(rig.steps_of_ours, CLOZE), partial(rig.steps_as_published, SEAL_PAPER)
    draw = seed + number
    if RECIPE in parts:
        for arm, steps in (
            (OURS, partial(ours, STEPS[OURS], draw)),
            (UNPADDED, partial(published, STEPS[UNPADDED], draw, pad_to=0)),
            (PADDED, partial(published, STEPS[PADDED], draw, pad_to=PAPER_LENGTH)),
        ):
            yield RECIPE, arm, 1, number, partial(_against, rig, steps)
    if TOGETHER in parts:
        for num in NUM_TOGETHER:
            yield TOGETHER, OURS, num, number, partial(_against, rig, partial(ours, STEPS_TOGETHER, draw, num))
    if ADAPTERS in parts:
        for num in NUM_ADAPTERS:
            for arm, tokens in ((LIVE, rig.tokens_live), (FOLDED, rig.tokens_folded)):
                yield ADAPTERS, arm, num, number, partial(_timed, partial(tokens, num, TOKENS))
    if LOADING in parts:
        yield LOADING, OURS, 0, number, partial(_timed, rig.loading)
    if REPLIES in parts:
        for arm in (QUIET, LEARNING):
            yield REPLIES, arm, 0, number, partial(_replied, rig, is_learning=arm == LEARNING)


def _against(rig: Rig, steps: Callable[[], Steps]) -> dict[str, float]:
    """Steps with the machine's matrix speed, measured directly before and after."""
    before = rig.matrix_speed()
    found = steps()
    return {**asdict(found), "machine": fmean([before, rig.matrix_speed()])}


def _timed(seconds: Callable[[], float]) -> dict[str, float]:
    return {"seconds": seconds()}


def _replied(rig: Rig, *, is_learning: bool) -> dict[str, float]:
    seconds, queued = rig.reply(TOKENS, is_learning=is_learning)
    return {"seconds": seconds, "queued": queued}


@dataclass(frozen=True)
class ArmCost:
    """One loop of the recipe part; `seconds` to the common level, a lower bound if not `reached`."""

    arm: str
    reached: bool
    num_steps: float
    nll: float
    num_tokens: float
    useful: float
    step_seconds: float
    seconds: float
    peak_mib: float
    share_of_matrix_speed: float


@dataclass(frozen=True)
class TogetherCost:
    """K candidates: seconds per step of all K, one by one (K times a step of one) and jointly."""

    num: int
    apart: float
    at_once: float
    share_of_matrix_speed: float

    @property
    def faster(self) -> float:
        """The speed-up."""
        return self.apart / self.at_once


@dataclass(frozen=True)
class AdapterCost:
    """Seconds per answer token under `num` adapters, and the ratio to none, taken within rounds."""

    num: int
    live: float
    live_times: float
    folded: float
    folded_times: float


@dataclass(frozen=True)
class ReplyCost:
    """Seconds of a reply of `TOKENS` tokens without and with an edit training meanwhile, and to queue a text."""

    quiet: float
    learning: float
    times: float
    queued: float


@dataclass(frozen=True)
class Report:
    """All results; parts not measured are empty, None or 0. `level` in nats per token, `machine` in FLOP/s."""

    level: float
    recipe: tuple[ArmCost, ...]
    together: tuple[TogetherCost, ...]
    adapters: tuple[AdapterCost, ...]
    loading: float
    machine: float
    replies: ReplyCost | None = None

    def times(self, arm: str) -> float:
        """The arm's time to the common level relative to ours; 0 if it was not measured."""
        seconds = {cost.arm: cost.seconds for cost in self.recipe}
        return seconds[arm] / seconds[OURS] if {arm, OURS} <= seconds.keys() else 0.0


def summarise(curves: Mapping[str, Curve], measured: Sequence[Measured]) -> Report:
    """Medians over the rounds; ratios are taken within a round first, where the arms alternate."""
    level = curves[OURS].nll[-1] if OURS in curves else 0.0
    machine = [m.values["machine"] for m in measured if "machine" in m.values]
    loading = [m.values["seconds"] for m in measured if m.part == LOADING]
    return Report(
        level,
        tuple(_recipe(curves, measured, level)) if {OURS, UNPADDED} <= curves.keys() else (),
        tuple(_together([m for m in measured if m.part == TOGETHER])),
        tuple(_adapters([m for m in measured if m.part == ADAPTERS])),
        median(loading) if loading else 0.0,
        median(machine) if machine else 0.0,
        _replies([m for m in measured if m.part == REPLIES]),
    )


def _recipe(curves: Mapping[str, Curve], measured: Sequence[Measured], level: float) -> Iterator[ArmCost]:
    """Costs of the loops. The padded one is assumed to need as many steps as without padding, which cannot help it."""
    unpadded = curves[UNPADDED]
    share = unpadded.num_tokens / max(PAPER_LENGTH, unpadded.num_tokens)
    padded = replace(unpadded, arm=PADDED, num_tokens=max(PAPER_LENGTH, unpadded.num_tokens), useful=share)
    for curve in (padded, unpadded, curves[OURS]):
        mine = [m.values for m in measured if (m.part, m.arm) == (RECIPE, curve.arm)]
        if mine:
            # A round times a few batches; the time per token is extrapolated to all.
            step = median(v["seconds"] / v["num_tokens"] for v in mine) * curve.num_tokens
            reached = curve.steps_to(level)
            num_steps = curve.steps[-1] if reached is None else reached
            yield ArmCost(
                curve.arm,
                reached is not None,
                num_steps,
                curve.nll[-1] if reached is None else level,
                curve.num_tokens,
                curve.useful,
                step,
                num_steps * step,
                max(v["peak_mib"] for v in mine),
                median(v["speed"] / v["machine"] for v in mine),
            )


def _together(measured: Sequence[Measured]) -> Iterator[TogetherCost]:
    alone = {m.round: m.values["seconds"] for m in measured if m.number == 1}
    for num in sorted({m.number for m in measured}):
        mine = [m for m in measured if m.number == num and m.round in alone]
        apart = [num * alone[m.round] for m in mine]
        shares = [m.values["speed"] / m.values["machine"] for m in mine]
        # The joint time is derived from the median ratio, so that the three figures of a line are consistent.
        faster = median(a / m.values["seconds"] for a, m in zip(apart, mine, strict=True))
        yield TogetherCost(num, median(apart), median(apart) / faster, median(shares))


def _adapters(measured: Sequence[Measured]) -> Iterator[AdapterCost]:
    seconds = {(m.arm, m.number, m.round): m.values["seconds"] for m in measured}

    def of(arm: str, num: int) -> tuple[float, float]:
        rounds = [r for a, n, r in seconds if (a, n) == (arm, num) and (arm, 0, r) in seconds]
        times = median(seconds[arm, num, r] / seconds[arm, 0, r] for r in rounds)
        return median(seconds[arm, num, r] for r in rounds), times

    for num in sorted({n for arm, n, _ in seconds if arm == FOLDED and (LIVE, n, 0) in seconds}):
        yield AdapterCost(num, *of(LIVE, num), *of(FOLDED, num))


def _replies(measured: Sequence[Measured]) -> ReplyCost | None:
    quiet = {m.round: m.values["seconds"] for m in measured if m.arm == QUIET}
    learning = {m.round: m.values["seconds"] for m in measured if m.arm == LEARNING}
    if not (both := quiet.keys() & learning.keys()):
        return None
    times = median(learning[number] / quiet[number] for number in both)
    queued = median(m.values["queued"] for m in measured)
    return ReplyCost(median(quiet.values()), median(learning.values()), times, queued)
