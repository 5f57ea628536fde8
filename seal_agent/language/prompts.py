"""Prompts for the base model about a text, in English, used by rooms other than `writing`."""

from __future__ import annotations

PLAIN = "Ask me a question."
ABOUT = "Ask me a question about this text."
