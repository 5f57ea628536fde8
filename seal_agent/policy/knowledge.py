"""Knowledge as a domain of self-edits: a passage, an edit that teaches it, and held-out questions.

For a passage the policy writes one line of JSON, the directives, and then the texts of the chosen formats. A grade is
how well the model answers the questions without the passage in view. If a passage has no questions, the model writes
some with the passage in view (`self_made_questions`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from seal_agent.core.backend import Backend, silent
from seal_agent.core.domain import Grade, Proposal
from seal_agent.core.edits import Directives, Probe, Row, SelfEdit
from seal_agent.core.episodes import Progress
from seal_agent.core.errors import EditFault
from seal_agent.core.messages import Prompt
from seal_agent.language.base import for_text
from seal_agent.language.source import Source
from seal_agent.learning.config import LearnerConfig
from seal_agent.policy.grading import is_right
from seal_agent.retention.general_knowledge import with_rehearsal
from seal_agent.storage.feedback import Feedback
from seal_agent.storage.policies import KNOWLEDGE
from seal_agent.writing.assembly import MIN_ROWS
from seal_agent.writing.directives import CLOZE, MENU, Menu, parse_directives, say
from seal_agent.writing.formats import chat_qa
from seal_agent.writing.writer import write

MAX_ANSWER_TOKENS = 32
NUM_OWN_QUESTIONS = 6
ASKED_PER_QUESTION = 4  # questions written for each one wanted: most are discarded
OWN_TEMPERATURE = 0.7
MAX_ANSWER_SPAN_TOKENS = 16
FAST = replace(CLOZE, min_steps=12, max_steps=12)
"""Short edits for many trials: at most a quarter of the steps of `CLOZE`."""
BOLDNESS = 4.0
"""Factor on the temperature for directives: at the texts' temperature a small model copies its examples."""
FAST_MENU = replace(MENU, formats=("cloze", "implications", "rewrite", "self-qa", "summary"))
"""Formats with one request per passage or none; the others have one for every sentence."""


@dataclass(frozen=True)
class KnowledgeContext:
    """A passage and what is held out of it: questions with gold answers, and questions written by the model.

    `feedback`: users' feedback on answers about it; `earlier`: the conversation before a message; `heading`: the
    heading above a document's passage.
    """

    topic: str
    passage: str
    questions: tuple[Probe, ...] = ()
    own_questions: tuple[Probe, ...] = ()
    feedback: tuple[Feedback, ...] = ()
    earlier: str = ""
    heading: str = ""

    @property
    def source(self) -> Source:
        """The source that an edit is written from."""
        return Source(self.topic, self.passage, self.earlier, heading=self.heading)


@dataclass(frozen=True)
class KnowledgeDomain:
    """Writes and grades knowledge edits.

    Directives that the policy does not choose come from `base`. It chooses from the `menu`, sampled at `boldness` times
    the temperature of the texts. With `fixed` directives nothing is chosen, as in a learner without a policy.
    """

    base: Directives = CLOZE
    menu: Menu = MENU
    fixed: Directives | None = None
    boldness: float = BOLDNESS

    @property
    def name(self) -> str:
        """The name of the domain in records and on the command line."""
        return KNOWLEDGE

    def propose(
        self, writer: Backend, context: KnowledgeContext, *, seed: int = 0, temperature: float = 0.0
    ) -> Proposal:
        """Directives, then rows in their formats; raises `EditFault` if the reply holds no usable edit.

        Rehearsal rows are added, as to every edit of a learner.
        """
        source = context.source
        said: tuple[Row, ...] = ()
        chosen = self.fixed
        if chosen is None:
            line = say(writer, source, self.menu, seed=seed, temperature=temperature * self.boldness)
            chosen, said = parse_directives(line.answer, self.base), (line,)
        proposal = write(writer, source, chosen, said, seed=seed, temperature=temperature)
        edit = without(proposal.edit, [*context.questions, *context.own_questions])
        num_rehearsed = LearnerConfig().num_rehearsed(chosen, len(edit.rows))
        return replace(proposal, edit=with_rehearsal(edit, num_rehearsed, seed=0))

    def grade(self, view: Backend, context: KnowledgeContext, *, generates: bool = True) -> Grade:
        """Share correct and NLL on the questions, or on the model's own questions if there are no others."""
        return graded(view, context.questions or context.own_questions, generates=generates)


