"""Corrections: replay items that a new text contradicts leave the replay set.

Two steps find them. First, phrases of the text that may replace a stored answer (`candidate_answers`). Second, the
model with the text in view must find such a phrase likely, and likelier than the old answer. Each corrected question is
trained and probed with its new answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from seal_agent.core.backend import Backend
from seal_agent.core.edits import REPLAYED, Probe, Row, SelfEdit
from seal_agent.core.episodes import Correction
from seal_agent.core.messages import Prompt
from seal_agent.language.base import Language, for_text
from seal_agent.language.source import Source
from seal_agent.language.values import WatchedFact
from seal_agent.retention.items import ReplayItem
from seal_agent.writing.assembly import spread
from seal_agent.writing.formats.chat_qa import question_about

MIN_CONFIDENCE = -2.0  # nats per token of the new answer
SOURCE = "correction"


def find(backend: Backend, items: Sequence[ReplayItem], source: Source) -> tuple[Correction, ...]:
    """The replay items that `source` contradicts, each with its new answer."""
    language = source.language
    watched = [item for item in items if item.probe.stratum != "general" and _language_of(item) == language]
    facts = [(item.id, fact) for item in watched for fact in language.watched_facts(item.probe)]
    pairs = [(item, fact, rival) for item, fact in facts for rival in language.candidate_answers(fact, source)]
    denied = _denied(backend, watched, source)
    if not pairs:
        return denied
    text = _in_view(source)
    prompts = [question_about(text, source.topic, fact.question) for _, fact, _ in pairs]
    answers = [f" {rival.said}" for _, _, rival in pairs] + [f" {fact.said}" for _, fact, _ in pairs]
    scores = backend.score(prompts * 2, answers)
    best: dict[tuple[int, WatchedFact], tuple[float, str]] = {}
    for (item, fact, rival), new, old in zip(pairs, scores[: len(pairs)], scores[len(pairs) :], strict=True):
        if new.per_token >= MIN_CONFIDENCE and new.logprob >= old.logprob + rival.min_lead:
            found = (new.logprob, rival.answer)
            best[item, fact] = max(best.get((item, fact), found), found)
    answers_of = {item.id: item.probe.answer for item in watched}
    whole = {correction.item for correction in denied}
    return denied + tuple(
        Correction(item, fact.question, fact.answer, new, _said(answers_of[item], fact.answer, new))
        for (item, fact), (_, new) in best.items()
        if item not in whole
    )


def _language_of(item: ReplayItem) -> Language:
    """The language of a stored question and answer; texts in another language are not compared with it."""
    return for_text(f"{item.probe.prompt.asked} {item.probe.answer}")


def _denied(backend: Backend, watched: Sequence[ReplayItem], source: Source) -> tuple[Correction, ...]:
    """The stored sentences that `source` negates, if the model finds the negation likelier with the text in view."""
    language = source.language
    pairs = [
        (item, sentence if language.speaks_of_writer(item.probe.answer) else language.to_second_person(sentence))
        for item in watched
        if item.probe.answer.endswith(".")
        for sentence in source.sentences
        if language.denies(sentence, item.probe.answer)
    ]
    if not pairs:
        return ()
    text = _in_view(source)
    prompts = [question_about(text, source.topic, item.probe.prompt.asked) for item, _ in pairs]
    scores = backend.score(
        prompts * 2, [f" {new}" for _, new in pairs] + [f" {item.probe.answer}" for item, _ in pairs]
    )
    said = zip(pairs, scores[: len(pairs)], scores[len(pairs) :], strict=True)
    found = {item.id: (item, sentence) for (item, sentence), new, old in said if new.per_token >= old.per_token}
    return tuple(
        Correction(item.id, item.probe.prompt.asked, item.probe.answer, sentence, sentence)
        for item, sentence in found.values()
    )


def _in_view(source: Source) -> str:
    return " ".join(f"{source.earlier} {source.passage}".split())


def _said(sentence: str, old: str, new: str) -> str:
    """The stored sentence with the new answer in it; "" if the old answer was a phrase of its own.

    Also "" if the old answer occurs twice, because either may have changed.
    """
    return sentence.replace(old, new) if sentence != old and sentence.count(old) == 1 else ""


def added(edit: SelfEdit, corrections: Sequence[Correction]) -> SelfEdit:
    """`edit` with a row and a probe for every corrected question; these probes come first."""
    told = dict.fromkeys((correction.question, correction.said or correction.new) for correction in corrections)
    rows = [Row(Prompt.user(question), new, SOURCE, edit.passage) for question, new in told]
    probes = [Probe(Prompt.user(question), new, "edit", edit.document) for question, new in told]
    asked = {probe.prompt for probe in probes}
    return replace(
        edit,
        rows=tuple(dict.fromkeys([*edit.rows, *rows])),
        probes=(*probes, *(probe for probe in edit.probes if probe.prompt not in asked)),
    )


def joined(edit: SelfEdit, earlier: Sequence[SelfEdit], corrections: Sequence[Correction], num_rows: int) -> SelfEdit:
    """`edit` with the rows of the `earlier` edits that it corrects, old answers replaced by new ones.

    At most `num_rows` in all, spread evenly. One adapter then holds the earlier text and its correction.
    """
    rows = [_corrected(row, corrections) for other in earlier for row in other.rows if row.source not in REPLAYED]
    writers = dict.fromkeys(each.writer for each in (edit, *earlier) if each.writer)
    joined_rows = spread(list(dict.fromkeys([*edit.rows, *rows])), num_rows)
    return replace(edit, rows=tuple(joined_rows), writer=", ".join(writers))


def _is_of(row: Row, correction: Correction) -> bool:
    """Whether a row is about the corrected sentence, or asks the corrected question."""
    if not correction.said:
        return row.question == correction.question
    return any(_found(before, text) for before in _before(correction) for text in (row.evidence, row.answer))


def _before(correction: Correction) -> list[str]:
    """Sentences that the corrected one may have replaced; several if the new answer occurs in it more than once.

    Only one occurrence was changed (`_said`): "Mira is 5 and has 5 cats." comes from "Mira is 4 and has 5 cats." or
    "Mira is 5 and has 4 cats.".
    """
    said, new = correction.said, correction.new
    places = [match.start() for match in re.finditer(re.escape(new), said)]
    return [f"{said[:place]}{correction.old}{said[place + len(new) :]}" for place in places]


def _found(sentence: str, text: str) -> re.Match[str] | None:
    """The match of `sentence` in `text`, ignoring case and the final full stop."""
    return re.search(re.escape(sentence.strip(" .")), text, re.IGNORECASE)


def _corrected(row: Row, corrections: Sequence[Correction]) -> Row:
    """`row` with the new answers; rows about other sentences are unchanged, even if they hold the same words."""
    texts = [row.answer, row.evidence, *(message.content for message in row.prompt.messages), row.prompt.text]
    for correction in corrections:
        if _is_of(row, correction):
            texts = [_with_new_answer(text, correction) for text in texts]
    answer, evidence, *said, text = texts
    messages = tuple(replace(message, content=c) for message, c in zip(row.prompt.messages, said, strict=True))
    return replace(row, answer=answer, evidence=evidence, prompt=Prompt(messages, text))


def _with_new_answer(text: str, correction: Correction) -> str:
    """`text` with the corrected sentence replaced; in a text that is part of the sentence, the answer replaced."""
    for before in _before(correction):
        if found := _found(before, text):
            return f"{text[: found.start()]}{correction.said.strip(' .')}{text[found.end() :]}"
    return re.sub(rf"(?<!\w){re.escape(correction.old)}(?!\w)", lambda _: correction.new, text, flags=re.IGNORECASE)
