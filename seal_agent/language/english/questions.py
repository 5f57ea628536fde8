"""Questions that ask for a noun phrase in its place in the sentence: "Maududi founded what in 1941?".

Such an echo question needs no model, has a correct answer, and exists for every phrase. A small model cannot do this:
asked for a question it asks about the sentence's first name, whatever the sentence says (docs/log/writing.md).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from seal_agent.language.english.coreference import denies_what_follows, refers_back
from seal_agent.language.english.phrases import has_finite_verb, is_plural, is_present, noun_phrases, verbs
from seal_agent.language.english.words import content
from seal_agent.language.sentences import full_stop
from seal_agent.language.values import Span

MAX_RECITAL_WORDS = 28
MIN_PART_WORDS = 14  # shorter parts of a sentence lose their subject
MAX_VALUE_WORDS = 5  # of a field; a longer value is asked for phrase by phrase
MIN_CLAUSE_WORDS = 6  # besides the phrase; a shorter question is too vague
_JOINING = re.compile(r"^(?:and|or|but|then)\b[, ]*", re.IGNORECASE)
_SUBJECT = re.compile(r"(?:I|we|you|he|she|it|they|there|this|that|these|those)\b", re.IGNORECASE)
_RELATIVE = re.compile(r"(?:which|who|whom|whose|where|that|than|often|as)\b", re.IGNORECASE)
_CLAUSE_END = re.compile(r"[;()—–]|[:,](?!\d)|\.\s")
_FIELD = re.compile(r"(?P<name>[^\W\d_](?:[^:.!?]|\.(?=\s[a-z])){0,60}): (?P<value>\S.{0,120}?)[.]?")
_QUALIFIED = re.compile(
    r"\b(?:if|unless|when(?:ever)?|until|till|while|once|provided|assuming|except|only|no|not|never|none|nobody|nothing"
    r"|neither|nor|hardly|rarely|without|instead|rather than|but|although|though|however|may|might|could|would|should"
    r"|perhaps|maybe|possibly|probably|allegedly|supposedly|according to|rumou?red|said|says|say|claim(?:s|ed)?"
    r"|argue[sd]?|believe[sd]?|think|thinks|thought|suggest(?:s|ed)?|den(?:y|ies|ied)|doubt(?:s|ed)?|report(?:s|ed|edly)"
    r"|suppose[sd]?|imagine[sd]?|assume[sd]?|let['’]s"
    r"|hope[sd]?|wish(?:es|ed)?|plan(?:s|ned)?|propose[sd]?|wrote|asked|whether|as if|false|wrong"
    r"|untrue)\b"
    r"|n['’]t\b",
    re.IGNORECASE,
)
_JOINED = re.compile(r";\s+|,?\s+and\s+")
_YEAR = re.compile(r"(?:1\d|20)\d\d")
_AMOUNT = re.compile(r"[$€£]\S+(?: (?:thousand|million|billion|trillion))?")
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_DATE = re.compile(
    rf"\d+(?:st|nd|rd|th)? {_MONTH}(?:,? \d+)?|{_MONTH} \d+(?:st|nd|rd|th)?(?:, \d+)?|\d+([./-])\d+\1\d+"
)
_TIME = re.compile(r"\d+:\d\d(?: ?[ap]\.?m\.?)?|\d+ ?[ap]\.?m\.?")
_TOLD = re.compile(r"(?P<who>I|We)(?:(?P<be>['’]m|['’]re| am| are)(?![\w'’])|(?= \w))(?P<middle>[^,;:]*)$")
_PLACE = re.compile(r" (?:in|at)$")
_ASKING = frozenset({"what", "how", "year", "many", "much", "percentage", "date", "time"})


def echo_question(sentence: str, span: Span) -> str:
    """The clause around `span` as a question, with a question word in the span's place."""
    start, end = _clause(sentence, span)
    before = re.sub(r"(^|\s)(?:a|an|the)$", "", sentence[start : span.start].strip(), flags=re.I)
    before = re.sub(r"^(?:and|or|but|then|however)\b[, ]*", "", before, flags=re.I)
    text = " ".join(f"{before} {question_word(span.text)} {sentence[span.end : end]}".split())
    text = re.sub(r"(\() | ([,;:)])", r"\1\2", text).strip(" .,;:!?(—–")
    return f"{text[0].upper()}{text[1:]}?"


