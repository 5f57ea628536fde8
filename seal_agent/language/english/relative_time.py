"""Words that say when by counting from the day they were written: "tomorrow", "two weeks ago". English.

A sentence with such words means something else on another day. This module finds them and does not compute dates.
It leaves alone what stays true for a while ("now", "currently") and weekdays by themselves, which mostly recur.
"""

from __future__ import annotations

import re

_UNIT = r"(?:seconds?|minutes?|hours?|days?|nights?|weeks?|weekends?|fortnights?|months?|quarters?|years?|decades?)"
_PART = r"(?:morning|afternoon|evening|night|spring|summer|autumn|fall|winter|term|semester|season)"
_NAMED = (
    r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)days?|january|february|march|april|may|june|july|august|september"
    r"|october|november|december|christmas|easter)"
)
_NUMBER = (
    r"(?:\d+|an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|half an?|a few"
    r"|a couple of|several|some|many|few)"
)
_RELATIVE = re.compile(
    rf"\b(?:today|tonight|tomorrow|yesterday|recently|lately|(?<!as )soon|the other day|later on"
    rf"|right now|at the moment|just now|so far|the night before last|tmrw|tmw|yday"
    rf"|day (?:after tomorrow|before yesterday)"
    rf"|(?<!the )(?<!that )(?:this|next|last|past|coming|this coming|this past|upcoming) (?:{_UNIT}|{_PART}|{_NAMED})"
    rf"|(?:in|over|for|during|within|since) the (?:last|past|next|coming) (?:{_NUMBER} )?(?:{_UNIT}|{_PART})"
    rf"|(?:{_NUMBER} (?:more )?{_UNIT}|a while|a moment) (?:ago|from now|from today|hence)"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day (?:week|fortnight)"
    rf"|(?:later|earlier) (?:today|this {_UNIT}))\b",
    re.IGNORECASE,
)
_AHEAD = re.compile(rf"\bin (?:about |around |exactly |less than )?{_NUMBER} {_UNIT}\b", re.IGNORECASE)
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DATED = re.compile(
    rf"\b\d{{1,2}}\.? {_MONTH},? \d{{4}}\b|\b{_MONTH} \d{{1,2}},? \d{{4}}\b"
    r"|\b\d{4}-\d\d-\d\d\b|\b\d{1,2}[./]\d{1,2}[./]\d{4}\b",
    re.IGNORECASE,
)
_OVER = re.compile(
    r"\b(?:was|were|had|did|been|could|would|can|usually|always|every|each)\b|\b\w{3,}ed\b", re.IGNORECASE
)


def relative_time(sentence: str) -> str:
    """The first words of `sentence` that count from the day it was written; "" where there are none, or a full date.

    "In two weeks" does not count from that day where it says how long something took: "it was built in two weeks".
    """
    if _DATED.search(sentence):
        return ""
    if found := _RELATIVE.search(sentence):
        return found[0]
    ahead = _AHEAD.search(sentence)
    return ahead[0] if ahead and not _OVER.search(sentence) else ""
