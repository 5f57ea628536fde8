"""The model writes its own training questions, one sentence at a time.

A 135M model asked for "facts" invents them (../shared/FACTS.md). So it is helped with form, never with
content: for every sentence it completes questions that begin with a given question word and answers each
at once, where a grammar holds the answer to consecutive words of the sentence; a pair is kept when the
model, asked again with only that sentence in view, still finds the answer likely. Prompts are raw few-shot
text: small chat models follow examples, not instructions. The question words and the pronouns are English;
see README, limits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from seal_agent.adapters.backend import Backend, silent
from seal_agent.decision import rank
from seal_agent.passages import resolve_pronoun, split_sentences
from seal_agent.selfedit import EPOCHS, Pair, format_self_edit, parse_self_edit
from seal_agent.types import Grammar, Progress, Prompt, SelfEdit

STARTERS = (
    "Who", "When", "Where", "What is the name of", "What", "Which", "How many", "What colour", "In what year", "Whose",
)  # fmt: skip
TEMPERATURES = (0.0, 0.7)  # one question each for every sentence and starter
MAX_PAIR_TOKENS = 30
MAX_PER_ANSWER = 4
MAX_ANSWER_WORDS = 8
MAX_ANSWER_SHARE = 0.6  # of the sentence; more is the sentence itself, not an answer
MIN_QUESTION_WORDS = 3
MIN_SENTENCES_FOR_TOPIC = 3  # in a text this long the topic is given; in "My sister is Ottilie" it is the news
MIN_CONFIDENCE = -1.0  # nats per token of the model's own answer; below this it is guessing

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
DIRECTIVES = "Training settings for learning {num} questions about {topic}, as JSON:\n"

_PAIR = re.compile(r"(?P<question>[^\n?]*\?)\s*\nAnswer: *(?P<answer>[^\n]+)")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_FUNCTION = frozenset(
    """a an and are as at be been being but by can could did do does for from had has have he her here him his how i if
    in into is it its may me more most my no nor not of on only or other our out over own she should since so some such
    than that the their them then there these they this those through to too under until up upon was we were what when
    where which while who whom whose why will with would yet you your also after before during each every any both
    between about above again once very just still called named""".split()
)


@dataclass(frozen=True)
class Draft:
    """What one attempt at writing gave: the self-edit's text, and how many questions were dropped."""

    text: str
    num_dropped: int


@dataclass(frozen=True)
class _Candidate:
    sentence: str
    pair: Pair


def write_self_edit(
    backend: Backend, passage: str, topic: str, *, seed: int = 0, fault: str = "", progress: Progress = silent
) -> SelfEdit:
    """A self-edit for `passage`, written by the model behind `backend`.

    `fault` is the message of the previous attempt's `EditFault`: it goes into the model's context, and
    the next attempt draws other questions. Raises `EditFault` when too little of what was written holds.
    """
    draft = write_draft(backend, passage, topic, seed=seed, fault=fault, progress=progress)
    return parse_self_edit(draft.text, topic=topic, passage=passage, num_dropped=draft.num_dropped)


def write_draft(
    backend: Backend, passage: str, topic: str, *, seed: int = 0, fault: str = "", progress: Progress = silent
) -> Draft:
    """The self-edit as text: questions asked, answered, filtered, and the directives chosen."""
    sentences = [resolve_pronoun(sentence, topic) for sentence in split_sentences(passage)]
    asked = [(sentence, starter) for sentence in sentences for starter in STARTERS]
    note = f"(The last attempt failed: {fault})\n\n" if fault else ""
    prompts = [Prompt.raw(f"{note}{_view(sentence, topic)}Question: {starter}") for sentence, starter in asked]
    candidates: dict[_Candidate, None] = {}
    for round_number, temperature in enumerate(TEMPERATURES):
        written = backend.generate(
            prompts,
            max_new_tokens=MAX_PAIR_TOKENS,
            temperature=temperature,
            grammars=[pair_grammar(sentence) for sentence, _ in asked],
            seed=seed,
            progress=_shifted(progress, "asking", round_number * len(prompts), len(TEMPERATURES) * len(prompts)),
        )
        for (sentence, starter), samples in zip(asked, written, strict=True):
            pair = grounded_pair(starter + samples[0], sentence)
            if pair and not (len(sentences) >= MIN_SENTENCES_FOR_TOPIC and _content(pair.answer) <= _content(topic)):
                candidates[_Candidate(sentence, pair)] = None
    pairs = _confident(backend, list(candidates), topic, progress)
    epochs = _choose_epochs(backend, topic, len(pairs))
    return Draft(format_self_edit(epochs, pairs), len(TEMPERATURES) * len(asked) - len(pairs))


