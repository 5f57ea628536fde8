"""Removal of keys and passwords from a text before anything of it is stored or learned.

Three detectors: values that look like a secret by form (service keys, private keys, web tokens, payment cards, the
password in a connection URL), values that the text calls a secret (`named_secrets`), and the patterns of
detect-secrets. detect-secrets verifies nothing, and no data leaves this process. Personal data (names, addresses,
telephone numbers) is left to the user's own rule (`LearnerConfig.before_learn`).
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any
from urllib.parse import unquote

from seal_agent.core.named_secrets import REMOVED, named_secrets
from seal_agent.core.secret_layout import Reading, Span, bare_seed_phrases
from seal_agent.core.secret_patterns import (
    BROKEN_KEY,
    KEY_BLOCK,
    KEY_SHAPES,
    PLACES,
    PREFIXED,
    STRONG_PLACES,
    WALLET_KEY,
)
from seal_agent.core.secret_values import is_strong
from seal_agent.core.secret_words import PASSWORD

NOTHING_LEFT = "a secret was removed from this text, and nothing else in it was left to learn"
WAS_REMOVED = "a secret was removed from it"
MAX_QUESTION = 300  # characters at the end of the conversation before a text
MAX_PASSES = 5  # removing one secret may reveal another
MAX_NAME_COST = 2**14  # scrypt cost of the hash of a removed part of a name: some 50 ms
MAX_LINE = 4000  # characters given to a detector at once: some of its patterns take quadratic time
_REMOVED_PLACE = re.compile(rf"{re.escape(REMOVED)}(?:-[0-9a-f]{{8}}(?![^\W_]))?")  # with the mark of `redacted_name`
_WANTED = re.compile(rf"\b(?:{PASSWORD})\b\W*(?:(?:assistant|user|system)\b[^\n]{{0,200}})?\s*\Z", re.IGNORECASE)
"""The conversation ends with the name of a secret, as in "its admin page wants a password."."""
_FIRST_SAID = re.compile(
    r"\W*(?:(?:it|that)(?:['’]s|\s+is)\s+)?(?P<s>[^\s,;]{4,128}?)(?=[,.;!?]?(?:\s|\Z))", re.IGNORECASE
)
_LONG_WORD = re.compile(r"\S{16,}")
_SIGN = re.compile(r"[\d_$-]")
_ADDRESS = re.compile(r"@[\w-]+\.\w|://|^\+?\d+$|:$")
_COOKIES = re.compile(r"\b(?:set-)?cookie[\"']?\s*[:=]\s*(?P<all>[^\n\"']+)", re.IGNORECASE)
_COOKIE = re.compile(r"[\w.-]{1,64}=(?P<s>[^\s;,]{12,})")
_CARD = re.compile(r"(?<![\w.+-])\d(?:[ .·•\u00a0\u2011–_-]?\d){12,18}(?![\w]|[.,-]\d)")
_APART = r"(?:[ .·•\u00a0\u2011–_-]|[ \t]*\n[ \t]*)"
_WRAPPED_CARD = re.compile(  # across a line break
    rf"(?<![\w.+-])(?:\d{{4}}(?:{_APART}\d{{4}}){{3}}|\d{{4}}{_APART}\d{{6}}{_APART}\d{{5}})(?![\w]|[.,-]\d)"
)
_ISSUERS = re.compile(
    r"4(?:.{12}|.{15}|.{18})$|(?:5[1-5]|2[2-7]).{14}$|3[47].{13}$"  # Visa, Mastercard, American Express
    r"|(?:6011|64[4-9]|65|62).{10,}$|3(?:0[0-5]|[689]).{11,}$"  # Discover and UnionPay, Diners Club
    r"|35(?:2[89]|[3-8]).{12,}$|(?:50|5[6-8]|6[37]).{14,}$"  # JCB, Maestro
)
_CARD_CHECK = re.compile(
    re.escape(REMOVED) + r"[ ,;/]{0,3}(?:exp\w*[.:]? ?|valid \w+ )?(?:\d\d ?/ ?\d{2,4})?[ ,;/]{1,3}"
    r"(?:(?:security |check )?(?:code|number):? )?(?P<s>\d{3,4})\b"
)


def redacted(text: str, earlier: str = "") -> str:
    """`text` without secrets; redacting twice gives the same text as redacting once.

    `earlier` is the conversation before it: after the question "What is your password?" the answer is a secret.
    """
    text = _redacted(text)
    if not earlier.strip():
        return text
    said = _FIRST_SAID.match(text)
    if said and is_strong(said["s"]) and re.search(r"\d", said["s"]) and _WANTED.search(earlier[-MAX_QUESTION:]):
        text = _without(text, [said.span("s")])
    asked = _redacted(earlier[-MAX_QUESTION:]) + "\n"
    both = _redacted(asked + text)
    return _redacted(both[len(asked) :]) if both.startswith(asked) else text


def _redacted(text: str) -> str:
    reading = Reading(text)
    for _ in range(MAX_PASSES):
        before = text
        for find in _FINDERS:
            if spans := [reading.original_span(span) for span in find(reading.text)]:
                text = _without(text, spans)
                reading = Reading(text)
        if text == before:
            break
    return text


def redacted_name(name: str) -> str:
    """The name of a document without secrets; different names stay different.

    A removed secret is replaced by a mark of 8 hexadecimal digits, a hash that is slow to compute, so that
    "door code 4471.md" and "door code 9982.md" differ. The name is also searched with percent-encoding decoded, and
    with blanks for underscores and hyphens. A name that already holds a mark is unchanged unless another secret is
    found.
    """
    shown = unquote(name)
    found = sorted({*_removed_from(name, name), *_removed_from(shown, shown), *_removed_from(shown, _spaced(shown))})
    for removed in sorted(found, key=len, reverse=True):
        text = name if removed in name else shown
        name = shown = text.replace(removed, f"{REMOVED}-{_mark_of(removed)}")
    return name


def without_marks(name: str) -> str:
    """A redacted name without the marks, as `redacted` would leave it."""
    return _REMOVED_PLACE.sub(REMOVED, name)


def _spaced(name: str) -> str:
    return re.sub("[_-]", " ", name)


def _removed_from(name: str, read: str) -> list[str]:
    """The secrets in `read`, a reading of `name` of equal length, as they are written in `name`."""
    kept = redacted(read)
    if kept == read:
        return []
    pattern = r"(.+?)".join(re.escape(part) for part in kept.split(REMOVED))
    found = re.fullmatch(pattern, read, re.DOTALL)
    spans = [found.span(number) for number in range(1, found.re.groups + 1)] if found else []
    return [name[slice(*span)] for span in spans if REMOVED not in read[slice(*span)]]


@cache
def _mark_of(removed: str) -> str:
    salt = b"the name of a document"
    return hashlib.scrypt(removed.encode(errors="replace"), salt=salt, n=MAX_NAME_COST, r=8, p=1, dklen=4).hex()


def lost_secret(text: str) -> bool:
    """Whether a secret was removed from `text`."""
    return REMOVED in text


def without_secrets(text: str) -> str:
    """`text` without the placeholders of removed secrets."""
    return text.replace(REMOVED, "")


def only_secret(text: str) -> bool:
    """Whether `text` held nothing but a secret."""
    return lost_secret(text) and not any(character.isalnum() for character in without_secrets(text))


def _without(text: str, spans: Iterable[Span]) -> str:
    """`text` with every span replaced by `REMOVED`."""
    pieces, place = list[str](), 0
    known = [match.span() for match in _REMOVED_PLACE.finditer(text)]
    ends = [after for _, after in known]
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        next_known = bisect_right(ends, start)
        is_known = next_known < len(known) and known[next_known][0] < end
        if start < place or is_known or not text[start:end].strip():
            continue
        pieces += [text[place:start], REMOVED]
        place = end
    return "".join([*pieces, text[place:]]) if pieces else text


def _shaped(text: str) -> Iterator[Span]:
    """Spans of secrets recognised by form: blocks of keys, and long words that mix character classes."""
    if "-----BEGIN" in text:
        yield from (match.span() for match in KEY_BLOCK.finditer(text))
    yield from (match.span() for match in BROKEN_KEY.finditer(text) if any(c.isdigit() for c in match[0]))
    for match in WALLET_KEY.finditer(text):
        if not match["before"]:
            yield match.span("s2" if match["s2"] else "s")
    for word in _long_words(text):
        yield from (match.span() for match in KEY_SHAPES.finditer(text, *word))
        for match in PREFIXED.finditer(text, *word):
            tail = match["s"]
            if sum(c.isdigit() for c in tail) >= 2 and tail.lower() != tail != tail.upper():
                yield match.span()


def _long_words(text: str) -> Iterator[Span]:
    """Spans of words long enough to be a key or a token."""
    return (word.span() for word in _LONG_WORD.finditer(text) if _SIGN.search(word[0]))


def _placed(text: str) -> Iterator[Span]:
    """Spans of secrets recognised by position: in a URL, a header, a command."""
    lowered = text.lower()
    for hint, pattern in (*PLACES, *STRONG_PLACES):
        is_sure = (hint, pattern) in PLACES
        for match in pattern.finditer(text) if hint in lowered else ():
            if is_sure or (is_strong(match["s"]) and not _ADDRESS.search(match["s"])):
                yield match.span("s")
    for header in _COOKIES.finditer(text) if "cookie" in lowered else ():
        yield from (match.span("s") for match in _COOKIE.finditer(text, *header.span("all")))


def _cards(text: str) -> Iterator[Span]:
    """Spans of payment card numbers: an issuer's prefix and a valid check digit."""
    for pattern in (_CARD, _WRAPPED_CARD):
        yield from (match.span() for match in pattern.finditer(text) if _is_card(re.sub(r"\D", "", match[0])))


