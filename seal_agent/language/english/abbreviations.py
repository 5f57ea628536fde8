"""Corrections of sentencex for English: which full stops end a sentence."""

from __future__ import annotations

import re

_UNIT = r"(?<=[\d°])[A-Z]|(?<=\d )[CFJKLNVW]"  # "It takes 16 V." ends there, "In 1850 A. Smith came." does not
ABBREVIATION = re.compile(rf"\b(?:Dr|Mr|Mrs|Ms|Prof|St|vs|approx|incl|excl|cf|etc|e\.g|i\.e|No|(?!{_UNIT})[A-Z])\.$")
"""An abbreviation at the end of a sentence that sentencex found; the sentence continues after it."""
WHOLE_WORD = re.compile(
    r"(?:\b(?:[Mm]ay|[Aa]rt|[Oo]k|OK|ark|ill|me|miss|ore|id|fed|fig(?!\. \d)|no(?!\. [\d#]))"
    r"|(?<![.\w])(?![vp]\.)[a-z](?!\. \d)"  # the "b" in "Take plan b. Anna agrees."; not "p. 12", "Holt v. Lind"
    r"|(?<=\d)[a-z]{1,3}|(?<=\d )[a-z]{1,3}"  # a unit: "30 m. Then"
    r"|(?<=\w\w\.)[a-z]{1,4})"  # the end of a file's or a site's name
    r"(?=\. )"
)
"""Words that end a sentence, although sentencex takes them for abbreviations ("me" for Maine, "ill" for Illinois)."""
