"""Lone surrogates: code points that UTF-8 cannot encode, left over when a text is cut inside an emoji."""

from __future__ import annotations

import re

_HALVES = re.compile("[\ud800-\udfff]")


def whole(text: str) -> str:
    """The text with each lone surrogate replaced by U+FFFD and each surrogate pair by the character it encodes."""
    if not _HALVES.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
