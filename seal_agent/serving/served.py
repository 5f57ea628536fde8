"""The model as users and probes see it: with a stack, each prompt through the adapters it is routed to."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from seal_agent.core.backend import Backend, check_grammars, silent
from seal_agent.core.edits import Probe
from seal_agent.core.episodes import Probed, Progress, Score
from seal_agent.core.messages import Generated, Grammar, Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.serving.router import Judge, Match, Router, part_of

T = TypeVar("T")


MAX_SCORES = 50_000
ScoreKey = tuple[AdapterStack, Prompt, str]


class ScoreCache:
    """A cache of the last `MAX_SCORES` scores, by active adapters, prompt and answer.

    Adapters never change, so a score never does. Most probes of an edit have the same active adapters before and after
    it, and each remedy scores the same probes again.
    """

    def __init__(self) -> None:
        self._scores: OrderedDict[ScoreKey, Score] = OrderedDict()

    def get(self, asked: ScoreKey) -> Score | None:
        """The cached score, or None."""
        return self._scores.get(asked)

    def put(self, asked: ScoreKey, score: Score) -> None:
        """Store a score."""
        self._scores[asked] = score
        if len(self._scores) > MAX_SCORES:
            self._scores.popitem(last=False)


def compared(
    drawn: Sequence[tuple[Probe, float | None]], before: Served, after: Served, progress: Progress = silent
) -> tuple[Probed, ...]:
    """Score every probe before and after; `drawn` also has the best score of each."""
    prompts, answers = [probe.prompt for probe, _ in drawn], [probe.answer for probe, _ in drawn]
    pairs = zip(
        before.score(prompts, answers, progress=progress), after.score(prompts, answers, progress=progress), strict=True
    )
    return tuple(Probed(probe, b, a, best) for (probe, best), (b, a) in zip(drawn, pairs, strict=True))


class Served:
    """A stack with routed adapters on a backend; prompts with equal active adapters share a batch."""

    def __init__(
        self,
        backend: Backend,
        stack: AdapterStack,
        router: Router,
        scores: ScoreCache | None = None,
        judge: Judge | None = None,
    ) -> None:
        self.stack = stack
        self._judge = judge
        self._backend = backend
        self._router = router
        self._scores = scores or ScoreCache()
        self._routed = any(entry.is_routed for entry in stack.entries)
        self._matched: dict[tuple[Prompt, bool], Match] = {}

    def active(self, prompt: Prompt) -> AdapterStack:
        """The adapters that are active for `prompt`."""
        return self._actives([prompt])[0]

    def _actives(self, prompts: Sequence[Prompt]) -> list[AdapterStack]:
        return [part_of(self.stack, match.active) for match in self.matches(prompts)]

    def matches(self, prompts: Sequence[Prompt], *, recalls_text: bool = False) -> list[Match]:
        """What each prompt calls for of the routed adapters (`Router.matches`); computed once for a prompt."""
        if not self._routed:
            return [Match()] * len(prompts)
        fresh = [prompt for prompt in dict.fromkeys(prompts) if (prompt, recalls_text) not in self._matched]
        found = self._router.matches(fresh, self._scored_by_base, recalls_text=recalls_text, judge=self._judge)
        self._matched |= {(prompt, recalls_text): match for prompt, match in zip(fresh, found, strict=True)}
        return [self._matched[prompt, recalls_text] for prompt in prompts]

    def _scored_by_base(self, prompts: Sequence[Prompt], answers: Sequence[str]) -> list[Score]:
        return self._scored([(AdapterStack(), p, a) for p, a in zip(prompts, answers, strict=True)])

    def generate(
        self, prompts: Sequence[Prompt], *, grammars: Sequence[Grammar] = (), **options: Any
    ) -> list[list[Generated]]:
        """As `Backend.generate`."""
        check_grammars(prompts, grammars)

        def ask(view: Backend, numbers: Sequence[int]) -> list[list[Generated]]:
            held = [grammars[n] for n in numbers] if grammars else []
            return view.generate([prompts[n] for n in numbers], grammars=held, **options)

        return self._each(prompts, ask)

    def stream(self, prompt: Prompt, **options: Any) -> Iterator[Generated]:
        """As `Backend.stream`."""
        return self._backend.with_stack(self.active(prompt)).stream(prompt, **options)

    def score(self, prompts: Sequence[Prompt], answers: Sequence[str], *, progress: Progress = silent) -> list[Score]:
        """As `Backend.score`, with the cache."""
        return self._scored(list(zip(self._actives(prompts), prompts, answers, strict=True)), progress)

    def _scored(self, asked: Sequence[ScoreKey], progress: Progress = silent) -> list[Score]:
        fresh = [key for key in dict.fromkeys(asked) if self._scores.get(key) is None]
        done = len(asked) - len(fresh)
        found: dict[ScoreKey, Score] = {key: score for key in asked if (score := self._scores.get(key)) is not None}
        groups: dict[AdapterStack, list[ScoreKey]] = {}
        for key in fresh:
            groups.setdefault(key[0], []).append(key)
        for stack, keys in groups.items():
            scores = self._backend.with_stack(stack).score([p for _, p, _ in keys], [a for _, _, a in keys])
            for key, score in zip(keys, scores, strict=True):
                self._scores.put(key, score)
                found[key] = score
            done += len(keys)
            progress("scoring", done, len(asked))
        return [found[key] for key in asked]

    def _each(self, prompts: Sequence[Prompt], ask: Callable[[Backend, Sequence[int]], list[T]]) -> list[T]:
        return by_stack(self._backend, self._actives(prompts), ask)


def by_stack(
    backend: Backend, stacks: Sequence[AdapterStack], ask: Callable[[Backend, Sequence[int]], list[T]]
) -> list[T]:
    """One result for each of `stacks`; the numbers of equal ones are asked together, through a backend with it."""
    groups: dict[AdapterStack, list[int]] = {}
    for number, stack in enumerate(stacks):
        groups.setdefault(stack, []).append(number)
    results: dict[int, T] = {}
    for stack, numbers in groups.items():
        results |= dict(zip(numbers, ask(backend.with_stack(stack), numbers), strict=True))
    return [results[number] for number in range(len(stacks))]
