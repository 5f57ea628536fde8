"""Progress on stderr: bars on a terminal; elsewhere a line per finished step, and one at intervals during long steps.

It reads the events of `seal_agent.graphs.learning.StepEvent` as dictionaries. It prints no results: stdout belongs to
the commands.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from seal_agent.learning.estimates import duration

RECURSION_LIMIT = 1_000_000  # nodes of one run: a document of any length has some ten per passage
BEAT_SECONDS = 10.0  # between two lines about a long step, without a terminal
SURE_SECONDS = 1.0  # from then on the remaining time can be estimated
DOING = {
    "decide": "deciding whether to learn it",
    "write": "writing the self-edit",
    "train": "training an adapter",
    "probe": "probing what it knows",
    "judge": "judging",
    "accept": "accepting",
    "reject": "rejecting",
    "close": "closing",
    "remember": "remembering",
}


@dataclass
class _Rate:
    """The speed of a step: when it began, and what was done at that time."""

    began: float
    first: int
    done: int

    def left(self, now: float, total: int) -> float | None:
        """Seconds to the end; None while they cannot be estimated."""
        passed, done = now - self.began, self.done - self.first
        return passed / done * (total - self.done) if done > 0 and passed >= SURE_SECONDS else None


class Display:
    """Shows what is running on one or two transient lines; a context manager that removes them at the end.

    Without a terminal it prints a line every `beat` seconds, and with `lines` one per finished step.
    """

    def __init__(
        self, *, lines: bool = False, beat: float = BEAT_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = Console(stderr=True)
        self._lines = lines and not self._console.is_terminal
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._clock = clock
        self._rates: dict[int, _Rate] = {}
        self._before, self._all = 0, 0  # passages in earlier documents, and in all
        self._beat = beat
        self._now: tuple[str, float] | None = None  # what is running, and since when
        self._count = ""
        self._written = 0.0
        self._ended = threading.Event()
        self._beating: threading.Thread | None = None

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *error: object) -> None:
        self.clear()
        self._ended.set()

    def busy(self, what: str) -> None:
        """Show that `what` is running, of unknown length, until the next call."""
        self.clear()
        self._runs(what, 0, 0)
        self._draw("step", what, 0, None)

    def progress(self, what: str, done: int, total: int) -> None:
        """Show the progress of `what`."""
        self._runs(what, done, total)
        self._draw("step", what, done, total)

    def place(self, before: int, total: int) -> None:
        """Number the passages of the next document after `before` earlier ones, of `total` in all documents."""
        self._before, self._all = before, total

    def step(self, event: Mapping[str, Any], document: str = "") -> None:
        """Show a step event."""
        number, total = self._before + event["passage"], self._all or event["num_passages"]
        of_many = total > 1
        where = f"[{number}/{total}] " if of_many else ""
        if event["seconds"] is not None:
            if self._lines:
                self.line(f"{document and document + ': '}{where}{event['step']} {event['seconds']:.1f} s")
            return
        what = DOING.get(event["step"], event["step"])
        what = f"{what}: {event['what']}" if event["what"] else what
        self._runs(f"{where}{what}", event["done"], event["total"])
        if of_many or document:
            self._draw("passages", document or "passages", number - 1, total, f"passage {number} of {total}")
        self._draw("step", what, event["done"], event["total"])

    def line(self, text: str) -> None:
        """Print a line on stderr."""
        self.clear()
        self._write(text)

    def clear(self) -> None:
        """Remove the bars from the terminal, so that results can be printed."""
        self._now = None
        if self._bars is not None:
            self._bars.stop()
        self._bars = None
        self._tasks = {}

    def _runs(self, what: str, done: int, total: int) -> None:
        """Record what is running, its progress and its estimated end."""
        now = self._clock()
        if self._now is None or self._now[0] != what:
            self._now = (what, now)
        self._count = f"{done}/{total}" if total else ""
        if total:
            rate = self._rates.get(total)
            if rate is None or done < rate.done:
                rate = self._rates[total] = _Rate(now, done, done)
            rate.done = done
            left = rate.left(now, total)
            self._count += f", {duration(left)} left" if left is not None and done < total else ""
        if self._console.is_terminal or self._beating:
            return
        self._written = now
        self._beating = threading.Thread(target=self._beat_on, name="seal-agent-progress", daemon=True)
        self._beating.start()

    def _beat_on(self) -> None:
        """Until the end, print what is running if nothing was printed for a while."""
        while not self._ended.wait(self._beat / 10):
            running = self._now
            if running is None or self._clock() - self._written < self._beat:
                continue
            what, since = running
            count = f" {self._count}" if self._count else ""
            self._write(f"{what}{count} ({self._clock() - since:.0f} s)")

    def _write(self, text: str) -> None:
        self._written = self._clock()
        print(text, file=sys.stderr, flush=True)

    def _draw(self, name: str, what: str, done: int, total: int | None, count: str = "") -> None:
        if not self._console.is_terminal:
            return
        if self._bars is None:
            self._bars = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=30),
                TextColumn("{task.fields[count]}"),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
                redirect_stdout=False,  # stdout may be a file
            )
            self._bars.start()
        old = self._tasks.get(name)
        if old is None or self._bars.tasks[self._bars.task_ids.index(old)].description != what:
            if old is not None:
                self._bars.remove_task(old)
            self._tasks[name] = self._bars.add_task(what, total=None, count="")
        shown = count or (self._count if total else "")
        self._bars.update(self._tasks[name], completed=done, total=total or None, count=shown)


def follow(
    graph: Any, state: Mapping[str, Any], display: Display, *, thread: str = "", document: str = ""
) -> Iterator[Mapping[str, Any]]:
    """Run a compiled graph: show its steps, and yield the update of every finished node."""
    config = {"configurable": {"thread_id": thread}, "recursion_limit": RECURSION_LIMIT}
    for kind, data in graph.stream(state, config, stream_mode=["updates", "custom"]):
        if kind == "custom":
            display.step(data, document)
        else:
            yield from data.values()
