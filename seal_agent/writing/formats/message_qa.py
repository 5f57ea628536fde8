"""Questions that the writer of a chat message may ask later, asked by the model and answered with the message in view.

One batch holds all requests: a question for each of the message's phrases, and one of each kind in `SIDES`, so that the
same fact is also asked for in other words. A second batch holds the answers, each to its question alone, as the model
would give it in a chat (`writer`). A step of generation costs nearly the same for one request and for twelve, so a
message takes as long as its longest question and answer. Rows cut out by rules ("My what can't have sesame?") are not
added: they teach the model to recite (docs/log/writing.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from seal_agent.core.edits import MESSAGE_QA, Row
from seal_agent.core.facts import Fact
from seal_agent.core.messages import Message, Prompt
from seal_agent.language.source import Source
from seal_agent.language.words import WORD
from seal_agent.writing.formats.base import Ask, Format

NAME = MESSAGE_QA
MAX_TOKENS = 24
MAX_ANSWER_TOKENS = 32
MAX_PHRASES = 4  # that are asked for by a question of the model
MAX_ABOUT = 3  # that are asked about as they stand
MIN_LETTERS = 4  # of a capitalised word that counts as a name, in a language without rules for phrases
REQUEST = "{told}\n\nLater I ask you a question {kind}. Write my question and your answer."
ANSWERED_BY = 'whose answer is "{phrase}"'
YES_OR_NO, PLAIN_WORDS, ADVICE = (
    "with yes or no as its answer",
    "in everyday words that the message does not use",
    "for advice that depends on the message",
)
SIDES = (PLAIN_WORDS, ADVICE)
"""Not `YES_OR_NO`: a model of 1.5B parameters answered "Yes, Ruben can have sesame." with the opposite in view."""
BEGINS = "Question:"
Example = tuple[str, str, str, str]
ENGLISH: tuple[Example, ...] = (
    (
        "I teach chemistry in Ghent and my dog Biscuit turned nine on Sunday.",
        ANSWERED_BY.format(phrase="nine"),
        "How old is my dog?",
        "Your dog Biscuit is nine years old.",
    ),
    (
        "My cousin Lena has moved to Turin, she can't stand cheese.",
        ADVICE,
        "What should I leave off the table when my cousin visits me?",
        "Leave out cheese, because your cousin Lena can't stand it.",
    ),
    (
        "I teach chemistry in Ghent and my dog Biscuit turned nine on Sunday.",
        YES_OR_NO,
        "Do I work at a school?",
        "Yes, you teach chemistry in Ghent.",
    ),
    (
        "please no calls before 10, mornings are for writing",
        PLAIN_WORDS,
        "From what time on may people phone me?",
        "People may call you from 10, because your mornings are for writing.",
    ),
)
"""Message, kind of question, question, answer."""
OTHER_LANGUAGES: tuple[Example, ...] = (
    (
        "Mon frère Luc vit à Lyon et ne mange pas de fromage.",
        ANSWERED_BY.format(phrase="Lyon"),
        "Où habite mon frère ?",
        "Ton frère Luc vit à Lyon.",
    ),
    (
        "Mi prima Lena se ha mudado a Turín, no soporta el queso.",
        ADVICE,
        "¿Qué no debo poner en la mesa cuando venga mi prima?",
        "Queso, porque tu prima Lena no lo soporta.",
    ),
    (
        "Ich unterrichte Chemie in Gent, und mein Hund Keks ist am Sonntag neun geworden.",
        YES_OR_NO,
        "Arbeite ich an einer Schule?",
        "Ja, du unterrichtest Chemie in Gent.",
    ),
    (
        "bitte keine Anrufe vor 10, morgens schreibe ich",
        PLAIN_WORDS,
        "Ab wann darf man mich anrufen?",
        "Ab 10 Uhr darf man dich anrufen, weil du morgens schreibst.",
    ),
)
"""The last example decides in which language a small model goes on, so each is in another one."""
STOP = ("?", "？")  # the question mark is added again
TO_ANSWER = ""
"""The answer of a row that the model has still to give."""


def ask(source: Source) -> list[Ask]:
    """One request for each phrase, spread over the message, and for each kind of question; and all that is asked of it.

    Of the second sort no request is made: "What about Ruben?" is a question already.
    """
    chosen = _phrases(source)
    kinds = [*(ANSWERED_BY.format(phrase=phrase) for phrase in chosen), *SIDES]
    statement = fact_of(source).statements
    asked = [Ask(_request(source, kind), statement, MAX_TOKENS, stop=STOP, meta=(kind,)) for kind in kinds]
    about = (_spread(chosen, MAX_ABOUT) or [source.topic]) if source.language.has_questions else []
    return asked + [Ask(Prompt.raw(""), statement, 0, meta=(phrase,)) for phrase in about]


def fact_of(source: Source) -> Fact:
    """The message as a fact."""
    return source.fact or Fact("", source.passage, thread=NAME)


def parse(source: Source, asked: Ask, text: str) -> list[Row]:
    """The model's question, still without its answer."""
    question = f"{text.strip()}?" if asked.max_new_tokens else _about(source, asked.meta[0])
    of_an_example = _names_of_examples() & set(WORD.findall(question)) - set(WORD.findall(asked.evidence))
    if of_an_example or "\n" in question or not source.language.content(question):
        return []
    return [Row(Prompt.user(question), TO_ANSWER, NAME, asked.evidence)]


