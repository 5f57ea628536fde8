"""Questions for every noun phrase of every sentence, with the question word in the phrase's place.

"Maududi founded the party in what year?" needs no model, covers every phrase, and the answer is always right. With the
bare phrase as its answer a question is learned by heart and other wordings fail; with the whole sentence as the answer
other wordings work too (docs/log/writing.md). So each phrase gets two rows whose answer is the sentence: one with the
question, one with some of the question's words.

Some phrases also get a row with the bare phrase as the answer, so that short answers stay likely. These are every third
phrase, and all phrases of a sentence that is learned with those before it. Words like "time" or "work" get none, and
neither does a text of one sentence: the model gave those short answers to other questions as well.

What writers say about themselves is also asked as they would ask it ("Where do I live?"). Questions that a text asks
and answers itself, as on a FAQ page, are used unchanged. A field ("Default port: 7719.") is asked for by its name in
several wordings, with a sentence as the answer.
"""

from __future__ import annotations

import json
import random
import re
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, takewhile

from seal_agent.core.edits import Row
from seal_agent.core.messages import Prompt
from seal_agent.language.base import Language
from seal_agent.language.source import Source
from seal_agent.language.values import Span, Statement
from seal_agent.writing.formats.base import Ask, Format, is_sentence, sentence_asks, sentence_rows

NAME = "cloze"
ANSWERED = "answered"  # `meta` of an ask without a phrase; the questions follow
BRIEF_EVERY = 3  # of the phrases that can stand without their sentence
LEFT_OUT = 0.4  # of the words of a question are left out
MIN_QUESTIONS = 2  # that a text answers itself; a single one may be rhetorical
MAX_ANSWER_WORDS = 40  # of whole sentences, at least one
_HINT = re.compile(r"(?:\S+ ){0,2}\S+\?(?:\s|$)")  # introduces the next sentence: "Sick?", "Any questions?"


def ask(source: Source) -> list[Ask]:
    """Asks without a request: one for every noun phrase, and one for every text that is learned unchanged."""
    language = source.language
    if not language.has_questions:
        return sentence_asks(source)
    answered = _answered(source)
    told = source.statements if answered else _joined(source.statements)
    asks = [_stands(answer, [question, *_in_other_words(question, language)]) for question, answer in answered.items()]
    placed: list[tuple[Statement, Span]] = []
    for statement in told:
        sentence = statement.sentence
        if not statement.context and (field := language.field_questions(sentence, source.title)):
            asks.append(_stands(field[1], field[0]))
        elif not (answered and (sentence.endswith("?") or _is_bare_answer(statement, language))):
            hint = _HINT.match(sentence)
            spans = [span for span in language.noun_phrases(sentence) if not hint or span.start >= hint.end()]
            placed += [(statement, span) for span in spans]
            if not spans and not sentence.endswith("?") and not language.is_verbless(sentence):
                asks.append(_stands(statement.text, [language.request_about(source.topic)]))
    brief = _brief(placed) if len(source.sentences) > 1 else frozenset()
    return asks + [
        Ask(
            Prompt.raw(""),
            statement.text,
            0,
            meta=(
                json.dumps(
                    [statement.start + span.start, statement.start + span.end, number in brief, statement.start]
                ),
            ),
        )
        for number, (statement, span) in enumerate(placed)
    ]


def _brief(placed: Sequence[tuple[Statement, Span]]) -> frozenset[int]:
    """The numbers of the phrases that also become a bare answer.

    Every third, and all of a sentence that is learned with those before it. Each phrase counts once: a name that occurs
    in every sentence would otherwise become the short answer to everything.
    """
    first: dict[str, int] = {}
    for number, (_, span) in enumerate(placed):
        if " " in span.text or not span.text.islower():
            first.setdefault(span.text.casefold(), number)
    telling = list(first.values())
    return frozenset(telling[::BRIEF_EVERY]) | {number for number in telling if placed[number][0].context}


