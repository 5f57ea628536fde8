"""What a chat message needs to be understood later: the message before it, if it leans on that one."""

from __future__ import annotations

from seal_agent.language.base import for_text, is_instruction
from seal_agent.language.words import asks

MAX_ELLIPTICAL = 6  # words: "No, 2 pm." answers something
MAX_WORDS = 20  # of a message in a language without rules, which may lean on the one before


def context_of(text: str, before: str) -> str:
    """`before`, what the user said before `text`, if `text` leans on it; "" if not, or if it asks or gives orders.

    A message of a few words does, and one with a word that refers back. In a language without rules for that, every
    message that is not long may.
    """
    if not before or asks(before) or is_instruction(before):
        return ""
    language, num_words = for_text(text), len(text.split())
    if not language.has_questions:
        return before if num_words <= MAX_WORDS else ""
    leans = num_words <= MAX_ELLIPTICAL or any(map(language.refers_back, language.sentences(text)))
    return before if leans else ""
