"""Prompts for the base model about a text, in English, used by rooms other than `writing`."""

from __future__ import annotations

PLAIN = "Ask me a question."
ABOUT = "Ask me a question about this text."
NOT_TOLD = "If it does not answer the user, say that you were not told; do not guess."
UNKNOWN = "You were never told what the user asks for. Say so in one sentence in the user's language; do not guess."
