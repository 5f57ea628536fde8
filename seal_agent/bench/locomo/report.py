"""The report of `bench locomo`: F1 and exact match by category, what was declined, and what learning cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from seal_agent.bench.locomo.data import CATEGORIES, NEVER_SAID
from seal_agent.bench.locomo.replay import AnswerResult, LeftOut, TurnResult
from seal_agent.bench.reports.arms import Interval, percent
from seal_agent.bench.week.report import clustered
from seal_agent.storage.run_folder import RunFolder

ALL = "1 to 4"
ANSWERED: Mapping[str, tuple[int, ...]] = {
    **{name: (number,) for number, name in CATEGORIES.items() if number != NEVER_SAID},
    ALL: tuple(number for number in CATEGORIES if number != NEVER_SAID),
}
"""The columns of the tables, and the categories in each."""
GRADER = """\
Scores as LoCoMo's own `task_eval/evaluation.py` computes them: F1 over words without case, punctuation and articles,
with nltk's Porter stems; exact match compares the sets of words. Only the first line of a reply is scored, and an ISO
date in it counts as the same date written out. Brackets: 95% bootstrap intervals; conversations are resampled, and
questions within each. Category 5 is asked in the same words as the others, without the choice of two answers of
LoCoMo's script; "declined" goes by listed phrases, "not mentioned" among them. The questions were asked each in a new
thread after the last session; only those whose evidence lies in the sessions that were learned."""
PUBLISHED = """\
Figures of others on all ten conversations. Models, prompts and graders differ, so each stands alone.

- TMEM (arXiv 2606.04536), weights updated online; as cited by others: Qwen3-4B F1 25.7%, exact match 15.4%; Qwen3-8B
  F1 26.8%, exact match 20.2%.
