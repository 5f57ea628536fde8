"""Which of two words a model finds likelier after a few examples: how it is asked for a judgement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from seal_agent.core.backend import Backend, silent
from seal_agent.core.episodes import Progress
from seal_agent.core.messages import Message, Prompt
from seal_agent.core.stacks import AdapterStack


def prompts_after(instruction: str, examples: Iterable[tuple[str, str]], asked: Sequence[str]) -> list[Prompt]:
    """A prompt for each text of `asked`: the instruction, the examples (text and word) as turns, then the text."""
    shown = [message for text, word in examples for message in (Message("user", text), Message("assistant", word))]
    opening = (Message("system", instruction), *shown)
    return [Prompt((*opening, Message("user", text))) for text in asked]


def word_margins(
    backend: Backend, prompts: Sequence[Prompt], word: str, other: str, progress: Progress = silent
) -> list[float]:
    """For each prompt the nats by which `word` is a likelier answer than `other` to the base model."""
    if not prompts:
        return []
    words = [word] * len(prompts) + [other] * len(prompts)
    scores = backend.with_stack(AdapterStack()).score([*prompts, *prompts], words, progress=progress)
    return [a.logprob - b.logprob for a, b in zip(scores, scores[len(prompts) :], strict=False)]