def _is_card(digits: str) -> bool:
    is_issued = _ISSUERS.match(digits)
    doubled = [2 * int(d) - 9 * (d > "4") if place % 2 else int(d) for place, d in enumerate(reversed(digits))]
    is_round = len(digits) == 15 and digits.startswith("35")  # a telephone number
    return bool(is_issued) and not is_round and sum(doubled) % 10 == 0  # Luhn


def _card_checks(text: str) -> Iterator[Span]:
    """Spans of card security codes that follow a removed card number."""
    return (match.span("s") for match in _CARD_CHECK.finditer(text))


def _detected(text: str) -> Iterator[Span]:
    """Spans of the secrets that the detectors of detect-secrets find in each line."""
    place = 0
    for line in text.splitlines(keepends=True):
        for start in range(0, len(line) if any(_long_words(line)) else 0, MAX_LINE):
            part = line[start : start + MAX_LINE]
            for found in {found for detector in _detectors() for found in detector.analyze_string(part)}:
                secret = found.strip(" \t\r\n\"'=:")  # some patterns include the quotation marks
                if secret and (at := part.find(secret)) >= 0:
                    yield place + start + at, place + start + at + len(secret)
        place += len(line)


@cache
def _detectors() -> list[Any]:
    """The detectors that work by form. Those by entropy mistake checksums for secrets; IP addresses are no secrets."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    from detect_secrets.plugins.base import RegexBasedDetector
    from detect_secrets.plugins.ip_public import IPPublicDetector

    classes = get_mapping_from_secret_type_to_class().values()
    return [made() for made in classes if issubclass(made, RegexBasedDetector) and made is not IPPublicDetector]


_FINDERS: tuple[Callable[[str], Iterator[Span]], ...] = (
    _shaped,
    _placed,
    _cards,
    _card_checks,
    named_secrets,
    bare_seed_phrases,
    _detected,
)
