"""What an earlier version stored or a user wrote under a former name is read under today's."""

import dataclasses

import pytest

from seal_agent.core.codec import from_json, to_json
from seal_agent.core.edits import Directives
from seal_agent.core.episodes import Episode
from seal_agent.core.stacks import AdapterRef, AdapterStack, StackEntry
from seal_agent.policy.selection import Choice, Estimate
from seal_agent.writing.directives import parse_directives

ENTRY = {"ref": {"id": "ab" * 32, "path": "/x", "model": "scripted", "rank": 8}, "stands_for": ["cd"]}


def test_an_episode_of_an_earlier_version_is_read() -> None:
    stored = {
        "namespace": "n",
        "text": "t",
        "outcome": "rolled back",
        "parent": {"layers": [ENTRY]},
        "replaces": ["ef"],
        "tried": ["repair"],
        "life": "1",
        "edit": {
            "topic": "",
            "passage": "",
            "rows": [],
            "probes": [],
            "directives": {"tools": ["title"], "replay": 0.5},
        },
        "verdict": {"outcome": "rollback", "reason": "", "gain": 0.0},
    }
    episode = from_json(Episode, stored)
    assert episode.edit
    assert episode.verdict
    directives = Directives(augmentations=("title",), rehearsal_share=0.5)
    assert (episode.outcome, episode.verdict.outcome) == ("rejected", "reject")
    assert (episode.namespace_generation, episode.edit.directives) == ("1", directives)
    assert episode.parent == AdapterStack(
        (StackEntry(AdapterRef("ab" * 32, "/x", "scripted", 8), consolidates=("cd",)),)
    )
    assert from_json(Episode, to_json(episode)) == episode


def test_a_choice_of_an_earlier_run_is_read() -> None:
    stored = {"best": [0], "estimate": {"gain": 1.0, "error": 0.5}, "measured": 2.0, "is_accepted": True}
    assert from_json(Choice, stored) == Choice((0,), Estimate(1.0, 0.5), 2.0, is_accepted=True)


@pytest.mark.parametrize("key", ["tools", "augmentations"])
def test_directives_name_their_augmentations_by_either_key(key: str) -> None:
    assert parse_directives(f'{{"{key}": ["title"]}}').augmentations == ("title",)


@pytest.mark.parametrize(
    ("kind", "former", "today"),
    [
        (AdapterStack, {"layers": ()}, {}),
        (Directives, {"tools": ("title",)}, {"augmentations": ("title",)}),
        (
            Episode,
            {"namespace": "n", "text": "t", "life": "1"},
            {"namespace": "n", "text": "t", "namespace_generation": "1"},
        ),
    ],
)
def test_a_former_argument_is_taken_with_a_warning(kind: type, former: dict, today: dict) -> None:
    with pytest.warns(DeprecationWarning, match="is now"):
        assert kind(**former) == kind(**today)
    assert dataclasses.is_dataclass(kind)
