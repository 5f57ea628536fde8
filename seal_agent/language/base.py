"""What a language must know for the other rooms, and which language a text is read in.

`Language` is put together from small protocols, one for each kind of question that other rooms ask. Where a language
has no rule it returns what `plain.Plain` returns: nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from random import Random
from typing import Protocol

from seal_agent.core.edits import Probe, Row
from seal_agent.language.detection import ENGLISH, differs, language_code
from seal_agent.language.source import Source
from seal_agent.language.values import CandidateAnswer, LeftOut, Span, Statement, WatchedFact

__all__ = ["Language", "by_code", "differs", "english", "for_text", "is_instruction", "with_rules"]


class Words(Protocol):
    """Which words carry content, which are names, and which only stand in a table or before a noun."""

    @property
    def articles(self) -> frozenset[str]:
        """The articles, in lower case; benchmarks do not count them."""

    def content(self, text: str, /) -> set[str]:
        """The words of `text` that carry content, in lower case."""

    def names_in(self, text: str, /) -> list[str]:
        """The names and numbers of `text`."""

    def new_names(self, text: str, known: str, /) -> set[str]:
        """The names and numbers of `text` that `known` does not hold."""

    def is_yes_or_no(self, answer: str, /) -> bool:
        """Whether `answer` is nothing but "yes" or "no"."""

    def is_value_column(self, name: str, /) -> bool:
        """Whether the name of a table's column says nothing of its cells: "Value"."""

    def is_ditto(self, cell: str, /) -> bool:
        """Whether the words of a table's cell stand for the cell above: "as above"."""


class Topics(Protocol):
    """What a text is about, as far as it shows that itself."""

    def bare_title(self, heading: str, /) -> str:
        """What a heading names, without what it says besides: "Karlov Inn" of "Welcome to the Karlov Inn"."""

    def topic_in(self, text: str, /) -> str:
        """What a text without a title is about: the first name in it, or its first words."""


class Statements(Protocol):
    """Which sentences mean the same when they are said alone, on another day."""

    def sentences(self, text: str, /) -> list[str]:
        """The sentences of `text` in order."""

    def statements(
        self, sentences: Sequence[str], *, heading: str = "", is_reply: bool = False
    ) -> tuple[list[Statement], list[LeftOut]]:
        """What of the sentences of a text can be learned, and what is left out, with the reasons.

        `heading` stands above the text. `is_reply`: something was said before the text that is not part of it.
        """

    def refers_back(self, sentence: str, /) -> str:
        """The word of `sentence` that points to a sentence before it; "" where there is none."""

    def opens_with_reference(self, sentence: str, /) -> bool:
        """Whether a passage should not be cut before `sentence`, because it begins with a word that points back."""

    def denies_what_follows(self, heading: str, /) -> bool:
        """Whether what stands under `heading` may not hold by itself: "Never do this:"."""

    def is_verbless(self, sentence: str, /) -> bool:
        """Whether `sentence` has no verb, so that it names something and says nothing."""


class Questions(Protocol):
    """Questions about a sentence that need no model, and their answers."""

    @property
    def has_questions(self) -> bool:
        """Whether there are rules for questions at all; else a text is learned as its sentences."""

    @property
    def question_starters(self) -> tuple[str, ...]:
        """How questions begin that a model is asked to complete."""

    def noun_phrases(self, sentence: str, /) -> list[Span]:
        """The phrases of `sentence` that can answer a question, in order."""

    def with_article(self, sentence: str, span: Span, /) -> str:
        """The phrase as one says it alone: with the article before it."""

    def shape(self, phrase: str, /) -> str:
        """What kind of phrase it is, "number", "name" or "words": phrases of one kind can be confused."""

    def echo_question(self, sentence: str, span: Span, /) -> str:
        """The clause around `span` as a question, with the question word in its place."""

    def direct_question(self, sentence: str, span: Span, /) -> str:
        """How one who tells that of himself would ask for it; "" where that is not clear."""

    def keyword_question(self, question: str, share: float, rng: Random, about: str = "", /) -> str:
        """`question` with about `share` of its words left out, and with the words of `about`."""

    def field_questions(self, sentence: str, topic: str, /) -> tuple[list[str], str] | None:
        """What a field ("Port: 8080.") is asked for by, and its answer in a sentence; None where it is no field."""

    def answer_sentence(self, sentence: str, span: Span, /) -> str:
        """The answer that says `span` in a sentence: the sentence, or the part of a long one that holds it."""

    def truth_questions(self, told: str, phrase: str, wrong: str, context: str, /) -> list[tuple[str, str]]:
        """Whether `told` is true with `wrong` in the place of `phrase`, and as it stands, with the answers.

        `context` is what `told` points back to.
        """

    def request_about(self, topic: str, /) -> str:
        """A question for something about `topic`."""

    def request_to_tell(self, topic: str, /) -> str:
        """A request to say one thing about `topic`."""

    def request_for_all(self, topic: str, /) -> str:
        """A question for all that is known about `topic`."""

    def asks_about_oneself(self, text: str, /) -> bool:
        """Whether who asks `text` asks about himself: "Where do I live?"."""

    def without_asking(self, words: frozenset[str], /) -> frozenset[str]:
        """The words of a question, in lower case, without those that only ask."""


