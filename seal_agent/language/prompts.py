"""What the base model is asked about a text by other rooms than `writing`; it follows English best."""

from __future__ import annotations

PLAIN = "Ask me a question."
ABOUT = "Ask me a question about this text."
