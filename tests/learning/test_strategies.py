"""How a stack grows, and what is tried for an edit that forgets: pure functions of stacks."""

import pytest

from seal_agent.core.errors import InputError
from seal_agent.core.stacks import AdapterRef, AdapterStack, StackEntry
from seal_agent.learning.config import LearnerConfig
from seal_agent.learning.remedies import next_remedy, parse_remedies, with_entry_changed
from seal_agent.learning.strategies import STRATEGIES, Rebuild, strategy


def ref(name: str) -> AdapterRef:
    return AdapterRef(name, f"/nowhere/{name}", "scripted", 4)


def grown(name: str, *edits: str) -> AdapterStack:
    stack = AdapterStack()
    for edit in edits:
        stack = strategy(name).pushed(stack, ref(edit), 0.8)
    return stack


def test_a_routed_adapter_is_trained_on_what_is_always_active_and_a_stacked_one_on_all() -> None:
    routed, stacked = grown("route", "a", "b"), grown("stack", "a", "b")
    assert [entry.is_routed for entry in routed.entries] == [True, True]
    assert strategy("route").parent(routed) == AdapterStack()
    assert strategy("route").parent(AdapterStack().push(ref("x")).push(ref("a"), is_routed=True)).ids == ("x",)
    assert strategy("stack").parent(stacked) == stacked
    assert [entry.weight for entry in stacked.entries] == [0.8, 0.8]


def test_who_wants_to_consolidate_and_when() -> None:
    assert [strategy(name).consolidation(grown(name, "a")) for name in STRATEGIES] == ["", "", "", ""]
    assert [
        strategy(name).consolidation(grown(name, *"abcdefgh")) for name in ("stack", "route", "merge", "rebuild")
    ] == [
        "",
        "",
        "fold",
        "refit",
    ]
    since = AdapterStack((StackEntry(ref("all"), consolidates=tuple("abcdefgh")),)).push(ref("i"))
    assert Rebuild(every=2).consolidation(since) == ""
    assert Rebuild(every=2).consolidation(since.push(ref("j"))) == "refit"


def test_an_unknown_strategy_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="choose stack, route, merge, rebuild"):
        strategy("pile")


def test_every_remedy_is_tried_once_in_its_order() -> None:
    remedies = parse_remedies(("scale 0.7", "scale 0.5", "repair", "route"))
    tried: list[str] = []
    while remedy := next_remedy(remedies, tried, is_routed=False):
        tried.append(remedy.name)
    assert tried == ["scale 0.7", "scale 0.5", "repair", "route"]
    assert next_remedy(remedies, tried[:3], is_routed=True) is None


def test_a_former_name_of_a_setting_is_taken_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="'ladder' is now 'remedies'"):
        config = LearnerConfig(ladder=("repair",))  # type: ignore[call-arg]
    assert config == LearnerConfig(remedies=("repair",))


@pytest.mark.parametrize("name", ["scale", "scale x", "scale 0", "scale 1.5", "repair 2", "pray"])
def test_a_remedy_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="there is no remedy"):
        parse_remedies((name,))


def test_a_layer_is_served_with_another_weight_or_route_and_keeps_what_it_stands_for() -> None:
    stack = with_entry_changed(AdapterStack().push(ref("a")).push(ref("b")), ref("b"), consolidates=("old",))
    scaled = with_entry_changed(stack, ref("b"), weight=0.5, is_routed=True)
    assert scaled.entries == (StackEntry(ref("a")), StackEntry(ref("b"), 0.5, True, ("old",)))
    assert scaled.learned == ("a", "b", "old")
