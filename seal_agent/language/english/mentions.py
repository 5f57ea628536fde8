"""Words that are mentioned and not used: "USA Today", the word 'yesterday', the film They Live. English.

Such a word is no time reference and no pronoun. Capitals and quotation marks alone decide what is a name: a quoted
word, a quoted title, a capital where an ordinary word has none.
"""

from __future__ import annotations

import re

from seal_agent.language.english.words import FUNCTION, PREPOSITIONS

_QUOTED = re.compile(r"(?<!\w)(?:\"([^\"]{1,60})\"|'([^']{1,60})'|“([^”]{1,60})”|‘([^’]{1,60})’|«([^»]{1,60})»)(?!\w)")
_TITLE = re.compile(
    r"\b(?:(?:It|They|He|She)(?= [A-Z][a-z])|(?:This|That|These|Those)(?= (?:Is|Are|Was|Were|Has|Will|Can|Must)\b)"
    r"|(?:Today|Tomorrow|Yesterday)(?= (?P<next>[A-Z][a-z]+)\b))(?: [A-Z][\w'’-]*)+(?=[^\w]+[\w])"
)
_OWNED_TITLE = re.compile(r"(?:His|Her)(?: [A-Z][a-z][\w'’-]*){2,}(?= [a-z])")  # "His Dark Materials", at the beginning
_IT = re.compile(r"\bIT\b")
_SMALL = (PREPOSITIONS | {"a", "an", "the"}) - {"so"}


def without_mentions(sentence: str) -> str:
    """`sentence` with mentioned words replaced by other letters; all positions stay the same."""
    if not any(character.islower() for character in sentence):
        return sentence  # all in capitals, which then show nothing
    sentence = _QUOTED.sub(lambda quoted: _hidden(quoted[0]) if _is_name(quoted[0][1:-1]) else quoted[0], sentence)
    sentence = _TITLE.sub(lambda title: _hidden(title[0]) if _can_be_title(title) else title[0], sentence)
    if owned := _OWNED_TITLE.match(sentence):
        sentence = f"{_hidden(owned[0])}{sentence[owned.end() :]}"
    return _IT.sub(_hidden("IT"), sentence)


def is_capitalised_inside(sentence: str, start: int) -> bool:
    """Whether the word at `start` is capitalised inside a sentence, as only names are."""
    before = sentence[:start].rstrip(" ")
    return sentence[start].isupper() and not sentence[start + 1].isupper() and before[-1:].isalnum()


def _is_name(quoted: str) -> bool:
    """Whether quoted text is a word or a title; several words in lower case are speech."""
    words = quoted.split()
    if len(words) == 1:
        return words[0].isalnum()
    is_in_capitals = all(word[:1].isupper() or word in _SMALL for word in words)
    return bool(words) and quoted[:1].isupper() and quoted[-1].isalnum() and is_in_capitals


def _can_be_title(title: re.Match[str]) -> bool:
    """Whether capitals make a title; not in "Tomorrow Ada leaves", where the second one is a person's name."""
    after = title["next"]
    has_small_letters = any(word[:1].islower() for word in title.string[title.end() :].split())
    return (has_small_letters and (after is None or after.lower() in FUNCTION)) or (
        after is None and bool(re.search(r"[a-z] $", title.string[: title.start()]))
    )


def _hidden(text: str) -> str:
    return re.sub(r"\w", "x", text).replace("x", "X", 1)
