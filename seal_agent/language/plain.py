"""A language without rules of its own: a text is learned as its sentences, and nothing is asked about it.

What a pronoun stands for, which day "tomorrow" is and what contradicts what is not known here. A class for a new
language may inherit from `Plain` and override what it knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from seal_agent.core.edits import Probe, Row
from seal_agent.language.sentences import split_sentences
from seal_agent.language.source import Source
from seal_agent.language.values import CandidateAnswer, LeftOut, Span, Statement, WatchedFact
from seal_agent.language.words import WORD, numbers_in, opening, words_with_digits

MAX_FIRST = 1000  # characters of a text in which its first sentence is looked for
_QUESTION_MARKS = ("?", "？", "؟")
NO_QUESTIONS = "it is a question, and what its words point to is not known in the language {code!r}; say the answer"


@dataclass(frozen=True)
class Plain:
    """Any language, by its ISO 639 code; see `base.Language` for what each method is asked for."""

    code: str

    @property
    def has_questions(self) -> bool:
        """None are made: that takes rules, or a model that reads."""
        return False

    @property
    def question_starters(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def articles(self) -> frozenset[str]:
        """None are known."""
        return frozenset()

    def content(self, text: str, /) -> set[str]:
        """All words: which of them carry content is not known."""
        return {word.lower() for word in WORD.findall(text)}

    def names_in(self, text: str, /) -> list[str]:
        """The words with digits; which words are names is not known."""
        return words_with_digits(text)

    def new_names(self, text: str, known: str, /) -> set[str]:
        """The numbers of `text` that do not stand in `known`."""
        return {number for number in numbers_in(text) if number not in known}

    def is_yes_or_no(self, answer: str, /) -> bool:
        """Not known."""
        return False

    def is_value_column(self, name: str, /) -> bool:
        """Not known."""
        return False

    def is_ditto(self, cell: str, /) -> bool:
        """Not known."""
        return False

    def bare_title(self, heading: str, /) -> str:
        """The heading as it stands."""
        return heading

    def topic_in(self, text: str, /) -> str:
        """The beginning of the first sentence."""
        return opening(next(iter(self.sentences(text[:MAX_FIRST])), ""))

    def sentences(self, text: str, /) -> list[str]:
        """The sentences of `text` in order."""
        return split_sentences(text, self.code)

    def statements(
        self, sentences: Sequence[str], *, heading: str = "", is_reply: bool = False
    ) -> tuple[list[Statement], list[LeftOut]]:
        """Every sentence as it stands; questions are left out."""
        told = [Statement(sentence, quoted=sentence) for sentence in sentences if not _is_question(sentence)]
        reason = NO_QUESTIONS.format(code=self.code)
        return told, [LeftOut(sentence, reason) for sentence in sentences if _is_question(sentence)]

    def refers_back(self, sentence: str, /) -> str:
        """Not known."""
        return ""

    def opens_with_reference(self, sentence: str, /) -> bool:
        """Not known."""
        return False

    def denies_what_follows(self, heading: str, /) -> bool:
        """It may: which words deny is not known, so what stands above a list goes with every sentence of it."""
        return True

    def is_verbless(self, sentence: str, /) -> bool:
        """Not known."""
        return False

    def noun_phrases(self, sentence: str, /) -> list[Span]:
        """None are known."""
        return []

    def with_article(self, sentence: str, span: Span, /) -> str:
        """The phrase as it stands."""
        return span.text

    def shape(self, phrase: str, /) -> str:
        """A number, or words."""
        return "number" if phrase[:1].isdigit() else "words"

    def echo_question(self, sentence: str, span: Span, /) -> str:
        """None."""
        return ""

    def direct_question(self, sentence: str, span: Span, /) -> str:
        """None."""
        return ""

    def keyword_question(self, question: str, share: float, rng: Random, about: str = "", /) -> str:
        """None."""
        return ""

    def field_questions(self, sentence: str, topic: str, /) -> tuple[list[str], str] | None:
        """None."""
        return None

    def answer_sentence(self, sentence: str, span: Span, /) -> str:
        """The whole sentence."""
        return sentence

    def truth_questions(self, told: str, phrase: str, wrong: str, context: str, /) -> list[tuple[str, str]]:
        """None."""
        return []

    def request_about(self, topic: str, /) -> str:
        """The topic alone, as one types it into a search."""
        return topic

    def request_to_tell(self, topic: str, /) -> str:
        """The topic alone."""
        return topic

    def request_for_all(self, topic: str, /) -> str:
        """The topic alone."""
        return topic

    def asks_about_oneself(self, text: str, /) -> bool:
        """Not known."""
        return False

    def without_asking(self, words: frozenset[str], /) -> frozenset[str]:
        """All words: which of them only ask is not known."""
        return words

    def speaks_of_writer(self, text: str, /) -> bool:
        """Not known."""
        return False

    def to_second_person(self, text: str, /) -> str:
        """The text as it stands."""
        return text

    def unclear_speaker(self, text: str, /) -> str:
        """Nothing is turned, so nothing is unclear."""
        return ""

    def rows_in_second_person(self, rows: Sequence[Row], message: str, /) -> list[Row]:
        """The rows as they are."""
        return list(rows)

    def first_person(self, sentence: str, /) -> str:
        """Not known."""
        return ""

    def other_persons(self, sentence: str, /) -> str:
        """Not known."""
        return ""

    def quotation(self, speaker: str, sentence: str, *, is_spoken: bool = False) -> str:
        """The speaker, a colon and the sentence."""
        return f"{speaker}: {sentence}"

    def checked(self, sentence: str, *, is_done: bool) -> str:
        """The sentence behind its box."""
        return f"[{'x' if is_done else ' '}] {sentence}"

    def is_greeting(self, line: str, /) -> bool:
        """Not known."""
        return False

    def closing(self, line: str, /) -> str | None:
        """Not known."""
        return None

    def introduces_quotation(self, line: str, /) -> bool:
        """Not known."""
        return False

    def is_label(self, name: str, /) -> bool:
        """Not known."""
        return False

    def is_talk(self, said: str, *, is_answer: bool) -> bool:
        """Not known."""
        return False

    def says_something(self, said: str, /) -> bool:
        """Not known."""
        return False

    def watched_facts(self, probe: Probe, /) -> list[WatchedFact]:
        """None: what contradicts what is not known."""
        return []

    def candidate_answers(self, fact: WatchedFact, source: Source, /) -> Iterator[CandidateAnswer]:
        """None."""
        return iter(())

    def denies(self, sentence: str, earlier: str, /) -> bool:
        """Not known."""
        return False

    def is_instruction(self, text: str, /) -> bool:
        """Not known; `base.is_instruction` asks the languages that know."""
        return False

    def is_order(self, sentence: str, /) -> bool:
        """Not known."""
        return False


def _is_question(sentence: str) -> bool:
    return sentence.rstrip("\"'“”’»)」』 ")[-1:] in _QUESTION_MARKS