def direct_question(sentence: str, span: Span) -> str:
    """The writer's own question for `span`: "Where do I live?", "What am I allergic to?"; "" if there is no clear one.

    Only for sentences that begin with "I" or "we" and a verb in the present.
    """
    told = _TOLD.match(re.sub(r"\s+(?:an?|the|my|our|your)$", "", sentence[: span.start].rstrip(), flags=re.I))
    if not told:
        return ""
    asking, who, middle = question_word(span.text), told["who"].replace("We", "we"), told["middle"].strip()
    if told["be"]:
        asking = "how old" if asking == "how many" and not middle else asking
        text = f"{asking} {'am' if who == 'I' else 'are'} {who} {middle}"
    elif not middle or not is_present(sentence, told.start("middle") + 1):
        return ""
    elif asking == "what" and span.text[0].isupper() and _PLACE.search(f" {middle}"):
        text = f"where do {who} {middle[:-3]}"
    else:
        text = f"{asking} do {who} {middle}"
    text = " ".join(text.split())
    return f"{text[0].upper()}{text[1:]}?"


def field_questions(sentence: str, topic: str) -> tuple[list[str], str] | None:
    """Questions for a field, and a sentence that answers them; None for other sentences.

    "Default port: 7719." in a text about hexgate gives "What is the default port of hexgate?" and "The default port of
    hexgate is 7719."; "Photo book, price: 39 euros." from a table is the price of Photo book.
    """
    field = _FIELD.fullmatch(sentence)
    if not field or field["name"].count("(") > field["name"].count(")") or _QUALIFIED.search(field["name"]):
        return None
    if (
        has_finite_verb(field["name"], after=0)
        or has_finite_verb(field["value"])
        or len(field["value"].split()) > MAX_VALUE_WORDS
    ):
        return None
    if is_plural(field["name"]) and denies_what_follows(field["name"]):
        return None  # one of several: "Rejected plans: Move out."
    about, _, name = field["name"].rpartition(", ")
    name = name[:1].lower() + name[1:] if name[1:].islower() else name
    copula = "are" if is_plural(name) else "is"
    about = about or (topic if ":" not in topic else "")
    whole = f"{name} of {about}" if about else name
    questions = [f"What {copula} the {whole}?", f"{whole[:1].upper()}{whole[1:]}?"]
    if about:
        questions += [
            f"What {copula} the {name} for {about}?",
            f"What {name} does {about} have?",
            f"{about}: what {name}?",
        ]
    return questions, f"The {whole} {copula} {field['value']}."


def answer_sentence(sentence: str, span: Span) -> str:
    """The sentence around `span`; of a long one the clause that contains it.

    A sentence with a condition, a negation or an opinion is never cut, because a part would say something else. Neither
    is it cut if the part cannot stand alone: "it was sold in 1920", "entirely reject democracy".
    """
    parts = [(0, len(sentence))] if _QUALIFIED.search(sentence) else _parts(sentence)
    start, end = next((start, end) for start, end in parts if start <= span.start < end)
    if not _says_by_itself(sentence[start:end], is_first=start == 0):
        start, end = 0, len(sentence)
    told = " ".join(sentence[start:end].split())  # all white space, line separators included, becomes a space
    text = _JOINING.sub("", told.strip(" ,;:."))
    return f"{text[0].upper()}{text[1:]}{full_stop(text)}"


