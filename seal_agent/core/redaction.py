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

from seal_agent.core.named_secrets import REMOVED, is_strong, named_secrets
from seal_agent.core.secret_layout import Reading, Span, bare_seed_phrases
from seal_agent.core.secret_words import OPEN_CODES, PASSWORD

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
_KEY_BLOCK = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-(?!----)){0,8000}?"
    r"-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
    r"|-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:\s|\\n|[A-Za-z0-9+/=]{6,})*",  # not complete
    re.DOTALL,
)
_KEY_SHAPES = re.compile(
    r"""\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b
    |\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}
    |\bgl(?:pat|dt|rt|cbt|ptt|soat|ft|imt|agent)-[\w-]{20,}
    |\b(?:sk|pk|rk)-(?:[a-z0-9]+-)*[A-Za-z0-9_-]{20,}|\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}|\bwhsec_[A-Za-z0-9+/=]{20,}
    |\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bxapp-[\w-]{20,}|\bhf_[A-Za-z0-9]{30,}
    |\bAIza[\w-]{35}|\bya29\.[\w-]{20,}|\bGOCSPX-[\w-]{20,}|\b1//0[\w-]{16,}
    |\b(?:SK|AC)[0-9a-f]{32}\b|\bSG\.[\w-]{16,}\.[\w-]{16,}|\bkey-[0-9a-z]{32}\b
    |\bnpm_[A-Za-z0-9]{30,}|\bpypi-[\w-]{30,}|\bdckr_pat_[\w-]{20,}|\brubygems_[0-9a-f]{40,}
    |\bdo[opr]_v1_[0-9a-f]{40,}|\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}\b|\bdapi[0-9a-f]{32}\b|\bhv[sbr]\.[\w-]{20,}
    |\bAGE-SECRET-KEY-1[0-9A-Z]{40,}|\btskey-[\w-]{16,}|\bgl(?:sa|c)_[\w]{30,}|\bfigd_[\w-]{30,}|\bntn_\w{40,}
    |\bsntrys_[\w=+/.-]{20,}|\bEAA[A-Za-z0-9]{40,}|\bsq0(?:atp|csp)-[\w-]{20,}|\bPMAK-[0-9a-f-]{40,}|\bNRAK-[A-Z0-9]{20,}|\bpat[A-Za-z0-9]{14}\.[0-9a-f]{60,}
    |\b\d{6}(?:-\d{6}){7}\b|(?<!\w)\d{8,10}:[A-Za-z0-9_-]{33,37}(?![\w-])
    |\b[MNO][A-Za-z\d_-]{23,27}\.[\w-]{6}\.[\w-]{27,}
    |(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}
    |\$(?:2[abxy]|1|5|6|y|apr1|argon2(?:id|i|d)?)\$[./A-Za-z0-9$,=+]{16,200}""",
    re.VERBOSE,
)
_BROKEN_KEY = re.compile(  # broken by blanks or line ends; every piece has a digit or is in capitals
    r"""\b(?:AKIA|ASIA|ABIA|ACCA)(?:[ \n-]?[0-9A-Z]){16}(?![0-9A-Za-z])
    |\b(?:gh[pousr]_|github_pat_|glpat-|(?:sk|pk|rk)[-_]|xox[abeoprs]-|hf_|AIza|npm_)[\w-]{6,80}
     (?:\s(?=[\w-]{0,80}\d)[\w-]{4,80}){1,8}""",
    re.VERBOSE,
)
_WALLET_KEY = re.compile(
    r"(?<!\w)(?P<before>\b(?:tx|hash|transaction|block|commit|digest|checksum)\w*\W{1,3}(?:is\s+)?)?(?P<s>0x[0-9a-fA-F]{64})(?!\w)"
    r"|\b(?:wallet|private|secret)\b[^\n]{0,40}?(?<!\w)(?P<s2>[0-9a-f]{64}|[0-9A-F]{64})(?!\w)",
    re.IGNORECASE,
)
_PREFIXED = re.compile(r"\b[a-z][a-z0-9]{1,11}(?:[_-][a-z0-9]{1,12}){0,3}[_-](?P<s>[A-Za-z0-9]{16,128})(?![\w-])")
_NAME_IN_URL = (
    r"[\w-]{0,40}(?:token|secret|passw(?:or)?d|pwd|api_?key|access_?key|signature|sig|jwt|auth|session_?id|sid)"
)
_STEP_IN_URL = (
    "(?:reset|verify|confirm|activate|activation|invite|join|magic|unsubscribe|token|auth|login|share|password)"
)
# Each with a text that every match contains, in lower case: most texts contain none, and the pattern is skipped.
_PLACES = tuple(
    (hint, re.compile(pattern, re.IGNORECASE))
    for hint, pattern in (
        (
            "://",
            r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/@:]{0,64}:(?P<s>[^\s/]{1,128})@(?=[\w.\[-])",
        ),  # a URL with a password
        ("://", r"\b[a-z][a-z0-9+.-]{1,20}://(?P<s>[A-Za-z0-9_-]{20,128})@"),  # or with a token
        ("=", r"[?&#](?:invite|ticket|otp|nonce|hash|reset|confirm|verify|activation|t|k)=(?P<s>[A-Za-z0-9_.-]{12,})"),
        ("=", rf"[?&#;](?:amp;)?{_NAME_IN_URL}=(?P<s>[^&#;\s\"'<>]{{6,}})"),
        ("hooks.", r"hooks\.slack\.com/(?:services|workflows)/(?P<s>[\w/-]{10,})"),
        ("signature=", r"\bsignature=(?P<s>[0-9a-f]{32,})"),
        ("identified by", r"\bidentified\s+by\s+[\"'](?P<s>[^\"';\n]+)"),
        ("auth", r"auth\w{0,20}\s*=\s*\(\s*[\"'][^\"'\n]{1,64}[\"']\s*,\s*[\"'](?P<s>[^\"'\n]+)"),
        ("jdbc:oracle", r"jdbc:oracle:\w+:\w{1,64}/(?P<s>[^\s@]{1,128})@"),
        ("webhooks", r"/api/webhooks/\d{5,}/(?P<s>[\w-]{20,})"),
        (
            "authorization",
            r"authorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic|token|digest|apikey|negotiate|key)\s+(?P<s>[^\s\"',]+)",
        ),
        ("-u", r"(?:^|\s)(?:-u|--user)[ =]+[\"']?[^\s:\"']{1,64}:(?P<s>[^\s\"']+)"),  # curl
        ("requirepass", r"(?:^|\n)[ \t]*requirepass[ \t]+[\"']?(?P<s>[^\s\"'#]{3,})[\"']?[ \t]*(?=\n|\Z)"),  # Redis
        ("_pass", r"(?<!\w)\w{1,40}_pass[\"']?\s*[:=]\s*[\"']?(?P<s>[^\s\"'$<{,;]{3,})"),
        (
            "export",
            r"\bexport\s+\w{0,40}(?:token|secret|passw(?:or)?d|pass|api_?key)=[\"']?(?P<s>[^\s\"'$<{`]{4,})",
        ),
        ("sshpass", r"\bsshpass\s+-p\s*[\"']?(?P<s>[^\s\"']+)"),
        ("mysql", r"\bmysql\w{0,10}\b[^\n]{0,80}?\s-p(?P<s>[^\s\"']{3,})"),
        ("--", rf"--(?:[a-z]+-)?(?:{PASSWORD}|pass|token|secret|api-key|access-key)[ =][\"']?(?P<s>[^\s\"']{{3,}})"),
        ("login", r"\blogin\s+[^\s|]{1,64}\s+password\s+(?P<s>[^\s|]+)"),  # .netrc
        ("login", r"\blogin\b[^\n]{1,80}?\s-p\s+[\"']?(?P<s>[^\s\"']+)"),  # docker login
        ("openssl", r"\bopenssl\b[^\n]{1,100}?\s(?:-k\s+|-pass(?:in|out)?\s+pass:)(?P<s>\S+)"),
        ("/user:", r"\s/user:\S{1,64}\s+(?P<s>\S+)"),  # net use
        ("private-lines", r"Private-Lines:\s*\d+\s+(?P<s>[A-Za-z0-9+/=\s]{16,8000}?)\s*(?=Private-MAC|\Z)"),  # PuTTY
        (
            "code",
            (
                r"(?<!\d)(?P<s>\d{3}[ -]?\d{2,5})\s+is\s+(?:your|the|my)\s+"
                rf"(?:(?!(?:{OPEN_CODES})\b)[\w-]{{1,20}}\s+){{0,4}}?(?:code|password|passcode|pin)\b"
            ),
        ),
        (
            " ",  # of a keypad
            (
                r"\b(?:press|enter|type|dial)\s+(?P<s>\d{4,8})#?\s+"
                r"(?:(?:on|at|into|in)\s+the\s+(?:keypad|key pad|door|lock|gate|alarm|safe)\b"
                r"|to\s+(?:open|unlock|disarm|enter)\b)"
            ),
        ),
        (
            "/",  # a step of a link that is sent by mail, and its token
            (
                rf"(?<=[\w/.-])/{_STEP_IN_URL}[\w-]{{0,20}}(?:/[\w.%@-]{{1,40}})?/"
                r"(?=[\w.~-]{0,99}(?:[A-Za-z]\d[A-Za-z]|\d[A-Za-z]{1,8}\d))(?P<s>[\w.~-]{12,200})"
            ),
        ),
        (
            ":",
            (
                r"(?<!\S)(?:localhost|\*|[a-z][\w-]{0,63}(?:\.[\w-]{1,63}){1,4}):(?:\d{2,5}|\*):[\w*-]{1,64}:[\w*-]{1,64}"
                r":(?P<s>[^\s:]{1,128})(?!\S)"
            ),  # .pgpass
        ),
        (
            "pass",
            (
                r"[\"“„«'](?P<s>[^\"“”«»\n]{3,64})[\"”“»']\s+(?:is|as|was|ist)\s+(?:the|my|our|your|his|her|their|das|mein|unser)"
                rf"\s+(?:[\w-]{{1,20}}\s+){{0,3}}?(?:{PASSWORD})\b(?!\s+(?:policy|manager|hint|field|rule))"
            ),
        ),
    )
)
_LOGINS = """wi-?fi|wlan|ssid|network|router|login|log-?in|account|user|admin|email|e-mail|server|ftp|ssh|vpn|nas|bank
|paypal|netflix|spotify|github|gitlab|google|gmail|facebook|instagram|twitter|amazon|apple|icloud|steam|dropbox|slack|discord
|linkedin|zoom|disney|hulu""".replace("\n", "")
_STRONG_PLACES = tuple(
    (hint, re.compile(pattern, re.IGNORECASE | re.DOTALL))
    for hint, pattern in (
        ("identified by", r"\bidentified\s+by\s+(?P<s>[^\s\"';`]+)"),
        ("b", r"\b(?:bearer|basic)[\s:]+(?P<s>[\w.~+/-]{12,}={0,2})"),
        ("=", r"[?&](?:key|code)=(?P<s>[^&#\s\"'<>]{16,})"),
        (
            "i",
            (
                r"\b(?:credentials?|logins?|zugangsdaten|identifiants)\s*(?:are|is|sind|lauten|:|=)\s*"
                r"[^\s/:,;]{1,64}\s*[:/]\s*(?P<s>[^\s,;]+)"
            ),
        ),
        # a login and what belongs to it: "Netflix: ada@x.org, tulip99", "WiFi: Lighthouse / Tr33house"
        (
            "@",
            (
                r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,4}"
                r"(?:\s*[/|]\s*|:|(?:,[ \t]+|[ \t]+-[ \t]+|[ \t]+(?=\S+\s*\Z))(?=\S{0,60}[a-z])(?=\S{0,60}\d)(?=\S{6}))"
                r"(?P<s>[^\s,;/]{4,128}+)(?!/)"
            ),
        ),
        (
            "",
            (
                rf"(?<![^\W_])(?:{_LOGINS})"
                r"(?:[ \t]*[:–-][ \t]*[^\s/|,:@\d]{2,64}[ \t]*[/|,]|[ \t]+[^\s/|,:@\d]{2,64}[ \t]*/)"
                r"[ \t]*(?P<s>(?=[^\s,;]{0,63}\d)[\w!#$%&*+.?^~-]{6,64})(?![^\s,;.)])"
            ),
        ),
        (
            "@",
            (
                r"\b(?:log-?in|account|user(?:name)?)\b[^\n@]{1,80}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,4}"
                r"\s+(?:with|and|using)\s+(?P<s>[^\s,;]{6,128})"
            ),
        ),
        (
            "one is",
            (
                rf"\b(?:{PASSWORD})\b[^\n]{{0,40}}\n.{{0,200}}?\b(?:current|new|old|present)\s+one\s+is\s+(?P<s>[^\s,;]{{4,128}})"
            ),
        ),
        (
            "user:",  # the next turn of a conversation
            (
                rf"\b(?:{PASSWORD})\b\W*\n(?:assistant:[^\n]{{0,300}}\n)?user:\s+"
                r"(?:(?:it|that)(?:['’]s|\s+is)\s+)?(?P<s>(?=[^\s\d]{0,64}\d)[^\s,;]{4,128}?)(?=[,.;!?]?(?:\s|\Z))"
            ),
        ),
        (":", r"(?<!\S)u(?:ser)?:\s*\S{1,64}[\s,;]+p:\s*(?P<s>\S{4,128})"),
        (
            "@",
            r"(?<![\w/@])[\w.-]{1,64}[:/](?P<s>[^\s:@/]{4,128})@(?://)?[\w.-]{2,}",
        ),
        (
            " in ",
            r"\b(?:log|sign)(?:ged|ed)?[ -]?in\s+(?:as|with|using)\s+\S{1,64}\s+(?:and|with|/)\s+(?P<s>[^\s,;]{4,128})",
        ),
    )
)
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
        yield from (match.span() for match in _KEY_BLOCK.finditer(text))
    yield from (match.span() for match in _BROKEN_KEY.finditer(text) if any(c.isdigit() for c in match[0]))
    for match in _WALLET_KEY.finditer(text):
        if not match["before"]:
            yield match.span("s2" if match["s2"] else "s")
    for word in _long_words(text):
        yield from (match.span() for match in _KEY_SHAPES.finditer(text, *word))
        for match in _PREFIXED.finditer(text, *word):
            tail = match["s"]
            if sum(c.isdigit() for c in tail) >= 2 and tail.lower() != tail != tail.upper():
                yield match.span()


def _long_words(text: str) -> Iterator[Span]:
    """Spans of words long enough to be a key or a token."""
    return (word.span() for word in _LONG_WORD.finditer(text) if _SIGN.search(word[0]))


def _placed(text: str) -> Iterator[Span]:
    """Spans of secrets recognised by position: in a URL, a header, a command."""
    lowered = text.lower()
    for hint, pattern in (*_PLACES, *_STRONG_PLACES):
        is_sure = (hint, pattern) in _PLACES
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
