"""What a reply uses of what was learned: adapters in the weights, their texts in the prompt, or both.

One match decides both (`serving.router`): the adapters that a message calls for, and the texts that make it likelier.
A message that no adapter matches is answered by the untouched model with an unchanged prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from seal_agent.core.facts import RECALLED, Fact, Recall
from seal_agent.core.messages import Message, Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.language.context import context_of
from seal_agent.language.dates import relative_dates
from seal_agent.language.prompts import NOT_TOLD, UNKNOWN
from seal_agent.serving.router import Match, part_of
from seal_agent.serving.served import Served
from seal_agent.storage.database import Home


@dataclass(frozen=True)
class Recalled:
    """A prompt as the model reads it, the adapters that are active for it, and the facts that it uses.

    `is_unknown`: it asks for something personal that was never told, and the model is to say so.
    """

    prompt: Prompt
    stack: AdapterStack
    facts: tuple[Fact, ...] = ()
    is_unknown: bool = False


def recalled(
    served: Served, home: Home, namespace: str, prompts: Sequence[Prompt], mode: Recall = "weights"
) -> list[Recalled]:
    """Each prompt with what it calls for of the served stack, by `mode`."""
    matches = served.matches(prompts, recalls_text=mode != "weights")
    held = {entry.ref.id: (*entry.consolidates, entry.ref.id) for entry in served.stack.entries}
    called = {i for match in matches for i in (match.active if mode == "weights" else match.recalled)}
    facts = home.facts(namespace, {origin for adapter in called for origin in held.get(adapter, ())})
    return [
        _recalled(served.stack, prompt, match, held, facts, mode)
        for prompt, match in zip(prompts, matches, strict=True)
    ]


def _recalled(
    stack: AdapterStack,
    prompt: Prompt,
    match: Match,
    held: dict[str, tuple[str, ...]],
    facts: Sequence[Fact],
    mode: Recall,
) -> Recalled:
    called = match.active if mode == "weights" else match.recalled
    origins = {origin for adapter in called for origin in held.get(adapter, ())}
    used = tuple(fact for fact in facts if fact.adapter in origins)
    active = part_of(stack, () if mode == "text" else match.active)
    if mode == "weights":
        return Recalled(prompt, active, used)
    used = completed(used)
    return Recalled(with_facts(prompt, used), active, used)


def completed(facts: Sequence[Fact]) -> tuple[Fact, ...]:
    """The facts as they are read: with the days that their words mean, and with what they answer where they need it.

    One that another of them changes is marked.
    """
    changed = {adapter for fact in facts for adapter in fact.changes}
    return tuple(
        replace(
            fact,
            earlier=context_of(fact.text, fact.earlier),
            dates=relative_dates(fact.text, fact.said_on),
            is_changed=fact.adapter in changed,
        )
        for fact in facts
    )


def nothing(served: Served, prompt: Prompt) -> Recalled:
    """The prompt as it is, with the adapters that are always active."""
    return Recalled(prompt, part_of(served.stack, ()))


def without_guess(found: Recalled, *, is_unknown: bool) -> Recalled:
    """The prompt with the instruction to say what was not told: all of it, or what the recalled facts leave open."""
    if is_unknown:
        return replace(found, prompt=_instructed(found.prompt, UNKNOWN), is_unknown=True)
    is_shown = found.facts and found.prompt.messages[0].role == "system"
    return replace(found, prompt=_instructed(found.prompt, NOT_TOLD)) if is_shown else found


def with_facts(prompt: Prompt, facts: Sequence[Fact]) -> Prompt:
    """`prompt` with the facts in its system message; unchanged without facts or without messages."""
    if not facts or not prompt.messages:
        return prompt
    return _instructed(prompt, RECALLED.format(facts="\n".join(fact.statement for fact in facts)))


def _instructed(prompt: Prompt, text: str) -> Prompt:
    """`prompt` with `text` at the end of its system message, or as one."""
    first, rest = prompt.messages[0], prompt.messages[1:]
    if first.role == "system":
        return replace(prompt, messages=(Message("system", f"{first.content}\n\n{text}"), *rest))
    return replace(prompt, messages=(Message("system", text), *prompt.messages))
