"""Every number that comes in from outside is checked there: one line with its name, the value and what is allowed."""

import math
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from seal_agent import ChatSeal, SelfAdaptation, open_learner
from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.adapters.vllm.options import EngineOptions
from seal_agent.adapters.vllm.server import ServerOptions
from seal_agent.background.worker import Budget, Worker
from seal_agent.chaos.soak import SoakPlan
from seal_agent.cli import app
from seal_agent.core.edits import Directives
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Message, Prompt
from seal_agent.core.numbers import check_number, check_whole
from seal_agent.gateway.limits import GatewayLimits
from seal_agent.graphs import create_improve_graph
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.learning.learners import Learners
from seal_agent.learning.strategies import Rebuild
from seal_agent.policy import schedule
from seal_agent.policy.rounds import ImproveConfig
from seal_agent.policy.run import RunSettings
from seal_agent.retention.judge import Limits
from seal_agent.serving.router import RouteLimits
from seal_agent.storage.database import Home
from seal_agent.storage.feedback import Feedback
from seal_agent.storage.jobs import LearningQueue

CONFIGS = [
    LearnerConfig,
    Limits,
    RouteLimits,
    Budget,
    ImproveConfig,
    RunSettings,
    GatewayLimits,
    Directives,
    SoakPlan,
    Rebuild,
    lambda **given: EngineOptions("m", **given),
    lambda **given: ServerOptions("m", **given),
]
NUMBERS = [
    (config, field.name, field.type)
    for config, kind in zip(CONFIGS, [*CONFIGS[:-2], EngineOptions, ServerOptions], strict=True)
    for field in fields(kind)  # type: ignore[arg-type]
    if "int" in str(field.type) or "float" in str(field.type)
    if not str(field.type).startswith("tuple")
]
HI = [[Message("user", "Hi")]]


@pytest.mark.parametrize(("config", "name", "kind"), NUMBERS, ids=[f"{name}" for _, name, _ in NUMBERS])
def test_every_number_of_a_config_is_checked(config: Callable[..., Any], name: str, kind: str) -> None:
    wrong = [
        math.nan,
        -math.inf,
        *([] if name in ("max_drop", "max_drift") else [math.inf]),
        "x",
        True,
        None,
        *([3.5] if "int" in str(kind) else []),
    ]
    wrong += [] if name == "known_above" else [-5]
    for value in wrong:
        with pytest.raises(InputError, match=name):
            config(**{name: value})


@pytest.mark.parametrize("value", [-5, 3.5, "x", True, math.nan, math.inf])
def test_how_long_a_reply_is_is_checked(learner: Learner, value: Any) -> None:
    backend, prompt = learner.backend, Prompt.user("Hi")
    calls: list[Callable[[], Any]] = [
        lambda: learner.answer(HI, max_new_tokens=value),
        lambda: learner.state.answer_with(learner.stack, HI, max_new_tokens=value),
        lambda: backend.generate([prompt], max_new_tokens=value),
        lambda: backend.generate([prompt], num_samples=value),
        lambda: list(backend.stream(prompt, max_new_tokens=value)),
    ]
    for call in calls:
        with pytest.raises(InputError, match="does not fit; give a whole number"):
            call()
    with pytest.raises(InputError, match="max_new_tokens=0"):
        backend.generate([prompt], max_new_tokens=0)


WRONG_OPTIONS: list[dict[str, Any]] = [
    *({"max_tokens": value} for value in (0, -5, 3.5, "x", True, math.nan)),
    *({"temperature": value} for value in (-1, "x", True, math.nan, math.inf)),
    *({"seed": value} for value in (1.5, "x", True, 2**70)),
    *({"stop": value} for value in (5, [5], {"a": 1}, True)),
]


