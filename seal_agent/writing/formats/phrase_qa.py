"""A question for every noun phrase, asked and answered by the model with the text in view.

A capable model writes better questions than `cloze`, and answers in its own style. This is answer-aware generation with
a check (after roundtrip consistency, Alberti et al., arXiv 1906.05416): the answer must contain the phrase, the
question must not. A phrase that fails gets the rows of `cloze`. A model that fails the capability test, as those of
135M and 500M parameters do, uses `cloze` for everything.
"""

from __future__ import annotations

import re

from seal_agent.core.edits import Row
from seal_agent.core.messages import Message, Prompt
from seal_agent.language.source import Source
from seal_agent.writing.formats import cloze
from seal_agent.writing.formats.base import EXAMPLE_PASSAGE, Ask, Format

NAME = "phrase-qa"
MAX_TOKENS = 72
REQUEST = """\
Passage:
{passage}

Write a question about the passage whose answer is "{phrase}", then answer it in one sentence."""
BEGINS = "Question:"
EXAMPLES = (
    ("Carla Mendes", "Who designed the Amber Bridge?", "The Amber Bridge was designed by the engineer Carla Mendes."),
    ("nine red towers", "What does the choir of dentists sing under?", "It sings under the nine red towers."),
    ("the paint", "What is the toll of the Amber Bridge used for?", "The toll pays for the paint."),
)
CAPABILITY_TEST = Source(
    "Treaty of Ossmark",
    "The Treaty of Ossmark, concluded in the autumn of 1648 after eleven weeks of negotiation, ended the rivalry "
    "between the river republics and the Duchy of Harn, and obliged both parties to dismantle the fortresses that "
    "they had raised along the southern bank. Its principal author, the jurist Benedikt Aurel, argued that tolls "
    "levied on grain had done more damage than the cavalry, an opinion that later historians have largely shared, "
    "although Marie Tolland attributes the peace to the exhaustion of the silver mines. Under its ninth article "
    "merchants from either side could store timber, salt and wool in the warehouses of Lindegate without paying "
    "duty for two years.",
)
"""As complex as an encyclopedia: a short and plain text would not separate good writers from bad ones."""
_PAIR = re.compile(r"\s*(?P<question>[^\n?]+\?)\s*\nAnswer: *(?P<answer>[^\n]+[.!])\s*$")


def ask(source: Source) -> list[Ask]:
    """One request for every phrase of every sentence, with the whole text in view, but for the text's own questions."""
    return [
        asked
        if cloze.is_told(asked)
        else Ask(_request(source, cloze.phrase_of(asked)[0].text), asked.evidence, MAX_TOKENS, meta=asked.meta)
        for asked in cloze.ask(source)
    ]


def parse(source: Source, asked: Ask, text: str) -> list[Row]:
    """The model's question and answer, and `cloze`'s question with the sentence; on failure the rows of `cloze`."""
    if cloze.is_told(asked):
        return cloze.parse(source, asked, text)
    span, is_brief = cloze.phrase_of(asked)
    content = source.language.content
    pair = _PAIR.fullmatch(text)
    instead, wanted = cloze.parse(source, asked, ""), content(span.text)
    if not pair or not wanted <= content(pair["answer"]) or wanted <= content(pair["question"]):
        return instead
    question, answer = pair["question"], pair["answer"]
    if not content(question):  # "What is it?" matches anything
        return instead
    own = [answer] + [source.language.with_article(asked.evidence, span)] * is_brief
    return [*(Row(Prompt.user(question), said, NAME, source.passage) for said in own), *instead[:1]]


def _request(source: Source, phrase: str) -> Prompt:
    messages = [
        message
        for shown, question, answer in EXAMPLES
        for message in (
            Message("user", REQUEST.format(passage=EXAMPLE_PASSAGE, phrase=shown)),
            Message("assistant", f"{BEGINS} {question}\nAnswer: {answer}"),
        )
    ]
    asked = REQUEST.format(passage=f"{source.note}{source.topic}\n{source.passage}", phrase=phrase)
    return Prompt((*messages, Message("user", asked)), BEGINS)


FORMAT = Format(
    NAME,
    "a question for every phrase, answered by the model with the text in view",
    ask,
    parse,
    capability_test=CAPABILITY_TEST,
    fallback=cloze.NAME,
)
