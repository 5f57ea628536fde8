"""Clear requests about what is remembered, and messages that only look like one."""

from __future__ import annotations

import pytest

from seal_agent.language.base import for_text
from seal_agent.language.plain import Plain


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("What do you know about me?", "known"),
        ("so what have you learned about me so far", "known"),
        ("Why do you think that?", "why"),
        ("How do you know that?", "why"),
        ("Undo that.", "undo"),
        ("no, don't remember that", "undo"),
        ("scratch that, don't save it", "undo"),
        ("Please forget what I said about the rent.", "forget"),
        ("forget my phone number", "forget"),
        ("please forget everything about my sister", "forget"),
        ("can you forget that I live in Leeds?", "forget"),
        ("Forget everything you know about me.", "forget"),
        ("Note that my parking space is 7.", "remember"),
        ("Remember that the spare key is with Mrs Hale.", "remember"),
        ("Remember that my locker is number 12.", "remember"),
        ("Please remember: bins go out on Monday.", "remember"),
        ("Don't forget that Ines is my stepdaughter.", "remember"),
        ("oh and please call me Sam", "remember"),
    ],
)
def test_a_clear_request_is_recognised(text: str, request_: str) -> None:
    assert for_text(text).request_in(text) == request_


@pytest.mark.parametrize(
    "text",
    [
        "What do you know about volcanoes?",
        "Why do you think people lie?",
        "Undo the last commit for me.",
        "Forget it.",
        "Forget about that.",
        "I always forget my keys.",
        "Don't forget the milk.",
        "Forget my last message, what is 2 + 2?",
        "Remember when we went to Rome?",
        "Remember that I told you about Rome?",
        "Call me tomorrow.",
        "Call me Later",
        "Forget about the party.",
        "Forget our plans tomorrow, it rains.",
        "Forget my password, what do I do?",
        "Remember that film we saw",
        "Note that in English 'its' has no apostrophe. Translate: Hallo",
        "Keep in mind that this is Python 3.11 code",
        "Call me Monday at nine.",
    ],
)
def test_what_only_looks_like_a_request_is_none(text: str) -> None:
    assert for_text(text).request_in(text) == ""


def test_a_language_without_rules_recognises_no_request() -> None:
    assert Plain("de").request_in("Vergiss meine Adresse.") == ""
