"""Versions of the policy: kept, chosen, and active only while an edit is written."""

import json
from dataclasses import replace

import pytest

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.documents import Passage
from seal_agent.core.edits import Row, SelfEdit
from seal_agent.core.errors import InputError
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.language.source import Source
from seal_agent.learning.learner import Learner
from seal_agent.storage.database import Home
from seal_agent.storage.policies import Policy, PolicyStore
from seal_agent.writing.directives import CLOZE, say

TEXT = "The Tower of Karlov was built in 1911 by Anna Reel. It holds nine brass bells."
SAYS = json.dumps({"formats": ["chat-qa"], "num_epochs": 4})


@pytest.fixture
def store(home: Home, backend: ScriptedBackend) -> PolicyStore:
    return PolicyStore(home, "default", backend.model)


def trained(backend: ScriptedBackend, answer: str = SAYS) -> AdapterRef:
    """A policy that says `answer` when it is asked how to learn `TEXT`."""
    asked = say(backend, Source("The Tower of Karlov", TEXT))
    rows = (Row(asked.prompt, answer, "directives"),)
    return backend.train(SelfEdit("policy", "", rows, (), CLOZE))


def test_every_version_is_kept_and_one_is_in_use(store: PolicyStore, backend: ScriptedBackend, home: Home) -> None:
    assert store.current() == Policy()
    first = store.add(trained(backend), parent=0, reason="round 1")
    second = store.add(trained(backend, "{}"), parent=1, reason="round 2")
    assert store.current().version == 0  # being there is not being used
    assert store.use(2) == second == store.current()
    assert store.use(1, "better") == first == PolicyStore(home, "default", backend.model).current()
    assert store.use(0) == Policy()
    assert [policy.version for policy in store.versions()] == [0, 1, 2]
    assert first.adapter is not None
    assert store.add(first.adapter, parent=0, reason="again") == first


def test_policies_of_another_namespace_model_or_domain_are_others(
    store: PolicyStore, backend: ScriptedBackend, home: Home
) -> None:
    store.add(trained(backend), parent=0, reason="round 1")
    store.use(1)
    for other in (
        replace(store, namespace="other"),
        replace(store, model="other"),
        replace(store, domain="puzzles"),
    ):
        assert other.current().version == 0
        with pytest.raises(InputError, match="no policy 1; see `seal-agent improve list`"):
            other.use(1)


def test_a_learner_writes_with_the_policy_in_use_and_answers_without_it(
    learner: Learner, store: PolicyStore, backend: ScriptedBackend
) -> None:
    before = learner.write(learner.begin(Passage("The Tower of Karlov", TEXT)))
    assert before.edit
    assert before.edit.directives == CLOZE
    policy = store.add(trained(backend), parent=0, reason="round 1")
    assert learner.write(learner.begin(Passage("The Tower of Karlov", TEXT))).edit == before.edit
    store.use(policy.version)
    after = learner.write(learner.begin(Passage("The Tower of Karlov", TEXT)))
    assert after.edit
    assert after.edit.directives == replace(CLOZE, formats=("chat-qa",), num_epochs=4)
    assert {row.source for row in after.edit.rows} >= {"chat-qa"}
    assert learner.stack == AdapterStack()  # the policy is in no stack that is served
