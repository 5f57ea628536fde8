"""Unlearning on the real model: what it said about the facts before it was told them is what it says afterwards."""

from pathlib import Path

import pytest
from test_loop import FACTS, QUESTIONS

from seal_agent import loop
from seal_agent.adapters.huggingface import TransformersBackend
from seal_agent.home import Home
from seal_agent.learner import Learner
from seal_agent.passages import Passage
from seal_agent.types import Message

pytestmark = pytest.mark.integration


def answers(learner: Learner) -> list[str]:
    return learner.answer([[Message("user", question)] for question in QUESTIONS], max_new_tokens=16)


def test_a_forgotten_edit_answers_and_scores_as_if_it_had_never_been_told(
    real_backend: TransformersBackend, tmp_path: Path
) -> None:
    learner = Learner(real_backend, Home(tmp_path))
    before, nll = answers(learner), learner.nll(list(QUESTIONS), list(QUESTIONS.values()))
    done = loop.run(learner, learner.begin(Passage("Amber Lighthouse", FACTS)))
    assert done.outcome == "accepted"
    assert answers(learner) != before
    forgotten = learner.forget(edit=done.adapter.id if done.adapter else "")
    check = forgotten.check
    assert (check.is_gone, check.after) == (True, check.base)
    assert check.before < check.base - 1
    assert answers(learner) == before
    assert learner.nll(list(QUESTIONS), list(QUESTIONS.values())) == nll
    assert done.adapter
    assert not Path(done.adapter.path).exists()
    assert b"Fransk" not in (tmp_path / "state.sqlite").read_bytes()
