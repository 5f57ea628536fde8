"""Questions and short answers in the chat template, one sentence at a time.

For every sentence the model completes questions that begin with a given question word, and answers each one. A grammar
restricts the answer to consecutive words of the sentence. Prompts are raw few-shot text, because small chat models
follow examples better than instructions. The question words are those of the text's language; sentences of a language
without any are learned unchanged.
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
TEMPERATURES = (0.0, 0.7)  # one question each for every sentence and question word
MAX_TOKENS = 30
MAX_ANSWER_WORDS = 8
MAX_ANSWER_SHARE = 0.6  # of the sentence's words; a longer answer repeats the sentence
MIN_QUESTION_WORDS = 3
MIN_SENTENCES_FOR_TOPIC = 3  # from here on prompts name the topic; in "My sister is Ottilie" it is the answer

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
    """One request for every sentence, question word and temperature."""
    if not source.language.has_questions:
        return sentence_asks(source)
    return [
        Ask(
            Prompt.raw(f"{source.fault_note}{view(sentence, source.topic)}Question: {starter}"),
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
    """A row for the question, if the answer is a quotation of the sentence and not the topic."""
    if is_sentence(asked):
        return sentence_rows(source, asked, NAME)
    language = source.language
    pair = grounded_pair(asked.meta[0] + text, asked.evidence)
    is_long = len(source.sentences) >= MIN_SENTENCES_FOR_TOPIC
    if not pair or (is_long and language.content(pair[1]) <= language.content(source.topic)):
        return []
    return [Row(Prompt.user(pair[0]), pair[1], NAME, asked.evidence)]


def view(sentence: str, topic: str) -> str:
    """The sentence as it is shown in prompts."""
    return f"{EXAMPLES}Text about {topic}: {sentence}\n"


def question_about(text: str, topic: str, question: str) -> Prompt:
    """A prompt that asks `question` with `text` in view; a short answer begins with a space."""
    return Prompt.raw(f"{view(text, topic)}Question: {question}\nAnswer:")


def pair_grammar(sentence: str) -> Grammar:
    """Grammar of the rest of a question and an answer of consecutive words of `sentence`."""
    return Grammar(
        f'start: question "?\\nAnswer: " answer "\\n"\nquestion: /[^\\n?]{{2,90}}/\n{_answer_rule(sentence)}'
    )


def answer_grammar(text: str) -> Grammar:
    """Grammar of an answer to `question_about`: consecutive words of `text`."""
    return Grammar(f'start: " " answer "\\n"\n{_answer_rule(text)}')


def _answer_rule(text: str) -> str:
    return f"answer: %regex {json.dumps({'substring_words': text})}\n"


def grounded_pair(text: str, sentence: str) -> tuple[str, str] | None:
    """The question and answer in `text`, if `sentence` holds the answer and the question does not."""
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
    """`reply` as spelled in `sentence`; "" if it does not occur there or is most of the sentence."""
    num_words = len(reply.split())
    if not reply or num_words > min(MAX_ANSWER_WORDS, MAX_ANSWER_SHARE * len(sentence.split())):
        return ""
    match = re.search(rf"(?<!\w){re.escape(reply)}(?!\w)", sentence, re.IGNORECASE)
    return match.group() if match else ""


FORMAT = Format(
    NAME, "questions and short answers in the chat template, one sentence at a time", ask, parse, needs_grammar=True
)
