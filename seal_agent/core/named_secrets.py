"""Secrets that are called by their name: "The wifi password is tulip-Garden-88.", "api_key = ...", "Passwort: ...".

A name and what leads from it to a value are found by pattern; whether what follows is a value is decided here, so that
"The password is required" stays. No model, and nothing outside the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["password", "key", "code", "pin", "phrase", "short"]
Span = tuple[int, int]
REMOVED = "[secret removed]"

PASSWORD = r"""password|mdp|passwd|pass[- ]?phrase|kennwort|passwort|contraseña|contrasena|mot de passe
|palavra-passe|senha|parola|wachtwoord|hasło|lösenord|salasana|adgangskode|passord|heslo
|jelsz[óa]\w*|şifre|mật khẩu|kata sandi|kata laluan|пароль|парола|лозинка|κωδικός|كلمة المرور
|كلمة السر|סיסמה|पासवर्ड|รหัสผ่าน|密码|密碼|口令|パスワード|비밀번호|암호""".replace("\n", "")
KEY = r"""(?:api|secret|access|private|account|signing|encryption|shared|license|licence|activation|master|app
|auth|session|storage|service|subscription|webhook|deploy|client|setup|totp|otp|2fa|mfa
|authenticator|recovery|backup)[ _-]?(?:access[ _-]?|setup[ _-]?)?(?:key|secret|token|seed)
|session[ _-]?(?:id|cookie)|token|secret|credential|connection[ _-]?string|jsessionid|phpsessid
|api[ _-]?schlüssel|clave secreta|密钥|令牌""".replace("\n", "")
CODE = r"""(?:verification|one[- ]time|otp|2fa|mfa|two[- ]factor|security|login|authentication|backup|recovery
|sms|unlock)[ _-]?(?:code|password|passcode)|pass ?code|otp|puk|cvv2?|cvc2?|cvn|zugangscode
|bestätigungscode|验证码|認証コード""".replace("\n", "")
PHRASE = "(?:seed|recovery|mnemonic|backup|secret|wallet) ?(?:phrase|words)|mnemonic"
_OTHER_KEYS = "".join(f"(?<!{kind} )" for kind in ("primary", "foreign", "public", "sort", "cache"))
_SHORT = (
    rf"(?<![^\W_])(?:psk|passkey|clave|_?auth|totp|authenticator|community(?: string)?|{_OTHER_KEYS}key)(?![^\W_])"
    r"|(?<![^\W_])(?:\w{1,20}_)?(?:pass|sshpass|requirepass)(?![^\W_])"
)
NAMES: tuple[tuple[Kind, str], ...] = (
    ("phrase", PHRASE),
    ("code", CODE),
    ("pin", r"(?<![^\W_])pin(?:[ -]?(?:code|number|nummer))?|geheimzahl|暗証番号|пин-?код"),
    ("password", rf"{PASSWORD}|(?<![^\W_])pwd?(?![^\W_])"),
    ("key", KEY),
    ("short", _SHORT),
)
_NAME = "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in NAMES)
_OF = (
    r"\s+(?:for|of|to|on|at|in|from|i|we|you|he|she|they|that|which"
    r"|für|zum|zur|von|vom|der|del|de|da|du|do|van|voor|от|для|к)"
)
_MIDDLE = rf"(?:{_OF}\b[^.!?:=\n\"“]{{1,60}}?)?"
_LABEL = r"(?:(?:\s+[\w-]{1,20}){1,2}|\s*\([^()\n]{1,40}\))(?:\s*[:：=]\s*)"
_ASSIGNED = r"(?:\\?[\"'\])*_]{0,3}\s*(?:=>|:=|==?|[:：→]|->)[*_]{0,3}\s*|\\?[\"']?\s*[|\t]\s*|>\s*|[\"'] value=)"
_IS = r"""(?:\s+(?:is|was|are|equals|ist|lautet|war|sind|es|est|é|è|jest|to|er|är|heter|on|هي))
(?:\s+(?:now|still|simply|just|jetzt|ahora))?(?:\s+(?:set|changed|reset|equal)\s+to)?(?:\s*:)?\s+
|(?:\s+(?:has|have|was|is|got|been|now|wurde)){0,3}\s+(?:changed|set|reset|updated|switched|geändert)?\s*(?:to|auf)\s+|\s*(?:是|为|為|は|が|은|는|이|:)\s*
""".replace("\n", "")
_NEXT = r"\s*\n\s*|\s+[-–—]\s+|\s+\(\s*"
_NAMED = re.compile(
    rf"(?:{_NAME})(?:s|e|er|en|[_-](?:base|value|string|data)|\d)?(?P<lead>(?P<assigned>(?:{_MIDDLE}){_ASSIGNED})"
    rf"|(?P<is>{_MIDDLE}(?:{_IS}))|(?P<label>{_LABEL})|(?P<next>{_MIDDLE}(?:{_NEXT}))|(?P<beside>(?:['’]s)?\s+))",
    re.IGNORECASE,
)
# A part of every name, in small letters: most texts have none, and looking for these takes no time.
_HINTS = """pass pw mdp kennwort contrase palavra senha parola wachtwoord hasło lösenord salasana
adgangskode heslo jelsz şifre khẩu kata парол лозинка κωδικ كلمة סיסמה पासवर्ड รหัส 密 口令 パス 비밀
암호 key secret token seed session credential connection sessid schlüssel clave 令牌 code otp puk
cvv cvc cvn 验证码 認証 pin geheim 暗証 пин psk auth community phrase words mnemonic""".split()
_FROM = re.compile(rf"(?:{PASSWORD}|token|secret|key)s?\s+from\s+(?P<old>\S+)\s+to\s+(?P<new>\S+)", re.IGNORECASE)
_QUOTES = {'"': '"', "'": "'", "“": "”", "„": "“”", "«": "»", "`": "`", "‘": "’", "「": "」", '\\"': '\\"'}
MAX_QUOTED, MAX_TOKEN, MAX_WORDS = 200, 512, 24
_QUOTED = re.compile(
    "|".join(
        rf"{re.escape(a)}(?P<q{n}>[^\n{re.escape(b)}]{{1,{MAX_QUOTED}}}?)[{re.escape(b)}]"
        for n, (a, b) in enumerate(_QUOTES.items())
    )
)
_TOKEN = re.compile(rf"[^\s\"<>|;,，。；、！？」]{{1,{MAX_TOKEN}}}")
_WIDE = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af\uff00-\uffef]")
_PARAMETER = re.compile(r"&\w+=")  # of a URL: the value ends there
_DIGITS = re.compile(r"\d[\d -]{1,14}\d|\d{3,}")
_BASE32 = re.compile(r"[A-Z2-7]{4}(?: [A-Z2-7]{4}){2,15}|[a-z2-7]{4}(?: [a-z2-7]{4}){2,15}(?![a-z])")
_LISTED = re.compile(r"(?:\d{1,2}[.)]\s*)?[^\W\d_]{3,12}(?:,|\b)\s*")
_LISTED_NAME = re.compile(
    r"(?:[,;/]|\b(?:with|and|using|mit|und|con|avec|et))\s+(?:the\s+)?[\w ]{3,20}\s$", re.IGNORECASE
)
_CLAUSE_END = re.compile(r"[.,;:!?)\]\n]|\s[-–—]\s")
MAX_CLAUSE = 400  # characters
_AND_MORE = re.compile(r"\s*(?:,|\b(?:and|or|und|oder)\b|/)\s*", re.IGNORECASE)
_PLACEHOLDER = re.compile(
    r"(?:none|null|nil|true|false|str|string|int|bool|bytes|undefined|empty|required|optional|\*+|x{3,}|\.{2,}|…+|<.*"
    r"|\$\{?[A-Z_]+\}?|\$\(.*|\{\{.*|%\(.*|your[-_ ]?.*|\[.*|[\w.]*\(.*)$",
    re.IGNORECASE,
)
_MEASURE = re.compile(
    r"\s*(?:%|mm|cm|m|km|v|°|characters?|chars?|letters?|digits?|signs|symbols?|words?|days?|hours?|minutes?|seconds?|bits?"
    r"|bytes?|times?|years?|zeichen|stellen|caracteres|caractères|(?:to|and|or|bis|-)\s*\d+)\b",
    re.IGNORECASE,
)
_NO_VALUE = re.compile(
    r"\d+(?:st|nd|rd|th|%)?|\d+[-–][a-z]+|\d+[-–]\d+|(?:sha|aes|md|rsa|wpa|tls|ssl|v)-?\d[\w.-]*|2fa.*", re.I
)
PLAIN = frozenset(
    """a an the it its this that these those there here what who whom whose where when why how which and or but nor so
    if as than then because while until unless not no never always still now only already just also usually often
    too very more most less least much many few some any all both each every other another same one two three four
    five six seven eight nine ten twelve in on at by for from with without of to into onto over under about after
    before between during is are was were be been being am do does did has have had will would shall should can
    could may might must kept set known written given sent lost broken stolen forgotten hidden shown chosen taken
    made held put case i you he she we they me him her us them my your his our their something anything nothing
    everything someone somebody anyone nobody please ask see use used keep try tell make get got let go going
    required needed expired wrong correct right incorrect invalid valid weak strong secret secure insecure safe
    unsafe encrypted hashed stored changed missing blank empty unknown public private short long mandatory optional
    numeric confidential case-sensitive case-insensitive sensitive different new old good bad great fine easy hard
    simple complex important unique random default temporary permanent disabled enabled active inactive available
    unavailable obvious clear characters letters digits words signs symbols numbers days hours minutes years times
    policy rule rules printed handy personal similar identical das der die den dem des ein eine einer einem nicht
    kein keine auf im zu zum zur bei von vom mit ohne und oder ist sind war mindestens muss soll sollte kann wird
    wurde falsch richtig abgelaufen sicher unsicher lang kurz geheim zeichen el la los las un una unos es está son
    en con sin de del por para y o muy obligatoria obligatorio correcta incorrecta larga corta le les une du au aux
    et ou est trop court courte longue obligatoire il lo gli uno di per troppo lunga het een te niet op aan bij kort
    verplicht""".split()
)
"""Words that say something of a password, and are none."""
FIELDS = frozenset(
    """manager policy reset hash hashes hint hints field fields box prompt column file list login access entry
    page screen form recovery sharing generator vault app tool tools strength length history expiry rotation
    reuse guess guesses cracker cracking spraying attack attacks checker meter rules requirements standard""".split()
)
"""Words that make another noun of a password."""
_INFLECTED = re.compile(r"\w+(?:ed|ing|able|ible|ful|less|ous|ive|ly|ity|tion|ment|ness|ance|ence)$", re.IGNORECASE)


@dataclass(frozen=True)
class _Found:
    kind: Kind
    lead: Literal["assigned", "is", "next", "label", "beside"]
    start: int  # of the value


def named_secrets(text: str) -> Iterator[Span]:
    """Where the values of what `text` calls a password, a key, a code or a phrase begin and end, in order."""
    for changed in _FROM.finditer(text):
        for group in ("old", "new"):
            if is_strong(changed[group].strip(".,;!?")):
                yield changed.start(group), changed.start(group) + len(changed[group].rstrip(".,;!?"))
    lowered = text.lower()
    place = 0 if any(hint in lowered for hint in _HINTS) else len(text)
    while match := _NAMED.search(text, place):
        if text.startswith(REMOVED, match.start() - 1):
            place = match.start() + len(REMOVED) - 1
            continue
        kind: Kind = next(kind for kind, _ in NAMES if match[kind])
        for lead in ("assigned", "is", "next", "label", "beside"):
            if match[lead] is not None:
                found = _Found(kind, lead, match.end())
        spans = list(_values(text, found))
        yield from spans
        place = max(match.end(kind), spans[-1][1] if spans else 0)


def _values(text: str, found: _Found) -> Iterator[Span]:
    if found.kind == "phrase":
        span = _phrase(text, found)
    elif found.kind == "pin":
        span = _number(text, found.start, 4, 12) or _strong_quoted(text, found)
    else:
        span = _value(text, found)
    while span:
        yield span
        more = _AND_MORE.match(text, span[1])
        token = _token(text, more.end()) if more else None
        span = token if token and is_strong(text[slice(*token)]) else None


def _value(text: str, found: _Found) -> Span | None:
    if quoted := _quoted(text, found.start):
        inner = text[slice(*quoted)]
        is_told = found.kind == "password" and not (found.lead == "beside" and inner.lower() in PLAIN)
        return quoted if not _PLACEHOLDER.match(inner) and (is_told or _is_key(inner)) else None
    if found.kind == "code" and (number := _number(text, found.start, 3, 12)):
        return number
    if (grouped := _BASE32.match(text, found.start)) and re.search("[2-7]", grouped[0]):
        return grouped.span()
    token = _token(text, found.start)
    if token is None:
        return None
    said, after = text[slice(*token)], text[token[1] : token[1] + 20]
    if _PLACEHOLDER.match(said) or _MEASURE.match(after) or after.startswith("("):
        return None
    if found.kind == "key":
        return token if _is_key(said) else None
    if found.kind == "short":
        return token if is_strong(said) and len(said) >= 6 and re.search(r"\d", said) else None
    is_number = said.isdigit() and len(said) >= 4 and found.lead in ("assigned", "is")
    if is_strong(said) or (is_number and found.kind == "password"):
        return token
    if found.kind != "password" or " to " in text[found.start - 4 : found.start]:
        return None
    words = _plain_words(text, found.start)
    if words and found.lead == "beside":  # "bob@x.org, password lemon-tree", and not "the password manager"
        is_listed = _LISTED_NAME.search(text[max(0, found.start - 40) : found.start])
        return words if is_listed and words == token and said.lower() not in FIELDS else None
    return words if found.lead in ("assigned", "is") else None


def _strong_quoted(text: str, found: _Found) -> Span | None:
    span = _quoted(text, found.start)
    return span if span and is_strong(text[slice(*span)]) else None


def _quoted(text: str, start: int) -> Span | None:
    """What stands between quotation marks there."""
    match = _QUOTED.match(text, start)
    group = match.lastgroup if match else None
    return match.span(group) if match and group else None


def _token(text: str, start: int) -> Span | None:
    """What stands there up to a blank, without the punctuation of its sentence."""
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


def _number(text: str, start: int, least: int, most: int) -> Span | None:
    """A number of so many digits there, in groups perhaps; not one that measures something."""
    match = _DIGITS.match(text, start)
    after = text[match.end() : match.end() + 20] if match else ""
    if not match or _MEASURE.match(after) or (after[:1].isalnum() and after[:1].isascii()):
        return None
    return match.span() if least <= sum(character.isdigit() for character in match[0]) <= most else None


def is_strong(word: str) -> bool:
    """Whether a word looks made to be guessed by nobody: letters with digits or signs, or capitals inside."""
    if len(word) < 4 or _NO_VALUE.fullmatch(word) or word.lower() in PLAIN or "://" in word:
        return False
    has_letters = any(character.isalpha() for character in word)
    has_digits = any(character.isdigit() for character in word)
    has_signs = any(not character.isalnum() and character not in "-'’./" for character in word)
    is_mixed = bool(re.search(r"[a-z][A-Z]", word)) and len(word) >= 6
    return has_letters and (has_digits or has_signs or is_mixed)


def _is_key(word: str) -> bool:
    """Whether a word can be a key or a token: long, and no word of a language."""
    if len(word) < 8 or "://" in word or word.startswith(("/", "./", "~/")) or any(c.isspace() for c in word):
        return False
    has_digits = any(character.isdigit() for character in word)
    has_letters = any(character.isalpha() for character in word)
    is_mixed = word.upper() != word != word.lower()
    return has_letters and ((has_digits and not _NO_VALUE.fullmatch(word)) or (len(word) >= 20 and is_mixed))


def _words_at(text: str, start: int) -> list[re.Match[str]]:
    """The words from there to the end of their clause."""
    clause = _CLAUSE_END.split(text[start : start + MAX_CLAUSE], maxsplit=1)[0]
    return list(re.finditer(r"\S+", clause))[:MAX_WORDS]


def _plain_words(text: str, start: int) -> Span | None:
    """The words there, where they say nothing of a password and so are one."""
    words = _words_at(text, start)
    said = [word[0].lower() for word in words]
    if not said or any(word in PLAIN for word in said) or not re.search(r"[^\W\d_]", said[0]):
        return None
    if len(said) <= 2 and any(_INFLECTED.match(word) for word in said):
        return None
    return start + words[0].start(), start + words[-1].end()


def _phrase(text: str, found: _Found) -> Span | None:
    """The words of a recovery phrase there, numbered perhaps."""
    if found.lead == "beside":
        return None
    if quoted := _quoted(text, found.start):
        return quoted
    end, words = found.start, list[str]()
    while (word := _LISTED.match(text, end)) and len(words) < MAX_WORDS:
        words.append(re.sub(r"[\W\d_]", "", word[0]).lower())
        end = word.end()
    if len(words) >= 3 and not set(words) & PLAIN:
        return found.start, found.start + len(text[found.start : end].rstrip(" ,\n"))
    # Twelve words of a list may hold one that is common, "about" say; a sentence has many.
    is_list = len(words) >= 12 and sum(word in PLAIN for word in words) <= 2
    return (found.start, found.start + len(text[found.start : end].rstrip(" ,\n"))) if is_list else None
