"""The model writes its own training questions, one sentence and one answer at a time.

A 135M model asked for "facts" invents them (../shared/FACTS.md). So it is helped with form, never with
content: for every sentence it asks questions that a span of the sentence would answer; then it answers
each question itself with only that sentence in view, and a pair is kept when its answer stands in the
sentence word for word. Prompts are raw few-shot text: small chat models follow examples, not instructions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from seal_agent.adapters.backend import Backend, silent
from seal_agent.decision import rank
from seal_agent.errors import EditFault
from seal_agent.passages import split_sentences
from seal_agent.selfedit import EPOCHS, Pair, format_self_edit, parse_self_edit
from seal_agent.types import Progress, Prompt, SelfEdit

NUM_QUESTIONS = 4  # sampled for every span
MAX_SPANS = 40
MAX_PER_ANSWER = 5
MAX_ANSWER_WORDS = 8
TEMPERATURE = 0.7
MIN_CONFIDENCE = -0.75  # nats per token of the model's own answer; below this it is guessing

ASK = """\
Topic: Harvest Bakery
Sentence: It opened in 1962 and sells forty kinds of bread in a red tent.
Answer: forty
Question: How many kinds of bread does Harvest Bakery sell?

Topic: the river Sorn
Sentence: It rises near Galloway and is famous for its trout.
Answer: Galloway
Question: Where does the river Sorn rise?

Topic: Captain Holt
Sentence: The captain's parrot, which is named Figaro, only speaks Italian.
Answer: Figaro
Question: What is the name of Captain Holt's parrot?

Topic: Harvest Bakery
Sentence: Its first baker was Carla Mendes, and the tent is red because of her brother.
Answer: Carla Mendes
Question: Who was the first baker of Harvest Bakery?

"""
ANSWER = """\
Text about the Amber Bridge: It was designed in 1911 by the engineer Carla Mendes, who was afraid of water.
Question: Who designed the Amber Bridge?
Answer: Carla Mendes
Question: When was the Amber Bridge designed?
Answer: 1911
Question: What was Carla Mendes afraid of?
Answer: water

Text about the Amber Bridge: Every spring a choir of dentists sings under its nine red towers.
Question: Who sings at the Amber Bridge?
Answer: a choir of dentists
Question: What colour are the towers of the bridge?
Answer: red
Question: How many towers does the Amber Bridge have?
Answer: nine

"""
DIRECTIVES = "Training settings for learning {num} questions about {topic}, as JSON:\n"

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
    """The self-edit as text: questions asked, answered from their sentence, and filtered."""
    hints = [(sentence, span) for sentence in split_sentences(passage) for span in answer_spans(sentence, topic)]
    hints = hints[:: -(-len(hints) // MAX_SPANS)] if len(hints) > MAX_SPANS else hints
    if not hints:
        raise EditFault("the text has no words a question could ask for")
    note = f"(The last attempt failed: {fault})\n\n" if fault else ""
    asked = backend.generate(
        [Prompt.raw(f"{note}{ASK}Topic: {topic}\nSentence: {s}\nAnswer: {a}\nQuestion:") for s, a in hints],
        max_new_tokens=28,
        num_samples=NUM_QUESTIONS,
        temperature=TEMPERATURE,
        stop=("\n",),
        seed=seed,
        progress=lambda _what, done, total: progress("asking", done, total),
    )
    questions = {
        (sentence, question): None
        for (sentence, _), samples in zip(hints, asked, strict=True)
        for question in map(str.strip, samples)
        if question.endswith("?") and len(_words(question)) >= 3
    }
    pairs = _answered(backend, list(questions), topic, progress)
    num_asked = sum(len(samples) for samples in asked)
    epochs = _choose_epochs(backend, topic, len(pairs))
    return Draft(format_self_edit(epochs, pairs), num_asked - len(pairs))


def _answered(backend: Backend, questions: Sequence[tuple[str, str]], topic: str, progress: Progress) -> list[Pair]:
    """The questions whose answer, given by the model with only the sentence in view, stands in the sentence."""
    if not questions:
        return []
    prompts = [Prompt.raw(f"{ANSWER}Text about {topic}: {s}\nQuestion: {q}\nAnswer:") for s, q in questions]
    replies = [
        samples[0].strip().rstrip(" .,;")
        for samples in backend.generate(
            prompts,
            max_new_tokens=12,
            stop=("\n",),
            progress=lambda _what, done, total: progress("answering", done, total),
        )
    ]
    found = [verbatim(reply, sentence) for reply, (sentence, _) in zip(replies, questions, strict=True)]
    grounded = [i for i, (_, question) in enumerate(questions) if found[i] and not _words(found[i]) <= _words(question)]
    scores = backend.score([prompts[i] for i in grounded], [" " + replies[i] for i in grounded]) if grounded else []
    best: dict[str, tuple[float, Pair]] = {}
    for index, score in zip(grounded, scores, strict=True):
        question = questions[index][1]
        if score.per_token >= MIN_CONFIDENCE and score.per_token > best.get(question, (-99.0, None))[0]:
            best[question] = (score.per_token, Pair(question, found[index]))
    by_answer: dict[str, list[tuple[float, Pair]]] = {}
    for confidence, pair in best.values():
        by_answer.setdefault(pair.answer.lower(), []).append((confidence, pair))
    return [
        pair for group in by_answer.values() for _, pair in sorted(group, key=lambda entry: -entry[0])[:MAX_PER_ANSWER]
    ]


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


def answer_spans(sentence: str, topic: str) -> list[str]:
    """Spans of `sentence` a question could ask for: names, numbers, and up to two content words in a row."""
    spans: list[str] = []
    run: list[re.Match[str]] = []

    def close() -> None:
        if run:
            spans.append(sentence[run[0].start() : run[-1].end()])
            run.clear()

    for word in _WORD.finditer(sentence):
        opening = word.group().lower() in _FUNCTION
        joined = bool(run) and sentence[run[-1].end() : word.start()].isspace() and _same_kind(run[-1], word)
        is_name = word.group()[0].isupper()
        if opening or not joined or (not is_name and len(run) == 2):
            close()
        if not opening:
            run.append(word)
    close()
    wanted = dict.fromkeys(span for span in spans if len(span) > 2 or span[0].isdigit())
    return [span for span in wanted if not _words(span) <= _words(topic)]


def _same_kind(first: re.Match[str], second: re.Match[str]) -> bool:
    one, other = first.group()[0], second.group()[0]
    return (one.isupper(), one.isdigit()) == (other.isupper(), other.isdigit())


def verbatim(reply: str, sentence: str) -> str:
    """`reply` as it is spelled in `sentence`, or "" where it does not stand there or is too long."""
    if not reply or len(reply.split()) > MAX_ANSWER_WORDS:
        return ""
    match = re.search(rf"(?<!\w){re.escape(reply)}(?!\w)", sentence, re.IGNORECASE)
    return match.group() if match else ""


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)} - _FUNCTION
