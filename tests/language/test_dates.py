"""Words for days, resolved by the day of the text."""

from __future__ import annotations

import pytest

from seal_agent.language.dates import relative_dates


@pytest.mark.parametrize(
    ("text", "said_on", "days"),
    [
        ("The dentist is tomorrow at twenty to four.", "2026-03-02", ["2026-03-03"]),
        ("The review is next Tuesday at noon.", "2026-03-03", ["2026-03-10"]),
        ("Ich muss übermorgen zum Betriebsarzt, um 10:45 Uhr.", "2026-11-10", ["2026-11-12"]),
        ("The parents' evening is in two weeks.", "2026-03-05", ["2026-03-19"]),
        ("I live in Ghent.", "2026-03-02", []),
        ("Die Station führt jetzt Frau Petersen.", "2026-11-13", []),
        ("We meet today.", "2026-03-02", []),
        ("It was built in 1911.", "2026-03-02", []),
        ("friday is takeaway night", "2026-03-06", []),
        ("We meet tomorrow.", "", []),
        ("My dog was ill for 3 days.", "2026-03-03", []),
        ("I sleep 7 hours a day.", "2026-03-03", []),
    ],
)
def test_a_word_for_a_day_is_resolved_and_other_words_are_not(text: str, said_on: str, days: list[str]) -> None:
    assert [day for _, day in relative_dates(text, said_on)] == days


def test_the_words_for_a_day_hold_nothing_of_the_clause_before() -> None:
    words = [words for words, _ in relative_dates("Am Montag ziehe ich um, morgen packe ich.", "2026-03-03")]
    assert words == ["Am Montag", "morgen"]
