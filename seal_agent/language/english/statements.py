"""A text as statements that mean the same when read alone: each sentence, with earlier ones if it refers to them.

Learned text is used on another day and in another conversation. So a sentence with "tomorrow" is left out, and a
sentence with "she" is learned together with the sentences that name her. No word is replaced, except "the ferry" by its
name if the text names only one ferry. Text under a heading like "Don'ts" is learned with the heading. A question is
learned with its answer. Everything else is left out, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from seal_agent.core.redaction import WAS_REMOVED, lost_secret
from seal_agent.language.english.coreference import (
    denies_what_follows,
    full_names,
    is_pronoun,
    refers_back,
    spelled_out,
)
from seal_agent.language.english.ellipsis import can_answer, is_verbless, says_question
from seal_agent.language.english.questions import clauses_without
from seal_agent.language.english.relative_time import relative_time
from seal_agent.language.english.suppositions import Supposition
from seal_agent.language.values import LeftOut, Statement

MAX_CONTEXT_WORDS = 80  # of the sentences learned together with one that refers to them
ANSWER_LEFT_OUT = "its answer is left out"
_TRUE_OR_FALSE = re.compile(r"\b(?:true|right|correct) or (?:false|wrong|incorrect|not true)\b.{0,3}$", re.IGNORECASE)
_VERDICT = re.compile(r"(?:.{0,60}[(:]\s*|\W*)(?:true|false|right|wrong|correct|incorrect)\)?\W*", re.IGNORECASE)
_CHOICES = re.compile(r"(?:^|[\s(])a\).{1,200}[\s(]b\)|(?:^|\s)A\).{1,200}\sB\)", re.DOTALL)
_RETRACTION = re.compile(
    r"(?:(?:oh|sorry|oops|ah)\b[,.!]?\s+)?(?:no,? wait|wait,? no|scratch that|strike that|correction\b|(?:i )?meant\b"
    r"|i mean\b|forget that|(?:that|this|it)(?:['’]s| is| was) (?:wrong|not (?:right|true|correct)|a mistake)\b"
    r"|no, (?:that|it)(?:['’]s| is| was)\b)",
    re.IGNORECASE,
)
MAX_SHOWN = 80  # characters of a sentence in a reason


def statements(
    sentences: Sequence[str], *, heading: str = "", is_reply: bool = False
) -> tuple[list[Statement], list[LeftOut]]:
    """The consecutive `sentences` that can be learned, and those left out.

    `heading` stands above the text. `is_reply`: the text answers a message that is not part of it, so a sentence
    without a verb ("No, Friday.") may be an answer.
    """
    told: list[Statement] = []
    sentences, left_out = _without_secrets(sentences)
    before = [f"{heading}:"] if heading else []
    stem = f"{heading}: " if denies_what_follows(heading) else ""
    names = full_names(sentences)
    supposed, is_answer, is_behind_gap = Supposition(), False, False
    for number, quoted in enumerate(sentences):
        if not quoted:
            if told and number and told[-1].quoted == sentences[number - 1] and told[-1].quoted.endswith("?"):
                left_out.append(LeftOut(told.pop().quoted, ANSWER_LEFT_OUT))
            before, is_behind_gap, is_answer = [], True, False
            continue
        sentence = spelled_out(quoted, names)
        asked = sentences[number - 1] if number and sentences[number - 1].endswith("?") else ""
        is_answer = (is_answer or says_question(asked)) and can_answer(sentence)
        reason = _never_alone(sentence, is_reply=is_reply) or _in_quiz(sentences, number)
        if retracts(sentence) and told and number and told[-1].quoted == sentences[number - 1]:
            left_out.append(LeftOut(told.pop().quoted, f'"{_shown(sentence)}" takes it back'))
            before, is_behind_gap = [], True
        link = ""
        if not reason:
            is_first = number == 0 and not is_reply
            link = refers_back(sentence, is_first=is_first, is_headed=bool(heading))
            link = link or _points_in_retraction(sentence) or supposed.of(sentence) or (sentence if is_answer else "")
        supposed = supposed.after(sentence)
        if not link and not reason:
            before, is_behind_gap = [f"{stem}{sentence}"], False
            told.append(Statement(before[0], len(stem), quoted))
            continue
        context = " ".join(before)
        reason = reason or _without_context(link, context, is_behind_gap=is_behind_gap)
        if reason:
            if asked and told and told[-1].quoted == asked:
                left_out.append(LeftOut(told.pop().quoted, ANSWER_LEFT_OUT))
            left_out.append(LeftOut(quoted, f'in "{_shown(sentence)}" {reason}'))
            before, is_behind_gap = [], True
            continue
        told.append(Statement(f"{context} {sentence}", len(context) + 1, quoted))
        before.append(sentence)
    return told, left_out


def _without_secrets(sentences: Sequence[str]) -> tuple[list[str], list[LeftOut]]:
    """The sentences without clauses that held a secret; a sentence that is dropped becomes ""."""
    kept: list[str] = []
    left_out: list[LeftOut] = []
    for sentence in sentences:
        if lost_secret(sentence):
            kept += ["", *clauses_without(sentence, lost_secret)]
            left_out.append(LeftOut(sentence, WAS_REMOVED))
        else:
            kept.append(sentence)
    return kept, left_out


def _without_context(link: str, context: str, *, is_behind_gap: bool) -> str:
    """The reason why a sentence whose words `link` refer to `context` cannot be learned; "" if it can."""
    if context and len(context.split()) <= MAX_CONTEXT_WORDS:
        return ""
    advice = "say it with the name" if is_pronoun(link) else "say it as a full sentence"
    if context:
        return f'"{_shown(link)}" points back over more than {MAX_CONTEXT_WORDS} words; {advice}'
    if is_behind_gap:
        return f'"{_shown(link)}" may point back to the sentence before it, which is left out; {advice}'
    return f'"{_shown(link)}" points to something that was said before; {advice}'


def _never_alone(sentence: str, *, is_reply: bool) -> str:
    """The reason why a sentence cannot be learned, whatever precedes it; "" if it can."""
    if when := relative_time(sentence):
        return f'"{when}" means another time when it is read later; say it with the date'
    if is_reply and ":" not in sentence and is_verbless(sentence):
        return "there is no verb, so it means nothing without what was said before; say it as a full sentence"
    return ""


def _in_quiz(sentences: Sequence[str], number: int) -> str:
    """The reason why a sentence of a quiz cannot be learned, because it may be false; "" for other sentences."""
    around = [*sentences[max(number - 1, 0) : number], sentences[number], *sentences[number + 1 : number + 2]]
    asked = number > 0 and _TRUE_OR_FALSE.search(around[0])
    if asked or any(map(_VERDICT.fullmatch, around[number > 0 :])) or _CHOICES.search(sentences[number]):
        return "it stands in a quiz, where a wrong answer is told as well"
    return ""


def retracts(sentence: str) -> bool:
    """Whether `sentence` retracts the one before it: "No wait, that was Tom's.", "Correction: ..."."""
    return bool(_RETRACTION.match(sentence))


def _points_in_retraction(sentence: str) -> str:
    """The word after "No wait," that refers to the retracted sentence."""
    found = _RETRACTION.match(sentence)
    rest = sentence[found.end() :].lstrip(" ,.:;-–—") if found else ""
    return refers_back(f"{rest[:1].upper()}{rest[1:]}") if rest else found[0] if found else ""


def _shown(sentence: str) -> str:
    return sentence if len(sentence) <= MAX_SHOWN else f"{sentence[: MAX_SHOWN - 1]}…"
