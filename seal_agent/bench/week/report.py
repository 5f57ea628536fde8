"""The report of `bench week`: what was answered by kind of question, the conversation, and what learning cost."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import TypeVar

from seal_agent.bench.reports.arms import INTERVAL, Interval, percent
from seal_agent.bench.week.replay import AnswerResult, NeutralResult, TurnResult
from seal_agent.storage.run_folder import RunFolder

T = TypeVar("T", AnswerResult, NeutralResult)
NUM_RESAMPLES = 2000
ASKED_OF_NOTHING = ("absent", "forgotten", "hypothetical_trap", "control")
"""Kinds of questions that no fact answers; the share of right answers about what was told leaves them out."""


@dataclass(frozen=True)
class KindReport:
    """The answers of one kind of question: how many, and of these right, wrong and told as a fact, declined."""

    kind: str
    num: int
    right: int
    wrong: int
    declined: int


@dataclass(frozen=True)
class ArmReport:
    """One arm. `told`: share of right answers about what was told; None where nothing was asked.

    Of the unrelated requests: the share whose reply begins as the untouched model's, how many recite something, and the
    nats a token by which the untouched model's reply became less likely.
    """

    arm: str
    num_questions: int
    right: Interval | None
    told: Interval | None
    wrong: Interval | None
    declined: Interval | None
    kinds: tuple[KindReport, ...]
    num_neutral: int
    same_beginning: Interval | None
    num_recitals: int
    neutral_nats: float | None
    seconds_an_answer: float | None


@dataclass(frozen=True)
class LearningReport:
    """What the replay learned. `seconds` are medians, with the largest; `megabytes` of adapters on disk."""

    num_turns: int
    should_learn: int
    missed: int
    should_not_learn: int
    learned_wrongly: int
    reply_seconds: float
    learn_seconds: float
    most_learn_seconds: float
    megabytes: float
    num_accepted: int


def summarise(run: RunFolder) -> tuple[list[ArmReport], LearningReport | None]:
    """Every arm of the run, and what its replay learned; None where no arm learns."""
    answers, neutral = run.values("answers", AnswerResult), run.values("neutral", NeutralResult)
    names = list(dict.fromkeys([a.arm for a in answers] + [n.arm for n in neutral]))
    reports = [
        _arm(name, [a for a in answers if a.arm == name], [n for n in neutral if n.arm == name]) for name in names
    ]
    turns = run.values("turns", TurnResult)
    return reports, _learning(turns) if turns else None


def _arm(name: str, answers: Sequence[AnswerResult], neutral: Sequence[NeutralResult]) -> ArmReport:
    told = [a for a in answers if a.kind not in ASKED_OF_NOTHING]
    return ArmReport(
        name,
        len(answers),
        _share(answers, lambda a: a.grade == "right"),
        _share(told, lambda a: a.grade == "right"),
        _share(answers, lambda a: a.grade == "wrong"),
        _share(answers, lambda a: a.grade == "declined"),
        tuple(_kind(kind, [a for a in answers if a.kind == kind]) for kind in dict.fromkeys(a.kind for a in answers)),
        len(neutral),
        _share(neutral, lambda n: n.is_same),
        sum(n.is_recital for n in neutral),
        round(fmean(n.nats for n in neutral), 3) if neutral else None,
        round(median(a.seconds for a in answers), 2) if answers else None,
    )


def _kind(kind: str, answers: Sequence[AnswerResult]) -> KindReport:
    count = {grade: sum(a.grade == grade for a in answers) for grade in ("right", "wrong", "declined")}
    return KindReport(kind, len(answers), count["right"], count["wrong"], count["declined"])


def _learning(turns: Sequence[TurnResult]) -> LearningReport:
    wanted = [turn for turn in turns if turn.should_learn]
    others = [turn for turn in turns if not turn.should_learn]
    last = {turn.week: turn.num_bytes for turn in turns}
    seconds = [turn.learn_seconds for turn in turns if turn.learned]
    return LearningReport(
        len(turns),
        len(wanted),
        sum(not turn.learned for turn in wanted),
        len(others),
        sum(turn.learned for turn in others),
        round(median(turn.reply_seconds for turn in turns), 2),
        round(median(seconds), 2) if seconds else 0.0,
        max(seconds, default=0.0),
        round(sum(last.values()) / 1e6, 1),
        sum(each.startswith("accepted") for turn in turns for each in turn.outcomes),
    )


def _share(results: Sequence[T], is_counted: Callable[[T], bool]) -> Interval | None:
    """A share with its 95% bootstrap interval: weeks are resampled, and the results within each."""
    weeks = [
        [float(is_counted(r)) for r in results if r.week == week] for week in dict.fromkeys(r.week for r in results)
    ]
    return clustered(weeks)


def clustered(groups: Sequence[Sequence[float]]) -> Interval | None:
    """The mean of all values with its 95% bootstrap interval: groups are resampled, and the values within each."""
    if not groups:
        return None
    rng = random.Random(0)
    draws = sorted(
        fmean(value for group in rng.choices(groups, k=len(groups)) for value in rng.choices(group, k=len(group)))
        for _ in range(NUM_RESAMPLES)
    )
    low, high = (draws[int(q * len(draws))] for q in INTERVAL)
    return Interval(fmean(value for group in groups for value in group), low, high)


def markdown(reports: Sequence[ArmReport], learning: LearningReport | None, facts: Sequence[str]) -> str:
    """The report as Markdown."""
    lines = ["# The first week of use", "", *facts, "", *_arms(reports), "", *_kinds(reports), ""]
    if learning:
        lines += [_learned(learning), ""]
    return "\n".join([*lines, "Brackets: 95% bootstrap intervals; weeks are resampled, and questions within each.", ""])


def _arms(reports: Sequence[ArmReport]) -> list[str]:
    columns = ["arm", "questions", "right", "right of what was told", "wrong, told as a fact", "declined"]
    columns += ["unrelated requests: same first sentence", "recite something", "nats a token", "seconds an answer"]
    rows = [
        [
            r.arm,
            str(r.num_questions),
            *map(_percent, (r.right, r.told, r.wrong, r.declined, r.same_beginning)),
            f"{r.num_recitals} of {r.num_neutral}" if r.num_neutral else "–",
            *map(_number, (r.neutral_nats, r.seconds_an_answer)),
        ]
        for r in reports
    ]
    return [_line(columns), _line(["---"] * len(columns)), *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _kinds(reports: Sequence[ArmReport]) -> list[str]:
    """Right answers by kind of question, an arm a column; wrong ones after a minus."""
    found = {(r.arm, k.kind): k for r in reports for k in r.kinds}
    kinds = list(dict.fromkeys(k.kind for r in reports for k in r.kinds))
    rows = []
    for kind in kinds:
        cells = [found.get((r.arm, kind)) for r in reports]
        num = max(k.num for k in cells if k)
        rows.append(f"| {kind} | {num} | " + " | ".join(f"{k.right} −{k.wrong}" if k else "" for k in cells) + " |")
    names = " | ".join(r.arm for r in reports)
    note = "By kind of question: right answers, and after the minus those that are wrong and told as a fact."
    return [note, "", f"| kind | asked | {names} |", "|" + " --- |" * (2 + len(reports)), *rows]


def _learned(learning: LearningReport) -> str:
    return (
        f"Of {learning.num_turns} turns, unrelated requests included, {learning.should_learn} should be learned, and "
        f"{learning.missed} of them were not; of {learning.should_not_learn} others {learning.learned_wrongly} were "
        f"learned. {learning.num_accepted} passages were accepted; their adapters have {learning.megabytes} MB. "
        f"Seconds: reply {learning.reply_seconds} in the median; learning {learning.learn_seconds} in the median of "
        f"the turns that were learned, {learning.most_learn_seconds} at most."
    )


def _percent(value: Interval | None) -> str:
    return percent(value) if value else "–"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
