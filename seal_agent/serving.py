"""What users and probes see: a model through a stack, every prompt through the adapters it calls for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from seal_agent.adapters.backend import Backend, silent
from seal_agent.routing import Router
from seal_agent.types import AdapterStack, Progress, Prompt, Score

T = TypeVar("T")


class Served:
    """A stack with routed adapters on top of a backend; prompts that call for the same ones go through together."""

    def __init__(self, backend: Backend, stack: AdapterStack, router: Router) -> None:
        self.stack = stack
        self._backend = backend
        self._router = router

    def active(self, prompt: Prompt) -> AdapterStack:
        """The adapters that answer `prompt`."""
        return self._router.active(self.stack, prompt)

    def generate(self, prompts: Sequence[Prompt], **options: Any) -> list[list[str]]:
        """As `Backend.generate`, without grammars."""
        return self._each(prompts, lambda view, numbers: view.generate([prompts[n] for n in numbers], **options))

    def score(self, prompts: Sequence[Prompt], answers: Sequence[str], *, progress: Progress = silent) -> list[Score]:
        """As `Backend.score`."""
        done = 0

        def scored(view: Backend, numbers: Sequence[int]) -> list[Score]:
            nonlocal done
            found = view.score([prompts[n] for n in numbers], [answers[n] for n in numbers])
            done += len(numbers)
            progress("scoring", done, len(prompts))
            return found

        return self._each(prompts, scored)

    def _each(self, prompts: Sequence[Prompt], ask: Callable[[Backend, Sequence[int]], list[T]]) -> list[T]:
        groups: dict[AdapterStack, list[int]] = {}
        for number, prompt in enumerate(prompts):
            groups.setdefault(self.active(prompt), []).append(number)
        answers: dict[int, T] = {}
        for stack, numbers in groups.items():
            answers |= dict(zip(numbers, ask(self._backend.with_stack(stack), numbers), strict=True))
        return [answers[number] for number in range(len(prompts))]
