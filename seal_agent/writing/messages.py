"""A chat message as training rows, by a model that writes: its statements, asked for by questions of its own.

Every statement is checked: the base model must find that the message says it (`entailed`). Where another model writes
and the base model cannot read well enough, the writer is asked in words (`confirmed`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib import resources

from seal_agent.core.backend import Backend, silent
from seal_agent.core.domain import Proposal
from seal_agent.core.edits import Directives, Dropped, Row
from seal_agent.core.episodes import Progress
from seal_agent.core.errors import EditFault, SameAgain
from seal_agent.core.facts import Fact
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.core.word_choice import prompts_after, word_margins
from seal_agent.language.source import Source
from seal_agent.writing import filters
from seal_agent.writing.assembly import assemble
from seal_agent.writing.formats import Ask, message_qa
from seal_agent.writing.requests import Writer, generate, proposal, written
from seal_agent.writing.statements import statements_of

EXAMPLES_FILE = "entailed.json"
ASKED = "Message: {message}\nQuestion: {question}\nAnswer: {answer}\nIs the answer right, and does the message say it?"
YES, NO = "yes", "no"
MAX_WORD_TOKENS = 4
MIN_MARGIN = 2.0  # nats between "yes" and "no": keeps 25 of 29 good rows and 1 of 19 bad ones (docs/log/writing.md)
MAX_BEHIND, LEAST_MARGIN = 1.0, 0.5  # of a message at which the model is unsure of every row: behind the best, at least
NOT_ENTAILED = "the model does not find that the message says it"
RELATIVE = "it names a day by a word that means another day later"
UNCLEAR = "its speaker is unclear"
_DIGITS = re.compile(r"\d+")


def write_message(
    backend: Backend,
    source: Source,
    directives: Directives,
    said: tuple[Row, ...] = (),
    *,
    seed: int = 0,
    temperature: float = 0.0,
    progress: Progress = silent,
    writer: Writer | None = None,
    base_reads: bool = True,
) -> Proposal:
    """The edit for a chat message; `backend` writes, or the `writer` in its place.

    The base model checks, unless it cannot answer from a text in view (`base_reads`): then the writer does. Raises
    `EditFault` if too few rows are left: `SameAgain`, if they were written without a draw.
    """
    base, author, fact = backend.with_stack(AdapterStack()), writer or backend, message_qa.fact_of(source)
    told = statements_of(author, source, fact, seed=seed, temperature=temperature, progress=progress)
    texts = (
        []
        if not told
        else written(
            author, message_qa.NAME, replace(source, told=told), seed=seed, temperature=temperature, progress=progress
        )
    )
    indirect = {row for each in texts if each.asked.meta[0] in message_qa.SIDES for row in each.rows}
    rows = {row.question.casefold(): row for each in reversed(texts) for row in each.rows}
    naming = [row for row in list(rows.values())[::-1] if row in indirect or _names_its_answer(row, source)]
    kept, dropped = filters.check(base, naming, source, progress)
    if writer is None or base_reads:
        kept, guessed = entailed(base, kept, fact.words, indirect, progress)
    else:
        kept, guessed = confirmed(writer, kept, fact.words, indirect, progress)
    kept, undated = _dated(kept, fact)
    kept, unclear = spoken_to_user(kept, source)
    malformed = [each.malformed for each in texts if not each.rows]
    left_out = [*malformed, *dropped, *guessed, *undated, *unclear]
    try:
        edit = assemble(
            kept, topic=source.topic, passage=source.passage, directives=directives, dropped=left_out, seed=seed
        )
    except EditFault as error:
        raise SameAgain(str(error)) if writer is None and not temperature else error from None
    asked = {row.question for row in kept}
    useful = [each.said for each in texts if any(row.question in asked for row in each.own_rows)]
    return proposal(edit, said, useful, writer, by_writer=True)


def _names_its_answer(row: Row, source: Source) -> bool:
    """Whether a question has a content word of its answer: "What time is it?" asks for no statement about a husband."""
    return bool(source.language.content(row.question) & source.language.content(row.answer))


def _dated(rows: Sequence[Row], fact: Fact) -> tuple[list[Row], list[Dropped]]:
    """The rows whose answer holds no words like "tomorrow" of the message, which mean another day later."""
    relative = [(words.casefold(), meant) for words, meant in fact.dates]
    undated = {
        row
        for row in rows
        if any(words in row.answer.casefold().replace(f"{words} {meant}", meant) for words, meant in relative)
    }
    kept = [row for row in rows if row not in undated]
    return kept, [filters.as_dropped(row, RELATIVE) for row in rows if row in undated]


def spoken_to_user(rows: Sequence[Row], source: Source) -> tuple[list[Row], list[Dropped]]:
    """The rows with answers to the user ("You drink rooibos."), and those dropped because their speaker is unclear."""
    language = source.language
    unclear = {row for row in rows if language.unclear_speaker(row.answer)}
    kept = language.rows_in_second_person([row for row in rows if row not in unclear], source.passage)
    return kept, [filters.as_dropped(row, UNCLEAR) for row in rows if row in unclear]


def entailed(
    backend: Backend,
    rows: Sequence[Row],
    message: str,
    indirect: Collection[Row] = (),
    progress: Progress = silent,
) -> tuple[list[Row], list[Dropped]]:
    """The rows whose answer the base model finds in the message, and the others with the reason.

    An answer is found if one of its questions shows it; an `indirect` question must show it itself. A number in an
    answer must stand in the message or in the question.
    """
    if not rows:
        return [], []
    margins = word_margins(
        backend, _prompts(rows, message), YES, NO, lambda _what, done, total: progress("checking", done, total)
    )
    least = max(min(MIN_MARGIN, max(margins) - MAX_BEHIND), LEAST_MARGIN)
    return _parted(rows, [margin >= least for margin in margins], message, indirect)


def confirmed(
    writer: Writer,
    rows: Sequence[Row],
    message: str,
    indirect: Collection[Row] = (),
    progress: Progress = silent,
) -> tuple[list[Row], list[Dropped]]:
    """The rows of which the writer says "yes" when it is asked the same question as in `entailed`; and the others."""
    if not rows:
        return [], []
    asks = [Ask(prompt, message, MAX_WORD_TOKENS) for prompt in _prompts(rows, message)]
    texts = generate(writer, asks, 0, "checks", progress)
    is_said = [text.strip(' *"').casefold().startswith(YES) for text in texts]
    return _parted(rows, is_said, message, indirect)


def _prompts(rows: Sequence[Row], message: str) -> list[Prompt]:
    """Whether the message says it, asked for each row after examples."""
    instruction, examples = _examples()
    shown = [(_question(told, question, answer), word) for told, question, answer, word in examples]
    return prompts_after(instruction, shown, [_question(message, row.question, row.answer) for row in rows])


def _parted(
    rows: Sequence[Row], is_said: Sequence[bool], message: str, indirect: Collection[Row]
) -> tuple[list[Row], list[Dropped]]:
    """The rows whose answer is said and whose numbers stand in the message or in the question, and the others."""
    said = {row.answer for row, is_found in zip(rows, is_said, strict=True) if is_found}
    found = [
        (is_found or (row.answer in said and row not in indirect))
        and _numbers(row.answer) <= _numbers(f"{message} {row.question}")
        for row, is_found in zip(rows, is_said, strict=True)
    ]
    kept = [row for row, is_found in zip(rows, found, strict=True) if is_found]
    left = [row for row, is_found in zip(rows, found, strict=True) if not is_found]
    return kept, [filters.as_dropped(row, NOT_ENTAILED) for row in left]


def _numbers(text: str) -> set[int]:
    return {int(digits) for digits in _DIGITS.findall(text)}


def _question(message: str, question: str, answer: str) -> str:
    return ASKED.format(message=message, question=question, answer=answer)


@lru_cache(maxsize=1)
def _examples() -> tuple[str, list[tuple[str, str, str, str]]]:
    data = json.loads(resources.files("seal_agent").joinpath("data", EXAMPLES_FILE).read_text(encoding="utf-8"))
    return data["instruction"], [tuple(example) for example in data["examples"]]
