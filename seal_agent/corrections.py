"""A correction replaces: watched questions that a new text answers otherwise leave the replay set.

Found in three steps: the text speaks about all the question asks about; the model, with the text in view, answers
it with words of the text and is sure; and it finds the old answer much less likely. Where a whole sentence is
watched, it is taken apart into questions for its phrases first. Each corrected question is trained and probed with
its new answer, so that the new one wins.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from seal_agent.adapters.backend import Backend
from seal_agent.echo import echo_question
from seal_agent.formats import Source
from seal_agent.formats.chat_qa import answer_grammar, question_about, verbatim
from seal_agent.formats.contrast import shape
from seal_agent.phrases import noun_phrases
from seal_agent.rehearsal import REPLAYED
from seal_agent.replay import ReplayItem
from seal_agent.selfedit import spread
from seal_agent.types import Correction, Probe, Prompt, Row, SelfEdit
from seal_agent.words import content

MIN_OVERLAP = 0.5  # of the question's content words; with less the text may be about something else
MIN_RELATION = 1 / 3  # of those beside the topic: another fact about the same thing corrects nothing
MIN_CONFIDENCE = -1.0  # nats per token of the new answer
MIN_LEAD = 1.0  # nats by which the new answer is likelier than the old one, where the old one is not in view
MAX_ANSWER_TOKENS = 16
SOURCE = "correction"


@dataclass(frozen=True)
class _Fact:
    """One short fact of a watched item."""

    item: int
    question: str
    answer: str


def find(backend: Backend, items: Sequence[ReplayItem], source: Source) -> tuple[Correction, ...]:
    """What `source` answers otherwise than the watched `items`, each with the new answer."""
    passage = source.passage.lower()
    facts = [
        fact
        for item in items
        if item.probe.stratum != "general"
        for fact in _facts(item)
        if _is_about(source, fact.question) and fact.answer.lower() not in passage
    ]
    if not facts:
        return ()
    text = " ".join(f"{source.earlier} {source.passage}".split())
    prompts = [question_about(text, source.topic, fact.question) for fact in facts]
    grammar = answer_grammar(" ".join(source.passage.split()))
    written = backend.generate(prompts, max_new_tokens=MAX_ANSWER_TOKENS, grammars=[grammar] * len(prompts))
    answers = [verbatim(samples[0].strip().rstrip(" .,;"), source.passage) for samples in written]
    read = [entry for entry in zip(facts, prompts, answers, strict=True) if entry[2]]
    if not read:
        return ()
    scores = backend.score(
        [prompt for _, prompt, _ in read] * 2,
        [f" {answer}" for _, _, answer in read] + [f" {fact.answer}" for fact, _, _ in read],
    )
    min_lead = -math.inf if source.earlier else MIN_LEAD  # what was said before holds the old answer too
    return tuple(
        Correction(fact.item, fact.question, fact.answer, answer)
        for (fact, _, answer), likes, liked in zip(read, scores[: len(read)], scores[len(read) :], strict=True)
        if shape(answer) == shape(fact.answer)
        and likes.per_token >= MIN_CONFIDENCE
        and likes.logprob >= liked.logprob + min_lead
    )


def added(edit: SelfEdit, corrections: Sequence[Correction]) -> SelfEdit:
    """`edit` with rows and a probe for every corrected question, before what it has itself."""
    told = dict.fromkeys((correction.question, correction.new) for correction in corrections)
    rows = [Row(Prompt.user(question), new, SOURCE, edit.passage) for question, new in told]
    probes = [Probe(Prompt.user(question), new, "edit", edit.document) for question, new in told]
    asked = {probe.prompt for probe in probes}
    return replace(
        edit,
        rows=tuple(dict.fromkeys([*edit.rows, *rows])),
        probes=(*probes, *(probe for probe in edit.probes if probe.prompt not in asked)),
    )


def joined(edit: SelfEdit, earlier: Sequence[SelfEdit], corrections: Sequence[Correction], num_rows: int) -> SelfEdit:
    """`edit` with the rows of the `earlier` edits it corrects, the old answers in them replaced by the new ones.

    At most `num_rows` in all, spread evenly; so one adapter can stand for what was said first and what holds now.
    """
    rows = [_corrected(row, corrections) for other in earlier for row in other.rows if row.source not in REPLAYED]
    return replace(edit, rows=tuple(spread(list(dict.fromkeys([*edit.rows, *rows])), num_rows)))


def _corrected(row: Row, corrections: Sequence[Correction]) -> Row:
    texts = [row.answer, row.evidence, *(message.content for message in row.prompt.messages), row.prompt.text]
    for correction in corrections:
        pattern = re.compile(rf"\b{re.escape(correction.old)}\b", re.IGNORECASE)
        texts = [pattern.sub(lambda _match, new=correction.new: new, text) for text in texts]  # type: ignore[misc]
    answer, evidence, *said, text = texts
    messages = tuple(replace(message, content=c) for message, c in zip(row.prompt.messages, said, strict=True))
    return replace(row, answer=answer, evidence=evidence, prompt=Prompt(messages, text))


def _facts(item: ReplayItem) -> list[_Fact]:
    """The item itself where its answer is short; where it is a sentence, a question for each phrase of it."""
    answer = item.probe.answer
    if not answer.endswith("."):
        return [_Fact(item.id, item.probe.prompt.asked, answer)]
    return [_Fact(item.id, _cut(echo_question(answer, span)), span.text) for span in noun_phrases(answer)]


def _cut(question: str) -> str:
    """An echo question up to its question word: what follows it in the old sentence need not be in the new one."""
    head, word, _ = question.partition(" what ")
    return f"{head} what?" if word and content(head) else question


def _said(source: Source) -> set[str]:
    return content(f"{source.topic} {source.earlier} {source.passage}")


def _is_about(source: Source, question: str) -> bool:
    """Whether the text speaks of what the question asks about, and of how it asks about it."""
    asked = content(question)
    said = _said(source)
    relation = asked - content(source.topic)
    return (
        len(asked) > 1
        and len(asked & said) >= MIN_OVERLAP * len(asked)
        and len(relation & said) >= MIN_RELATION * len(relation)
    )