def graded(view: Backend, questions: Sequence[Probe], *, generates: bool = True) -> Grade:
    """The grade of `view` on `questions`, which must not be empty."""
    prompts = [probe.prompt for probe in questions]
    scores = view.score(prompts, [probe.answer for probe in questions])
    nll = -fmean(score.per_token for score in scores)
    if not generates:
        return Grade(nll)
    replies = view.generate(prompts, max_new_tokens=MAX_ANSWER_TOKENS)
    return Grade(nll, fmean(is_right(p.answer, r[0].strip()) for p, r in zip(questions, replies, strict=True)))


def without(edit: SelfEdit, questions: Sequence[Probe]) -> SelfEdit:
    """`edit` without rows that repeat a held-out question literally; raises `EditFault` if too few are left."""
    held_out = {probe.prompt.messages[-1].content.lower() for probe in questions}
    rows = tuple(row for row in edit.rows if row.question.lower() not in held_out)
    if len(rows) < MIN_ROWS:
        raise EditFault(f"{len(rows)} rows ask what is not held out; write at least {MIN_ROWS}")
    return replace(edit, rows=rows)


def self_made_questions(
    backend: Backend,
    context: KnowledgeContext,
    *,
    num: int = NUM_OWN_QUESTIONS,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[Probe, ...]:
    """Up to `num` questions that the model writes about a passage, with answers that two samples agree on.

    Questions are written sentence by sentence; each is answered twice with its sentence in view. A question is kept if
    both answers are the same words of the sentence and the question does not contain them.
    """
    source = context.source
    asks = [ask for ask in chat_qa.ask(source) if ask.temperature]
    asks = random.Random(seed).sample(asks, min(num * ASKED_PER_QUESTION, len(asks)))
    if not asks:
        return ()
    written = backend.generate(
        [ask.prompt for ask in asks],
        max_new_tokens=chat_qa.MAX_TOKENS,
        temperature=OWN_TEMPERATURE,
        grammars=[ask.grammar for ask in asks if ask.grammar],
        seed=seed,
        progress=progress,
    )
    asked: dict[str, str] = {}  # question -> the sentence it is about
    for ask, samples in zip(asks, written, strict=True):
        pair = chat_qa.grounded_pair(ask.meta[0] + samples[0], ask.evidence)
        if pair:
            asked.setdefault(pair[0], ask.evidence)
    found = _agreed(backend, asked, source.topic, seed, progress)
    return tuple(Probe(Prompt.user(question), answer) for question, answer in found[:num])


def _agreed(
    backend: Backend, asked: dict[str, str], topic: str, seed: int, progress: Progress
) -> list[tuple[str, str]]:
    """The questions whose two answers agree, without duplicate answers."""
    if not asked:
        return []
    replies = backend.generate(
        [chat_qa.question_about(sentence, topic, question) for question, sentence in asked.items()],
        max_new_tokens=MAX_ANSWER_SPAN_TOKENS,
        num_samples=2,
        temperature=OWN_TEMPERATURE,
        stop=["\n"],
        grammars=[chat_qa.answer_grammar(sentence) for sentence in asked.values()],
        seed=seed + 1,
        progress=progress,
    )
    content = for_text(" ".join(asked.values())).content
    found: dict[str, str] = {}
    for (question, sentence), samples in zip(asked.items(), replies, strict=True):
        first, second = (chat_qa.verbatim(sample.strip().rstrip(" .,;"), sentence) for sample in samples)
        if first and first == second and not content(first) <= content(question):
            found.setdefault(first, question)
    return [(question, answer) for answer, question in found.items()]
