"""`bench locomo`: its data, its scores, and a replay that goes on where it was stopped."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.bench.locomo import report, scoring
from seal_agent.bench.locomo.data import Conversation, Question, read_conversations
from seal_agent.bench.locomo.replay import AnswerResult, LeftOut, TurnResult, asked, measure
from seal_agent.bench.week.arms import HOME, TAUGHT, UNTAUGHT
from seal_agent.core.errors import ContextLengthExceeded, InputError
from seal_agent.core.messages import Message
from seal_agent.storage.database import Home
from seal_agent.storage.run_folder import RunFolder

FIRST = [
    {"speaker": "Ada", "dia_id": "D1:1", "text": "Hey Bo!"},
    {"speaker": "Bo", "dia_id": "D1:2", "text": "I opened a bakery in Karlov yesterday. "},
]
SECOND = [
    {"speaker": "Ada", "dia_id": "D2:1", "text": "Look, my dog Pickle.", "blip_caption": "a photo of a dog on a sofa"}
]
ASKED: list[dict[str, Any]] = [
    {"question": "When did Bo open a bakery?", "answer": 2024, "evidence": ["D1:2"], "category": 2},
    {"question": "What is the name of Ada's dog?", "answer": "Pickle", "evidence": ["D2:1"], "category": 4},
    {"question": "What did each do?", "answer": "a bakery, a dog", "evidence": ["D1:2; D2:1"], "category": 1},
    {"question": "Is Bo happy?", "answer": "Yes; he likes work", "evidence": [], "category": 3},
    {"question": "When did Ada open one?", "adversarial_answer": "2024", "evidence": ["D1:2"], "category": 5},
]
FILE = {
    "speaker_a": "Ada",
    "speaker_b": "Bo",
    "session_1_date_time": "9:05 am on 3 March, 2024",
    "session_1": FIRST,
    "session_1_summary": "Ada and Bo talk.",
    "session_2_date_time": "12:30 am on 14 July, 2024",
    "session_2": SECOND,
    "session_3_date_time": "1:00 pm on 20 July, 2024",
    "qa": ASKED,
}
"""A conversation in LoCoMo's form, made up for this test."""


@pytest.fixture
def conversation(tmp_path: Path) -> Conversation:
    path = tmp_path / "7.json"
    path.write_text(json.dumps(FILE))
    [read] = read_conversations([path])
    return read


def opened(folder: Path) -> tuple[ScriptedBackend, RunFolder]:
    return ScriptedBackend(folder / HOME), RunFolder(folder, config={})


def test_turns_become_messages_of_one_user_with_dates_and_captions(conversation: Conversation) -> None:
    turns = conversation.turns()
    assert [turn.text for turn in turns] == [
        "Ada: Hey Bo!",
        "Bo: I opened a bakery in Karlov yesterday.",
        "Ada: Look, my dog Pickle. Ada shared a photo of a dog on a sofa.",
    ]
    assert [turn.date for turn in turns] == ["2024-03-03", "2024-03-03", "2024-07-14"]
    assert [turn.thread for turn in turns] == ["7, session 1", "7, session 1", "7, session 2"]
    assert [turn.learn for turn in turns] == [False, True, True]  # as evidence of a question


def test_only_questions_whose_evidence_is_in_the_first_sessions_are_kept(conversation: Conversation) -> None:
    cut = conversation.first(1)
    assert [said.id for said in cut.said] == ["D1:1", "D1:2"]
    assert [question.category for question in cut.questions] == [2, 5]
    assert cut.questions[0].answer == "2024"
    assert conversation.first(2) == conversation.first(0) == conversation
    assert len(conversation.questions) == len(ASKED)


def test_the_published_list_of_conversations_is_read_too(tmp_path: Path, conversation: Conversation) -> None:
    path = tmp_path / "all.json"
    talk = {key: value for key, value in FILE.items() if key != "qa"}
    path.write_text(json.dumps([{"sample_id": f"conv-{n}", "conversation": talk, "qa": ASKED} for n in (1, 2)]))
    assert [each.id for each in read_conversations([path])] == ["conv-1", "conv-2"]
    assert read_conversations([path], "conv-2") == [replace(conversation, id="conv-2")]
    with pytest.raises(InputError, match="no conversation is called '7'; choose conv-1, conv-2"):
        read_conversations([path], "7")
    with pytest.raises(InputError, match="two conversations are called 'conv-1'"):
        read_conversations([path, path])


