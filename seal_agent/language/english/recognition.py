"""Words that identify a short text as English, even if the detector is misled by names in it."""

from __future__ import annotations

import re

MIN_SHARE = 1 / 16  # least share of such words in an English text
_ONLY_ENGLISH = re.compile(
    r"(?:^|[.!?:] )(?:The|My|Your|Our|Their|His|This|That|These|It|It['’]s|They|She|You|What|Where|When|Which|Who|How"
    r"|Why|There|Please|Here['’]s|We['’]re|We (?:moved|live|have|are|had|will|can)|Don['’]t|Let['’]s)\b"
    r"|\b(?:the|and|my|your|his|their|this|with|from|would|should|could|been|were|they|she|which|who|where"
    r"|when|because|you|what|how|does|isn['’]t|wasn['’]t|don['’]t|doesn['’]t|didn['’]t|can['’]t|won['’]t|there['’]s"
    r"|it['’]s|that['’]s|not|now|year|years|old|ready|dont|cant|ive|thats|saw|visit|visited|up|of the|is an?)\b"
    r"|\bI(?:['’](?:m|ve|ll|d)| (?:am|was|have|had|can|will|would|do|don['’]t|did|didn['’]t|love|like|live|work|want"
    r"|need|hate|prefer|take|use|speak|think|know|moved|went|got|bought|play|eat|drink|drive|study))\b"
)
"""Common English words that are rare in other languages with Latin letters; so not "in", "is", "so"."""


def reads_as_english(text: str) -> bool:
    """Whether `text` has enough words that are specific to English: one in 16, at least one.

    Words capitalised inside a sentence are names and do not count: "Die Band heißt The Cure" has none.
    """
    return len(_ONLY_ENGLISH.findall(text)) >= max(MIN_SHARE * len(text.split()), 1)
