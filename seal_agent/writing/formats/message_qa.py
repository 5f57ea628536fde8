"""Questions that the writer of a chat message may ask later: the model asks for each statement that the message makes.

One batch holds all requests: for each statement a question for each of its phrases, and one of each kind in `SIDES`, so
that the same fact is also asked for in other words. The answer is the statement (`writing.statements`). A step of
generation costs nearly the same for one request and for twelve, so a message takes as long as its longest question.
Rows cut out by rules ("My what can't have sesame?") are not added: they teach the model to recite
(docs/log/writing.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from seal_agent.core.edits import MESSAGE_QA, Row
from seal_agent.core.facts import Fact
from seal_agent.core.messages import Message, Prompt
from seal_agent.language.source import Source
from seal_agent.language.words import WORD
from seal_agent.writing.formats.base import Ask, Format

NAME = MESSAGE_QA
MAX_TOKENS = 24
MAX_REQUESTS = 16
MAX_PHRASES = 3  # of a statement that are asked for
MIN_LETTERS = 4  # of a capitalised word that counts as a name, in a language without rules for phrases
REQUEST = "{told}\n\nLater I ask you a question {kind}. Write my question."
ANSWERED_BY = 'whose answer is "{phrase}"'
PLAIN_WORDS, ADVICE = "in everyday words that this does not use", "for advice that depends on this"
SIDES = (PLAIN_WORDS, ADVICE)
"""No question for yes or no: a model of 1.5B parameters answered "Yes, Ruben can have sesame." with the opposite in
view."""
Example = tuple[str, str, str]
ENGLISH: tuple[Example, ...] = (
    ("Your dog Biscuit is nine years old.", ANSWERED_BY.format(phrase="nine"), "How old is my dog?"),
    ("Your cousin Lena can't stand cheese.", ADVICE, "What should I leave off the table when my cousin visits me?"),
    ("You teach chemistry in Ghent.", ANSWERED_BY.format(phrase="Ghent"), "Where do I work?"),
    (
        "People may phone you from 10 on, because you write in the morning.",
        PLAIN_WORDS,
        "At what hour are calls fine with me?",
    ),
    (
        "Karim, your sister's boss, sold his boat to your uncle.",
        ANSWERED_BY.format(phrase="Karim"),
        "Who sold a boat to my uncle?",
    ),
)
"""Statement, kind of question, question."""
OTHER_LANGUAGES: tuple[Example, ...] = (
    ("Ton frère Luc vit à Lyon.", ANSWERED_BY.format(phrase="Lyon"), "Où habite mon frère ?"),
    ("Tu prima Lena no soporta el queso.", ADVICE, "¿Qué no debo poner en la mesa cuando venga mi prima?"),
    ("Je hond Biscuit is negen jaar oud.", ANSWERED_BY.format(phrase="negen"), "Hoe oud is mijn hond?"),
    ("Ab 10 Uhr darf man dich anrufen.", PLAIN_WORDS, "Wann passt mir ein Telefonat?"),
)
"""The last example decides in which language a small model goes on, so each is in another one."""
NAMES = frozenset({"Biscuit", "Ghent", "Karim", "Lena", "Luc", "Lyon"})
"""Those of the examples: a question with one that its statement does not have is about an example."""
STOP = ("?", "？")  # the question mark is added again


def ask(source: Source) -> list[Ask]:
    """Requests for the phrases of every statement and for each kind of question, the first of each statement first."""
    evidence = fact_of(source).statements
    told = source.told or (fact_of(source).dated,)
    asked = [[(statement, kind) for kind in _kinds(source, statement)] for statement in told]
    chosen = [each for turn in zip_longest(*asked) for each in turn if each][:MAX_REQUESTS]
    return [
        Ask(_request(source, statement, kind), evidence, MAX_TOKENS, stop=STOP, meta=(kind, statement))
        for statement, kind in chosen
    ]


def fact_of(source: Source) -> Fact:
    """The message as a fact."""
    return source.fact or Fact("", source.passage, thread=NAME)


def parse(source: Source, asked: Ask, text: str) -> list[Row]:
    """The model's question with the statement as its answer."""
    question, statement = f"{text.strip()}?", asked.meta[1]
    names = NAMES & set(WORD.findall(question)) - set(WORD.findall(statement))
    if names or "\n" in question or not source.language.content(question):
        return []
    return [Row(Prompt.user(question), statement, NAME, asked.evidence)]


def _kinds(source: Source, statement: str) -> list[str]:
    """The kinds of questions that a statement is asked for by: its phrases and `SIDES`, in turns."""
    phrases = [ANSWERED_BY.format(phrase=phrase) for phrase in _phrases(source, statement)]
    return [kind for pair in zip_longest(phrases, SIDES) for kind in pair if kind]


def _phrases(source: Source, statement: str) -> list[str]:
    """The phrases that are asked for: those with numbers, names, then others; at most `MAX_PHRASES`.

    In a language without rules for phrases they are numbers and capitalised words.
    """
    language = source.language
    if language.has_questions:
        found = [span.text for sentence in language.sentences(statement) for span in language.noun_phrases(sentence)]
    else:
        found = _telling_words(statement)
    return sorted(dict.fromkeys(found), key=_rank)[:MAX_PHRASES]


def _rank(phrase: str) -> int:
    return 0 if any(map(str.isdigit, phrase)) else 1 if any(map(str.isupper, phrase)) else 2


def _telling_words(sentence: str) -> list[str]:
    """Words with a digit, and capitalised ones but for the first."""
    words = WORD.findall(sentence)
    return [
        word
        for number, word in enumerate(words)
        if any(map(str.isdigit, word)) or (number and word[:1].isupper() and len(word) >= MIN_LETTERS)
    ]


def _request(source: Source, statement: str, kind: str) -> Prompt:
    examples: Sequence[Example] = ENGLISH if source.language.has_questions else OTHER_LANGUAGES
    messages = [
        message
        for shown, wanted, question in examples
        for message in (Message("user", REQUEST.format(told=shown, kind=wanted)), Message("assistant", question))
    ]
    asked = f"{source.fault_note}{REQUEST.format(told=statement, kind=kind)}"
    return Prompt((*messages, Message("user", asked)))


FORMAT = Format(NAME, "questions for each statement that a message makes, answered by the statement", ask, parse)
