"""The `Language` protocol, and the choice of a text's language.

`Language` is composed of small protocols, one for each kind of question that other rooms ask. A language without a rule
returns the default of `plain.Plain`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from random import Random
from typing import Protocol

from seal_agent.core.edits import Probe, Row
from seal_agent.language.detection import ENGLISH, differs, language_code
from seal_agent.language.source import Source
from seal_agent.language.values import CandidateAnswer, LeftOut, Span, Statement, UserRequest, WatchedFact

__all__ = ["Language", "by_code", "differs", "english", "for_text", "is_instruction", "with_rules"]


class Words(Protocol):
    """Content words, names, and words with a special meaning in tables."""

    @property
    def articles(self) -> frozenset[str]:
        """The articles, in lower case; benchmarks ignore them."""

    def content(self, text: str, /) -> set[str]:
        """The content words of `text`, in lower case."""

    def names_in(self, text: str, /) -> list[str]:
        """The names and numbers in `text`."""

    def new_names(self, text: str, known: str, /) -> set[str]:
        """The names and numbers in `text` that `known` does not contain."""

    def is_yes_or_no(self, answer: str, /) -> bool:
        """Whether `answer` is just "yes" or "no"."""

    def is_value_column(self, name: str, /) -> bool:
        """Whether a table column's name says nothing about its cells, as "Value" does."""

    def is_ditto(self, cell: str, /) -> bool:
        """Whether a table cell stands for the cell above: "as above"."""


class Topics(Protocol):
    """The topic of a text, as far as the text shows it."""

    def bare_title(self, heading: str, /) -> str:
        """The subject of a heading without other words: "Karlov Inn" for "Welcome to the Karlov Inn"."""

    def topic_in(self, text: str, /) -> str:
        """The topic of a text without a title: the first name in it, or its first words."""


class Statements(Protocol):
    """Sentences that mean the same when they are read alone and on another day."""

    def sentences(self, text: str, /) -> list[str]:
        """The sentences of `text` in order."""

    def statements(
        self, sentences: Sequence[str], *, heading: str = "", is_reply: bool = False
    ) -> tuple[list[Statement], list[LeftOut]]:
        """The sentences of a text that can be learned, and those left out, with reasons.

        `heading` stands above the text. `is_reply`: the text answers a message that is not part of it.
        """

    def refers_back(self, sentence: str, /) -> str:
        """The word in `sentence` that refers to an earlier sentence; "" if there is none."""

    def opens_with_reference(self, sentence: str, /) -> bool:
        """Whether a passage should not begin with `sentence`, because its first word refers back."""

    def denies_what_follows(self, heading: str, /) -> bool:
        """Whether text under `heading` may be untrue by itself: "Never do this:"."""

    def is_verbless(self, sentence: str, /) -> bool:
        """Whether `sentence` has no verb, so that it names something and states nothing."""


class Questions(Protocol):
    """Questions about a sentence, and their answers, made without a model."""

    @property
    def has_questions(self) -> bool:
        """Whether the language has rules for questions; if not, a text is learned sentence by sentence."""

    @property
    def question_starters(self) -> tuple[str, ...]:
        """Beginnings of questions for a model to complete."""

    def noun_phrases(self, sentence: str, /) -> list[Span]:
        """The phrases in `sentence` that can answer a question, in order."""

    def with_article(self, sentence: str, span: Span, /) -> str:
        """The phrase with the article before it."""

    def shape(self, phrase: str, /) -> str:
        """The kind of a phrase, "number", "name" or "words"; phrases of one kind can be confused."""

    def echo_question(self, sentence: str, span: Span, /) -> str:
        """The clause around `span` as a question, with a question word in the span's place."""

    def direct_question(self, sentence: str, span: Span, /) -> str:
        """The question of the writer of `sentence` about themselves for `span`; "" if there is no clear one."""

    def keyword_question(self, question: str, share: float, rng: Random, about: str = "", /) -> str:
        """`question` with about `share` of its words left out, and with the words of `about`."""

    def field_questions(self, sentence: str, topic: str, /) -> tuple[list[str], str] | None:
        """Questions for a field ("Port: 8080."), and a sentence that answers them; None if it is not a field."""

    def answer_sentence(self, sentence: str, span: Span, /) -> str:
        """A sentence that contains `span`: `sentence`, or one part of it if it is long."""

    def truth_questions(self, told: str, phrase: str, wrong: str, context: str, /) -> list[tuple[str, str]]:
        """Questions whether `told` is true, with `wrong` in the place of `phrase` and unchanged, with answers.

        `context` is the text that `told` refers to.
        """

    def request_about(self, topic: str, /) -> str:
        """A question for something about `topic`."""

    def request_to_tell(self, topic: str, /) -> str:
        """A request for one statement about `topic`."""

    def request_for_all(self, topic: str, /) -> str:
        """A question for everything known about `topic`."""

    def asks_about_oneself(self, text: str, /) -> bool:
        """Whether the writer of the question `text` asks about themselves: "Where do I live?"."""

    def without_asking(self, words: frozenset[str], /) -> frozenset[str]:
        """The words of a question, in lower case, without those that only ask."""


