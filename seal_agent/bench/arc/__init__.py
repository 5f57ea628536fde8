"""ARC puzzles as a second domain: the model chooses how to train on a task's demonstrations.

Directives, rows, `Backend.train` and `Grade` are those of knowledge; `grids`, `transforms`, `augment` and `voting` are
specific to ARC. The benchmark is `bench`.
"""

from seal_agent.bench.arc.augment import edit_of
from seal_agent.bench.arc.domain import ARC, ArcDomain
from seal_agent.bench.arc.grids import Grid
from seal_agent.bench.arc.tasks import Pair, Task

__all__ = ["ARC", "ArcDomain", "Grid", "Pair", "Task", "edit_of"]
