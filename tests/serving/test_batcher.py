"""Calls of many threads are answered together while the model is busy, and each gets its own answer."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Generated, Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.serving.batcher import Batcher, Request

STACK = AdapterStack()


class SlowBackend(ScriptedBackend):
    """Waits for `go` before it answers anything, remembers what it was asked together, refuses "bad"."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, replies={str(n): f"answer {n}" for n in range(9)})
        self.go = threading.Event()
        self.asked: list[list[str]] = []

    def with_stack(self, stack: AdapterStack) -> ScriptedBackend:
        return self

    def generate(self, prompts: Sequence[Prompt], **options: Any) -> list[list[Generated]]:
        self.asked.append([prompt.messages[-1].content for prompt in prompts])
        assert self.go.wait(5)
        if "bad" in self.asked[-1]:
            raise InputError("bad grammar")
        return super().generate(prompts, **options)


@pytest.fixture
def backend(tmp_path: Path) -> SlowBackend:
    return SlowBackend(tmp_path)


def request(text: str, **options: Any) -> Request:
    return Request(STACK, Prompt.user(text), 8, **options)


def test_calls_that_arrive_while_the_model_is_busy_share_a_turn(backend: SlowBackend) -> None:
    batcher = Batcher(backend)
    first = batcher.submit(request("0"))
    while not backend.asked:
        pass
    later = [batcher.submit(request(str(n))) for n in range(1, 6)]
    sampled = batcher.submit(request("6", temperature=1.0))
    backend.go.set()
    assert [future.result(5) for future in [first, *later, sampled]] == [f"answer {n}" for n in range(7)]
    assert backend.asked == [["0"], ["1", "2", "3", "4", "5"], ["6"]]


def test_what_only_one_call_is_guilty_of_fails_only_that_call(backend: SlowBackend) -> None:
    batcher = Batcher(backend)
    futures = [batcher.submit(request(text)) for text in ("0", "1", "bad", "2")]
    backend.go.set()
    assert [futures[n].result(5) for n in (0, 1, 3)] == ["answer 0", "answer 1", "answer 2"]
    with pytest.raises(InputError, match="bad grammar"):
        futures[2].result(5)


def test_a_call_cancelled_before_its_turn_is_not_answered(backend: SlowBackend) -> None:
    batcher = Batcher(backend)
    first = batcher.submit(request("0"))
    while not backend.asked:
        pass
    cancelled, later = batcher.submit(request("1")), batcher.submit(request("2"))
    assert cancelled.cancel()
    backend.go.set()
    assert (first.result(5), later.result(5)) == ("answer 0", "answer 2")
    assert backend.asked == [["0"], ["2"]]


@pytest.mark.parametrize(
    "other",
    [{"stop": ("x",)}, {"temperature": 0.5}, {"stack": STACK.push(None)}, {"max_new_tokens": 9}],  # type: ignore[arg-type]
)
def test_only_calls_alike_share(other: dict[str, Any]) -> None:
    facts = {"stack": STACK, "prompt": Prompt.user("x"), "max_new_tokens": 8}
    assert Request(**facts).can_share(Request(**facts | {"prompt": Prompt.user("y"), "seed": 3}))  # type: ignore[arg-type]
    assert not Request(**facts).can_share(Request(**facts | other))
