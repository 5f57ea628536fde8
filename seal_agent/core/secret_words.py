"""Names of secrets, and words that describe a secret without being one.

The regular expressions ignore case. `named_secrets` combines them.
"""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal["password", "key", "code", "pin", "phrase", "pass", "short"]

_MISSPELT = r"(?<![^\W_])p(?=[asword]*w)(?=[asword]*d)[asword]{4,9}(?![^\W_])"  # "pasword", "passwrd", "passowrd"
PASSWORD = r"""pass[- ]?word|p[a4@àáâäã][s5$]{2}w[o0öó]rd|mdp|passwd|psswd|pswd|p/w|(?<![^\W_])pass[- ]?code
|pass[- ]?phrase|kennwort|passwort|contraseña|contrasena|mot de passe|palavra-passe|senha|parola|wachtwoord|hasło
|lösenord|salasana|adgangskode|passord|heslo
|jelsz[óa]\w*|şifre
|mật khẩu|kata sandi|kata laluan
|пароль|парола|лозинка|κωδικός|كلمة المرور
|كلمة السر|סיסמה|पासवर्ड|รหัสผ่าน|密码|密碼|口令|パスワード|비밀번호|암호""".replace("\n", "")
KEY = r"""(?:api|secret|access|private|account|signing|encryption|shared|license|licence|activation|master|app
|auth|session|storage|service|subscription|webhook|deploy|client|setup|totp|otp|2fa|mfa
|authenticator|recovery|backup)[ _-]?(?:access[ _-]?|setup[ _-]?)?(?:key|secret|token|seed)
|session[ _-]?(?:id|cookie)|token|secret|credential|connection[ _-]?string|jsessionid|phpsessid
|api[ _-]?schlüssel|clave secreta|密钥|令牌""".replace("\n", "")
CODE = r"""(?:verification|confirmation|one[- ]time|otp|2fa|mfa|two[- ]factor|security|log-?in|authentication|backup
|recovery|scratch|rescue|emergency|sms|unlock|guard)[ _-]?(?:code|password|passcode)
|(?:2fa|mfa|otp)[ _-]?(?:backup|recovery)(?:[ _-]?codes?)?|otp|puk|cvv2?|cvc2?|cvn
|zugangscode|bestätigungscode|验证码|認証コード""".replace("\n", "")
_LOCKED = r"""(?:alarm|duress|safe|doors?|gate|lock|locker|padlock|vault|garage|keypad|key ?pad|key ?box|lock ?box|entry
|entrance|access|flat|apartment|elevator|lift|voicemail|mailbox|phone|mobile|tablet|laptop|ipad|iphone|sim|card|bike|shed|suitcase
|wi-?fi|wlan|router|network)""".replace("\n", "")
_OPENS = r"(?:opens?|unlocks?|unlocked|disarms?|disarmed|off)\s+(?:with|by|using)"
# Codes that are no secrets: "your zip code".
OPEN_CODES = r"""(?:zip|post(?:al)?|area|country|dial(?:ling)?|city|error|status|exit|return|response|colou?r
|hex|product|item|article|bar|qr|source|language|currency|airport|station|icd|course|promo|discount|coupon|voucher|gift|referral|booking
|reference|tracking|order|sort|swift|bank|branch|tax|building|dress|morse|genetic|penal|civil|fault|stock|time|own|first|last)"""
OPEN_CODES = OPEN_CODES.replace("\n", "")
LOCK_CODE = rf"""(?<![^\W_]){_LOCKED}(?:['’]s)?(?:\s+(?:system|lock|pad|door|unlock|entry))?[ _-]?
(?:code|combination|combo)|(?<![^\W_])(?:code|combination|combo)\s+(?:for|of|to|at|on)\s+(?:(?:the|our|my|her|his|their)\s+)?(?:[\w-]{{1,20}}\s+)?{_LOCKED}\b
|(?<![^\W_]){_OPENS}(?:\s+(?:the\s+)?(?:code|pin))?(?=\s+\d{{4,8}}\b(?!\s+[a-z]))
|(?<![^\W_]){_LOCKED}(?:,?:?\s+(?!{OPEN_CODES}\b)[\w'’-]{{1,20}}){{0,3}}:?\s+(?:code|combination|(?:press|enter|dial|type)(?=\s+\d{{4,8}}))
|\b(?:your|my)\s+(?:(?!{OPEN_CODES}\b)[\w-]{{1,20}}\s+){{0,2}}code(?=\s*[:=.,!]|\s+(?:is|was|to|for)\b|\s*\Z)
|\bcode(?=\s+\d{{4,8}}\s+to\s+(?:verify|confirm|log|sign|activate))""".replace("\n", "")
PHRASE = (
    "(?:seed|recovery|mnemonic|backup|secret|wallet) ?(?:phrase|words)|mnemonic"
    "|(?:12|15|18|21|24|twelve) (?:seed )?words|(?:my|wallet|our|the) seed(?! phrase| words)"
)
_OTHER_KEYS = "".join(f"(?<!{kind} )" for kind in ("primary", "foreign", "public", "sort", "cache"))
_SHORT = rf"(?<![^\W_])(?:psk|passkey|clave|_?auth|totp|authenticator|community(?: string)?|{_OTHER_KEYS}key)(?![^\W_])"
_LOGIN = r"(?<![^\W_])(?:\w{1,20}_)?(?:pass|sshpass|requirepass)(?![^\W_])"
NAMES: tuple[tuple[Kind, str], ...] = (
    ("phrase", PHRASE),
    ("code", f"{CODE}|{LOCK_CODE}"),
    ("pin", r"(?<![^\W_])pin(?:[ -]?(?:code|number|nummer))?|geheimzahl|暗証番号|пин-?код"),
    ("password", rf"{PASSWORD}|{_MISSPELT}|(?<![^\W_])pwd?(?![^\W_])"),
    ("key", KEY),
    ("pass", _LOGIN),
    ("short", _SHORT),
)
# A part of every name, in lower case. Most texts hold none, and this search is fast.
HINTS = """pass pw psw psa pas pss mdp kennwort contrase palavra senha parola wachtwoord hasło lösenord salasana
adgangskode heslo jelsz şifre khẩu kata парол лозинка κωδικ كلمة סיסמה पासवर्ड รหัส 密 口令 パス 비밀
암호 key secret token seed session credential connection sessid schlüssel clave 令牌 code otp puk
cvv cvc cvn 验证码 認証 pin geheim 暗証 пин psk auth community phrase words mnemonic seed code combination combo
opens unlock disarm scratch rescue backup press enter dial type p/w word w0rd disarm
off""".split()
PLACEHOLDER = re.compile(
    r"(?:\{.*|none|null|nil|true|false|str|string|int|bool|bytes|undefined|empty|required|optional|\*+|x{3,}|\.{2,}|…+|<.*"
    r"|\$\{?[A-Z_]+\}?|\$\(.*|\{\{.*|%\(.*|your[-_ ]?.*|\[.*|[\w.]*\(.*)$",
    re.IGNORECASE,
)
MEASURE = re.compile(
    r"\s*(?:%|mm|cm|m|km|v|°|characters?|chars?|letters?|digits?|signs|symbols?|words?|days?|hours?|minutes?|seconds?|lines?|pages?|guests?|points?|bits?"
    r"|bytes?|times?|years?|zeichen|stellen|caracteres|caractères|(?:to|and|or|bis|-)\s*\d{1,3})\b",
    re.IGNORECASE,
)
NO_VALUE = re.compile(
    r"\d+(?:st|nd|rd|th|%)?|\d+[-–][a-z]+|\d+[-–]\d+|(?:sha|aes|md|rsa|wpa|tls|ssl|v)-?\d[\w.-]*|2fa.*", re.I
)
BACK = frozenset(
    """a an the that's it's thats my our your his her their one is was are as what which i we you it
    that this use used uses
    using works work asks ask when if for of new old current former becomes became""".split()
)
"""Words that may stand between a value and its name: "tulip99 is what I use as the password"."""
BACK_VERBS = frozenset("is was are as for works asks that's it's becomes became".split())
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
"""Words that describe a password and are not one."""
FIELDS = frozenset(
    """manager policy reset hash hashes hint hints field fields box prompt column file list login access entry
    page screen form recovery sharing generator vault app tool tools strength length history expiry rotation
    reuse guess guesses cracker cracking spraying attack attacks checker meter rules requirements standard""".split()
)
"""Words that after "password" name another thing: "password manager"."""
