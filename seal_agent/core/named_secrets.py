"""Secrets recognised by their name: "The wifi password is tulip-Garden-88.", "api_key = ...", "Passwort: ...".

A match has three parts: a name (`NAMES`), a link from the name to a value (`_CLOSE`, `_ASKED`, `_LOOSE`) or back from
a value (`_value_before`), and the value. `_value` decides whether the text there is a value, so that "The password is
required" stays. The rules use the text alone, no model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from seal_agent.core.secret_layout import Span, table_cells
from seal_agent.core.secret_values import (
    MAX_WORDS,
    is_key,
    is_strong,
    number_at,
    plain_words_at,
    quoted_at,
    spelled_at,
    token_at,
)
from seal_agent.core.secret_words import (
    BACK,
    BACK_VERBS,
    FIELDS,
    HINTS,
    MEASURE,
    NAMES,
    PASSWORD,
    PLACEHOLDER,
    PLAIN,
    Kind,
)

Lead = Literal["assigned", "is", "label", "next", "asked", "linked", "beside"]
LEADS: dict[str, Lead] = {lead: lead for lead in get_args(Lead)}
REMOVED = "[secret removed]"

_NAMED = re.compile(
    rf"(?:{'|'.join(f'(?P<{kind}>{pattern})' for kind, pattern in NAMES)})"
    r"(?:s|e|er|en|[_-](?:base|value|string|data)|\d)?"
)  # lower case makes the search several times faster
_COLUMN = re.compile(rf"(?:[\w'’-]{{1,30}}[ _-]){{0,3}}?(?:{_NAMED.pattern})", re.IGNORECASE)
_OF = (
    r"\s+(?:for|of|to|on|at|in|from|i|we|you|he|she|they|that|which"
    r"|für|zum|zur|von|vom|der|del|de|da|du|do|van|voor|от|для|к)"
)
_MIDDLE = rf"(?:{_OF}\b[^.!?:=\n\"“]{{1,60}}?)?"
_ASIDE = r"(?:,\s[^.!?:;=\n\"“,]{1,80},|\s*\([^()\n]{1,60}\)|\s?[-–—]+\s[^.!?:;=\n–—]{1,80}?\s?[–—-])"
_IT_IS = r"(?:it|that|this)(?:['’]s|\s+is|\s+was)\s+"
_BEING = r"""(?:is|was|are|were|equals|remains|becomes|stays|reads|used\s+to\s+be|(?:will|would)\s+be
|(?:has|have|had)\s+(?:always\s+)?been|ist|lautet|war|sind|es|est|é|è|jest|to|er|är|heter|(?<=salasana\s)on|هي)""".replace(
    "\n", ""
)
_IS = rf"""(?:\s+{_BEING})(?:\s+(?:now|still|simply|just|jetzt|ahora))?
(?:\s+(?:set|changed|reset|equal)\s+to)?(?:\s*:)?\s+
|(?:\s+(?:has|have|was|is|got|been|now|wurde)){{0,3}}\s+(?:changed|set|reset|updated|switched|geändert)?\s*(?:to|auf)\s+
|\s*(?:是|为|為|は|が|은|는|이|:)\s*|\s*\?\s*{_IT_IS}""".replace("\n", "")
_LABEL = r"(?:(?:\s+[\w-]{1,20}){1,2}|\s*\([^()\n]{1,40}\)|,\s[^.:,\n]{1,40})(?:\s*[:=]\s*)"
_ASSIGNED = (
    r"(?:\\?[\"'\])*_]{0,3}(?:</\w{1,10}>)?\s*(?:=>|:=|==?|[:→]|->)[*_]{0,3}\s*|\\?[\"']?\s*[|\t]\s*|>\s*|[\"'] value=)"
)
_NEXT = r"\s*\n\s*|\s+[-–—]\s+|\s+\(\s*"
# Links from a name to a value. Close ones: plain words may be the value;
_CLOSE = re.compile(
    rf"(?P<assigned>{_MIDDLE}{_ASSIGNED})|(?P<is>{_ASIDE}\s+{_BEING}\s+|{_MIDDLE}(?:{_IS}))|(?P<label>{_LABEL})"
    rf"|(?P<next>{_MIDDLE}(?:{_NEXT}))",
    re.IGNORECASE,
)
# loose ones: only a word that looks generated may: "My password? tulip99", "as a password I use tulip99".
_USING = r"""i|we|you|they|he|she|please|just|then|now|always|type|enter|uses?|used|take|try|say|picked|chose|set|its?
|is|was|be|should|must|can|could|read|my|our|new|old|as|changed|c['’]est""".replace("\n", "")
_ASKED = re.compile(
    r"(?P<asked>(?:\s+[\w'’-]{1,20}){0,6}?"
    rf"(?:\s*[?!]\s*(?:(?:a|answer|user|assistant)\s*[:.)]\s*)?(?:{_IT_IS})?|(?:\s*[.,:;–—-]|\s+and)\s+{_IT_IS}))",
    re.IGNORECASE,
)
_LOOSE = re.compile(
    rf"(?P<linked>,?\s+(?:(?:{_USING})\b,?\s+){{1,6}})"
    r"|(?P<beside>(?:['’]s|\s*\([^()\n]{1,40}\))?\s+)",
    re.IGNORECASE,
)
MAX_AHEAD, MAX_DECIDED = 800, 64  # characters after a name; places
MAX_BACK, MAX_UNKNOWN = 100, 3  # characters before a name, and unknown words that belong to it: "guest wifi password"
_FROM = re.compile(rf"(?:{PASSWORD}|token|secret|key)s?\s+from\s+(?P<old>\S+)\s+to\s+(?P<new>\S+)", re.IGNORECASE)
_CHANGED = re.compile(
    rf"\b(?:changed?|reset|updated?|switched?)\s+(?:[\w'’-]+\s+){{0,5}}?(?:{PASSWORD})s?\s+from\s+(?P<old>\S+)\s+to\s+(?P<new>\S+)",
    re.IGNORECASE,
)
"""After these verbs plain words are passwords: "I changed the password from kitty to fluffy"."""
_ABOUT = re.compile(r"\s+(?:of|to|behind)\b", re.IGNORECASE)  # "the secret of the recipe is Saffron2"
MIN_OPAQUE = 12  # characters of the value of "the secret of ..."
_BASE32 = re.compile(r"[A-Z2-7]{4}(?: [A-Z2-7]{4}){2,15}|[a-z2-7]{4}(?: [a-z2-7]{4}){2,15}(?![a-z])")
_LISTED = re.compile(r"(?:\d{1,2}[.)]\s*)?[^\W\d_]{3,12}(?:,|\b)\s*")
_LISTED_NAME = re.compile(
    r"(?:[,;/]|\b(?:with|and|using|mit|und|con|avec|et))\s+(?:the\s+)?[^\W\d][^\W\d ]*(?: [^\W\d]{1,20}){0,3}\s$",
    re.IGNORECASE,
)
_AND_MORE = re.compile(r"\s*(?:[,;/]|\b(?:and|or|und|oder)\b)\s*(?:for\s+\w{1,20}:?\s+)?", re.IGNORECASE)
_LISTED_MORE = re.compile(r"(?:\s*(?:,|\b(?:and|or|und|oder)\b|/)|(?=\s))\s*(?:[a-z]{2,12}:?\s+){0,2}", re.IGNORECASE)
_NAMES_ANOTHER = re.compile(rf"\s+(?:{'|'.join(sorted(FIELDS))})\b", re.IGNORECASE)
_CLAUSE_ENDS = re.compile(r"\s*(?:[.!?)\n]|\Z)")
_NEEDS_LIST = re.compile(r"seed$|^\d|^twelve")  # "my seed: sunflower, sown in May"
_WORD = re.compile(r"\S+")
_LOGIN_PASS = re.compile(
    r"(?:^|[\n,;(|/]\s*|\b(?:user(?:name)?|login|name|u)\b\W{1,3}\S{1,40}\s+)pass\s*[:=]\s*\Z", re.IGNORECASE
)


@dataclass(frozen=True)
class _Found:
    """The name of a secret in a text, and the link to its value, which begins at `start`."""

    kind: Kind
    name: str
    lead: Lead
    start: int

    @property
    def is_close(self) -> bool:
        return self.lead in ("assigned", "is")


def named_secrets(text: str) -> Iterator[Span]:
    """Spans of the values that `text` calls a password, a key, a code or a phrase."""
    lowered = _lowered(text)
    shown = lowered.replace(REMOVED, "")
    if not any(hint in shown for hint in HINTS):
        return
    for changed in _FROM.finditer(text) if "from" in lowered else ():
        for group in ("old", "new"):
            if is_strong(changed[group].strip(".,;!?")) and not PLACEHOLDER.match(changed[group]):
                yield changed.start(group), changed.start(group) + len(changed[group].rstrip(".,;!?"))
    for changed in _CHANGED.finditer(text) if "from" in lowered else ():
        for group in ("old", "new"):
            said = changed[group].strip(".,;!?\"'“”‘’")
            if said and said.lower() not in PLAIN and not PLACEHOLDER.match(said):
                start = changed.start(group) + changed[group].index(said)
                yield start, start + len(said)
    for heading, span in table_cells(text, _COLUMN):
        if _can_stand_under(heading, text[slice(*span)]):
            yield span
    place = 0
    decided: dict[tuple[str, int], list[Span]] = {}  # cache: the same sentence may come many times
    while name := _NAMED.search(lowered, place):
        place = name.end()
        if text.startswith(REMOVED, name.start() - 1):
            place = name.start() + len(REMOVED) - 1
            continue
        first = max(0, name.start() - MAX_BACK)
        near = text[first : name.end() + MAX_AHEAD], name.start() - first
        if near not in decided:
            if len(decided) > MAX_DECIDED:
                decided.clear()
            decided[near] = _decided(*near)
        for start, end in decided[near]:
            yield first + start, first + end
            place = max(place, first + end)


def _decided(text: str, place: int) -> list[Span]:
    """Spans of the values of the name at `place`."""
    name = _NAMED.match(_lowered(text), place)
    if not name:
        return []
    kind: Kind = next(kind for kind, _ in NAMES if name[kind])
    return list(_values_after(text, kind, name)) or list(_value_before(text, kind, name))


def _lowered(text: str) -> str:
    """`text` in lower case with every index unchanged: some characters have a lower case of two characters."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(small if len(small := character.lower()) == 1 else character for character in text)


def _can_stand_under(heading: str, cell: str) -> bool:
    """Whether a table cell is a secret of the kind that its heading names."""
    if REMOVED in cell or PLACEHOLDER.match(cell) or cell.lower() in PLAIN:
        return False
    column = _COLUMN.fullmatch(heading)
    if not column or column["short"]:
        return False
    if column["key"]:
        return is_key(cell)
    if column["pass"]:
        return not cell.isdigit()
    return bool(column["password"] or column["phrase"] or re.search(r"\d", cell))


def _values_after(text: str, kind: Kind, name: re.Match[str]) -> Iterator[Span]:
    """Spans of the values after a name."""
    for pattern in (_CLOSE, _ASKED, _LOOSE):
        link = pattern.match(text, name.end())
        if not link or not link.lastgroup:
            continue
        found = _Found(kind, name[0].lower(), LEADS[link.lastgroup], link.end())
        if spans := list(_values(text, found)):
            yield from spans
            return


def _values(text: str, found: _Found) -> Iterator[Span]:
    if found.kind == "phrase":
        span = _phrase(text, found)
    elif found.kind == "pin":
        span = number_at(text, found.start, 4, 12) or spelled_at(text, found.start) or _strong_quoted(text, found)
    else:
        span = _value(text, found)
    is_listed = (found.is_close or found.lead == "next") and found.name.endswith("s")
    while span:
        yield span
        more = (_LISTED_MORE if is_listed else _AND_MORE).match(text, span[1])
        token = token_at(text, more.end()) if more else None
        number = number_at(text, more.end(), 4, 16) if more and found.kind == "code" else None
        span = number or (token if token and is_strong(text[slice(*token)]) else None)


def _value(text: str, found: _Found) -> Span | None:
    """The value after a link, if there is one of that kind."""
    if quoted := quoted_at(text, found.start):
        inner = text[slice(*quoted)]
        is_told = found.kind == "password" and not (not found.is_close and inner.lower() in PLAIN)
        is_loose = found.kind in ("pass", "short") and not found.is_close  # "pass `x_1=True`"
        return quoted if not PLACEHOLDER.match(inner) and not is_loose and (is_told or is_key(inner)) else None
    if found.kind == "code" and (number := number_at(text, found.start, 3, 16) or spelled_at(text, found.start)):
        return number
    if (grouped := _BASE32.match(text, found.start)) and re.search("[2-7]", grouped[0]):
        return grouped.span()
    token = token_at(text, found.start)
    if token is None:
        return None
    said, after = text[slice(*token)], text[token[1] : token[1] + 20]
    if PLACEHOLDER.match(said) or MEASURE.match(after) or after.startswith("("):
        return None
    if found.kind == "key":
        is_of = found.name == "secret" and _ABOUT.match(text, text.lower().rfind("secret", 0, found.start) + 6)
        return token if is_key(said) and not (is_of and len(said) < MIN_OPAQUE) else None
    is_mixed = is_strong(said) and bool(re.search(r"\d", said))
    if found.kind == "code" or found.lead == "linked":
        return token if is_mixed else None
    if found.kind in ("pass", "short"):
        is_word = found.kind == "pass" and found.lead == "assigned" and _is_login_word(text, found, token)
        return token if (is_mixed and len(said) >= 6) or is_word else None
    return _password(text, found, token)


def _password(text: str, found: _Found, token: Span) -> Span | None:
    """The password that begins with `token`: a word that looks generated, or plain words after a close link."""
    if "code" in found.name and (number := number_at(text, found.start, 4, 12)):
        return number
    said = text[slice(*token)]
    is_number = said.isdigit() and len(said) >= 4 and (found.is_close or found.lead == "asked" or "code" in found.name)
    if is_strong(said) or is_number:
        return token
    if " to " in text[found.start - 4 : found.start] or re.search(r"[|\t]\s*$", text[found.start - 3 : found.start]):
        return None
    words = plain_words_at(text, found.start, is_phrase="phrase" in found.name)
    if words and found.lead == "beside":  # "bob@x.org, password lemon-tree", and not "the password manager"
        is_listed = _LISTED_NAME.search(text[max(0, found.start - 40) : found.start])
        return words if is_listed and words == token and said.lower() not in FIELDS else None
    return words if found.is_close else None


def _is_login_word(text: str, found: _Found, token: Span) -> bool:
    """Whether "pass: tulip" gives a password: one plain word, after a user name or at the beginning of a clause."""
    said = text[slice(*token)]
    before = text[max(0, found.start - MAX_BACK) : found.start]
    is_alone = plain_words_at(text, found.start) == token and said[:1].islower() and said.isalpha()
    return is_alone and said.lower() not in PLAIN and bool(_LOGIN_PASS.search(before))


def _value_before(text: str, kind: Kind, name: re.Match[str]) -> Iterator[Span]:
    """A value that stands before its name: "Use tulip99 as the password", "rose88 (the new password)"."""
    if kind in ("phrase", "pass", "short") or _NAMES_ANOTHER.match(text, name.end()):
        return
    is_linked, num_unknown = False, 0
    for word in reversed(list(_WORD.finditer(text, max(0, name.start() - MAX_BACK), name.start()))):
        said = word[0].strip("(,–—-\"'“”‘’.!?;:")
        if word[0].endswith((".", "!", "?", ";", ":")):
            return
        is_apart = kind != "key" and (word[0].endswith(",") or word[0].startswith("("))
        is_linked |= said.lower() in BACK_VERBS or (is_apart and bool(_CLAUSE_ENDS.match(text, name.end())))
        if said.lower() in BACK or not said:
            continue
        if is_linked:
            if _can_be_named_after(said, kind):
                start = word.start() + word[0].index(said)
                yield start, start + len(said)
            return
        num_unknown += 1
        if num_unknown > MAX_UNKNOWN or said.lower() in ("not", "no", "never"):
            return


def _can_be_named_after(said: str, kind: Kind) -> bool:
    if kind == "key":
        return is_key(said)
    is_number = kind in ("code", "pin") and bool(re.fullmatch(r"(?:[A-Z]{1,3}-)?\d[\d-]{2,9}", said))
    return is_number or (is_strong(said) and bool(re.search(r"\d|[a-z][A-Z]", said)) and "@" not in said)


def _strong_quoted(text: str, found: _Found) -> Span | None:
    span = quoted_at(text, found.start)
    return span if span and found.is_close and is_strong(text[slice(*span)]) else None


def _phrase(text: str, found: _Found) -> Span | None:
    """The words of a recovery phrase at `start`, numbered or not."""
    if not found.is_close and found.lead not in ("label", "next"):
        return None
    if quoted := quoted_at(text, found.start):
        return quoted
    end, words = found.start, list[str]()
    while (word := _LISTED.match(text, end)) and len(words) < MAX_WORDS:
        words.append(re.sub(r"[\W\d_]", "", word[0]).lower())
        end = word.end()
    if len(words) >= 3 and not _NEEDS_LIST.search(found.name) and not set(words) & PLAIN:
        return found.start, found.start + len(text[found.start : end].rstrip(" ,\n"))
    # A list of twelve words may hold one function word, such as "about"; a sentence has many.
    is_list = len(words) >= 12 and sum(word in PLAIN for word in words) <= 2
    return (found.start, found.start + len(text[found.start : end].rstrip(" ,\n"))) if is_list else None
