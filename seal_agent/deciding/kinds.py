"""The model itself names the kind of a message, in one word under a grammar, if it passes a test at that.

A model of 1.5B parameters names kinds like "appointment" or "question" well and is generous with "preference"; a
model of 135M cannot (docs/log/deciding.md). A kind says whether a message asks, tells or is a request about what is
remembered. Whether a message is worth learning is judged otherwise (`judgements`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path

from seal_agent.core.backend import Backend
from seal_agent.core.messages import Grammar, Message, Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.deciding.capability import passes
from seal_agent.deciding.classifier import TURNS_FILE, Turn, read_turns

PROMPT_FILE = "kinds.json"
TELLING = frozenset({"fact", "appointment", "correction", "reminder", "document"})
"""Kinds of messages that tell something."""
ASKING = frozenset({"question", "request"})
"""Kinds of messages that ask for something."""
FORGET, CORRECTION = "forget", "correction"
NUM_TESTED, BATCH = 16, 8
MIN_PASSED = 0.6  # of the tested turns, half of them worth learning; Qwen2.5-Coder-1.5B gets 10 of 16 right
MAX_CHARS = 600
MAX_KIND_TOKENS = 6


def kind_of(backend: Backend, said: str) -> str:
    """The kind that the base model gives a message, as `shown` shows it."""
    return _kinds(backend, [said])[0]


def _kinds(backend: Backend, messages: Sequence[str]) -> list[str]:
    opening, grammar = _prompt()
    asked = [Prompt((*opening, Message("user", said))) for said in messages]
    base = backend.with_stack(AdapterStack())
    written = base.generate(asked, max_new_tokens=MAX_KIND_TOKENS, grammars=[grammar] * len(asked))
    return [samples[0].strip() for samples in written]


@lru_cache(maxsize=1)
def _prompt() -> tuple[tuple[Message, ...], Grammar]:
    """The instruction with the examples as a conversation, and the grammar of the answer."""
    data = json.loads(resources.files("seal_agent").joinpath("data", PROMPT_FILE).read_text(encoding="utf-8"))
    kinds: dict[str, str] = data["kinds"]
    lines = [f"{name}: {meaning}" for name, meaning in kinds.items()]
    shown = [
        message for text, kind in data["examples"] for message in (Message("user", text), Message("assistant", kind))
    ]
    words = " | ".join(json.dumps(name) for name in kinds)
    instruction = Message("system", "\n".join([data["instruction"], *lines]))
    return (instruction, *shown), Grammar(f"start: {words}\n")


def shown(text: str, earlier: str = "") -> str:
    """A message as the model is shown it: cut, and a short one that answers something with what it answers."""
    said = " ".join(text.split())[:MAX_CHARS] if "\n" not in text else text[:MAX_CHARS]
    if not earlier.strip() or len(said.split()) > 3:
        return said
    return f"{earlier.strip().splitlines()[-1][:MAX_CHARS]}\n{said}"


def can_name_kinds(backend: Backend, cache: Path) -> bool:
    """Whether the model passes the test in naming kinds (`capability.passes`)."""

    def take() -> list[bool]:
        tested = _tested()
        batches = (tested[start : start + BATCH] for start in range(0, len(tested), BATCH))
        kinds = [kind for batch in batches for kind in _kinds(backend, [shown(t.text, t.earlier) for t in batch])]
        return [(kind in TELLING) == turn.learn for kind, turn in zip(kinds, tested, strict=True)]

    return passes(backend.model, "kinds", cache, take, MIN_PASSED)


def _tested() -> list[Turn]:
    """Turns that choose thresholds, half of them worth learning, spread over the kinds."""
    turns = [turn for turn in read_turns(TURNS_FILE) if turn.split == "choose"]
    chosen: list[Turn] = []
    for learn in (True, False):
        of_kind = [turn for turn in turns if turn.learn == learn]
        chosen += of_kind[:: -(-len(of_kind) // (NUM_TESTED // 2))]
    return chosen
