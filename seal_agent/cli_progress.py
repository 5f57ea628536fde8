"""Progress on stderr: a bar on a terminal, elsewhere a plain line per finished step or nothing.

It knows the events of `seal_agent.graphs.learning.StepEvent` as dictionaries and prints no results:
stdout belongs to the commands.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

RECURSION_LIMIT = 1_000_000  # nodes of one run: a document has some ten per passage and may have any length
DOING = {
    "decide": "deciding whether to learn it",
    "write": "writing the self-edit",
    "train": "training an adapter",
    "probe": "probing what it knows",
    "judge": "judging",
    "accept": "accepting",
    "rollback": "rolling back",
    "ignore": "closing",
}


class Display:
    """What is running now, on one or two lines that vanish; a context manager that cleans up after itself.

    `lines`: without a terminal, write one line per finished step instead of nothing.
    """

    def __init__(self, *, lines: bool = False) -> None:
        self._console = Console(stderr=True)
        self._lines = lines and not self._console.is_terminal
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *error: object) -> None:
        self.clear()

    def busy(self, what: str) -> None:
        """Show that `what` is running, of unknown length, until the next call."""
        self.clear()
        self._draw("step", what, 0, None)

    def progress(self, what: str, done: int, total: int) -> None:
        """Show that `what` has come so far."""
        self._draw("step", what, done, total)

    def step(self, event: Mapping[str, Any], document: str = "") -> None:
        """Show one step event."""
        of_many = event["num_passages"] > 1
        if self._lines and event["seconds"] is not None:
            where = f"[{event['passage']}/{event['num_passages']}] " if of_many else ""
            self.line(f"{document and document + ': '}{where}{event['step']} {event['seconds']:.1f} s")
        if self._console.is_terminal and event["seconds"] is None:
            if of_many or document:
                self._draw("passages", document or "passages", event["passage"] - 1, event["num_passages"])
            what = DOING.get(event["step"], event["step"])
            self._draw("step", f"{what}: {event['what']}" if event["what"] else what, event["done"], event["total"])

    def line(self, text: str) -> None:
        """A plain line on stderr."""
        self.clear()
        print(text, file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the bars off the terminal, so that results can be printed."""
        if self._bars is not None:
            self._bars.stop()
        self._bars = None
        self._tasks = {}

    def _draw(self, name: str, what: str, done: int, total: int | None) -> None:
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
        self._bars.update(
            self._tasks[name], completed=done, total=total or None, count=f"{done}/{total}" if total else ""
        )


def follow(
    graph: Any, state: Mapping[str, Any], display: Display, *, thread: str = "", document: str = ""
) -> Iterator[Mapping[str, Any]]:
    """Run a compiled graph: draw its steps, yield the update of every node that ends."""
    config = {"configurable": {"thread_id": thread}, "recursion_limit": RECURSION_LIMIT}
    for kind, data in graph.stream(state, config, stream_mode=["updates", "custom"]):
        if kind == "custom":
            display.step(data, document)
        else:
            yield from data.values()
