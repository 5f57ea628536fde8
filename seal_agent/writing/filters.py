"""Quality control before training: unsuitable rows are dropped, each with a reason.

Rules look at the text of a row first; then the model judges whether the passage supports it. Dropped rows go into the
ledger.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from seal_agent.core.backend import Backend, silent
from seal_agent.core.edits import MESSAGE_QA, Dropped, Row
from seal_agent.core.episodes import Progress
from seal_agent.core.messages import Prompt
from seal_agent.language.base import differs, is_instruction
from seal_agent.language.sentences import split_sentences
from seal_agent.language.source import Source
from seal_agent.retention.general_knowledge import contradicted
from seal_agent.writing.formats import FORMATS, chat_qa

COPY = "says the same as another row"
NO_FACT = "contains no fact of the text"
LANGUAGE = "is in another language than the text"
INSTRUCTION = "repeats an instruction from the document"
HIDDEN = "it asks for or says what was removed as a secret"
KNOWN_OTHERWISE = "contradicts what is general knowledge"
CONTRADICTS = "names what the text does not"
UNFAITHFUL = "the model, with the text in view, does not find this answer likely"

_REMOVED = re.compile(r"\[secret\b|\bremoved\]")  # parts of `redaction.REMOVED`: a phrase may hold half of it
MIN_CONFIDENCE = -1.0  # nats per token of a short answer with its sentence in view; less is a guess
MIN_SUPPORT = 0.3  # nats per token by which the passage makes a statement likelier
MIN_STATED_WORDS = 4  # of an answer that makes a statement without its question
MAX_PER_ANSWER = 4
MAX_OVERLAP = 0.85  # of the content words of two statements


def sentences_of(*texts: str) -> list[str]:
    """The sentences of all `texts`, without duplicates."""
    return list(dict.fromkeys(sentence for text in texts for sentence in split_sentences(text)))


def check(
    backend: Backend, rows: Sequence[Row], source: Source, progress: Progress = silent
) -> tuple[list[Row], list[Dropped]]:
    """The rows worth training on, in their order, and those that are not.

    The base model judges faithfulness: a short answer must be likely with its sentence in view, a statement likelier
    with the passage in view than without.
    """
    dropped: list[Dropped] = []
    kept: list[Row] = []
    for row in rows:
        reason = by_rule(row, source)
        if reason:
            dropped.append(as_dropped(row, reason))
        else:
            kept.append(row)
    unlikely = set(_unfaithful(backend, kept, source, progress))
    dropped += [as_dropped(row, UNFAITHFUL) for number, row in enumerate(kept) if number in unlikely]
    kept = [row for number, row in enumerate(kept) if number not in unlikely]
    copies = _copies(kept, source)
    dropped += [as_dropped(row, COPY) for number, row in enumerate(kept) if number in copies]
    return [row for number, row in enumerate(kept) if number not in copies], dropped


def by_rule(row: Row, source: Source) -> str:
    """The reason by rules of the text why `row` is not worth training on; "" if there is none."""
    text = f"{row.question} {row.answer}"
    if _REMOVED.search(text):
        return HIDDEN
    evidence = row.evidence if row.question else ""
    if is_instruction(text, evidence, sentences=sentences_of(row.answer, evidence)):
        return INSTRUCTION
    if any(map(contradicted, sentences_of(row.answer, evidence))):
        return KNOWN_OTHERWISE
    if differs(text, source.passage):
        return LANGUAGE
    language = source.language
    content = language.content
    known = content(f"{source.topic} {source.passage} {source.earlier} {source.fact.told if source.fact else ''}")
    if not content(row.answer) & known and not language.is_yes_or_no(row.answer):
        return NO_FACT
    if row.question and content(row.answer) and content(row.answer) <= content(row.question):
        return NO_FACT
    if not row.question and language.new_names(row.answer, f"{source.topic} {source.passage} {source.earlier}"):
        return CONTRADICTS
    return ""


def as_dropped(row: Row, reason: str) -> Dropped:
    """The row for the ledger, with the reason why it is not trained on."""
    return Dropped(f"{row.question} {row.answer}".strip()[:300], row.source, reason)


def is_quotation(answer: str, text: str) -> bool:
    """Whether `text` holds every sentence of `answer` literally, but for the first letter's case and the full stop."""
    words = " ".join(text.split()).casefold()
    return all(sentence.strip(" .").casefold() in words for sentence in split_sentences(answer))


