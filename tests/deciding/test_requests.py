"""Requests about what is remembered: named by rules or by a model that passes the test, and never learned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.episodes import ASKS_ABOUT_MEMORY, ASKS_TO_FORGET, ASKS_TO_UNDO
from seal_agent.core.messages import Generated, Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.deciding import classifier, decide
from seal_agent.deciding.decide import WORTH
from seal_agent.deciding.own_classifier import OwnClassifier
from seal_agent.deciding.requests import can_tell_requests

DELETE = "Lösch bitte, was du über Ines weißt."
LOOKS_LIKE_IT = "I forgot my keys"


class Orders(ScriptedBackend):
    """Names every message a request to forget, and confirms that of `DELETE` only."""

    def generate(self, prompts: Sequence[Prompt], **options: Any) -> list[list[Generated]]:
        is_confirming = '"other"' in options["grammars"][0].lark
        return [[Generated("other" if is_confirming and p.asked != DELETE else "forget")] for p in prompts]

    def with_stack(self, stack: AdapterStack) -> ScriptedBackend:
        return self


def own_classifier(folder: Path, *, passes: bool = True) -> OwnClassifier:
    (folder / "heads").mkdir()
    name = classifier.file_name("another").removesuffix(".npz")
    (folder / "heads" / f"{name}-kinds.json").write_text('{"passed": true}')
    (folder / "heads" / f"{name}-requests.json").write_text(f'{{"passed": {str(passes).lower()}}}')
    return OwnClassifier(Orders(folder, model="another"), folder / "heads")


@pytest.mark.parametrize(("text", "request_"), [(DELETE, "forget"), (LOOKS_LIKE_IT, "")])
def test_a_kind_is_a_request_only_if_the_model_confirms_it(tmp_path: Path, text: str, request_: str) -> None:
    own = own_classifier(tmp_path)
    assert own.request_of(text) == request_
    assert own.request_of(text, may_ask=False) == ""


def test_a_model_that_fails_the_test_names_no_request_but_clear_forms_count(tmp_path: Path) -> None:
    own = own_classifier(tmp_path, passes=False)
    assert own.request_of(DELETE) == ""
    assert own.request_of("Please forget what I said about Ines.") == "forget"
    assert not can_tell_requests(ScriptedBackend(tmp_path, model="third"), tmp_path / "heads")


@pytest.mark.parametrize(
    ("request_", "reason"),
    [("forget", ASKS_TO_FORGET), ("undo", ASKS_TO_UNDO), ("known", ASKS_ABOUT_MEMORY), ("why", ASKS_ABOUT_MEMORY)],
)
def test_a_request_itself_is_not_learned(tmp_path: Path, request_: Any, reason: str) -> None:
    made = decide.decide(ScriptedBackend(tmp_path), None, "Ines lives in Jena.", kind="fact", request=request_)
    assert (made.learn, made.reason) == (False, reason)


def test_what_the_user_asks_to_remember_is_learned_though_the_classifier_would_not(tmp_path: Path) -> None:
    backend = ScriptedBackend(tmp_path)
    text = "Remember: hello there."
    head = classifier.load(backend, Path("unused"))
    assert not decide.decide(backend, head, text).learn
    assert decide.decide(backend, head, text, request="remember").reason == WORTH