class Speakers(Protocol):
    """Who says something, and of whom: in a chat message, and in the chats and letters of a document."""

    def speaks_of_writer(self, text: str, /) -> bool:
        """Whether who wrote `text` speaks of himself or of what is his."""

    def to_second_person(self, text: str, /) -> str:
        """`text` as one says it to who wrote it; unchanged where it is not about him, or nobody can tell."""

    def unclear_speaker(self, text: str, /) -> str:
        """The word that keeps `text`, in which its writer speaks of himself, from being told back to him; else ""."""

    def rows_in_second_person(self, rows: Sequence[Row], message: str, /) -> list[Row]:
        """The rows made of a chat message with answers that speak to its writer."""

    def first_person(self, sentence: str, /) -> str:
        """The word with which `sentence` speaks of its writer; "" where there is none."""

    def other_persons(self, sentence: str, /) -> str:
        """The word with which `sentence` speaks of its reader, or of its writer with others; "" for none."""

    def quotation(self, speaker: str, sentence: str, *, is_spoken: bool = False) -> str:
        """`sentence` as what `speaker` wrote or said."""

    def checked(self, sentence: str, *, is_done: bool) -> str:
        """A sentence of a check list that says whether it is done."""

    def is_greeting(self, line: str, /) -> bool:
        """Whether a line greets somebody, as letters begin."""

    def closing(self, line: str, /) -> str | None:
        """Who signs in the closing line of a letter, "" for nobody in that line; None for any other line."""

    def introduces_quotation(self, line: str, /) -> bool:
        """Whether a line says that an earlier e-mail is quoted below it."""

    def is_label(self, name: str, /) -> bool:
        """Whether what stands before a colon names a field, although it looks like somebody's name: "Note"."""

    def is_talk(self, said: str, *, is_answer: bool) -> bool:
        """Whether `said` shows that somebody talks, a greeting say; with `is_answer` a "yes" or "no" is enough."""

    def says_something(self, said: str, /) -> bool:
        """Whether `said` has a verb as whole sentences have."""


class Contradictions(Protocol):
    """What a new text says otherwise than what was learned."""

    def watched_facts(self, probe: Probe, /) -> list[WatchedFact]:
        """The facts that a watched question and its answer say."""

    def candidate_answers(self, fact: WatchedFact, source: Source, /) -> Iterator[CandidateAnswer]:
        """The phrases of `source` that may be what answers the question of `fact` now."""

    def denies(self, sentence: str, earlier: str, /) -> bool:
        """Whether `sentence` says of the same subject the opposite of what `earlier` says."""


class Instructions(Protocol):
    """What orders the model about, and is no knowledge."""

    def is_instruction(self, text: str, /) -> bool:
        """Whether `text` orders the model about."""

    def is_order(self, sentence: str, /) -> bool:
        """Whether `sentence` orders somebody about in what is answered."""


class Language(Words, Topics, Statements, Questions, Speakers, Contradictions, Instructions, Protocol):
    """All that the other rooms ask about a text; `plain.Plain` answers for languages without rules."""

    @property
    def code(self) -> str:
        """The ISO 639 code of the language."""


def for_text(text: str) -> Language:
    """The language that `text` is read in; English where there is too little to tell."""
    return by_code(language_code(text))


@lru_cache(maxsize=256)
def by_code(code: str) -> Language:
    """The language with rules of that ISO 639 code, or a plain one."""
    from seal_agent.language.plain import Plain  # these import what is above

    return next((language for language in with_rules() if language.code == code), Plain(code))


@lru_cache(maxsize=1)
def with_rules() -> tuple[Language, ...]:
    """Every language with rules of its own; a new one is added here."""
    from seal_agent.language.english.language import English  # it imports what is above

    return (English(),)


def english() -> Language:
    """The rules for English, for what is English whatever its text: the prompts and the scores of benchmarks."""
    return by_code(ENGLISH)


def is_instruction(*texts: str, sentences: Iterable[str] = ()) -> bool:
    """Whether one of `texts` orders the model about, by its phrases, or one of `sentences` by its grammar.

    In any language with rules: a German page may hold an English order. A whole text is not asked about by its grammar:
    one sentence that is an order would make all of it one.
    """
    sentences = list(sentences)
    return any(
        any(map(language.is_instruction, texts)) or any(map(language.is_order, sentences)) for language in with_rules()
    )
