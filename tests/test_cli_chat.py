"""How lines become messages, and what the user thinks of a reply."""

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from seal_agent import give_feedback
from seal_agent.adapters.scripted import UNKNOWN
from seal_agent.cli.chat import converse, split_messages
from seal_agent.cli.progress import Display
from seal_agent.core.errors import InputError
from seal_agent.learning.learner import Learner
from seal_agent.storage.feedback import recorded


def test_fences_make_one_message_of_many_lines() -> None:
    lines = ["one\n", '"""\n', "two\n", "\n", "three\n", '"""\n', " \n", "four"]
    assert list(split_messages(lines)) == ["one", "two\n\nthree", "four"]


def test_an_empty_block_is_no_message() -> None:
    assert list(split_messages(['"""\n', "\n", '"""\n'])) == []


def test_good_and_bad_judge_the_last_reply_and_are_no_messages(learner: Learner) -> None:
    lines = ["/good", "Who built it?", "/bad It was Anna Reel.", "/badly put"]
    converse(learner, lines, Display(), thread="a", as_json=False)
    first, second = recorded(learner.home, "default")
    assert (first.question, first.answer, first.value) == ("Who built it?", UNKNOWN, -1.0)
    assert (second.answer, second.value) == ("It was Anna Reel.", 1.0)
    assert [e.text for e in learner.home.episodes("default")] == ["Who built it?", "/badly put"]


def test_a_graphs_conversation_is_judged_by_its_last_reply(learner: Learner) -> None:
    said = [HumanMessage("Hello"), AIMessage("Hello."), HumanMessage("The key?"), AIMessage("password: hunter2hunter2")]
    give_feedback(learner, said, -1.0)
    [given] = recorded(learner.home, "default")
    assert (given.question, given.value) == ("The key?", -1.0)
    assert "hunter2" not in given.answer
    with pytest.raises(InputError, match="no reply yet"):
        give_feedback(learner, said[:1])


def test_a_block_that_is_not_closed_is_refused() -> None:
    with pytest.raises(InputError, match="not closed"):
        list(split_messages(['"""\n', "two\n"]))
