"""The text of a self-edit and its parser: one JSON line of directives, then questions with answers.

    {"epochs": 8}
    Q: Who founded the Quillon Observatory?
    A: Ilsabet Korrane

A fault in the text is the model's fault: it raises `EditFault`, whose message goes back into the model's
context. Training rows are made here too, so that what is trained is exactly what was parsed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from seal_agent.errors import EditFault, InputError
from seal_agent.passages import resolve_pronoun, split_sentences
from seal_agent.types import Directives, Probe, Prompt, Row, SelfEdit

EPOCHS = (8, 10, 12)
MIN_STEPS = 16
MAX_STEPS = 40
MIN_PAIRS = 2
MAX_PROBES = 8


@dataclass(frozen=True)
class Pair:
    """A question and its short answer, in the words of the model."""

    question: str
    answer: str


def format_self_edit(epochs: int, pairs: Sequence[Pair]) -> str:
    """The canonical text of a self-edit."""
    lines = [json.dumps({"epochs": epochs})]
    for pair in pairs:
        lines += [f"Q: {pair.question}", f"A: {pair.answer}"]
    return "\n".join(lines)


def parse_self_edit(text: str, *, topic: str, passage: str, num_dropped: int = 0) -> SelfEdit:
    """Rows, held-back probes and directives out of a self-edit's text.

    Raises `EditFault` where the directives are missing or out of range, a line is neither question nor
    answer, or fewer than `MIN_PAIRS` pairs are left.
    """
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    epochs = _parse_directives(lines[0] if lines else "")
    pairs: list[Pair] = []
    question = ""
    for number, line in enumerate(lines[1:], start=2):
        if line.startswith("Q:") and not question:
            question = line[2:].strip()
        elif line.startswith("A:") and question and line[2:].strip():
            pairs.append(Pair(question, line[2:].strip()))
            question = ""
        else:
            raise EditFault(f"line {number} is {line[:60]!r}; write 'Q: question' and then 'A: answer'")
    if question:
        raise EditFault(f"the last question {question[:60]!r} has no answer; write 'A: answer' below it")
    pairs = list(dict.fromkeys(pairs))  # a pair written twice would be trained and probed
    if len(pairs) < MIN_PAIRS:
        raise EditFault(f"{len(pairs)} usable questions; write at least {MIN_PAIRS} whose answers stand in the text")
    trained, held_back = _hold_back(pairs)
    rows = tuple(Row(Prompt.user(pair.question), pair.answer) for pair in trained) + statements(passage, topic)
    edit = SelfEdit(topic, passage, rows, (), _directives(epochs, len(rows)), num_dropped)
    probes = tuple(
        Probe(Prompt.user(pair.question), pair.answer, "edit", edit.document)
        for pair in held_back or trained[:MAX_PROBES]
    )
    return replace(edit, probes=probes)


def statements(passage: str, topic: str) -> tuple[Row, ...]:
    """The passage's own sentences as answers: a tool that makes rows without the model.

    They cover what no question asks for, and keep the model used to answering in whole sentences.
    """
    prompt = Prompt.user(f"Tell me something about {topic}.")
    return tuple(Row(prompt, resolve_pronoun(sentence, topic), "statement") for sentence in split_sentences(passage))


def _parse_directives(line: str) -> int:
    try:
        data = json.loads(line)
        epochs = data["epochs"]
    except (ValueError, KeyError, TypeError) as error:
        raise EditFault(f'the first line is {line[:60]!r}; write directives such as {{"epochs": 8}}') from error
    if set(data) != {"epochs"} or type(epochs) is not int or not 1 <= epochs <= 50:
        raise EditFault(f"directives {line[:60]} do not fit; give only epochs, 1 to 50")
    return epochs


def _directives(epochs: int, num_rows: int) -> Directives:
    base = Directives()
    num_steps = math.ceil(epochs * num_rows / base.batch_size)
    try:
        return replace(base, num_steps=min(max(num_steps, MIN_STEPS), MAX_STEPS))
    except InputError as error:
        raise EditFault(str(error)) from error


def _hold_back(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Keep one of three or more questions about the same answer out of training, to ask it as a probe."""
    by_answer: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_answer.setdefault(pair.answer.lower(), []).append(pair)
    trained: list[Pair] = []
    held_back: list[Pair] = []
    for group in by_answer.values():
        if len(group) >= 3 and len(held_back) < MAX_PROBES:
            held_back.append(group[-1])
            group = group[:-1]
        trained += group
    return trained, held_back
