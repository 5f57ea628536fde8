"""Prompts for the base model about a text, in English, used by rooms other than `writing`."""

from __future__ import annotations

PLAIN = "Ask me a question."
ABOUT = "Ask me a question about this text."
RECALLED = "What you were told in earlier conversations, oldest first:\n{facts}\nUse it where it answers the user."