def _about(source: Source, phrase: str) -> str:
    """A question for all that the message says about `phrase`."""
    return source.language.request_about(phrase)


def _phrases(source: Source) -> list[str]:
    """The phrases that are asked for: those with numbers, names, then others; at most `MAX_PHRASES`.

    In a language without rules for phrases they are numbers and capitalised words.
    """
    language = source.language
    told = language.sentences(source.passage)
    if language.has_questions:
        found = [span.text for sentence in told for span in language.noun_phrases(sentence)]
    else:
        found = [word for sentence in told for word in _telling_words(sentence)]
    phrases = list(dict.fromkeys(found))
    numbers = [phrase for phrase in phrases if any(map(str.isdigit, phrase))][:MAX_PHRASES]
    names = [phrase for phrase in phrases if phrase not in numbers and any(map(str.isupper, phrase))]
    chosen = numbers + _spread(names, MAX_PHRASES - len(numbers))
    others = [phrase for phrase in phrases if phrase not in (*numbers, *names)]
    return chosen + others[: MAX_PHRASES - len(chosen)]


@lru_cache(maxsize=1)
def _names_of_examples() -> frozenset[str]:
    """The names in the examples; a question with one that the message does not hold is about an example."""
    told = [message for message, *_ in (*ENGLISH, *OTHER_LANGUAGES)]
    return frozenset(word for message in told for word in _telling_words(message) if word.isalpha())


def _spread(phrases: Sequence[str], at_most: int) -> list[str]:
    """At most so many of `phrases`, spread evenly from the first to the last."""
    if len(phrases) <= at_most or at_most < 2:
        return list(phrases[:at_most])
    return [phrases[number * (len(phrases) - 1) // (at_most - 1)] for number in range(at_most)]


def _telling_words(sentence: str) -> list[str]:
    """Words with a digit, and capitalised ones but for the first."""
    words = WORD.findall(sentence)
    return [
        word
        for number, word in enumerate(words)
        if any(map(str.isdigit, word)) or (number and word[:1].isupper() and len(word) >= MIN_LETTERS)
    ]


def _request(source: Source, kind: str) -> Prompt:
    examples: Sequence[Example] = ENGLISH if source.language.has_questions else OTHER_LANGUAGES
    messages = [
        message
        for shown, wanted, question, answer in examples
        for message in (
            Message("user", REQUEST.format(told=Fact("", shown).told, kind=wanted)),
            Message("assistant", f"{BEGINS} {question}\nAnswer: {answer}"),
        )
    ]
    asked = f"{source.fault_note}{REQUEST.format(told=fact_of(source).told, kind=kind)}"
    return Prompt((*messages, Message("user", asked)), BEGINS)


FORMAT = Format(
    NAME,
    "questions that the writer of a message may ask later, answered by the model with the message in view",
    ask,
    parse,
)
