"""The value of a secret at a place in a text: a quotation, a token, a number, or plain words.

`named_secrets` decides where a value may be, and which of these forms it may have there.
"""

from __future__ import annotations

import re

from seal_agent.core.function_words import FUNCTION
from seal_agent.core.secret_layout import Span
from seal_agent.core.secret_words import (
    MEASURE,
    NO_VALUE,
    PLAIN,
)

_QUOTES = {'"': '"', "'": "'", "“": "”", "„": "“”", "«": "»", "`": "`", "‘": "’", "「": "」", '\\"': '\\"'}
MAX_QUOTED, MAX_TOKEN, MAX_WORDS = 200, 512, 24
_QUOTED = re.compile(
    "|".join(
        rf"{re.escape(a)}(?P<q{n}>[^\n{re.escape(b)}]{{1,{MAX_QUOTED}}}?)[{re.escape(b)}]"
        for n, (a, b) in enumerate(_QUOTES.items())
    )
)
_TOKEN = re.compile(rf"[^\s\"<>|;,，。；、！？」]{{1,{MAX_TOKEN}}}")
_WIDE = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af\uff00-\uffef]")  # Chinese, Japanese, Korean
_PARAMETER = re.compile(r"&\w+=")  # the next parameter of a URL, where the value ends
_DIGITS = re.compile(r"\d{1,5}(?:[ -]\d{1,5}){1,3}(?![\d-])|\d{3,16}(?!\d)")
_DIGIT = "(?:zero|oh|one|two|three|four|five|six|seven|eight|nine)"
_SPELLED = re.compile(rf"{_DIGIT}(?:[ ,-]{{1,3}}{_DIGIT}\b){{3,11}}", re.IGNORECASE)
_CLAUSE_END = re.compile(r"[.,;:!?)\]\n]|\s[-–—]\s")
MAX_CLAUSE = 400  # characters
_LETTER, _INNER_CAPITAL = re.compile(r"[^\W\d_]"), re.compile(r"[a-z][A-Z]")
_DIGIT_OR_SIGN = re.compile(r"[^\w\-'’./]|[\d_]")
_INFLECTED = re.compile(r"\w+(?:ed|ing|able|ible|ful|less|ous|ive|ly|ity|tion|ment|ness|ance|ence)$", re.IGNORECASE)


def quoted_at(text: str, start: int) -> Span | None:
    """The span of the text between quotation marks at `start`; None if there are none."""
    match = _QUOTED.match(text, start)
    group = match.lastgroup if match else None
    return match.span(group) if match and group else None


def token_at(text: str, start: int) -> Span | None:
    """The span from `start` to the next blank, without punctuation at its end; None if it is empty."""
    match = _TOKEN.match(text, start)
    if not match:
        return None
    said = match[0]
    if said[0].isascii() and (wide := _WIDE.search(said)):
        said = said[: wide.start()]
    if parameter := _PARAMETER.search(said):
        said = said[: parameter.start()]
    said = said.rstrip(".:!?)]}'’”»" if said[:1] not in "([{" else ".:!?'’”»")
    return (start, start + len(said)) if said else None


def number_at(text: str, start: int, least: int, most: int) -> Span | None:
    """The span of a number of `least` to `most` digits, in groups or not; None without one or if a unit follows."""
    match = _DIGITS.match(text, start)
    after = text[match.end() : match.end() + 20] if match else ""
    if not match or MEASURE.match(after) or (after[:1].isalnum() and after[:1].isascii()):
        return None
    return match.span() if least <= sum(character.isdigit() for character in match[0]) <= most else None


def spelled_at(text: str, start: int) -> Span | None:
    """The span of a number at `start` whose digits, four or more, are written as words; None for another text."""
    match = _SPELLED.match(text, start)
    return match.span() if match else None


def is_strong(word: str) -> bool:
    """Whether a word looks generated: letters mixed with digits or signs, or capitals after small letters."""
    if len(word) < 4 or NO_VALUE.fullmatch(word) or word.lower() in PLAIN or "://" in word:
        return False
    is_mixed = len(word) >= 6 and _INNER_CAPITAL.search(word)
    return bool(_LETTER.search(word) and (is_mixed or _DIGIT_OR_SIGN.search(word)))


def is_key(word: str) -> bool:
    """Whether a word may be a key or a token: 8 or more characters with digits, or 20 in capitals and small letters."""
    if len(word) < 8 or "://" in word or word.startswith(("/", "./", "~/")) or any(c.isspace() for c in word):
        return False
    has_digits = any(character.isdigit() for character in word)
    has_letters = any(character.isalpha() for character in word)
    is_mixed = word.upper() != word != word.lower()
    return has_letters and ((has_digits and not NO_VALUE.fullmatch(word)) or (len(word) >= 20 and is_mixed))


def _words_at(text: str, start: int) -> list[re.Match[str]]:
    """The words from `start` to the end of the clause, `MAX_WORDS` at most."""
    clause = _CLAUSE_END.split(text[start : start + MAX_CLAUSE], maxsplit=1)[0]
    return list(re.finditer(r"\S+", clause))[:MAX_WORDS]


def plain_words_at(text: str, start: int, *, is_phrase: bool = False) -> Span | None:
    """The span of the plain words at `start`; None if they look like a description and not like a secret.

    They do if one of them is in `PLAIN`; with `is_phrase` if all are, or if one is a function word. So do one or two
    words with an ending such as "-ed" or "-tion".
    """
    words = _words_at(text, start)
    said = [word[0].lower() for word in words]
    plain = [word for word in said if word in PLAIN]
    if is_phrase and 1 < len(said) > len(plain):
        plain = [word for word in said if word in FUNCTION]
    if not said or plain or not re.search(r"[^\W\d_]", said[0]):
        return None
    if len(said) <= 2 and any(_INFLECTED.match(word) for word in said):
        return None
    return start + words[0].start(), start + words[-1].end()