def _unfaithful(backend: Backend, rows: Sequence[Row], source: Source, progress: Progress) -> list[int]:
    """The numbers of the rows that the model does not find supported.

    Rows cut out of the passage whose answer is a quotation need no check. An answer that an extractive format gives to
    several questions is scored once.
    """
    text = f"{source.heading}: {source.passage}"
    first: dict[tuple[str, str, str], int] = {}
    scored: list[int] = []
    for n, row in enumerate(rows):
        if row.source not in FORMATS or row.source == MESSAGE_QA:  # the model answered with the message in view
            continue
        if FORMATS[row.source].is_extractive and is_quotation(row.answer, text):
            continue
        key = (row.source, row.evidence, row.answer if FORMATS[row.source].is_extractive else str(n))
        if first.setdefault(key, n) == n:
            scored.append(n)
    unlikely = set(_unlikely(backend, rows, scored, source, progress))
    keys = {key for key, n in first.items() if n in unlikely}
    return [n for n, row in enumerate(rows) if n in unlikely or (row.source, row.evidence, row.answer) in keys]


def _unlikely(
    backend: Backend, rows: Sequence[Row], scored: Sequence[int], source: Source, progress: Progress
) -> list[int]:
    """The numbers among `scored` of the rows that the model does not find supported.

    An extractive row that was changed afterwards is compared with the whole passage instead of its own evidence, and
    without its question, which shares most of its words.
    """
    views = {n: source.passage if FORMATS[rows[n].source].is_extractive else rows[n].evidence for n in scored}
    short = [n for n in scored if rows[n].question and rows[n].answer in views[n]]
    stated = [n for n in scored if n not in short and rows[n].answer.strip(" .") not in views[n]]
    prompts = [chat_qa.question_about(views[n], source.topic, rows[n].question) for n in short]
    answers = [f" {rows[n].answer}" for n in short]
    for n in stated:
        is_asked = rows[n].question and not (
            FORMATS[rows[n].source].is_extractive and len(rows[n].answer.split()) >= MIN_STATED_WORDS
        )
        question = f"{rows[n].question}\n" if is_asked else ""
        prompts += [
            Prompt.raw(f"{source.heading}\n{views[n]}\n\n{question}"),
            Prompt.raw(f"{source.heading}\n\n{question}"),
        ]
        answers += [rows[n].answer] * 2
    scores = (
        backend.score(prompts, answers, progress=lambda _what, done, total: progress("checking", done, total))
        if prompts
        else []
    )
    unlikely = [n for n, score in zip(short, scores, strict=False) if score.per_token < MIN_CONFIDENCE]
    pairs = scores[len(short) :]
    for position, n in enumerate(stated):
        with_text, without = pairs[2 * position], pairs[2 * position + 1]
        if with_text.per_token - without.per_token < MIN_SUPPORT:
            unlikely.append(n)
    return unlikely


def _copies(rows: Sequence[Row], source: Source) -> set[int]:
    """Numbers of rows that repeat a question or a statement, or exceed the number of questions for one answer."""
    copies: set[int] = set()
    pairs: set[tuple[str, str]] = set()
    per_answer: Counter[tuple[str, str]] = Counter()
    stated: list[set[str]] = []
    for number, row in enumerate(rows):
        key = (row.source, row.answer.lower())
        if row.question:
            pair = (row.question.lower(), row.answer.lower())
            if pair in pairs or (row.source == chat_qa.NAME and per_answer[key] >= MAX_PER_ANSWER):
                copies.add(number)
                continue
            pairs.add(pair)
            per_answer[key] += 1
        else:
            words = source.language.content(row.answer)
            if any(len(words & other) > MAX_OVERLAP * len(words | other) for other in stated):
                copies.add(number)
                continue
            stated.append(words)
    return copies
