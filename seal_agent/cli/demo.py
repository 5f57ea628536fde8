"""The output of `seal-agent demo`: the conversation, both answers side by side, the verdict, the step times."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from seal_agent.bench.demo import DemoResult, Question
from seal_agent.cli.options import write_table
from seal_agent.cli.progress import Display

WIDTH = 100  # columns of the output
MAX_CELL = 60  # characters of an answer in the table


class DemoScreen:
    """Prints the demo's events; progress goes to `display`."""

    def __init__(self, display: Display, *, silent: bool) -> None:
        self._display = display
        self._silent = silent
        self._num_asked = 0

    def event(self, kind: str, facts: Mapping[str, Any]) -> None:
        """Show one event of `seal_agent.bench.demo.run_demo`."""
        if kind == "step":
            self._display.step(facts)
        elif kind == "model":
            self._say(f"model {facts['model']}, loaded in {facts['seconds']:.1f} s\n")
        elif kind == "turn":
            self._say(f"user:  {facts['message']}\nmodel: {facts['reply']}")
        elif kind == "learned":
            self._say(f"       -> {facts['outcome']}: {facts['reason']}\n")
            self._display.busy("asking the questions in new threads, without the document")
        elif kind == "asked":
            when = ("before learning", "after learning", "after the rollback")[self._num_asked]
            self._num_asked += 1
            self._say(
                f"{len(facts['answers'])} questions asked {when}: gold answers' NLL {facts['nll']:.2f} nats/token\n"
            )

    def _say(self, text: str) -> None:
        if not self._silent:
            self._display.clear()
            print(wrapped(text), flush=True)


def show_result(result: DemoResult) -> None:
    """Print the table of answers, the figures, and a sentence that sums up the result."""
    print(wrapped("The questions, asked in new threads without the document, before and after it was learned:"))
    write_table(
        ["question", "expected", "before", "after", ""],
        [
            [q.question, q.gold[0], q.before, q.after, "right" if q.correct_after else "wrong"]
            for q in map(_shortened, result.questions)
        ],
        width=WIDTH,
    )
    kept = result.retention
    print()
    print(wrapped(f"verdict: {result.verdict}: {result.reason}"))
    if kept:
        print(
            wrapped(
                f"retention check: {kept['num_probes']} replay questions changed by {kept['change']:+z.2f} nats/token "
                f"(at least {kept['low']:+z.2f}), {kept['num_lost']} lost"
            )
        )
    print(wrapped("seconds: " + ", ".join(f"{step} {seconds:.1f}" for step, seconds in result.steps.items())))
    print(
        f"NLL of the expected answers: {result.nll_before:.2f} before, {result.nll_after:.2f} after learning, "
        "in nats/token"
    )
    print()
    print(wrapped(summary(result)))


def summary(result: DemoResult) -> str:
    """The result of the demo in plain words."""
    learned = (
        f"The model answered {result.num_correct_before} of {result.num_questions} questions about the document "
        f"before learning it and {result.num_correct_after} afterwards"
    )
    kept = f"{result.retention['num_lost']} of {result.retention['num_probes']} probed answers were lost"
    undone = "undoing it brought the old answers back exactly" if result.restored else "undoing it did NOT restore them"
    if result.verdict != "accepted":
        return f"{learned}: the edit was {result.verdict}. It took {result.seconds:.0f} s (seed {result.seed})."
    return f"{learned}; {kept}; {undone}. It took {result.seconds:.0f} s (seed {result.seed})."


def wrapped(text: str) -> str:
    """`text` wrapped to `WIDTH` columns; its own line breaks are kept."""
    return "\n".join(textwrap.fill(line, WIDTH, subsequent_indent="       ") for line in text.split("\n"))


def _shortened(question: Question) -> Question:
    return replace(question, before=_short(question.before), after=_short(question.after))


def _short(answer: str) -> str:
    line = " ".join(answer.split())
    return line if len(line) <= MAX_CELL else line[: MAX_CELL - 1] + "…"
