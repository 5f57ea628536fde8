"""Questions for every noun phrase of every sentence, the question word where the phrase stood.

"Maududi founded the party in what year?" needs no writer, every phrase is asked for, and no answer is wrong. A
model that learns such questions with the bare phrase as the answer knows them by heart and fails on other
wordings; with the sentence around the phrase as the answer it recites, and other wordings find what is recited
(LOG.md). So each phrase gets the question and the sentence, and some of the question's words and the sentence; a
few get the question with the bare phrase, so that short answers stay likely too; not "time" or "work", which taught
that every short answer is such a word, and not in a text of one sentence, where the one bare answer was given to all.
What the writer says of himself is asked for as he would ask for it too ("Where do I live?").
"""

from __future__ import annotations

import json
import random
import zlib

from seal_agent.echo import direct_question, echo_question, keyword_question, recital
from seal_agent.formats.format import Ask, Format, Source
from seal_agent.phrases import Span, named, noun_phrases
from seal_agent.types import Prompt, Row
from seal_agent.words import content

NAME = "cloze"
BRIEF_EVERY = 3  # of the phrases that say something without their sentence
LEFT_OUT = 0.4  # of the words of a question


def ask(source: Source) -> list[Ask]:
    """Nothing: the rows of every noun phrase are made from its sentence."""
    placed = [(sentence, span) for sentence in source.sentences for span in noun_phrases(sentence)]
    telling = [number for number, (_, span) in enumerate(placed) if " " in span.text or not span.text.islower()]
    brief = frozenset(telling[::BRIEF_EVERY] if len(source.sentences) > 1 else ())
    return [
        Ask(Prompt.raw(""), sentence, 0, about=(json.dumps([span.start, span.end, number in brief]),))
        for number, (sentence, span) in enumerate(placed)
    ]


def parse(source: Source, asked: Ask, text: str) -> list[Row]:
    """The rows of one phrase; years and numbers say themselves what asks for them, the rest is a what."""
    span, is_brief = phrase_of(asked)
    rng = random.Random(zlib.crc32(f"{asked.view}{span.start}".encode()))
    whole = echo_question(asked.view, span)
    recited = recital(asked.view, span)
    pairs = [(whole, recited), (keyword_question(whole, LEFT_OUT, rng), recited)]
    pairs += [(whole, named(asked.view, span))] * is_brief
    if not content(whole):  # the phrase is all there is, and a bare "What?" would ask for everything
        pairs = [(f"What about {source.topic}?", recited)]
    pairs = [(question, answer) for question, answer in pairs if content(question)]
    if direct := direct_question(asked.view, span):
        pairs += [(direct, recited)] if content(whole) else [(whole, recited), (direct, recited)]
    return [Row(Prompt.user(question), answer, NAME, asked.view) for question, answer in pairs]


def phrase_of(asked: Ask) -> tuple[Span, bool]:
    """The phrase that is asked for, and whether it is asked for by itself too."""
    start, end, is_brief = json.loads(asked.about[0])
    return Span(start, end, asked.view[start:end]), is_brief


FORMAT = Format(
    NAME, "questions for every phrase, the question word where the phrase stood", ask, parse, is_quoted=True
)
