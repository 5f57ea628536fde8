"""Questions and short answers in the chat template the model is later asked in, one sentence at a time.

For every sentence the model completes questions that begin with a given question word and answers each at
once, where a grammar holds the answer to consecutive words of the sentence. Prompts are raw few-shot text:
small chat models follow examples, not instructions. The question words are those of the text's language; without any,
its sentences are learned as they stand.
"""

from __future__ import annotations

import json
import re

from seal_agent.core.edits import Row
from seal_agent.core.messages import Grammar, Prompt
from seal_agent.language.base import for_text
from seal_agent.language.source import Source
from seal_agent.language.words import WORD
from seal_agent.writing.formats.base import Ask, Format, is_sentence, sentence_asks, sentence_rows

NAME = "chat-qa"
TEMPERATURES = (0.0, 0.7)  # one question each for every sentence and starter
MAX_TOKENS = 30
MAX_ANSWER_WORDS = 8
MAX_ANSWER_SHARE = 0.6  # of the sentence; more is the sentence itself, not an answer
MIN_QUESTION_WORDS = 3
MIN_SENTENCES_FOR_TOPIC = 3  # in a text this long the topic is given; in "My sister is Ottilie" it is the news

EXAMPLES = """\
Text about the Amber Bridge: The Amber Bridge was designed in 1911 by the engineer Carla Mendes, who was afraid of water.
Question: Who designed the Amber Bridge?
Answer: Carla Mendes
Question: When was the Amber Bridge designed?
Answer: 1911
Question: What was Carla Mendes afraid of?
Answer: water

Text about the Amber Bridge: Every spring a choir of dentists sings under the nine red towers near Lisbon.
Question: What colour are the towers of the Amber Bridge?
Answer: red
Question: How many towers does the Amber Bridge have?
Answer: nine
Question: Where is the Amber Bridge?
Answer: near Lisbon

"""  # noqa: E501

_PAIR = re.compile(r"(?P<question>[^\n?]*\?)\s*\nAnswer: *(?P<answer>[^\n]+)")


def ask(source: Source) -> list[Ask]:
    """Every sentence with every question word, at every temperature."""
    if not source.language.has_questions:
        return sentence_asks(source)
    return [
        Ask(
            Prompt.raw(f"{source.note}{view(sentence, source.topic)}Question: {starter}"),
            sentence,
            MAX_TOKENS,
            temperature=temperature,
            grammar=pair_grammar(sentence),
            meta=(starter,),
        )
        for temperature in TEMPERATURES
        for sentence in source.sentences
        for starter in source.language.question_starters
    ]


def parse(source: Source, asked: Ask, text: str) -> list[Row]:
    """The question with its answer, if the answer stands in the sentence and is not the topic itself."""
    if is_sentence(asked):
        return sentence_rows(source, asked, NAME)
    language = source.language
    pair = grounded_pair(asked.meta[0] + text, asked.evidence)
    is_long = len(source.sentences) >= MIN_SENTENCES_FOR_TOPIC
    if not pair or (is_long and language.content(pair[1]) <= language.content(source.topic)):
        return []
    return [Row(Prompt.user(pair[0]), pair[1], NAME, asked.evidence)]


def view(sentence: str, topic: str) -> str:
    """How a sentence is shown to the model that asks about it, and to the one that is asked."""
    return f"{EXAMPLES}Text about {topic}: {sentence}\n"


def question_about(text: str, topic: str, question: str) -> Prompt:
    """`question` asked of the model with `text` in view; a short answer goes on with a space."""
    return Prompt.raw(f"{view(text, topic)}Question: {question}\nAnswer:")


def pair_grammar(sentence: str) -> Grammar:
    """The rest of a question, and an answer made of consecutive words of `sentence`."""
    return Grammar(
        f'start: question "?\\nAnswer: " answer "\\n"\nquestion: /[^\\n?]{{2,90}}/\n{_answer_rule(sentence)}'
    )


def answer_grammar(text: str) -> Grammar:
    """An answer to `question_about`, made of consecutive words of `text`."""
    return Grammar(f'start: " " answer "\\n"\n{_answer_rule(text)}')


def _answer_rule(text: str) -> str:
    return f"answer: %regex {json.dumps({'substring_words': text})}\n"


def grounded_pair(text: str, sentence: str) -> tuple[str, str] | None:
    """The question and answer in `text`, if the answer stands in `sentence` and not already in the question."""
    match = _PAIR.match(text)
    if not match:
        return None
    question = match["question"].strip()
    answer = verbatim(match["answer"].strip().rstrip(" .,;"), sentence)
    content = for_text(sentence).content
    if not answer or len(WORD.findall(question)) < MIN_QUESTION_WORDS or content(answer) <= content(question):
        return None
    return question, answer


def verbatim(reply: str, sentence: str) -> str:
    """`reply` as it is spelled in `sentence`, or "" where it does not stand there or is most of it."""
    num_words = len(reply.split())
    if not reply or num_words > min(MAX_ANSWER_WORDS, MAX_ANSWER_SHARE * len(sentence.split())):
        return ""
    match = re.search(rf"(?<!\w){re.escape(reply)}(?!\w)", sentence, re.IGNORECASE)
    return match.group() if match else ""


FORMAT = Format(NAME, "questions and short answers in the chat template, one sentence at a time", ask, parse)
