"""Field names of e-mails (RFC 5322 and Outlook) and of front matter, which are English in any language."""

from __future__ import annotations

import re

HEADER = re.compile(
    r"(?P<name>from|to|cc|bcc|date|sent|subject|reply-to|message-id|in-reply-to|references|mime-version|content-[\w-]+"
    r"|received|return-path|delivered-to|importance|attachments?|x-[\w-]+):(?:\s+(?P<value>.*))?$",
    re.IGNORECASE,
)
SURE_HEADERS = ("subject", "sent", "message-id", "reply-to")  # no timetable has these beside "From" and "To"
TITLE = re.compile(r"^(?:subject|title):\s*(\S.*)$", re.IGNORECASE | re.MULTILINE)
