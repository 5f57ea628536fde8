"""Characters that no file and no database can hold: halves of a pair, as a text that was cut in an emoji has them."""

from __future__ import annotations

import re

_HALVES = re.compile("[\ud800-\udfff]")


def whole(text: str) -> str:
    """The text with U+FFFD for what is half a character; two halves that belong together are put together."""
    if not _HALVES.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
