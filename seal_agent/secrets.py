"""Keys and passwords are taken out of a text before anything is stored or learned of it.

What looks like a secret by its form alone: keys of well-known services, private keys, web tokens, and what follows
"password:". Names, addresses and numbers of people are for the user's own rule (`LearnerConfig.before_learn`).
"""

from __future__ import annotations

import re

REMOVED = "[secret removed]"
_SECRET = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}"
    r"|\b(?:sk|pk|rk)-(?:[a-z]+-)?[A-Za-z0-9_-]{20,}|\bsk_(?:live|test)_[A-Za-z0-9]{16,}"
    r"|\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bhf_[A-Za-z0-9]{30,}|\bAIza[\w-]{35}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}",
    re.DOTALL,
)
_NAMED = re.compile(
    r"((?:password|passwd|passphrase|api[ _-]?key|secret[ _-]?key|access[ _-]?token)\s*[:=]\s*)"
    r"(?!\[secret removed\])[^\s,;]{6,}",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """`text` without what looks like a secret."""
    return _NAMED.sub(rf"\1{REMOVED}", _SECRET.sub(REMOVED, text))