- LPM (arXiv 2606.20911), Qwen3-1.7B: the score of a LoRA with 120 times fewer parameters.
- Graded by a model, which is another measure than F1: mem0 92.5% (the vendor's own figure, April 2026), Zep 58% to 84%
  (disputed), Letta with grep over files 74%.
- Declined when asked about what was never told, on other data (arXiv 2606.11712): a LoRA 8.7%, retrieval 99.0%."""


@dataclass(frozen=True)
class ArmReport:
    """One arm. `num`, `f1`, `exact`: by the columns `ANSWERED`, without those in which nothing was asked.

    `declined`: of the questions about what was never said (category 5), `num_never_said` of them; `declined_told`: of
    the others.
    """

    arm: str
    num: Mapping[str, int]
    f1: Mapping[str, Interval]
    exact: Mapping[str, Interval]
    num_never_said: int
    declined: Interval | None
    declined_told: Interval | None
    seconds_an_answer: float | None


@dataclass(frozen=True)
class LearningReport:
    """What the replay learned. `num_evidence`: turns that a question needs. Seconds of a turn are medians."""

    num_turns: int
    num_learned: int
    num_evidence: int
    evidence_learned: int
    num_passages_accepted: int
    learned_seconds: float
    other_seconds: float
    megabytes: float


def summarise(run: RunFolder) -> tuple[list[ArmReport], LearningReport | None, list[LeftOut]]:
    """Every arm, what the replay learned (None where no arm learns), and the arms that could not answer."""
    answers = run.values("answers", AnswerResult)
    names = dict.fromkeys(answer.arm for answer in answers)
    reports = [_arm(name, [answer for answer in answers if answer.arm == name]) for name in names]
    turns = run.values("turns", TurnResult)
    return reports, _learning(turns) if turns else None, run.values("left_out", LeftOut)


def _arm(name: str, answers: Sequence[AnswerResult]) -> ArmReport:
    columns = {column: [a for a in answers if a.category in numbers] for column, numbers in ANSWERED.items()}
    never_said = [a for a in answers if a.category == NEVER_SAID]
    return ArmReport(
        name,
        {column: len(those) for column, those in columns.items() if those},
        _means(columns, lambda a: a.f1),
        _means(columns, lambda a: float(a.is_exact)),
        len(never_said),
        _mean(never_said, lambda a: float(a.is_declined)),
        _mean(columns[ALL], lambda a: float(a.is_declined)),
        round(median(a.seconds for a in answers), 2) if answers else None,
    )


def _means(
    columns: Mapping[str, Sequence[AnswerResult]], value: Callable[[AnswerResult], float]
) -> dict[str, Interval]:
    means = ((column, _mean(those, value)) for column, those in columns.items())
    return {column: mean for column, mean in means if mean}


def _mean(answers: Sequence[AnswerResult], value: Callable[[AnswerResult], float]) -> Interval | None:
    names = dict.fromkeys(a.conversation for a in answers)
    return clustered([[value(a) for a in answers if a.conversation == name] for name in names])


def _learning(turns: Sequence[TurnResult]) -> LearningReport:
    learned, others = ([turn for turn in turns if turn.learned is wanted] for wanted in (True, False))
    last = {turn.conversation: turn.num_bytes for turn in turns}
    return LearningReport(
        len(turns),
        len(learned),
        sum(turn.is_evidence for turn in turns),
        sum(turn.is_evidence for turn in learned),
        sum(each.startswith("accepted") for turn in turns for each in turn.outcomes),
        round(median(turn.seconds for turn in learned), 2) if learned else 0.0,
        round(median(turn.seconds for turn in others), 2) if others else 0.0,
        round(sum(last.values()) / 1e6, 1),
    )


def markdown(
    reports: Sequence[ArmReport],
    learning: LearningReport | None,
    left_out: Sequence[LeftOut],
    facts: Sequence[str],
) -> str:
    """The report as Markdown."""
    lines = ["# LoCoMo: long conversations that others wrote", "", *facts, ""]
    if reports:
        lines += ["F1, with the number of questions:", "", *_table(reports, [r.f1 for r in reports]), ""]
        lines += ["Exact match:", "", *_table(reports, [r.exact for r in reports]), ""]
        lines += [*_declined(reports), ""]
    else:
        lines += ["No question was answered.", ""]
    if learning:
        lines += [_learned(learning), ""]
    lines += [f"Left out: {each.arm} for {each.conversation}. {each.reason}\n" for each in left_out]
    return "\n".join([*lines, GRADER, "", PUBLISHED, ""])


def _table(reports: Sequence[ArmReport], values: Sequence[Mapping[str, Interval]]) -> list[str]:
    """An arm a line, a category a column, with the number of questions in the head."""
    columns = [column for column in ANSWERED if any(column in r.num for r in reports)]
    heads = [f"{column} ({max(r.num.get(column, 0) for r in reports)})" for column in columns]
    rows = [
        [r.arm, *(percent(mean[column]) if column in mean else "–" for column in columns)]
        for r, mean in zip(reports, values, strict=True)
    ]
    return [_line(["arm", *heads]), _line(["---"] * (1 + len(heads))), *map(_line, rows)]


def _declined(reports: Sequence[ArmReport]) -> list[str]:
    num = max((r.num_never_said for r in reports), default=0)
    head = ["arm", f"declined of what was never said ({num})", "declined of 1 to 4", "seconds an answer, median"]
    rows = [
        [
            r.arm,
            *(percent(each) if each else "–" for each in (r.declined, r.declined_told)),
            "–" if r.seconds_an_answer is None else f"{r.seconds_an_answer:.2f}",
        ]
        for r in reports
    ]
    return [_line(head), _line(["---"] * len(head)), *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _learned(learning: LearningReport) -> str:
    return (
        f"Of {learning.num_turns} turns {learning.num_learned} were learned, in {learning.num_passages_accepted} "
        f"passages; of {learning.num_evidence} turns that a question of categories 1 to 4 needs, "
        f"{learning.evidence_learned} were. Median seconds of a turn: {learning.learned_seconds} learned, "
        f"{learning.other_seconds} not learned. Adapters: {learning.megabytes} MB."
    )
