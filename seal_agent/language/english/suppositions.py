"""Suppositions: after "Suppose the mill closes." the next sentences may be untrue. English.

A supposition ends with the first indicative sentence after one in the conditional. Until a conditional sentence comes,
every sentence may belong to the supposition.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from seal_agent.language.english.ellipsis import START
from seal_agent.language.english.mentions import without_mentions
from seal_agent.language.english.phrases import verbs

_SUPPOSED = re.compile(
    rf"{START}(?P<word>suppos(?:e|ing)|imagine|assume|assuming|picture|let['’]s (?:say|assume|suppose|imagine|pretend)"
    r"|let us (?:say|assume|suppose|imagine)|say(?=,|\s+(?:the|an?|that|you|we|I)\b)|pretend|what if)\b"
    r"(?!\s+(?:that|the role)\W*$)",
    re.IGNORECASE,
)
_IF = re.compile(r"\b(?:if|unless|were to)\b", re.IGNORECASE)
_INVERTED = re.compile(rf"{START}(?:were|had|should)\s", re.IGNORECASE)
_CONDITIONAL = re.compile(r"\b(?:would|could|might|wouldn['’]t|couldn['’]t)\b|(?<=[a-z])['’]d\b", re.IGNORECASE)


@dataclass(frozen=True)
class Supposition:
    """The supposition that is open at a sentence: `word` began it, "" if none is open.

    It ends with the first indicative sentence after one in the conditional.
    """

    word: str = ""
    is_conditional: bool = False

    def of(self, sentence: str) -> str:
        """The word that makes `sentence` part of a supposition; "" if it is a fact."""
        return self.word if not self.is_conditional or _says_what_would_be(sentence) else ""

    def after(self, sentence: str) -> Supposition:
        """The state after `sentence`."""
        if word := _supposes(sentence) or ("if" if _says_condition(sentence) else self.of(sentence)):
            return Supposition(word, is_conditional=_says_what_would_be(sentence))
        return Supposition()


def _supposes(sentence: str) -> str:
    """The words by which `sentence` starts a supposition; "" if it does not."""
    supposed = _SUPPOSED.match(without_mentions(sentence))
    if not supposed:
        return ""
    is_order = supposed["word"].lower() in ("assume", "picture", "say")  # "Assume the role of the owner."
    is_said = any(place > supposed.end() for place in verbs(sentence))
    return supposed["word"] if is_said or not is_order else ""


def _says_what_would_be(sentence: str) -> bool:
    """Whether `sentence` is in the conditional."""
    return bool(_CONDITIONAL.search(sentence))


def _says_condition(sentence: str) -> bool:
    """Whether `sentence` states a condition: "If the bridge were sold, the ferry would"."""
    return _says_what_would_be(sentence) and bool(_IF.search(sentence) or _INVERTED.match(sentence))
