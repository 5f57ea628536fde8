"""English as a `Language`: maps each method to a function of this folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seal_agent.language.english import (
    contradictions,
    coreference,
    ellipsis,
    instructions,
    letters,
    names,
    phrases,
    questions,
    requests,
    second_person,
    statements,
    topics,
    user_requests,
    words,
)
from seal_agent.language.sentences import split_sentences
from seal_agent.language.values import LeftOut, Statement


@dataclass(frozen=True)
class English:
    """The rules for English."""

    code: str = "en"
    has_questions: bool = True
    question_starters: tuple[str, ...] = requests.STARTERS
    articles: frozenset[str] = words.ARTICLES

    content = staticmethod(words.content)
    names_in = staticmethod(names.names_in)
    new_names = staticmethod(names.new_names)
    is_yes_or_no = staticmethod(names.is_yes_or_no)
    is_value_column = staticmethod(names.is_value_column)
    is_ditto = staticmethod(names.is_ditto)

    bare_title = staticmethod(topics.bare_title)
    topic_in = staticmethod(topics.topic_in)

    refers_back = staticmethod(coreference.refers_back)
    opens_with_reference = staticmethod(coreference.opens_with_reference)
    denies_what_follows = staticmethod(coreference.denies_what_follows)
    is_verbless = staticmethod(ellipsis.is_verbless)

    noun_phrases = staticmethod(phrases.noun_phrases)
    with_article = staticmethod(phrases.with_article)
    shape = staticmethod(phrases.shape)
    echo_question = staticmethod(questions.echo_question)
    direct_question = staticmethod(questions.direct_question)
    keyword_question = staticmethod(questions.keyword_question)
    field_questions = staticmethod(questions.field_questions)
    answer_sentence = staticmethod(questions.answer_sentence)
    truth_questions = staticmethod(requests.truth_questions)
    request_about = staticmethod(requests.about)
    request_to_tell = staticmethod(requests.tell)
    request_for_all = staticmethod(requests.all_about)
    asks_about_oneself = staticmethod(requests.asks_about_oneself)
    without_asking = staticmethod(requests.without_asking)

    speaks_of_writer = staticmethod(second_person.speaks_of_writer)
    to_second_person = staticmethod(second_person.to_second_person)
    unclear_speaker = staticmethod(second_person.unclear_speaker)
    rows_in_second_person = staticmethod(second_person.rows_in_second_person)
    first_person = staticmethod(letters.first_person)
    other_persons = staticmethod(letters.other_persons)
    quotation = staticmethod(letters.quotation)
    checked = staticmethod(letters.checked)
    is_greeting = staticmethod(letters.is_greeting)
    closing = staticmethod(letters.closing)
    introduces_quotation = staticmethod(letters.introduces_quotation)
    is_label = staticmethod(letters.is_label)
    is_talk = staticmethod(letters.is_talk)
    says_something = staticmethod(letters.says_something)

    watched_facts = staticmethod(contradictions.watched_facts)
    candidate_answers = staticmethod(contradictions.candidate_answers)
    denies = staticmethod(contradictions.denies)

    is_instruction = staticmethod(instructions.is_instruction)
    is_order = staticmethod(instructions.is_order)

    request_in = staticmethod(user_requests.request_in)

    def sentences(self, text: str, /) -> list[str]:
        """The sentences of `text` in order."""
        return split_sentences(text, self.code)

    def statements(
        self, sentences: Sequence[str], *, heading: str = "", is_reply: bool = False
    ) -> tuple[list[Statement], list[LeftOut]]:
        """The sentences of a text that can be learned, and those left out, with reasons."""
        return statements.statements(sentences, heading=heading, is_reply=is_reply)
