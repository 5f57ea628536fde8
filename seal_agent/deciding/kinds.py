"""The model itself names the kind of a message, in one word under a grammar, if it passes a test at that.

A model of 1.5B parameters names kinds like "appointment" or "question" well and is generous with "preference"; a
model of 135M cannot (docs/log/deciding.md). So a kind is evidence beside the classifier, and without a classifier only
kinds that are almost never wrong are learned.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from importlib import resources
from pathlib import Path

from seal_agent.core.backend import Backend
from seal_agent.core.messages import Grammar, Message, Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.deciding.classifier import HEADS_FOLDER, TURNS_FILE, Turn, file_name, read_turns
from seal_agent.storage.files import write_whole

log = logging.getLogger(__name__)
PROMPT_FILE = "kinds.json"
CERTAIN = frozenset({"fact", "appointment", "correction", "reminder", "document"})
"""Kinds of messages that are worth learning."""
LIKELY = frozenset({"preference"})
"""Kinds that are worth learning if the classifier nearly agrees."""
ASKING = frozenset({"question", "request"})
"""Kinds of messages that ask for something."""
FORGET = "forget"
NUM_TESTED, BATCH = 16, 8
MIN_PASSED = 0.6  # of the tested turns, half of them worth learning; Qwen2.5-Coder-1.5B gets 10 of 16 right
MAX_CHARS = 600
MAX_KIND_TOKENS = 6


def kind_of(backend: Backend, text: str, earlier: str = "") -> str:
    """The kind that the base model gives a message; `earlier` is the conversation before it."""
    return _kinds(backend, [(text, earlier)])[0]


def _kinds(backend: Backend, messages: Sequence[tuple[str, str]]) -> list[str]:
    instruction, shown, grammar = _prompt()
    asked = [Prompt((*instruction, *shown, Message("user", _shown(text, earlier)))) for text, earlier in messages]
    base = backend.with_stack(AdapterStack())
    written = base.generate(asked, max_new_tokens=MAX_KIND_TOKENS, grammars=[grammar] * len(asked))
    return [samples[0].strip() for samples in written]


def _prompt() -> tuple[list[Message], list[Message], Grammar]:
    """The instruction, the examples as a conversation, and the grammar of the answer."""
    data = json.loads(resources.files("seal_agent").joinpath("data", PROMPT_FILE).read_text(encoding="utf-8"))
    kinds: dict[str, str] = data["kinds"]
    lines = [f"{name}: {meaning}" for name, meaning in kinds.items()]
    shown = [
        message for text, kind in data["examples"] for message in (Message("user", text), Message("assistant", kind))
    ]
    words = " | ".join(json.dumps(name) for name in kinds)
    return [Message("system", "\n".join([data["instruction"], *lines]))], shown, Grammar(f"start: {words}\n")


def _shown(text: str, earlier: str) -> str:
    """A message as it is shown: cut, and a short one that answers something with what it answers."""
    said = " ".join(text.split())[:MAX_CHARS] if "\n" not in text else text[:MAX_CHARS]
    return said if not earlier or len(said.split()) > 3 else f"{earlier.strip().splitlines()[-1][:MAX_CHARS]}\n{said}"


def can_name_kinds(backend: Backend, cache: Path) -> bool:
    """Whether the model passes the test, which is taken once for a model.

    Results ship for the models whose heads do; others are stored in `cache`.
    """
    path = cache / f"{file_name(backend.model).removesuffix('.npz')}-kinds.json"
    for known in (resources.files("seal_agent").joinpath("data", HEADS_FOLDER, path.name), path):
        if known.is_file():
            with suppress(ValueError, KeyError, TypeError):  # damaged: tested again
                return bool(json.loads(known.read_text(encoding="utf-8"))["passed"])
    tested = _tested()
    kinds = [
        kind
        for start in range(0, len(tested), BATCH)
        for kind in _kinds(backend, [(turn.text, turn.earlier) for turn in tested[start : start + BATCH]])
    ]
    num_right = sum((kind in CERTAIN) == turn.learn for kind, turn in zip(kinds, tested, strict=True))
    passed = num_right >= MIN_PASSED * len(tested)
    log.info("%s names the kind of %d of %d test messages well", backend.model, num_right, len(tested))
    write_whole(path, json.dumps({"passed": passed, "right": num_right, "of": len(tested)}).encode())
    return passed


def _tested() -> list[Turn]:
    """Turns that choose thresholds, half of them worth learning, spread over the kinds."""
    turns = [turn for turn in read_turns(TURNS_FILE) if turn.split == "choose"]
    chosen: list[Turn] = []
    for learn in (True, False):
        of_kind = [turn for turn in turns if turn.learn == learn]
        chosen += of_kind[:: -(-len(of_kind) // (NUM_TESTED // 2))]
    return chosen
