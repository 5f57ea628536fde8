"""Requests about what is remembered, with the embedded model in the chat graph; the texts are recalled."""

from __future__ import annotations

from pathlib import Path

import pytest
from chatting import outcomes, say
from langgraph.checkpoint.memory import InMemorySaver

from seal_agent.adapters.huggingface import TransformersBackend
from seal_agent.graphs import create_chat_graph
from seal_agent.learning.config import LearnerConfig
from seal_agent.learning.learner import Learner
from seal_agent.storage.database import Home

pytestmark = pytest.mark.integration
DOG, NAME = "My dog Biscuit is allergic to chicken.", "Please call me Sam."


def test_what_was_told_is_listed_explained_taken_back_and_forgotten(
    real_backend: TransformersBackend, tmp_path: Path
) -> None:
    learner = Learner(real_backend, Home(tmp_path), config=LearnerConfig(recall="text"))
    chat = create_chat_graph(learner).compile(checkpointer=InMemorySaver())
    assert [outcomes(say(chat, text)) for text in (DOG, NAME)] == [["accepted"], ["accepted"]]
    assert DOG in str(say(chat, "What do you know about me?", "two")["messages"][-1].text)
    say(chat, "What is my dog allergic to?", "two")
    assert DOG in str(say(chat, "Why do you think that?", "two")["messages"][-1].text)
    assert outcomes(say(chat, "Undo that.")) == ["undone"]
    assert [fact.text for fact in learner.state.facts()] == [DOG]
    assert outcomes(say(chat, "Please forget what I said about my dog Biscuit.", "two")) == ["forgotten"]
    assert learner.state.facts() == []
