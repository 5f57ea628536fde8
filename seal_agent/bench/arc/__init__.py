"""Few-shot puzzles (ARC): the second domain. The model chooses how to train on a task's demonstrations.

The machinery is the one knowledge has: directives as JSON, rows, `Backend.train`, `Grade`. What is its own is how
grids are written, transformed and voted on. It holds no benchmark: that is `bench_arc`.
"""

from seal_agent.bench.arc.augment import edit_of
from seal_agent.bench.arc.domain import ARC, ArcDomain
from seal_agent.bench.arc.grids import Grid
from seal_agent.bench.arc.tasks import Pair, Task

__all__ = ["ARC", "ArcDomain", "Grid", "Pair", "Task", "edit_of"]
