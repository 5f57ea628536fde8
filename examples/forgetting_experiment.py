"""An own strategy and judge against ours: what does a model still know after many edits?

    python examples/forgetting_experiment.py examples/passages.json [folder] [model]

The passages are a list of {"title", "context", "questions": [{"question", "answer"}]}. A stopped run is resumed
when the same command is given again. The folder holds the matrices (rows.jsonl).
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from seal_agent.bench import continual as bench
from seal_agent.bench.reports.continual import markdown, summarise
from seal_agent.documents.datasets import read_items
from seal_agent.factory import open_backend
from seal_agent.learning.learner import LearnerConfig
from seal_agent.retention.judge import judge
from seal_agent.storage.database import Home


# --8<-- [start:own]
@dataclass(frozen=True)
class Fading:
    """A stack in which every new adapter has a smaller weight."""

    name: str = "fading"

    def parent(self, stack):
        return stack

    def pushed(self, stack, ref, weight):
        return stack.push(ref, weight * 0.9 ** len(stack))

    def consolidation(self, stack):
        return ""


def lenient(probed, limits, *, final=False):
    """Our judge, but an edit may forget twice as much."""
    return judge(probed, replace(limits, max_drop=2 * limits.max_drop), final=final)


ARM = bench.Arm("fading, lenient judge", LearnerConfig(strategy=Fading(), judge=lenient))
# --8<-- [end:own]


def main(data: str, folder: str = "forgetting", model: str = "embedded") -> None:
    orders = bench.sequences(read_items(Path(data)), num=2, length=3, seed=0)
    backend = open_backend(Home(Path(folder) / "home"), model)
    run = bench.Run(Path(folder), "", {"data": data, "model": model})
    bench.measure(backend, run, orders, ["route", "stack", ARM.name], own=[ARM])
    print(markdown(summarise(run.rows()), [f"model: {model}"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