def keyword_question(question: str, share: float, rng: random.Random, about: str = "") -> str:
    """An echo question with about `share` of its other words left out, and the question word first or last.

    It teaches the model to answer other wordings. The words of `about`, a heading, are mixed in: "first day side
    entrance what time?"
    """
    words = question.rstrip("?").split()
    known = content(question) | _ASKING
    words += [word.strip(",;:()") for word in about.split() if word[0].isalpha() and content(word) - known]
    asking = [word for word in words if word.lower() in _ASKING]
    kept = [word for word in words if word.lower() not in _ASKING and rng.random() > share]
    turn = rng.randrange(len(kept) + 1) if rng.random() < 0.5 else 0
    kept = kept[turn:] + kept[:turn]
    text = " ".join(asking + kept if rng.random() < 0.6 else kept + asking)
    return f"{text[:1].upper()}{text[1:]}?"


def question_word(phrase: str) -> str:
    """The question word for `phrase`, by its form: a date, an amount, a share, a number of things, or "what"."""
    for form, asking in ((_YEAR, "what year"), (_DATE, "what date"), (_TIME, "what time"), (_AMOUNT, "how much")):
        if form.fullmatch(phrase):
            return asking
    number, _, things = phrase.partition(" ")
    if re.fullmatch(r"[\d.,]+%", number):
        return f"what percentage {things}".strip()
    if re.fullmatch(r"[\d,]+(?:\.\d+)?", number):
        return f"how many {things}".strip()
    return "what"


def _parts(sentence: str) -> list[tuple[int, int]]:
    """Split a sentence into parts of at least `MIN_PART_WORDS` words; one of up to `MAX_RECITAL_WORDS` is not split."""
    if len(sentence.split()) <= MAX_RECITAL_WORDS:
        return [(0, len(sentence))]
    cuts = [0]
    for match in _CLAUSE_END.finditer(sentence):
        if all(
            len(piece.split()) >= MIN_PART_WORDS
            for piece in (sentence[cuts[-1] : match.end()], sentence[match.end() :])
        ):
            cuts.append(match.end())
    return list(zip(cuts, [*cuts[1:], len(sentence)], strict=True))


def clauses_without(sentence: str, is_bad: Callable[[str], bool]) -> list[str]:
    """The clauses of `sentence` that can stand alone and are not bad; none if the sentence is qualified."""
    if _QUALIFIED.search(sentence):
        return []
    clauses = [clause.strip(" ,;.") for clause in _JOINED.split(sentence)]
    good = [clause for clause in clauses if not is_bad(clause) and _says_by_itself(clause, is_first=False)]
    return [f"{clause[:1].upper()}{clause[1:]}." for clause in good]


def _says_by_itself(part: str, *, is_first: bool) -> bool:
    """Whether a part of a sentence has its own subject and verb, and does not refer to another part."""
    told = _JOINING.sub("", part.strip(" ,;:()—–"))
    verb = min(verbs(told), default=0)
    has_subject = bool(_SUBJECT.match(told)) or any(found.start < verb for found in noun_phrases(told))
    return verb > 0 and has_subject and (is_first or not (_RELATIVE.match(told) or refers_back(told)))


def _clause(sentence: str, span: Span) -> tuple[int, int]:
    """The span of the clause around `span`: extended, first to the left, until it is a statement."""
    marks = [0, *(m.end() for m in _CLAUSE_END.finditer(sentence)), len(sentence)]
    left = max(i for i, mark in enumerate(marks) if mark <= span.start)
    right = min(i for i, mark in enumerate(marks) if mark >= span.end)
    wanted = MIN_CLAUSE_WORDS + len(span.text.split())
    carrying = [place for place in verbs(sentence) if not span.start <= place < span.end]

    def says_nothing() -> bool:
        start, end = marks[left], marks[right]
        return len(sentence[start:end].split()) < wanted or not any(start <= place < end for place in carrying)

    while says_nothing() and (left > 0 or right < len(marks) - 1):
        left, right = (left - 1, right) if left > 0 else (left, right + 1)
    return marks[left], marks[right]
