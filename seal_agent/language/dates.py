"""Dates that a text names relative to its day ("tomorrow", "nächsten Dienstag"), in many languages, by dateparser.

dateparser also finds dates in words that name none. So a find counts only if it has a number or a longer word, lies
near the day of the text, and means another day if it is said a week later. A number at the beginning names a duration
("ill for 3 days") more often than a day. The model reads a chat message with the days in the place of the words.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from functools import lru_cache

from seal_agent.language.detection import language_code

MAX_DAYS = 45  # from the day of the text
MIN_LETTERS = 5
MAX_CHARS = 1000
PAUSES = ",;:.!?"


@lru_cache(maxsize=1024)
def relative_dates(text: str, said_on: str) -> tuple[tuple[str, str], ...]:
    """Pairs of words and the day they mean (ISO 8601), for a text said on `said_on` (ISO 8601)."""
    if not said_on:
        return ()
    day = date.fromisoformat(said_on)
    language = language_code(text)
    here, later = (dict(_found(text[:MAX_CHARS], start, language)) for start in (day, day + timedelta(weeks=1)))
    return tuple(
        (words, meant.isoformat())
        for words, meant in here.items()
        if meant != day
        and abs((meant - day).days) <= MAX_DAYS
        and later.get(words) != meant
        and not words[0].isdigit()
        and not (len(words.split()) == 1 and meant == day + timedelta(weeks=1))  # the name of the day itself
        and any(part.isdigit() or len(part) >= MIN_LETTERS for part in words.split())
    )


def _found(text: str, day: date, language: str) -> list[tuple[str, date]]:
    from dateparser.search import search_dates

    settings = {"RELATIVE_BASE": datetime.combine(day, time()), "PREFER_DATES_FROM": "future"}

    def found(part: str) -> list[tuple[str, date]]:
        try:
            dates = search_dates(part, languages=[language], settings=settings)
        except (ValueError, OverflowError, TypeError):  # of an unsupported language, or a number that is no year
            return []
        return [(words, meant.date()) for words, meant in dates or ()]

    return [(_shortest(words, meant, found), meant) for words, meant in found(text)]


def _shortest(words: str, meant: date, found: Callable[[str], list[tuple[str, date]]]) -> str:
    """`words` without those at their end that the day does not need: "next Tuesday at noon" is "next Tuesday".

    A word before a comma or the like does not belong to the day ("um, morgen").
    """
    while len(parts := words.split(" ")) > 1:
        shorter = (" ".join(parts[1:]) if parts[0][-1:] in PAUSES else " ".join(parts[:-1])).strip(PAUSES)
        if (shorter, meant) not in found(shorter):
            break
        words = shorter
    return words.strip(PAUSES)