def pair_grammar(sentence: str) -> Grammar:
    """The rest of a question, and an answer made of consecutive words of `sentence`."""
    substring = json.dumps({"substring_words": sentence})
    return Grammar(
        f'start: question "?\\nAnswer: " answer "\\n"\nquestion: /[^\\n?]{{2,90}}/\nanswer: %regex {substring}\n'
    )


def grounded_pair(text: str, sentence: str) -> Pair | None:
    """The question and answer in `text`, if the answer stands in `sentence` and not already in the question."""
    match = _PAIR.match(text)
    if not match:
        return None
    question = match["question"].strip()
    answer = verbatim(match["answer"].strip().rstrip(" .,;"), sentence)
    if not answer or len(_WORD.findall(question)) < MIN_QUESTION_WORDS or _content(answer) <= _content(question):
        return None
    return Pair(question, answer)


def verbatim(reply: str, sentence: str) -> str:
    """`reply` as it is spelled in `sentence`, or "" where it does not stand there or is most of it."""
    num_words = len(reply.split())
    if not reply or num_words > min(MAX_ANSWER_WORDS, MAX_ANSWER_SHARE * len(sentence.split())):
        return ""
    match = re.search(rf"(?<!\w){re.escape(reply)}(?!\w)", sentence, re.IGNORECASE)
    return match.group() if match else ""


def _confident(backend: Backend, candidates: Sequence[_Candidate], topic: str, progress: Progress) -> list[Pair]:
    """The candidates whose answer the model finds likely with only the sentence in view.

    A question asked twice keeps its likelier answer; of many questions about one answer the most
    confident `MAX_PER_ANSWER` stay.
    """
    if not candidates:
        return []
    scores = backend.score(
        [Prompt.raw(f"{_view(c.sentence, topic)}Question: {c.pair.question}\nAnswer:") for c in candidates],
        [" " + c.pair.answer for c in candidates],
        progress=lambda _what, done, total: progress("checking", done, total),
    )
    ranked = sorted(zip(scores, candidates, strict=True), key=lambda entry: -entry[0].per_token)
    questions: set[str] = set()
    by_answer: dict[str, list[Pair]] = {}
    for score, candidate in ranked:
        pair = candidate.pair
        group = by_answer.setdefault(pair.answer.lower(), [])
        if score.per_token < MIN_CONFIDENCE or pair.question.lower() in questions or len(group) >= MAX_PER_ANSWER:
            continue
        questions.add(pair.question.lower())
        group.append(pair)
    return [pair for group in by_answer.values() for pair in group]


def _choose_epochs(backend: Backend, topic: str, num_pairs: int) -> int:
    """The model's own choice among directives, corrected for its bias by what it says about nothing.

    Contextual calibration: Zhao et al., arXiv 2102.09690.
    """
    options = [json.dumps({"epochs": epochs}) for epochs in EPOCHS]
    asked = Prompt.raw(DIRECTIVES.format(num=num_pairs, topic=topic))
    content_free = Prompt.raw(DIRECTIVES.format(num="some", topic="a topic"))
    scores = backend.score([asked] * len(options) + [content_free] * len(options), options * 2)
    num = len(options)
    best, _ = rank([scores[i].logprob - scores[i + num].logprob for i in range(num)])
    return EPOCHS[best]


def _view(sentence: str, topic: str) -> str:
    return f"{EXAMPLES}Text about {topic}: {sentence}\n"


def _content(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)} - _FUNCTION


def _shifted(progress: Progress, what: str, start: int, total: int) -> Progress:
    return lambda _what, done, _total: progress(what, start + done, total)