def parse(source: Source, asked: Ask, text: str) -> list[Row]:
    """The rows of one phrase; a year or number has its own question word, anything else gets "what"."""
    if is_sentence(asked):
        return sentence_rows(source, asked, NAME)
    language = source.language
    content = language.content
    if is_answered(asked):
        questions = dict.fromkeys(asked.meta[1:])
        return _rows(asked, [(question, asked.evidence) for question in questions if content(question)])
    phrase, is_brief = phrase_of(asked)
    statement = _statement_of(asked)
    span = Span(phrase.start - statement.start, phrase.end - statement.start, phrase.text)
    sentence, context = statement.sentence, statement.context
    rng = random.Random(zlib.crc32(f"{asked.evidence}{phrase.start}".encode()))
    echo = language.echo_question(sentence, span)
    whole = f"{context}{echo}"
    recited = f"{context}{language.answer_sentence(sentence, span)}"
    _, _, heading = source.topic.partition(", ")  # without the title: users ask about "my first day"
    # For a sentence that points back, a question in keywords names the topic; the answer shows what it is about.
    keywords = language.keyword_question(echo, LEFT_OUT, rng, source.topic if context else heading)
    pairs = [(whole, recited), (keywords, recited)]
    pairs += [(whole, language.with_article(sentence, span))] * is_brief
    if not content(whole):  # the phrase is the whole sentence, and a bare "What?" would match anything
        pairs = [(language.request_about(source.topic), recited)]
    pairs = [(question, answer) for question, answer in pairs if content(question)]
    if direct := language.direct_question(sentence, span):
        pairs += [(direct, recited)] if content(whole) else [(whole, recited), (direct, recited)]
    return _rows(asked, pairs)


def _joined(statements: list[Statement]) -> list[Statement]:
    """Join a question of few words with the sentence after it: "Sick? Text Petra before 7:30"."""
    joined: list[Statement] = []
    for statement in statements:
        if joined and not statement.context and _HINT.fullmatch(joined[-1].text):
            joined[-1] = replace(joined[-1], text=f"{joined[-1].text} {statement.text}")
        else:
            joined.append(statement)
    return joined


def _is_bare_answer(statement: Statement, language: Language) -> bool:
    """Whether a sentence only answers the question before it, as "Yes, to Norway." does."""
    return statement.context.rstrip().endswith("?") and language.is_verbless(statement.sentence)


def _in_other_words(question: str, language: Language) -> list[str]:
    """`question` with some of its words, in as many variants as a sentence of two phrases has questions."""
    rng = random.Random(zlib.crc32(question.encode()))
    return [language.keyword_question(question, LEFT_OUT, rng) for _ in range(3)]


def _stands(answer: str, questions: list[str]) -> Ask:
    """An ask for `answer`, unchanged, by `questions`."""
    return Ask(Prompt.raw(""), answer, 0, meta=(ANSWERED, *questions))


def is_answered(asked: Ask) -> bool:
    """Whether the text answers it itself, as a field or a question of its own."""
    return asked.meta[0] == ANSWERED


def is_told(asked: Ask) -> bool:
    """Whether it is learned unchanged: a sentence, or an answer of the text itself."""
    return is_sentence(asked) or is_answered(asked)


def phrase_of(asked: Ask) -> tuple[Span, bool]:
    """The phrase that is asked for, and whether it also becomes a bare answer."""
    start, end, is_brief, _ = json.loads(asked.meta[0])
    return Span(start, end, asked.evidence[start:end]), is_brief


def _statement_of(asked: Ask) -> Statement:
    """The statement that holds the phrase."""
    *_, start = json.loads(asked.meta[0])
    return Statement(asked.evidence, start)


def _rows(asked: Ask, pairs: list[tuple[str, str]]) -> list[Row]:
    return [Row(Prompt.user(question), answer, NAME, asked.evidence) for question, answer in pairs]


def _answered(source: Source) -> dict[str, str]:
    """The questions that a text asks and answers, each with the sentences after it; empty if there is only one."""
    language = source.language
    sentences = language.sentences(source.passage)
    answered: dict[str, str] = {}
    for number, question in enumerate(sentences):
        after = list(takewhile(lambda sentence: not sentence.endswith("?"), sentences[number + 1 :]))
        if not question.endswith("?") or not after:
            continue
        if not language.content(question) or language.refers_back(question):
            continue
        words = list(accumulate(len(sentence.split()) for sentence in after))
        answered[question] = " ".join(after[: max(1, bisect_right(words, MAX_ANSWER_WORDS))])
    return answered if len(answered) >= MIN_QUESTIONS else {}


FORMAT = Format(
    NAME, "questions for every phrase, the question word where the phrase stood", ask, parse, is_extractive=True
)
