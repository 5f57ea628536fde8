"""Relative time expressions, which depend on the day they were written: "tomorrow", "two weeks ago". English.

A sentence with such words means something else on another day. This module finds them and does not compute dates.
It ignores what stays true for a while ("now", "currently") and names such as "USA Today".

A weekday alone is a certain day in "will arrive on Friday", "broke on Friday", "is coming on Friday", "until Friday"
and "See you on Friday". In the simple present it is mostly recurring: "The market is on Friday." has the form of a
single appointment and is ignored, except for single events: "The exam is on Friday.", "Offer ends Sunday.". "In two
hours" is a point in time only with a verb of a schedule; otherwise it is a duration.
"""

from __future__ import annotations

import re

from seal_agent.language.english.mentions import is_capitalised_inside, without_mentions
from seal_agent.language.english.phrases import tagged_verbs

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
_SMALL_UNIT = re.compile(r"(?:second|minute|hour)s?$", re.IGNORECASE)
_SCHEDULED = re.compile(
    r"\b(?:will|shall|going to|starts?|begins?|leaves?|arrives?|ends?|opens?|closes?|departs?|expires?|due|back|over)\b"
    r"|['’]ll\b",
    re.IGNORECASE,
)
_LIMIT = re.compile(r"\b(?:more|less|fewer|most|least|up to|once|twice|times?)\b", re.IGNORECASE)
_SO_LONG = re.compile(
    r"\b(?:(?:has|have)\b|['’]ve\b)[^.;:]{0,60}?"
    rf"\b(?P<when>for (?:about |over |almost |nearly )?{_NUMBER} {_UNIT})\b",
    re.IGNORECASE,
)
_JUST = re.compile(r"(?<!not )(?<!only )\bjust (?P<verb>[a-z]+)", re.IGNORECASE)
_NAMED_DAY = re.compile(
    r"(?:Yesterday is|Tomorrow was|(?:Today|Tomorrow|Tonight|Yesterday)['’]s [A-Z]\w+"
    r"|(?P<word>Tonight|Today|Tomorrow) (?P=word))\b"
)
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DATED = re.compile(
    rf"\b\d{{1,2}}\.? {_MONTH},? \d{{4}}\b|\b{_MONTH} \d{{1,2}},? \d{{4}}\b"
    r"|\b\d{4}-\d\d-\d\d\b|\b\d{1,2}[./]\d{1,2}[./]\d{4}\b",
    re.IGNORECASE,
)
_OVER = re.compile(
    r"\b(?:was|were|had|did|been|could|would|can|usually|always|every|each)\b|\b\w{3,}ed\b", re.IGNORECASE
)


_DAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_WEEKDAY = re.compile(
    rf"\b(?:(?P<edge>until|till|by|since|from|as of|starting)\s|on\s|(?P<verb>(?:you|me|us|him|her|\w+(?:es|ed|ve))\s))"
    rf"{_DAY}\b(?!['’]|\s+(?:mornings|afternoons|evenings|nights)\b)",
    re.IGNORECASE,
)
_ANY_DAY = re.compile(rf"\b{_DAY}s?\b", re.IGNORECASE)
_KNOWN_DAY = re.compile(
    rf"\b(?:1\d|20)\d\d\b|\b\d{{1,2}}(?:st|nd|rd|th)?\.? {_MONTH}\b|\b{_MONTH} \d{{1,2}}\b", re.IGNORECASE
)
_HABIT = re.compile(
    r"\b(?:always|usually|normally|generally|traditionally|regularly|often|sometimes|never|every|each|any|whenever"
    r"|used to|only)\b",
    re.IGNORECASE,
)
_EVENT = (
    r"(?:deadline|exam|test|appointment|interview|party|wedding|funeral|election|final|birthday|delivery|trip|flight)"
)
_DAY_OF_EVENT = re.compile(
    rf"\b(?:{_EVENT}(?:['’]s|\s+(?:is|are))|(?:ends?|starts?|begins?|closes|due|expires?))\s+"
    rf"(?P<when>(?:on\s+)?(?:{_DAY}\b(?!['’]|\s+(?:mornings|afternoons|evenings|nights)\b)"
    r"|the \d{1,2}(?:st|nd|rd|th)\b(?! of)))",
    re.IGNORECASE,
)
_WILL = re.compile(r"\b(?:will|won['’]t|shall|going to)\b|['’]ll\b", re.IGNORECASE)
_PROGRESSIVE = re.compile(r"(?:\b(?:is|are|am)|['’](?:s|re|m))\s+(?:(?:not|also|all)\s+)?\w{2,}ing\b", re.IGNORECASE)
_MEETING = re.compile(r"\W*(?:\w+ (?:me|us|you)\b|let['’]?s\b|let us\b)", re.IGNORECASE)
_PAST = frozenset({"VBD", "VBN"})
_PRESENT = frozenset("is are am has have be been do does can may must".split())
_WAS = frozenset("was were had did".split())
_NAMING = frozenset("named called".split())


