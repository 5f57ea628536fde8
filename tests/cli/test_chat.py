"""How lines become messages, and what the user thinks of a reply."""

import json
from collections.abc import Iterator

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from seal_agent import give_feedback
from seal_agent.adapters.scripted import UNKNOWN
from seal_agent.cli.chat import HELP, NO_MESSAGE, Screen, converse, converse_at_once, split_messages
from seal_agent.cli.progress import Display
from seal_agent.core import interruption
from seal_agent.core.errors import InputError
from seal_agent.learning.learner import Learner
from seal_agent.storage.feedback import recorded


def test_fences_make_one_message_of_many_lines() -> None:
    lines = ["one\n", '"""\n', "two\n", "\n", "three\n", '"""\n', " \n", "four"]
    assert list(split_messages(lines)) == ["one", "two\n\nthree", "four"]


def test_an_empty_block_is_no_message() -> None:
    assert list(split_messages(['"""\n', "\n", '"""\n'])) == []


def test_good_and_bad_judge_the_last_reply_and_are_no_messages(learner: Learner) -> None:
    lines = ["/good", "Who built it?", "/bad It was Anna Reel.", "/etc/hosts holds names"]
    converse(learner, lines, Display(), thread="a", as_json=False)
    first, second = recorded(learner.home, "default")
    assert (first.question, first.answer, first.value) == ("Who built it?", UNKNOWN, -1.0)
    assert (second.answer, second.value) == ("It was Anna Reel.", 1.0)
    assert [e.text for e in learner.home.episodes("default")] == ["Who built it?", "/etc/hosts holds names"]


@pytest.mark.parametrize("as_json", [False, True])
def test_a_command_that_does_not_exist_is_no_message(
    learner: Learner, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    converse(learner, ["/help", "/quit", "/bat It was 1911.", "/?"], Display(), thread="a", as_json=as_json)
    out, err = capsys.readouterr()
    assert HELP in err
    for command in ("/quit", "/bat", "/?"):
        assert f"there is no command {command}; /help lists them" in err
    assert [list(json.loads(line)) for line in out.splitlines()] == [["help"], *[["error"]] * 3] * as_json
    assert learner.home.episodes("default") == []


@pytest.mark.slow
def test_a_stop_says_which_message_comes_next(learner: Learner) -> None:
    said: list[str] = []

    def lines() -> Iterator[str]:
        for line in ("Hello there", "How are you?"):
            said.append(interruption.kept())
            yield line

    converse(learner, lines(), Display(), thread="a", as_json=True)
    assert said[0] == "what was learned is kept; begin with the first message again"
    assert said[1:] == ["the first message was answered, and what was learned is kept; go on with message 2"]
    assert interruption.kept().startswith("the first 2 messages were answered")
    said.clear()
    converse_at_once(learner, lines(), Display(), thread="b", screen=Screen())
    assert said[0] == NO_MESSAGE
    assert said[1].endswith("the next `chat` or `queue work` learns them; go on with message 2")


def test_news_stand_above_the_prompt_while_a_line_is_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Screen()

    def typing(prompt: str) -> str:
        assert capsys.readouterr().out == "one\n"  # before the prompt
        screen.tell("two")
        assert capsys.readouterr().out == f"\r\x1b[Ktwo\n{prompt}"
        return "typed"

    monkeypatch.setattr("builtins.input", typing)
    screen.tell("one")
    assert capsys.readouterr().out == ""
    assert screen.typed() == "typed"
    screen.tell("three")
    assert capsys.readouterr().out == ""
    screen.tell_news()
    assert capsys.readouterr().out == "three\n"


def test_a_graphs_conversation_is_judged_by_its_last_reply(learner: Learner) -> None:
    said = [HumanMessage("Hello"), AIMessage("Hello."), HumanMessage("The key?"), AIMessage("password: hunter2hunter2")]
    give_feedback(learner, said, -1.0)
    [given] = recorded(learner.home, "default")
    assert (given.question, given.value) == ("The key?", -1.0)
    assert "hunter2" not in given.answer
    with pytest.raises(InputError, match="no reply to rate"):
        give_feedback(learner, said[:1])


def test_a_block_that_is_not_closed_is_refused() -> None:
    with pytest.raises(InputError, match="not closed"):
        list(split_messages(['"""\n', "two\n"]))