@pytest.mark.parametrize("options", WRONG_OPTIONS, ids=str)
def test_the_options_of_the_chat_model_are_checked(learner: Learner, options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(InputError, match=f"{name}="):
        ChatSeal(learner=learner, **options)
    with pytest.raises(InputError, match=f"{name}="):
        ChatSeal(learner=learner).invoke("Hi", **options)
    with pytest.raises(InputError, match=f"{name}="):
        list(ChatSeal(learner=learner).stream("Hi", **options))


def test_one_text_ends_a_reply_as_a_list_of_it_does(home: Home) -> None:
    learner = Learner(ScriptedBackend(home.root, replies={"Hi": "one END two"}), home)
    answers = [ChatSeal(learner=learner).invoke("Hi", stop=stop).text for stop in ("END", ["END"], ["", "END"])]  # type: ignore[arg-type]
    assert answers == ["one ", "one ", "one "]
    assert ChatSeal(learner=learner, stop="END").invoke("Hi").text == "one "  # type: ignore[arg-type]
    assert ChatSeal(learner=learner).invoke("Hi", stop="").text == "one END two"  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [-5, "x", True, math.nan])
def test_other_numbers_of_public_calls_are_checked(learner: Learner, tmp_path: Path, value: Any) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: Learners(learner.backend, learner.home, max_open=value),
        lambda: open_learner("scripted", home=tmp_path, max_context=value),
        lambda: create_improve_graph(learner, minutes=value),
        lambda: create_improve_graph(learner).compile().invoke({"num_contexts": value}),
        lambda: create_improve_graph(learner).compile().invoke({"after_episodes": value}),
        lambda: schedule.waiter(learner.home, value),
        lambda: Feedback("Who?", "Anna", value),
        lambda: RunSettings(rewards=(("gold", value if value != -5 else math.inf),)),
        lambda: Worker(learner).stop(value),
        lambda: Worker(learner).wait(value),
    ]
    for call in calls:
        with pytest.raises(InputError, match="does not fit; give a"):
            call()
    for number in (value, 2**70):
        with pytest.raises(InputError, match="there is no job"):
            LearningQueue(learner.home).job(number)


def test_a_name_in_the_place_of_a_list_of_tools_is_refused(learner: Learner) -> None:
    with pytest.raises(InputError, match="give a list of tool names"):
        SelfAdaptation(learner, learn_from="look_up")


@pytest.mark.parametrize(
    "arguments",
    [
        "improve --minutes nan",
        "improve --temperature nan",
        "improve --temperature 0",
        "improve --idle inf",
        "queue work --seconds-per-hour nan",
        "queue work --idle inf",
        "queue work --threads 100000",
        "queue cancel 99999999999999999999",
        "improve use 99999999999999999999",
        "improve use -- -1",
        "adapters why x --version 99999999999999999999",
        "serve --max-tokens -1",
        "serve --max-loras 0",
        "gateway start --per-minute nan",
        "gateway start --per-minute 0",
        "soak --minutes nan",
        "bench arc --rate nan",
        "bench arc --minutes inf",
        "chat --seed -1",
        "chat --seed 1.5",
    ],
)
def test_numbers_on_the_command_line_are_checked(
    arguments: str, home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEAL_HOME", str(home.root))
    monkeypatch.setenv("SEAL_MODEL", "scripted")
    assert app.main(arguments.split()) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert any(words in said for words in ("Input should be", "finite", "does not fit")), said


def test_what_is_allowed_stands_in_the_error() -> None:
    cases: list[tuple[Callable[[], None], str]] = [
        (lambda: check_whole("rank", 3.5, 1, 9), "rank=3.5 does not fit; give a whole number from 1 to 9"),
        (lambda: check_whole("rank", -1, 0), "rank=-1 does not fit; give a whole number of 0 or more"),
        (lambda: check_number("rate", 0, 0, above=True), "rate=0 does not fit; give a finite number above 0"),
        (lambda: check_number("rate", 1, 0, 1, below=True), "give a finite number from 0 and below 1"),
        (lambda: check_number("rate", "x", 0, 1), "rate='x' does not fit; give a finite number from 0 to 1"),
    ]
    for call, message in cases:
        with pytest.raises(InputError) as told:
            call()
        assert message in str(told.value)
