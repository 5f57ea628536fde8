"""Clear requests about what is remembered: to forget, to remember, to undo, and to say what is known and why.

Only forms that mean nothing else are recognised; any other message is answered as a message. Of a request to remember
the beginning is read, of the others the whole message.
"""

from __future__ import annotations

import re

from seal_agent.language.values import UserRequest

_OPENING = (
    r"(?:(?:please|pls|ok|okay|oh|hey|hi|so|and|but|now|no|wait|actually|well|just|you can|can you|could you|would you)"
    r"[,.! ]+)*"
)
_CLOSING = r"(?:[, ]+(?:please|pls|then|now|thanks|thank you|so far|again|by the way))*[.!? ]*"
_LEARNED = r"(?:know|remember|learned|learnt|remembered|stored|saved|noted|have stored|have learned|have remembered)"
_THIS = r"(?:that|this|so|it)"
_SAID = (
    r"(?:(?:what )?(?:I|we)(?:['’]ve| have)? (?:just )?(?:said|told|mentioned|wrote|shared) "
    r"|that (?:I|we)(?:['’](?:m|ve|re))? )"
)
_ALL = r"(?:everything|all|anything)(?: that)?(?: you (?:know|remember|have learned))?"
_MINE = r"(?:that )?(?:my|our) (?!last |earlier |previous )[^,;:?!.]{1,40}"  # "forget my phone number"

_WHOLE: dict[UserRequest, str] = {
    "known": (
        rf"what (?:all |else )?(?:do|did|have) you {_LEARNED} about me"
        r"|what (?:have I told|did I tell) you about (?:me|myself)"
        rf"|(?:list|show me|tell me) (?:everything|all|what) (?:that )?you (?:have )?{_LEARNED} about me"
    ),
    "why": (
        rf"why (?:do|did|would) you (?:think|say|believe|know|assume) {_THIS}"
        rf"|how (?:do|did|would|can) you know {_THIS}"
        rf"|where (?:do|did) you (?:get|have|know) {_THIS} from"
        rf"|(?:who told you|what makes you (?:think|say|believe)) {_THIS}"
    ),
    "undo": (
        r"(?:scratch that[,.;]? )?(?:undo (?:that|this|it|the last (?:one|thing)(?: you learn(?:ed|t))?)"
        r"|(?:don['’]?t|do not) (?:remember|save|keep|store|learn|memorize|memorise) (?:that|this|it)"
        r"|take back what you (?:just |last )?learn(?:ed|t))"
    ),
    "forget": (
        rf"forget (?:{_SAID}|{_ALL} (?:{_SAID}|about (?!it\b|that\b|this\b)))\S.*|forget {_MINE}"
        r"|(?:delete|erase|unlearn) (?:(?:everything|all|anything) (?:about|that I|I)|what (?:I|you)) \S.*"
    ),
}
_OWN = r"(?:my|our|I|we|I['’](?:m|ve))\b"
_STATED = rf"(?:{_OWN}|that (?:the|an?|his|her|their|he|she|it|they|there|you|(?-i:[A-Z]\w*)|{_OWN})\b)"
_BEGINNING = (
    rf"remember(?:(?: \w+){{0,3}}:|(?: this| that)?,? {_STATED})"
    rf"|(?:note|keep in mind)(?: that|:)? {_OWN}|(?:don['’]?t|do not|never) forget {_STATED}"
)
_RULES = [(request, re.compile(f"{_OPENING}(?:{form}){_CLOSING}", re.IGNORECASE)) for request, form in _WHOLE.items()]
_REMEMBER = re.compile(f"{_OPENING}(?:{_BEGINNING})", re.IGNORECASE)
_NO_NAME = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|I|Later|Back|Soon|Tomorrow|Tonight"
_CALL_ME = re.compile(rf"(?i:{_OPENING}call me )(?!(?:{_NO_NAME})\b)[A-Z][\w'’-]+")


def request_in(text: str) -> UserRequest:
    """The request about what is remembered that `text` clearly is; "" for any other text."""
    said = " ".join(text.split())
    for request, rule in _RULES:
        if rule.fullmatch(said):
            return request
    is_wish = _CALL_ME.match(said) or (_REMEMBER.match(said) and not said.endswith("?"))
    return "remember" if is_wish else ""
