"""How a vLLM server is started, and what is made of one that does not come up; a few lines of Python stand in."""

import json
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from stand_in_server import STAND_IN, port, program

from seal_agent.adapters.vllm import server as serve
from seal_agent.adapters.vllm.server import Server, ServerOptions, allowed_rank, explain, find_python, state_of
from seal_agent.core.errors import InputError, ServerError
from seal_agent.core.stacks import AdapterRef, AdapterStack

__all__ = ["port"]


def stack_of(*ranks: int, routed: tuple[int, ...] = ()) -> AdapterStack:
    stack = AdapterStack()
    for number, rank in enumerate((*ranks, *routed)):
        stack = stack.push(AdapterRef(str(number), "", "base", rank), is_routed=number >= len(ranks))
    return stack


@pytest.mark.parametrize(
    ("stack", "rank"),
    [
        (stack_of(), 32),
        (stack_of(16, 16, 16), 64),
        (stack_of(16, routed=(16, 8, 32)), 64),
        (stack_of(routed=(16,) * 50), 32),
        (stack_of(*[16] * 50), 128),
    ],
)
def test_the_rank_is_what_vllm_takes_and_the_stack_needs(stack: AdapterStack, rank: int) -> None:
    assert allowed_rank([AdapterStack(), stack]) == rank


def test_the_command_lets_adapters_change_and_grammars_be_ours() -> None:
    words = ServerOptions("/models/base", python="/venv/bin/python", max_lora_rank=64, extra=("--swap", "1")).command()
    assert words[:3] == ["/venv/bin/python", "-m", "vllm.entrypoints.openai.api_server"]
    assert "--enable-lora" in words
    assert words[words.index("--max-lora-rank") + 1] == "64"
    assert json.loads(words[words.index("--structured-outputs-config") + 1]) == {"backend": "guidance"}
    assert words[-2:] == ["--swap", "1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"max_lora_rank": 24}, "choose 1, 8, 16"), ({"host": "0.0.0.0"}, "gateway"), ({"max_loras": 9}, "1 ≤ batch")],  # noqa: S104
)
def test_options_a_server_must_not_have_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ServerOptions("base", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("/venv/bin/python: Error while finding module: No module named 'vllm'", "has no vLLM"),
        ("OSError: [Errno 98] Address already in use", "port 8000 is taken"),
        ("api_server.py: error: unrecognized arguments: --max-cpu-loras 8", "does not know --max-cpu-loras 8"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate", "too little memory"),
        ("OSError: /m does not appear to have a file named config.json", "vLLM cannot load the model base"),
        ("INFO up\nKeyError: 'layers.0'\n  at the end", "KeyError: 'layers.0'"),
        ("", "its log is empty"),
    ],
)
def test_the_log_of_a_server_that_failed_is_put_in_plain_words(log: str, expected: str) -> None:
    assert expected in explain(log, ServerOptions("base"))


@pytest.mark.slow
def test_a_server_is_started_found_again_and_stopped(tmp_path: Path, port: int) -> None:
    options = ServerOptions("/models/base", python=program(tmp_path, STAND_IN), port=port)
    server = Server(options, tmp_path)
    assert not server.adopt()
    server.start(seconds=20)
    assert (state_of(tmp_path)["url"], state_of(tmp_path)["max_lora_rank"]) == (options.url, 64)
    again = Server(options, tmp_path)
    assert again.adopt()
    with pytest.raises(ServerError, match=r"another program answers at http"):
        again.start()
    again.stop()
    assert server.is_alive  # who adopted it leaves it running
    with pytest.raises(ServerError, match="serves /models/base, not /models/other"):
        Server(ServerOptions("/models/other", port=port), tmp_path).adopt()
    server.stop()
    assert not Server(options, tmp_path).is_alive
    assert state_of(tmp_path) == {}


@pytest.mark.slow
def test_a_server_that_ends_at_once_says_why(tmp_path: Path, port: int) -> None:
    python = program(tmp_path, "#!/bin/sh\necho \"No module named 'vllm'\"\nexit 1\n")
    with pytest.raises(ServerError, match=r"ended with code 1: .* has no vLLM"):
        Server(ServerOptions("base", python=python, port=port), tmp_path).start()


def test_a_server_that_never_comes_up_is_ended(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "POLL_SECONDS", 0.01)
    server = Server(ServerOptions("base", python=program(tmp_path, "#!/bin/sh\nsleep 60\n"), port=port), tmp_path)
    with pytest.raises(ServerError, match=r"not up after 0 s.*its log is empty"):
        server.start(seconds=0.2)
    assert not server.is_alive


DEAF = """#!/bin/sh
(trap '' TERM; while true; do sleep 1; done) &
echo $! > {folder}/child
wait
"""


def test_whoever_stops_waiting_for_a_server_leaves_no_process_behind(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "POLL_SECONDS", 0.01)
    server = Server(
        ServerOptions("base", python=program(tmp_path, DEAF.replace("{folder}", str(tmp_path))), port=port), tmp_path
    )
    child = tmp_path / "child"

    def interrupted(_seconds: float) -> None:
        if child.exists() and child.read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        server.start(interrupted, seconds=20)
    assert not server.is_alive
    deadline = time.monotonic() + 5
    while is_running(int(child.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(process: int) -> bool:
    """Whether it is there and not just waiting to be reaped."""
    with suppress(OSError):  # gone
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_the_python_of_vllm_is_named_or_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEAL_VLLM_PYTHON", raising=False)
    with pytest.raises(InputError, match="an environment of its own"):
        find_python()
    with pytest.raises(InputError, match="there is no Python at /nowhere"):
        find_python("/nowhere")
    monkeypatch.setenv("SEAL_VLLM_PYTHON", sys.executable)
    assert find_python() == sys.executable
