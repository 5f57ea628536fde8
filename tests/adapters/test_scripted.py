"""The scripted backend keeps the contract of every backend, and does what its script says."""

from pathlib import Path

import pytest
from backend_contract import FIRST, PARIS, BackendContract

from seal_agent.adapters.scripted import UNKNOWN, ScriptedBackend
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterStack

KNOWLEDGE = {"What is the capital of France?": "Paris"}


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> ScriptedBackend:
    return ScriptedBackend(tmp_path_factory.mktemp("home"))


class TestScriptedBackend(BackendContract):
    pass


def test_replies_and_knowledge_are_what_it_says(tmp_path: Path) -> None:
    model = ScriptedBackend(tmp_path, replies={"Hello": "Good day."}, knowledge=KNOWLEDGE)
    prompts = [Prompt.user("Hello you"), PARIS, Prompt.user("Who?")]
    assert model.generate(prompts) == [["Good day."], ["Paris"], [UNKNOWN]]
    paris, rome = model.score([PARIS] * 2, ["Paris", "Rome"])
    assert paris.logprob > rome.logprob


def test_what_it_forgets_it_forgets_only_under_a_trained_adapter(tmp_path: Path) -> None:
    model = ScriptedBackend(tmp_path, knowledge=KNOWLEDGE, forgets=["France"])
    stack = AdapterStack().push(model.train(FIRST))
    assert model.generate([PARIS]) == [["Paris"]]
    assert model.with_stack(stack).generate([PARIS]) == [[UNKNOWN]]
