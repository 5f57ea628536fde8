"""Judgements of the base model: the test that a model must pass, by order and not by a threshold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.episodes import Score
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.deciding.judgements import (
    CHANGES,
    MAX_CHARS,
    NOTEWORTHY,
    PERSONAL,
    REPEATS,
    can_judge,
    margins,
)
from seal_agent.deciding.own_classifier import OwnClassifier


class Judge(ScriptedBackend):
    """Finds the first word likelier for every message, by `more` nats for those of the test that deserve it."""

    more = 3.0

    def score(self, prompts: Sequence[Prompt], answers: Sequence[str], **options: Any) -> list[Score]:
        first = answers[0]
        deserving = [
            text for name in (PERSONAL, NOTEWORTHY) for text, word in messages_of(name) if word in ("yes", PERSONAL)
        ]
        margin = [self.more if any(text in prompt.asked for text in deserving) else 1.0 for prompt in prompts]
        return [Score(m if answer == first else 0.0, 1) for m, answer in zip(margin, answers, strict=True)]

    def with_stack(self, stack: AdapterStack) -> Any:
        return self


class Recording(Judge):
    """Keeps what it was asked."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.seen: list[str] = []

    def score(self, prompts: Sequence[Prompt], answers: Sequence[str], **options: Any) -> list[Score]:
        self.seen.extend(prompt.asked for prompt in prompts)
        return super().score(prompts, answers, **options)


def messages_of(name: str) -> list[tuple[str, str]]:
    file = resources.files("seal_agent").joinpath("data", f"{name}.json")
    return [(text, word) for text, word in json.loads(file.read_text(encoding="utf-8"))["test"]]


@pytest.mark.parametrize("judgement", [PERSONAL, NOTEWORTHY])
@pytest.mark.parametrize(("more", "passed"), [(3.0, True), (1.0, False), (0.5, False)])
def test_a_model_that_orders_messages_rightly_passes_wherever_its_zero_lies(
    tmp_path: Path, judgement: str, more: float, passed: bool
) -> None:
    backend = Judge(tmp_path, model="another")
    backend.more = more
    assert min(margins(backend, judgement, [(text,) for text, _ in messages_of(judgement)])) > 0
    assert can_judge(backend, judgement, tmp_path / "heads") is passed


def test_braces_and_quotes_in_a_message_are_shown_as_they_are(tmp_path: Path) -> None:
    backend = Recording(tmp_path)
    [margin] = margins(backend, NOTEWORTHY, [('my {key} is "here"',)])
    assert (margin, bool(backend.seen)) == (1.0, True)
    assert all('my {key} is "here"' in each for each in backend.seen)


@pytest.mark.parametrize("judgement", [CHANGES, REPEATS])
def test_two_messages_are_compared(tmp_path: Path, judgement: str) -> None:
    backend = Recording(tmp_path)
    margins(backend, judgement, [("The bakery opens at 7", "x" * 2 * MAX_CHARS)])
    assert backend.seen
    assert all("The bakery opens at 7" in each and "x" * MAX_CHARS in each for each in backend.seen)
    assert not any("x" * (MAX_CHARS + 1) in each for each in backend.seen)


def test_a_case_is_judged_once_until_something_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = OwnClassifier(Judge(tmp_path), tmp_path)
    cases = [("The bakery opens at 7", "It is closed."), ("The bakery opens at 7", "It has bread.")]
    first = own.margins(CHANGES, [*cases, cases[0]])
    monkeypatch.setattr(Judge, "score", None)
    assert own.margins(CHANGES, cases[::-1]) == [first[1], first[0]]
    own.clear()
    with pytest.raises(TypeError):
        own.margins(CHANGES, cases)