@pytest.mark.parametrize(
    "given",
    [
        [],
        {"qa": []},
        [{"title": "a passage"}],
        {**FILE, "session_1_date_time": "yesterday"},
        {**FILE, "qa": [{**ASKED[0], "category": 9}]},
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, given: object) -> None:
    path = tmp_path / "other.json"
    path.write_text(json.dumps(given))
    with pytest.raises(InputError, match=r"other\.json.*; give a file of"):
        read_conversations([path])


@pytest.mark.parametrize(
    ("category", "reply", "answer", "f1", "is_exact"),
    [
        (4, "The bakery.", "bakery", 1.0, True),
        (4, "He was baking", "bakes", 0.5, False),  # stems: he wa bake, bake
        (4, "In 2023", "2022", 0.0, False),
        (4, "", "2022", 0.0, False),
        (2, "\n5 June, 2024\nBecause it was said.", "5 June 2024", 1.0, True),
        (2, "2024-06-05.", "5 June, 2024", 1.0, True),
        (2, "2024-13-05", "5 June, 2024", 0.0, False),
        (1, "a dog, a bakery", "the bakery, the dog", 1.0, True),
        (1, "a dog", "bakery, dog", 0.5, False),
        (3, "Likely yes", "Likely yes; it is near", 1.0, True),
    ],
)
def test_answers_are_scored_as_locomo_does(category: int, reply: str, answer: str, f1: float, is_exact: bool) -> None:
    assert scoring.f1(category, reply, answer) == pytest.approx(f1)
    assert scoring.is_exact(category, reply, answer) is is_exact


def test_the_question_stands_alone_in_the_users_message() -> None:
    when = Question("q", 2, "When?", "2024", ("D1:1",))
    assert asked(when)[1] == Message("user", "When?")
    assert "approximate date" in asked(when)[0].content
    assert asked(replace(when, category=4)) == asked(replace(when, category=5))  # nothing gives a category away


@pytest.mark.slow
def test_text_is_remembered_turn_by_turn_and_a_stopped_run_goes_on(tmp_path: Path, conversation: Conversation) -> None:
    backend, run = opened(tmp_path / "run")
    measure(backend, run, [replace(conversation.first(1), questions=())], ["text"])
    begun = run.values("turns", TurnResult)
    assert [turn.id for turn in begun] == ["D1:1", "D1:2"]
    assert [turn.learned for turn in begun] == [False, True]
    measure(backend, run, [conversation], ["nothing", "text"])
    turns, answers = run.values("turns", TurnResult), run.values("answers", AnswerResult)
    assert turns[:2] == begun
    assert [turn.id for turn in turns] == ["D1:1", "D1:2", "D2:1"]
    assert [(answer.arm, answer.id) for answer in answers] == [
        (arm, question.id) for arm in ("nothing", "text") for question in conversation.questions
    ]
    measure(backend, run, [conversation], ["nothing", "text"])
    assert (run.values("turns", TurnResult), run.values("answers", AnswerResult)) == (turns, answers)


@pytest.mark.slow
def test_every_turn_is_learned_on_request_with_its_session_before_it(
    tmp_path: Path, conversation: Conversation
) -> None:
    backend, run = opened(tmp_path / "run")
    measure(backend, run, [replace(conversation, questions=())], ["text"], learn_all=True)
    assert [turn.learned for turn in run.values("turns", TurnResult)] == [True, True, True]
    episodes = Home(tmp_path / "run" / HOME).episodes("7")
    assert [(each.earlier, each.said_on, each.thread) for each in episodes] == [
        ("", "2024-03-03", "7, session 1"),
        ("User: Ada: Hey Bo!\n", "2024-03-03", "7, session 1"),
        ("", "2024-07-14", "7, session 2"),
    ]


def test_an_arm_whose_prompt_does_not_fit_is_left_out_and_reported(tmp_path: Path, conversation: Conversation) -> None:
    class Short(ScriptedBackend):
        def generate(self, prompts: Any, **options: Any) -> Any:
            if any(FIRST[1]["text"].strip() in message.content for each in prompts for message in each.messages):
                raise ContextLengthExceeded("18000 tokens are more than 8192")
            return super().generate(prompts, **options)

        def with_stack(self, stack: Any) -> Any:
            return self

    run = RunFolder(tmp_path / "run", config={})
    for _ in range(2):
        measure(Short(tmp_path), run, [conversation], ["nothing", "prompt"])
    assert run.values("left_out", LeftOut) == [LeftOut("7", "prompt", "18000 tokens are more than 8192")]
    reports, learning, left_out = report.summarise(run)
    assert ([each.arm for each in reports], learning) == (["nothing"], None)
    assert "Left out: prompt for 7. 18000 tokens" in report.markdown(reports, learning, left_out, [])


def answer(category: int, f1: float, *, exact: bool = False, declined: bool = False) -> AnswerResult:
    return AnswerResult("7", "text", f"q{f1}", category, "Asked?", "Answer", "Reply", f1, exact, declined, 1.5)


def test_scores_are_reported_by_category_with_intervals(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, config={})
    given = [answer(4, 1.0, exact=True), answer(4, 0.5), answer(2, 0.0), answer(5, 0.0, declined=True), answer(5, 0.0)]
    for each in given:
        run.append("answers", dataclasses.asdict(each))
    [arm], _, _ = report.summarise(run)
    assert arm.num == {"time": 1, "one fact": 2, "1 to 4": 3}
    assert (arm.f1["one fact"].mean, arm.f1["one fact"].low, arm.f1["one fact"].high) == (0.75, 0.5, 1.0)
    assert (arm.f1["1 to 4"].mean, arm.exact["one fact"].mean) == (0.5, 0.5)
    assert (arm.num_never_said, arm.declined and arm.declined.mean, arm.declined_told and arm.declined_told.mean) == (
        2,
        0.5,
        0.0,
    )
    text = report.markdown([arm], None, [], ["model: scripted"])
    assert "| arm | time (1) | one fact (2) | 1 to 4 (3) |" in text
    assert "| text | 0% [0, 0] | 75% [50, 100] |" in text
    assert "TMEM" in text


def test_an_arm_that_does_not_exist_is_refused(tmp_path: Path, conversation: Conversation) -> None:
    with pytest.raises(InputError, match="no arm called 'memory'; choose nothing, prompt"):
        measure(ScriptedBackend(tmp_path), RunFolder(tmp_path, config={}), [conversation], ["memory"])


@pytest.mark.slow
def test_every_arm_of_the_week_answers(tmp_path: Path, conversation: Conversation) -> None:
    backend, run = opened(tmp_path / "run")
    measure(backend, run, [conversation.first(1)], [*UNTAUGHT, *TAUGHT])
    reports, learning, _ = report.summarise(run)
    assert [each.arm for each in reports] == ["nothing", "prompt", "retrieval", "weights", "text", "both"]
    assert learning
    assert (learning.num_turns, learning.num_evidence, learning.evidence_learned) == (2, 1, 1)