class Speakers(Protocol):
    """Speaker and person of a sentence, in chat messages and in the chats and letters of a document."""

    def speaks_of_writer(self, text: str, /) -> bool:
        """Whether the writer of `text` speaks about themselves or their belongings."""

    def to_second_person(self, text: str, /) -> str:
        """`text` addressed to its writer ("my" becomes "your"); unchanged if it is not about the writer or unclear."""

    def unclear_speaker(self, text: str, /) -> str:
        """The word that prevents `to_second_person` for a text about its writer; "" if there is none."""

    def rows_in_second_person(self, rows: Sequence[Row], message: str, /) -> list[Row]:
        """The rows made from a chat message, with answers that address its writer."""

    def first_person(self, sentence: str, /) -> str:
        """The word by which `sentence` refers to its writer; "" if there is none."""

    def other_persons(self, sentence: str, /) -> str:
        """The word by which `sentence` refers to its reader, or to its writer with others; "" if there is none."""

    def quotation(self, speaker: str, sentence: str, *, is_spoken: bool = False) -> str:
        """`sentence` as a quotation of `speaker`."""

    def checked(self, sentence: str, *, is_done: bool) -> str:
        """A sentence of a check list, with its state (done or not)."""

    def is_greeting(self, line: str, /) -> bool:
        """Whether a line is a greeting, as letters begin with."""

    def closing(self, line: str, /) -> str | None:
        """The name in the closing line of a letter, "" if it has none; None for any other line."""

    def introduces_quotation(self, line: str, /) -> bool:
        """Whether a line introduces a quoted e-mail below it."""

    def is_label(self, name: str, /) -> bool:
        """Whether the text before a colon is a field name that looks like a person's name: "Note"."""

    def is_talk(self, said: str, *, is_answer: bool) -> bool:
        """Whether `said` is direct speech, such as a greeting; with `is_answer` "yes" or "no" is enough."""

    def says_something(self, said: str, /) -> bool:
        """Whether `said` has a verb, as a whole sentence does."""


class Contradictions(Protocol):
    """Contradictions between a new text and learned facts."""

    def watched_facts(self, probe: Probe, /) -> list[WatchedFact]:
        """The facts in a stored question and its answer."""

    def candidate_answers(self, fact: WatchedFact, source: Source, /) -> Iterator[CandidateAnswer]:
        """The phrases of `source` that may be the new answer to the question of `fact`."""

    def denies(self, sentence: str, earlier: str, /) -> bool:
        """Whether `sentence` states the opposite of `earlier` about the same subject."""


class Instructions(Protocol):
    """Texts that give the model orders and are no knowledge."""

    def is_instruction(self, text: str, /) -> bool:
        """Whether `text` gives the model orders."""

    def is_order(self, sentence: str, /) -> bool:
        """Whether `sentence` orders how something is to be answered."""


class Requests(Protocol):
    """Requests of the user about what is remembered."""

    def request_in(self, text: str, /) -> UserRequest:
        """The request about what is remembered that `text` clearly is; "" for any other text."""


class Language(Words, Topics, Statements, Questions, Speakers, Contradictions, Instructions, Requests, Protocol):
    """All that other rooms ask about a text; `plain.Plain` has the defaults for languages without rules."""

    @property
    def code(self) -> str:
        """The ISO 639 code of the language."""


def for_text(text: str) -> Language:
    """The language of a text; English if the text is too short to tell."""
    return by_code(language_code(text))


@lru_cache(maxsize=256)
def by_code(code: str) -> Language:
    """The language with rules for an ISO 639 code, else a plain one."""
    from seal_agent.language.plain import Plain  # imported here, because it imports this module

    return next((language for language in with_rules() if language.code == code), Plain(code))


@lru_cache(maxsize=1)
def with_rules() -> tuple[Language, ...]:
    """Every language with rules; add a new one here."""
    from seal_agent.language.english.language import English  # imported here, because it imports this module

    return (English(),)


def english() -> Language:
    """The English rules, for texts that are English by design: prompts and benchmark scores."""
    return by_code(ENGLISH)


def is_instruction(*texts: str, sentences: Iterable[str] = ()) -> bool:
    """Whether a phrase in one of `texts` or the grammar of one of `sentences` gives the model orders.

    Every language with rules is asked, because a German page may hold an English order. Grammar is checked for single
    sentences only: otherwise one imperative sentence would make the whole text an instruction.
    """
    sentences = list(sentences)
    return any(
        any(map(language.is_instruction, texts)) or any(map(language.is_order, sentences)) for language in with_rules()
    )
