"""Patterns of secrets: values with the form of a key, and places where a secret is written; `redaction` applies them.

The group `s` of a pattern is the secret, if it is not the whole match. Each pattern of a place comes with a hint: a
text in lower case that every match contains. A text without the hint is not searched, which saves most of the time.
"""

from __future__ import annotations

import re

from seal_agent.core.secret_words import OPEN_CODES, PASSWORD

KEY_BLOCK = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-(?!----)){0,8000}?"
    r"-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
    r"|-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:\s|\\n|[A-Za-z0-9+/=]{6,})*",  # a block without its end
    re.DOTALL,
)
KEY_SHAPES = re.compile(
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
BROKEN_KEY = re.compile(  # broken by blanks or line ends; every piece has a digit or is in capitals
    r"""\b(?:AKIA|ASIA|ABIA|ACCA)(?:[ \n-]?[0-9A-Z]){16}(?![0-9A-Za-z])
    |\b(?:gh[pousr]_|github_pat_|glpat-|(?:sk|pk|rk)[-_]|xox[abeoprs]-|hf_|AIza|npm_)[\w-]{6,80}
     (?:\s(?=[\w-]{0,80}\d)[\w-]{4,80}){1,8}""",
    re.VERBOSE,
)
WALLET_KEY = re.compile(  # 64 hex digits; with `before` they are called a hash, and are no key
    r"(?<!\w)(?P<before>\b(?:tx|hash|transaction|block|commit|digest|checksum)\w*\W{1,3}(?:is\s+)?)?(?P<s>0x[0-9a-fA-F]{64})(?!\w)"
    r"|\b(?:wallet|private|secret)\b[^\n]{0,40}?(?<!\w)(?P<s2>[0-9a-f]{64}|[0-9A-F]{64})(?!\w)",
    re.IGNORECASE,
)
# A key with a prefix, "acme_live_..."; `redaction` checks that its value mixes digits, capitals and small letters.
PREFIXED = re.compile(r"\b[a-z][a-z0-9]{1,11}(?:[_-][a-z0-9]{1,12}){0,3}[_-](?P<s>[A-Za-z0-9]{16,128})(?![\w-])")
_NAME_IN_URL = (
    r"[\w-]{0,40}(?:token|secret|passw(?:or)?d|pwd|api_?key|access_?key|signature|sig|jwt|auth|session_?id|sid)"
)
_STEP_IN_URL = (
    "(?:reset|verify|confirm|activate|activation|invite|join|magic|unsubscribe|token|auth|login|share|password)"
)
# Places whose value is a secret whatever it looks like.
PLACES = tuple(
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
            " ",  # the code of a keypad
            (
                r"\b(?:press|enter|type|dial)\s+(?P<s>\d{4,8})#?\s+"
                r"(?:(?:on|at|into|in)\s+the\s+(?:keypad|key pad|door|lock|gate|alarm|safe)\b"
                r"|to\s+(?:open|unlock|disarm|enter)\b)"
            ),
        ),
        (
            "/",  # a link that is sent by e-mail: a step such as "reset", and the token after it
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
# Places whose value is a secret only if it looks generated (`secret_values.is_strong`).
STRONG_PLACES = tuple(
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
        # an account and its password: "Netflix: ada@x.org, tulip99", "WiFi: Lighthouse / Tr33house"
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
            "user:",  # the answer to a question for a password, in the next turn of a conversation
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
