"""The loop on the real model: small talk ignored, facts learned, known to a second process, undone exactly."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from facts import FACTS, QUESTIONS
from langgraph.checkpoint.memory import InMemorySaver

from seal_agent.adapters.huggingface import TransformersBackend
from seal_agent.core.messages import Message
from seal_agent.graphs import create_chat_graph
from seal_agent.learning.learner import Learner
from seal_agent.policy.grading import is_right
from seal_agent.storage.database import Home

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Home:
    folder = tmp_path_factory.mktemp("loop")
    (folder / "models").symlink_to(cache)
    return Home(folder)


@pytest.fixture(scope="module")
def learner(home: Home, cache: Path) -> Learner:
    return Learner(TransformersBackend.load(home.root, cache=cache), home)


def nll(learner: Learner) -> float:
    return learner.state.nll(list(QUESTIONS), list(QUESTIONS.values()))


def answers(learner: Learner) -> list[str]:
    return learner.answer([[Message("user", question)] for question in QUESTIONS], max_new_tokens=16)


@pytest.fixture(scope="module")
def told(learner: Learner) -> dict[str, object]:
    """The conversation: small talk, then facts; with what the model knew before and after."""
    before, nll_before = answers(learner), nll(learner)
    graph = create_chat_graph(learner).compile(checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "first"}}
    small_talk = graph.invoke({"messages": [("user", "Hello there, nice to meet you!")]}, thread)["outcomes"]
    facts = graph.invoke({"messages": [("user", FACTS)]}, thread)["outcomes"]
    return {
        "before": before,
        "nll_before": nll_before,
        "small_talk": small_talk,
        "facts": facts,
        "after": answers(learner),
        "nll_after": nll(learner),
    }


def test_small_talk_is_not_learned(told: dict) -> None:
    assert [outcome["outcome"] for outcome in told["small_talk"]] == ["ignored"]


def test_facts_are_learned_and_answered_without_the_text(told: dict, learner: Learner) -> None:
    assert [outcome["outcome"] for outcome in told["facts"]] == ["accepted"], told["facts"]
    gold = QUESTIONS.values()
    right = [is_right(wanted, said) for said, wanted in zip(told["after"], gold, strict=True)]
    assert sum(right) > sum(is_right(wanted, said) for said, wanted in zip(told["before"], gold, strict=True))
    assert told["nll_after"] < told["nll_before"] - 1


def test_the_ledger_holds_what_the_verdict_rests_on(told: dict, learner: Learner) -> None:
    episode = learner.home.episodes(learner.namespace)[-1]
    assert episode.outcome == "accepted"
    assert episode.edit is not None
    assert episode.edit.rows
    assert {p.probe.stratum for p in episode.probed} >= {"edit", "near"}
    assert set(episode.seconds) >= {"decide", "write", "train", "probe", "judge"}


def test_a_second_process_knows_what_the_first_learned(told: dict, home: Home) -> None:
    question = next(iter(QUESTIONS))
    process = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "seal_agent", "ask", question, "--json"],
        env={**os.environ, "SEAL_HOME": str(home.root)},
        capture_output=True,
        text=True,
        check=True,
    )
    said = json.loads(process.stdout)
    assert said["num_adapters"] == 1
    assert said["answer"].startswith(told["after"][0][:12])


def test_rollback_leaves_scores_and_answers_as_they_were(told: dict, learner: Learner) -> None:
    learner.rollback(learner.stack.ids[-1])
    assert nll(learner) == told["nll_before"]
    assert answers(learner) == told["before"]


def test_after_a_correction_in_a_chat_the_new_answer_is_given(learner: Learner) -> None:
    user = Learner(learner.backend, learner.home, namespace="corrected")
    graph = create_chat_graph(user).compile(checkpointer=InMemorySaver())

    def say(text: str) -> str:
        state = graph.invoke({"messages": [("user", text)]}, {"configurable": {"thread_id": text}})
        return str(state["messages"][-1].text)

    say("Our standup is at 9:30 every day.")
    assert "9:30" in say("When is our standup?")
    say("Our standup moved to 10:15.")
    said = say("When is our standup?")
    assert "10:15" in said
    assert "9:30" not in said
