"""What the model is asked in English by other rooms than `writing`."""

from __future__ import annotations

PLAIN = "Ask me a question."
ABOUT = "Ask me a question about this text."
