"""Naming kinds of messages, and deciding by them while a classifier is fitted in the background."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.messages import Generated, Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.deciding import classifier, decide, kinds
from seal_agent.deciding.classifier import Head
from seal_agent.deciding.decide import NOT_WORTH, WORTH
from seal_agent.deciding.kinds import ASKING, FORGET, TELLING, can_name_kinds
from seal_agent.deciding.own_classifier import OwnClassifier

TOLD = "My cousin Tarek runs a bakery in Jena."


@pytest.fixture
def backend(tmp_path: Path) -> ScriptedBackend:
    return ScriptedBackend(tmp_path)


def head_with_margin(backend: ScriptedBackend, margin: float) -> Head:
    head = classifier.load(backend, Path("unused"))
    score = float(head.scores(classifier.features_of(classifier.read(backend, [TOLD], [""])))[0])
    return replace(head, threshold=score - margin)


@pytest.mark.parametrize(
    ("margin", "judged", "learns"),
    [
        (-0.1, None, False),
        (0.1, None, True),
        (-0.5, 1.5, True),
        (-0.5, 0.5, False),
        (0.5, -1.0, False),
        (0.5, 0.0, True),
    ],
)
def test_the_word_of_the_model_counts_beside_the_classifier(
    backend: ScriptedBackend, margin: float, judged: float | None, learns: bool
) -> None:
    assert decide.decide(backend, head_with_margin(backend, margin), TOLD, judged=judged).learn is learns


@pytest.mark.parametrize(("judged", "reason"), [(1.5, WORTH), (0.5, NOT_WORTH)])
def test_without_a_classifier_the_word_of_the_model_must_be_clear(
    backend: ScriptedBackend, judged: float, reason: str
) -> None:
    assert decide.decide(backend, None, TOLD, judged=judged).reason == reason


def test_a_request_to_forget_is_not_learned(backend: ScriptedBackend) -> None:
    assert not decide.decide(backend, head_with_margin(backend, 2.0), TOLD, kind=FORGET, judged=3.0).learn


def test_a_message_after_nothing_is_shown_alone() -> None:
    assert kinds.shown("Yes", " \n") == "Yes"


def test_the_kinds_that_decide_are_among_those_that_the_model_may_name() -> None:
    data = json.loads(Path(decide.__file__).parents[1].joinpath("data", "kinds.json").read_text(encoding="utf-8"))
    assert TELLING | ASKING | {FORGET} <= set(data["kinds"])
    assert {kind for _, kind in data["examples"]} <= set(data["kinds"])


def test_the_test_in_naming_kinds_is_taken_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = ScriptedBackend(tmp_path, model="another")
    assert not can_name_kinds(other, tmp_path / "heads")
    monkeypatch.setattr(ScriptedBackend, "generate", None)
    assert not can_name_kinds(ScriptedBackend(tmp_path, model="another"), tmp_path / "heads")
    assert not can_name_kinds(ScriptedBackend(tmp_path), tmp_path / "heads")  # ships with the package


def test_a_classifier_is_fitted_in_the_background_if_the_model_judges_by_itself(
    tmp_path: Path, home_turns: None
) -> None:
    other = ScriptedBackend(tmp_path, model="another")
    name = classifier.file_name("another").removesuffix(".npz")
    (tmp_path / "heads").mkdir()
    (tmp_path / "heads" / f"{name}-noteworthy.json").write_text('{"passed": true}')
    own = OwnClassifier(other, tmp_path / "heads")
    assert own.head() is None
    fitted = own.head(may_wait=True)
    assert fitted is not None
    assert own.head() is fitted
    assert OwnClassifier(other, tmp_path / "heads").head() is not None


class Appointments(ScriptedBackend):
    """Takes every message for an appointment."""

    def generate(self, prompts: Sequence[Prompt], **options: Any) -> list[list[Generated]]:
        return [[Generated("appointment")] for _ in prompts]

    def with_stack(self, stack: AdapterStack) -> ScriptedBackend:
        return self


@pytest.mark.parametrize(
    ("text", "tells"), [("The review is at noon.", True), ("What time is the review?", False), ("会议几点？", False)]
)
def test_a_message_with_a_question_mark_asks_whatever_it_is_taken_for(tmp_path: Path, text: str, tells: bool) -> None:
    name = classifier.file_name("another").removesuffix(".npz")
    (tmp_path / "heads").mkdir()
    (tmp_path / "heads" / f"{name}-kinds.json").write_text('{"passed": true}')
    own = OwnClassifier(Appointments(tmp_path, model="another"), tmp_path / "heads")
    assert own.tells(text) is tells
