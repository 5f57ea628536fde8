"""`seal-agent serve` and `seal-agent gateway`: what is refused early, keys, and a server that keeps dying."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from stand_in_server import STAND_IN, port, program

from seal_agent.adapters.vllm import server as server_module
from seal_agent.adapters.vllm.server import Server, ServerOptions, state_of
from seal_agent.cli import app, serve
from seal_agent.core.errors import ServerError
from seal_agent.gateway.keys import FILE, KeyFile

__all__ = ["port"]
MORTAL = STAND_IN.replace("port = ", "import os, threading; threading.Timer(0.3, os._exit, [3]).start()\nport = ")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(server_module, "POLL_SECONDS", 0.01)


def test_keys_are_made_listed_and_taken_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = ["--home", str(tmp_path)]
    assert app.main(["gateway", "keys", "add", "laptop", "--namespace", "ada", *home]) == 0
    secret = capsys.readouterr().out.strip()
    assert KeyFile(tmp_path / FILE).namespace_of(secret) == "ada"
    app.main(["gateway", "keys", "list", "--json", *home])
    assert json.loads(capsys.readouterr().out) == [{"name": "laptop", "namespace": "ada"}]
    assert app.main(["gateway", "keys", "remove", "laptop", *home]) == 0
    assert KeyFile(tmp_path / FILE).namespace_of(secret) is None
    assert app.main(["gateway", "keys", "remove", "laptop", *home]) == app.EXIT_ERROR


def test_a_python_that_is_not_there_and_a_rank_vllm_does_not_take_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model").mkdir()
    command = ["serve", "--home", str(tmp_path), "--model", str(tmp_path / "model")]
    assert app.main([*command, "--python", "/nowhere/python"]) == app.EXIT_ERROR
    assert "there is no Python at /nowhere/python" in capsys.readouterr().err
    assert app.main([*command, "--python", sys.executable, "--max-rank", "24"]) == app.EXIT_ERROR
    assert "choose 1, 8, 16" in capsys.readouterr().err


@pytest.mark.slow
def test_a_server_that_dies_is_started_again_a_few_times(
    tmp_path: Path, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Server(ServerOptions("base", python=program(tmp_path, MORTAL), port=port), tmp_path)
    server.start(seconds=20)
    with pytest.raises(ServerError, match="vLLM died 4 times"):
        serve._keep_up(server)
    assert capsys.readouterr().err.count("starting it again") == serve.MAX_RESTARTS


@pytest.mark.slow
def test_ending_serve_ends_its_server(tmp_path: Path, port: int) -> None:
    (tmp_path / "base").mkdir()
    python = program(tmp_path, STAND_IN)
    command = [sys.executable, "-m", "seal_agent", "serve", "--home", str(tmp_path / "home"), "--json"]
    command += ["--model", str(tmp_path / "base"), "--python", python, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:  # noqa: S603
        assert running.stdout
        assert json.loads(running.stdout.readline())["adopted"] is False
        pid = state_of(tmp_path / "home")["pid"]
        running.terminate()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert state_of(tmp_path / "home") == {}
