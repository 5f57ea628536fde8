"""What a chat message says, as statements that can be understood alone: written by the model, after examples.

"He sleeps in the utility room", said about a dog, becomes "Your dog Pickle sleeps in the utility room." The statements
are what the model learns to answer with. Whether the message says them is checked with their questions (`messages`).
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from importlib import resources
from typing import Any

from seal_agent.core.backend import silent
from seal_agent.core.episodes import Progress
from seal_agent.core.facts import Fact
from seal_agent.core.messages import Generated, Message, Prompt
from seal_agent.core.word_choice import prompts_after
from seal_agent.language.sentences import ENDS
from seal_agent.language.source import Source
from seal_agent.language.words import WORD
from seal_agent.writing.formats import Ask
from seal_agent.writing.requests import Writer, generate

EXAMPLES_FILE = "statements.json"
MAX_TOKENS = 128
MAX_CHARS = 1200  # of a message, and of what stands before it
MOST = 6  # statements of a message
CHANGED = "Statement: {statement}\nNew: {message}"
MAX_CHANGED_TOKENS = 64
MIN_WORDS = 3  # of a first sentence that is a statement and no greeting
SHOWN = "Before: {before}\nMessage: {message}"
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")


def statements_of(
    writer: Writer, source: Source, fact: Fact, *, seed: int = 0, temperature: float = 0.0, progress: Progress = silent
) -> tuple[str, ...]:
    """The statements that the model finds in the message `fact`, in order, unchecked.

    A small model that copies a greeting ("Hi there!") goes on copying ("I'm Ottilie"), so it is asked again without it.
    """
    before = " ".join([*(changed.dated for changed in fact.changed), fact.earlier]).strip()

    def asked(message: str) -> list[str]:
        ask = Ask(_prompt(source, before, message), fact.statements, MAX_TOKENS, temperature, stop=("\n\n",))
        [text] = generate(writer, [ask], seed, "statements", progress)
        return [line for line in _lines(text) if not _is_of_an_example(line, f"{before} {message}")]

    if changed := _changed(writer, source, fact, seed=seed, temperature=temperature, progress=progress):
        return changed
    found = asked(fact.dated)
    if found and (rest := _after_greeting(found[0], fact.dated)):
        found = [found[0], *asked(rest)]  # the check of rows drops a greeting
    if not fact.changed:
        found = [line for line in found if _adds(source, line, fact.dated, before)]
    return tuple(found[:MOST])


def _changed(
    writer: Writer, source: Source, fact: Fact, *, seed: int, temperature: float, progress: Progress
) -> tuple[str, ...]:
    """The statements of the facts that a message changes and leans on ("No, 2 pm."), as they read now.

    Empty if none of them changes. A message that can be understood alone makes its own statements.
    """
    earlier = list(dict.fromkeys(answer for changed in fact.changed for answer in changed.answers))[:MOST]
    if not earlier or not fact.earlier:
        return ()
    data = _data()["changed"]
    examples = [(CHANGED.format(statement=said, message=new), now) for said, new, now in data["examples"]]
    asked = [CHANGED.format(statement=said, message=fact.dated[:MAX_CHARS]) for said in earlier]
    asks = [
        Ask(prompt, fact.statements, MAX_CHANGED_TOKENS, temperature, stop=("\n",))
        for prompt in prompts_after(f"{data['instruction']}{source.fault_note}", examples, asked)
    ]
    texts = generate(writer, asks, seed, "statements", progress)
    now = [text.strip() if text.ending == "stop" else said for text, said in zip(texts, earlier, strict=True)]
    return () if now == earlier else tuple(dict.fromkeys(filter(None, now)))


def _after_greeting(statement: str, message: str) -> str:
    """The message without its first sentence, if that is a copied statement of a word or two; otherwise ""."""
    is_short = len(statement.split()) < MIN_WORDS and statement[-1:] in ENDS
    is_copied = message.casefold().startswith(statement.casefold())
    return message[len(statement) :].strip() if is_short and is_copied else ""


def _lines(text: Generated) -> list[str]:
    """The lines of the model's text, each once, without the last one if it was cut off."""
    lines = [_BULLET.sub("", line).strip() for line in text.splitlines()]
    whole = lines if text.ending == "stop" else lines[:-1]
    return list({line.casefold(): line for line in reversed(whole) if line}.values())[::-1]


def _adds(source: Source, statement: str, message: str, before: str) -> bool:
    """Whether a statement has a word of the message that was not said before it; one without has been learned."""
    words = source.language.content(statement)
    return not before or bool(words & source.language.content(message) - source.language.content(before))


def _is_of_an_example(statement: str, told: str) -> bool:
    """Whether a statement names what an example names and the message does not."""
    return bool(set(_data()["names"]) & set(WORD.findall(statement)) - set(WORD.findall(told)))


def _prompt(source: Source, before: str, message: str) -> Prompt:
    data = _data()
    examples = data["english" if source.language.has_questions else "other"]
    turns = [
        turn
        for said, told, statements in examples
        for turn in (Message("user", _shown(said, told)), Message("assistant", "\n".join(statements)))
    ]
    asked = f"{source.fault_note}{_shown(before, message)}"
    return Prompt((Message("system", data["instruction"]), *turns, Message("user", asked)))


def _shown(before: str, message: str) -> str:
    shown = SHOWN.format(before=" ".join(before[-MAX_CHARS:].split()), message=message[:MAX_CHARS])
    return shown if before else shown.partition("\n")[2]


@lru_cache(maxsize=1)
def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(
        resources.files("seal_agent").joinpath("data", EXAMPLES_FILE).read_text(encoding="utf-8")
    )
    return data
