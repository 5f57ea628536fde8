"""What phrase of a new text may stand in the place of a learned one, and what only looks like it. No model."""

import time

import pytest

from seal_agent.core.edits import Probe
from seal_agent.core.messages import Prompt
from seal_agent.language.english.contradictions import candidate_answers, denies, watched_facts
from seal_agent.language.source import Source


def found(old: str, new: str, *, topic: str = "", earlier: str = "") -> set[tuple[str, str]]:
    source = Source(topic, new, earlier)
    facts = watched_facts(Probe(Prompt.user("?"), old, "edit"))
    return {(fact.answer, rival.answer) for fact in facts for rival in candidate_answers(fact, source)}


@pytest.mark.parametrize(
    ("old", "new", "pair"),
    [
        ("Our standup is at 9:30 every day.", "Our standup moved to 10:15.", ("9:30", "10:15")),
        ("My sister Ottilie lives in Graz.", "My sister Ottilie lives in Linz now, not in Graz.", ("Graz", "Linz")),
        ("My sister Ottilie lives in Graz.", "My sister Ottilie moved to Linz.", ("Graz", "Linz")),
        ("The team meeting is on Thursday.", "The team meeting is on Friday.", ("Thursday", "Friday")),
        ("My flight leaves at 7:20.", "My flight leaves at 8:05 instead of 7:20.", ("7:20", "8:05")),
        ("My cat is called Pixel.", "Correction: my cat is called Trixel.", ("Pixel", "Trixel")),
        ("The rent for my flat is 840 euros.", "The rent for my flat is 910 euros now.", ("840 euros", "910 euros")),
        ("Marta Duarte is the project lead.", "Jonas Weil is the project lead.", ("Marta Duarte", "Jonas Weil")),
        ("I work at Brandner Optics.", "I no longer work at Brandner Optics, I work at Halden Glass now.",
         ("Brandner Optics", "Halden Glass")),
    ],
)  # fmt: skip
def test_another_phrase_in_the_place_of_the_old_one_is_a_rival(old: str, new: str, pair: tuple[str, str]) -> None:
    assert pair in found(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Our standup is at 9:30 every day.", "Our retro is at 14:00 on Fridays."),  # another thing
        ("My sister Ottilie lives in Graz.", "My sister Ottilie works in Leoben."),  # another relation
        ("My flight to Oslo leaves at 7:20.", "My flight to Oslo lands at 9:10."),
        ("My daughter Enna is 6 years old.", "My son Tilo is 9 years old."),
        ("The Tower 10 was built in 1910.", "The Tower 11 was built in 1911."),
        ("The inn holds brass bells.", "The mill holds brass bells."),  # both may
        ("The meeting is on Thursday.", "The meeting is on Thursday, not on Friday."),  # the same
        ("The meeting is on Thursday.", "The meeting is in the blue room."),  # what stands there is no day
        ("The steam engine was an improvement.", "It used hot steam, which increased the power of the engine."),
        ("It is one of the richest countries.", "Pella is one of the tribal warlords now."),
    ],
)
def test_another_fact_has_no_rival(old: str, new: str) -> None:
    assert found(old, new) == set()


def test_what_a_message_leaves_out_was_said_before_it() -> None:
    earlier = "User: When does the Lund meeting take place?\nAssistant: On Thursday.\n"
    old = "The Lund meeting takes place on Thursday."
    assert found(old, "No, Friday.", earlier=earlier) == {("Thursday", "Friday")}
    assert found(old, "My dentist sees me on Friday.", earlier=earlier) == set()
    assert found(old, "No, Friday.") == set()


def test_a_long_sentence_is_taken_apart_at_once() -> None:
    """It had taken time that doubled with every letter between "the" and a bracket, a number or a comma."""
    begun = time.perf_counter()
    sentence = f"In the big {'wonderfully old ' * 20}tower (4 floors) there are nine brass bells."
    assert watched_facts(Probe(Prompt.user("What do you know?"), sentence))
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize(
    ("sentence", "earlier"),
    [
        ("I am not a vegetarian any more.", "You are a vegetarian."),
        (
            "I hate Chinese food now and I am not a vegetarian any more.",
            "You love Chinese food and you are a vegetarian.",
        ),
        ("Petra Holm does not run the library.", "Petra Holm runs the library."),
        ("I eat meat.", "You don't eat meat."),
    ],
)
def test_a_sentence_denies_what_was_said_of_the_same(sentence: str, earlier: str) -> None:
    assert denies(sentence, earlier)


@pytest.mark.parametrize(
    ("sentence", "earlier"),
    [
        ("I am a vegetarian.", "You are a vegetarian."),  # the same
        ("My brother is not a vegetarian.", "You are a vegetarian."),  # somebody else
        ("Otto Lang does not run the library.", "Petra Holm runs the library."),
        ("I do not own a car.", "You are a vegetarian."),
        ("Maybe I am not a vegetarian any more.", "You are a vegetarian."),
    ],
)
def test_a_sentence_of_another_thing_denies_nothing(sentence: str, earlier: str) -> None:
    assert not denies(sentence, earlier)


def test_a_sentence_that_points_back_is_corrected_by_no_phrase() -> None:
    learned = "The Tower of Karlov was built in 1911 by Anna Reel. It holds nine brass bells."
    assert watched_facts(Probe(Prompt.user("It holds what?"), learned)) == []
    assert found(learned, "The Tower of Karlov is tall. It has 9 red towers in fog.") == set()