def relative_time(sentence: str) -> str:
    """The first relative time expression in `sentence`; "" if there is none, or if the sentence has a full date.

    "In two weeks" is a duration, and ignored, in "it was built in two weeks".
    """
    if _DATED.search(sentence):
        return ""
    sentence = without_mentions(sentence)
    if _NAMED_DAY.match(sentence):
        return ""
    for found in _RELATIVE.finditer(sentence):
        _, _, unit = found[0].partition(" ")  # the name in "Last Week Tonight"
        is_title = unit[:1].isupper() and unit[1:].islower() and not re.fullmatch(_NAMED, unit, re.IGNORECASE)
        is_name = is_capitalised_inside(sentence, found.start()) or is_title
        if _ANY_DAY.match(found[0]) or not is_name:
            return found[0]
    if so_long := _SO_LONG.search(sentence):
        return so_long["when"]
    just = _JUST.search(sentence)
    if just and any(word == just["verb"] and tag in _PAST for _, word, tag in tagged_verbs(sentence)):
        return just[0]
    ahead = _AHEAD.search(sentence)
    return ahead[0] if ahead and _is_point(sentence, ahead) else _certain_day(sentence)


def _is_point(sentence: str, ahead: re.Match[str]) -> bool:
    """Whether "in two hours" is a point in time ("The bus leaves ...") and no duration ("It dries in two hours.")."""
    if _OVER.search(sentence) or _LIMIT.search(sentence, 0, ahead.start()):
        return False
    return not _SMALL_UNIT.search(ahead[0]) or bool(_SCHEDULED.search(sentence) or _PROGRESSIVE.search(sentence))


def _certain_day(sentence: str) -> str:
    """The weekday in `sentence` that is one certain day, with its preposition; "" if it may recur every week."""
    found = _WEEKDAY.search(sentence)
    if (event := _DAY_OF_EVENT.search(sentence)) and not (_KNOWN_DAY.search(sentence) or _HABIT.search(sentence)):
        return event["when"] if len(_ANY_DAY.findall(sentence)) < 2 else ""
    if not found or _KNOWN_DAY.search(sentence) or _HABIT.search(sentence):
        return ""
    day = found[0].removeprefix(found["verb"] or "")
    if found["edge"]:
        is_name = found["edge"].lower() == "by" and sentence[found.end() :][1:2].isupper()  # "by Sunday Oliseh"
        return "" if is_name or len(_ANY_DAY.findall(sentence)) > 1 else day  # a range: "from Monday to Friday"
    if (found["verb"] or "").strip().lower() in _NAMING:
        return ""  # a name: "a man called Friday"
    is_certain = _WILL.search(sentence) or _MEETING.match(sentence) or _is_event(sentence, found.end() - len(day))
    return day if is_certain else ""


def _is_event(sentence: str, place: int) -> bool:
    """Whether the verb next to `place` describes an event: "broke", "was sold", "are coming"."""
    verbs = tagged_verbs(sentence)
    before = [verb for verb in verbs if verb[0] < place]
    *others, (_, word, tag) = before or verbs[:1] or [(0, "", "")]
    auxiliary = others[-1][1].lower() if others else ""
    if _PROGRESSIVE.search(sentence):
        return True
    return word.lower() in _WAS or (tag in _PAST and auxiliary not in _PRESENT)
