"""`seal-agent bench routing`: does a question reach the adapter that learned about it, and no other?

No adapter is trained: the keys are passages, and routing is all that is measured. The general questions are those of
the 'report' split.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from seal_agent.core.backend import Backend, silent
from seal_agent.core.episodes import Progress
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Prompt
from seal_agent.documents.datasets import Item
from seal_agent.retention.items import report_probes
from seal_agent.serving.router import RouteLimits, Router

WORDS, CONFIRMED = "words alone", "words, confirmed by the model"
RULES = {WORDS: RouteLimits(min_relevance=0.0), CONFIRMED: RouteLimits()}
NUM_DRAWS = 3  # of the learned passages, if they are not all


@dataclass(frozen=True)
class Routed:
    """Shares of questions routed: about learned passages, and general ones; `milliseconds` per question."""

    rule: str
    num_keys: int
    num_questions: int
    own: float
    other: float
    general: float
    milliseconds: float


def measure(
    backend: Backend, items: Sequence[Item], sizes: Sequence[int], seed: int = 0, progress: Progress = silent
) -> list[Routed]:
    """One result per rule and number of passages; raises `InputError` if there are fewer passages."""
    if too_many := [size for size in sizes if not 0 < size <= len(items)]:
        raise InputError(
            f"{too_many[0]} passages of {len(items)} cannot be drawn; give --num-adapters from 1 to {len(items)}"
        )
    cases = [(rule, size) for size in sizes for rule in RULES]
    found = []
    for number, (rule, size) in enumerate(cases):
        progress(f"{rule}, {size} passages", number, len(cases))
        found.append(_measured(backend, items, rule, size, seed))
    return found


def _measured(backend: Backend, items: Sequence[Item], rule: str, size: int, seed: int) -> Routed:
    rng = random.Random(seed)
    general = [probe.prompt for probe in report_probes()]
    num_draws = NUM_DRAWS if size < len(items) else 1
    own, other, called, num_questions, seconds = 0, 0, 0, 0, 0.0
    for _ in range(num_draws):
        drawn = rng.sample(items, size)
        router = Router({str(item.number): f"{item.title}\n{item.passage}" for item in drawn}, RULES[rule])
        asked = [(str(item.number), Prompt.user(q.question)) for item in drawn for q in item.questions]
        start = time.perf_counter()
        matched = router.match([*(prompt for _, prompt in asked), *general], backend.score)
        seconds += time.perf_counter() - start
        own += sum(found == (key,) for (key, _), found in zip(asked, matched, strict=False))
        other += sum(bool(found) and found != (key,) for (key, _), found in zip(asked, matched, strict=False))
        called += sum(map(bool, matched[len(asked) :]))
        num_questions += len(asked)
    num_general = num_draws * len(general)
    milliseconds = 1000 * seconds / (num_questions + num_general)
    shares = own / num_questions, other / num_questions, called / num_general
    return Routed(rule, size, num_questions, *shares, milliseconds)
