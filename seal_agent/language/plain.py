"""A language without rules: a text is learned sentence by sentence, without questions.

Pronouns, relative dates and contradictions are not recognised. A class for a new language may inherit from `Plain` and
override the methods that it has rules for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from seal_agent.core.edits import Probe, Row
from seal_agent.language.sentences import split_sentences
from seal_agent.language.source import Source
from seal_agent.language.values import CandidateAnswer, LeftOut, Span, Statement, UserRequest, WatchedFact
from seal_agent.language.words import QUESTION_MARKS, WORD, numbers_in, opening, words_with_digits

MAX_FIRST = 1000  # characters of a text in which its first sentence is looked for
NO_QUESTIONS = "it is a question, and there are no rules to understand it in the language {code!r}; state the answer"


@dataclass(frozen=True)
class Plain:
    """Any language, by its ISO 639 code; see `base.Language` for the methods."""

    code: str

    @property
    def has_questions(self) -> bool:
        """False: questions need rules, or a capable model."""
        return False

    @property
    def question_starters(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def articles(self) -> frozenset[str]:
        """Empty: unknown."""
        return frozenset()

    def content(self, text: str, /) -> set[str]:
        """All words: content words are unknown."""
        return {word.lower() for word in WORD.findall(text)}

    def names_in(self, text: str, /) -> list[str]:
        """The words with digits: names are unknown."""
        return words_with_digits(text)

    def new_names(self, text: str, known: str, /) -> set[str]:
        """The numbers in `text` that `known` does not contain."""
        return {number for number in numbers_in(text) if number not in known}

    def is_yes_or_no(self, answer: str, /) -> bool:
        """False: unknown."""
        return False

    def is_value_column(self, name: str, /) -> bool:
        """False: unknown."""
        return False

    def is_ditto(self, cell: str, /) -> bool:
        """False: unknown."""
        return False

    def bare_title(self, heading: str, /) -> str:
        """The heading, unchanged."""
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
        """Every sentence, unchanged; questions are left out."""
        told = [Statement(sentence, quoted=sentence) for sentence in sentences if not _is_question(sentence)]
        reason = NO_QUESTIONS.format(code=self.code)
        return told, [LeftOut(sentence, reason) for sentence in sentences if _is_question(sentence)]

    def refers_back(self, sentence: str, /) -> str:
        """Empty: unknown."""
        return ""

    def opens_with_reference(self, sentence: str, /) -> bool:
        """False: unknown."""
        return False

    def denies_what_follows(self, heading: str, /) -> bool:
        """True: negations are unknown, so the text above a list is learned with each of its items."""
        return True

    def is_verbless(self, sentence: str, /) -> bool:
        """False: unknown."""
        return False

    def noun_phrases(self, sentence: str, /) -> list[Span]:
        """Empty: unknown."""
        return []

    def with_article(self, sentence: str, span: Span, /) -> str:
        """The phrase, unchanged."""
        return span.text

    def shape(self, phrase: str, /) -> str:
        """The kind "number" or "words"."""
        return "number" if phrase[:1].isdigit() else "words"

    def echo_question(self, sentence: str, span: Span, /) -> str:
        """Empty: no rules."""
        return ""

    def direct_question(self, sentence: str, span: Span, /) -> str:
        """Empty: no rules."""
        return ""

    def keyword_question(self, question: str, share: float, rng: Random, about: str = "", /) -> str:
        """Empty: no rules."""
        return ""

    def field_questions(self, sentence: str, topic: str, /) -> tuple[list[str], str] | None:
        """None: no rules."""
        return None

    def answer_sentence(self, sentence: str, span: Span, /) -> str:
        """The whole sentence."""
        return sentence

    def truth_questions(self, told: str, phrase: str, wrong: str, context: str, /) -> list[tuple[str, str]]:
        """Empty: no rules."""
        return []

    def request_about(self, topic: str, /) -> str:
        """The topic alone, as in a web search."""
        return topic

    def request_to_tell(self, topic: str, /) -> str:
        """The topic alone."""
        return topic

    def request_for_all(self, topic: str, /) -> str:
        """The topic alone."""
        return topic

    def asks_about_oneself(self, text: str, /) -> bool:
        """False: unknown."""
        return False

    def without_asking(self, words: frozenset[str], /) -> frozenset[str]:
        """All words: interrogative words are unknown."""
        return words

    def speaks_of_writer(self, text: str, /) -> bool:
        """False: unknown."""
        return False

    def to_second_person(self, text: str, /) -> str:
        """The text, unchanged."""
        return text

    def unclear_speaker(self, text: str, /) -> str:
        """Empty: no text is rewritten."""
        return ""

    def rows_in_second_person(self, rows: Sequence[Row], message: str, /) -> list[Row]:
        """The rows, unchanged."""
        return list(rows)

    def first_person(self, sentence: str, /) -> str:
        """Empty: unknown."""
        return ""

    def other_persons(self, sentence: str, /) -> str:
        """Empty: unknown."""
        return ""

    def quotation(self, speaker: str, sentence: str, *, is_spoken: bool = False) -> str:
        """The speaker, a colon and the sentence."""
        return f"{speaker}: {sentence}"

    def checked(self, sentence: str, *, is_done: bool) -> str:
        """The sentence after its check box."""
        return f"[{'x' if is_done else ' '}] {sentence}"

    def is_greeting(self, line: str, /) -> bool:
        """False: unknown."""
        return False

    def closing(self, line: str, /) -> str | None:
        """None: unknown."""
        return None

    def introduces_quotation(self, line: str, /) -> bool:
        """False: unknown."""
        return False

    def is_label(self, name: str, /) -> bool:
        """False: unknown."""
        return False

    def is_talk(self, said: str, *, is_answer: bool) -> bool:
        """False: unknown."""
        return False

    def says_something(self, said: str, /) -> bool:
        """False: unknown."""
        return False

    def watched_facts(self, probe: Probe, /) -> list[WatchedFact]:
        """Empty: contradictions are unknown."""
        return []

    def candidate_answers(self, fact: WatchedFact, source: Source, /) -> Iterator[CandidateAnswer]:
        """Empty: contradictions are unknown."""
        return iter(())

    def denies(self, sentence: str, earlier: str, /) -> bool:
        """False: unknown."""
        return False

    def is_instruction(self, text: str, /) -> bool:
        """False: unknown; `base.is_instruction` asks the languages with rules."""
        return False

    def is_order(self, sentence: str, /) -> bool:
        """False: unknown."""
        return False

    def request_in(self, text: str, /) -> UserRequest:
        """Empty: requests are unknown."""
        return ""


def _is_question(sentence: str) -> bool:
    return sentence.rstrip("\"'“”’»)」』 ").endswith(tuple(QUESTION_MARKS))
