"""What `seal-agent demo` prints: the conversation, both answers side by side, the verdict, the step times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seal_agent.cli_options import write_table
from seal_agent.cli_progress import Display
from seal_agent.demo import DemoResult

MAX_CELL = 60  # characters of an answer in the table


class DemoScreen:
    """Prints the demo's events as they come; progress goes to `display`."""

    def __init__(self, display: Display, *, silent: bool) -> None:
        self._display = display
        self._silent = silent
        self._num_asked = 0

    def event(self, kind: str, facts: Mapping[str, Any]) -> None:
        """Show one event of `seal_agent.demo.run_demo`."""
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
            print(text, flush=True)


def show_result(result: DemoResult) -> None:
    """The table of answers and the summary."""
    mark = {True: "right", False: "wrong"}
    write_table(
        ["question (new thread, no document)", "gold", "before", "after", ""],
        [[q.question, q.gold[0], _short(q.before), _short(q.after), mark[q.correct_after]] for q in result.questions],
    )
    kept = result.retention
    print(f"\nverdict: {result.verdict}: {result.reason}")
    if kept:
        print(
            f"retention check: {kept['num_probes']} replay questions changed by {kept['change']:+z.2f} nats/token "
            f"(at least {kept['low']:+z.2f}), {kept['num_lost']} lost"
        )
    print("seconds: " + ", ".join(f"{step} {seconds:.1f}" for step, seconds in result.steps.items()))
    print(f"rolled back: the answers {'are those from before' if result.restored else 'DIFFER from those before'}")
    print(
        f"right {result.num_correct_before} -> {result.num_correct_after} of {result.num_questions}, "
        f"NLL {result.nll_before:.2f} -> {result.nll_after:.2f} nats/token, "
        f"{result.seconds:.0f} s in all (seed {result.seed})"
    )


def _short(answer: str) -> str:
    line = " ".join(answer.split())
    return line if len(line) <= MAX_CELL else line[: MAX_CELL - 1] + "…"
