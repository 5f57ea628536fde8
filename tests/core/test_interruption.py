"""Ctrl-C ends every command within two seconds, with one line that says what was kept; nothing outlives it."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import alive, descendants, running
from stand_in_server import port

from seal_agent.cli.app import main
from seal_agent.cli.entry import PATIENCE
from seal_agent.core import interruption
from seal_agent.storage.database import DATABASE, Home
from seal_agent.storage.jobs import LearningQueue

__all__ = ["port"]
PROMISED = 2.0  # seconds, on a machine that has nothing else to do
BUSY = 2 * PROMISED  # on one that runs other tests beside this one
SCRIPTED = ("--model", "scripted")
TEXT = "The Tower of Karlov was built in 1742 by Anna Petersen. It holds 19 brass bells."


@pytest.fixture(autouse=True)
def _signals_are_heard() -> Iterator[None]:
    """A suite that runs in the background, or under nohup, would hand on signals that are ignored."""
    ignored = [number for number in interruption.SIGNALS if signal.getsignal(number) == signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(autouse=True)
def fresh() -> None:
    interruption.reset()


def test_the_first_signal_is_a_keyboard_interrupt_and_seen_in_other_threads() -> None:
    seen: list[type[BaseException]] = []

    def work() -> None:
        while True:
            try:
                interruption.check()
            except interruption.Stopped as error:
                seen.append(type(error))
                return
            time.sleep(0.001)

    thread = threading.Thread(target=work)
    thread.start()
    with pytest.raises(KeyboardInterrupt), interruption.obeying():
        signal.raise_signal(signal.SIGTERM)
    thread.join(1)
    assert seen == [interruption.Stopped]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruption.obeying():
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.01)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert not interruption.is_asked()


def test_the_line_is_printed_once_and_says_what_was_kept(capsys: pytest.CaptureFixture[str]) -> None:
    interruption.keeps("4 of 9 are kept")
    interruption.say(as_json=True)
    interruption.say(as_json=True)
    printed = capsys.readouterr()
    assert printed.err == "seal-agent: stopped; 4 of 9 are kept\n"
    assert json.loads(printed.out) == {"error": "stopped; 4 of 9 are kept"}


def test_processes_that_are_owned_are_killed_with_their_groups() -> None:
    shell = ["/bin/sh", "-c", "sleep 60 & echo $!; wait"]
    with subprocess.Popen(shell, stdout=subprocess.PIPE, start_new_session=True, text=True) as owned:  # noqa: S603
        assert owned.stdout
        grandchild = int(owned.stdout.readline())
        interruption.owns(owned.pid)
        interruption.kill_owned()
        assert owned.wait(5) == -signal.SIGKILL
    interruption.lets_go(owned.pid)
    assert not alive([grandchild])


HOLDS_THE_LOCK = """
import sys, types
from seal_agent.core import interruption as stopping
def work():
    stopping.keeps("4 of 9 are kept")
    with stopping.obeying():
        print("ready", flush=True)
        sum(range(10**10))  # like a library that is loaded: neither a signal nor another thread is heard meanwhile
sys.modules["seal_agent.cli.app"] = types.ModuleType("seal_agent.cli.app")
sys.modules["seal_agent.cli.app"].main = work
from seal_agent.cli.entry import main
sys.exit(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGINT, signal.SIGINT]])
def test_a_process_that_does_not_come_back_to_python_is_killed(signals: list[signal.Signals]) -> None:
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", HOLDS_THE_LOCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == "ready\n"
        [worker] = descendants(process.pid)
        time.sleep(0.2)
        began = time.monotonic()
        for number in signals:
            process.send_signal(number)
            time.sleep(0.1)
        code = process.wait(5)
        assert (code, process.stderr.read()) == (128 + signals[0], "seal-agent: stopped; 4 of 9 are kept\n")
        assert time.monotonic() - began < (BUSY if len(signals) == 1 else PATIENCE)
    assert not alive([worker])


SLEEPER = """
import time
from seal_agent.adapters.scripted import ScriptedBackend
class Sleeper(ScriptedBackend):
    def with_stack(self, stack):
        return self
    def embed(self, texts):
        print("ready", flush=True)
        time.sleep(60)
"""
TRAINS_APART = """
import sys, types
from functools import partial
from collections.abc import Iterator
from pathlib import Path
from seal_agent.core import interruption as stopping
from seal_agent.adapters.subprocess_backend import ProcessBackend
from sleeper import Sleeper
def work():
    with stopping.obeying():
        ProcessBackend(partial(Sleeper, Path(sys.argv[1]))).embed(["a text"])
sys.modules["seal_agent.cli.app"] = types.ModuleType("seal_agent.cli.app")
sys.modules["seal_agent.cli.app"].main = work
from seal_agent.cli.entry import main
sys.exit(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_process_that_works_for_a_command_ends_with_it(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", TRAINS_APART, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        started = descendants(process.pid)
        assert len(started) == 2
        process.send_signal(number)
        assert process.wait(BUSY) == (130 if number == signal.SIGINT else -number)
    assert not alive(started, BUSY)


@pytest.mark.slow
def test_the_work_ends_when_the_process_that_watches_it_is_killed() -> None:
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", HOLDS_THE_LOCK], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        process.stdout.readline()
        workers = descendants(process.pid)
        process.kill()
    assert not alive(workers)


def whole(home: Path) -> None:
    """`doctor` finds nothing wrong in `home`."""
    assert main(["doctor", "--model", "scripted", "--home", str(home)]) == 0


def document(folder: Path, num_passages: int) -> Path:
    """A Markdown file of so many sections."""
    names = ["Karlov", "Brenna", "Ostrava", "Lindau", "Maribor", "Tarnow", "Zadar", "Vaduz"]
    sections = [
        f"# The {names[n % len(names)]} Bridge {n}\n\nThe bridge number {n} of {names[n % len(names)]} was opened in "
        f"{1700 + n} by Tom Weber. It has {20 + n} iron arches.\n"
        for n in range(num_passages)
    ]
    path = folder / "bridges.md"
    path.write_text("\n".join(sections))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("on_terminal", [True, False])
def test_a_document_goes_on_where_it_was_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], on_terminal: bool
) -> None:
    path = document(tmp_path, 20)
    home = tmp_path / "home"
    with running("ingest", str(path), *SCRIPTED, home=home, on_terminal=on_terminal) as process:
        process.until("passage 3 of 20" if on_terminal else "[3/20]")
        process.interrupt()
        assert process.ended(BUSY) == 130
    line = process.said.strip().splitlines()[-1]
    num_done = int(line.split("stopped; ")[1].split(" of 20 passages are done and saved; run the same command")[0])
    assert 2 <= num_done < 20
    assert len(Home(home).episodes("default")) >= num_done
    whole(home)
    capsys.readouterr()
    assert main(["ingest", str(path), *SCRIPTED, "--home", str(home)]) == 0
    num_known = num_done + (len(Home(home).episodes("default")) - 20)
    assert f"of 20 passages; {num_known} were known" in capsys.readouterr().out
    assert len(Home(home).episodes("default")) == 20


@pytest.mark.slow
def test_a_chat_is_left_at_its_prompt_and_what_was_said_waits(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running("chat", *SCRIPTED, home=home) as process:
        process.until("> ")
        process.type(TEXT)
        process.until("I do not know.")
        process.interrupt()
        assert process.ended(BUSY) == 130
    assert process.said.strip().endswith("the next `chat` or `queue work` learns them; go on with message 2")
    assert "Traceback" not in process.said
    [job] = LearningQueue(Home(home)).jobs(states=())
    assert job.state in ("waiting", "running", "done")
    assert main(["queue", "work", *SCRIPTED, "--home", str(home)]) == 0
    assert LearningQueue(Home(home)).job(job.id).outcome == "accepted"
    whole(home)


@pytest.mark.slow
def test_what_was_learned_is_said_while_nobody_types(tmp_path: Path) -> None:
    with running("chat", *SCRIPTED, home=tmp_path / "home") as process:
        process.until("/help lists")
        process.until("> ")
        process.type("/help")
        process.until("Ctrl-D")
        process.type("/quit")
        process.until("there is no command /quit")
        process.type(TEXT)
        process.until("(The Tower of Karlov: learned")  # without another line
        process.until("> ")
        process.interrupt()
        assert process.ended(BUSY) == 130


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["chat", *SCRIPTED], ["queue", "work", "--forever", *SCRIPTED]])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_waits_in_a_pipe_ends(tmp_path: Path, arguments: list[str], number: signal.Signals) -> None:
    with running(*arguments, home=tmp_path, on_terminal=False) as process:
        deadline = time.monotonic() + 30
        while not (tmp_path / DATABASE).exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.5)
        os.kill(process.pid, number)
        assert process.ended(BUSY) == 128 + number
    assert process.said.count("stopped; ") == 1
    assert "Traceback" not in process.said


@pytest.mark.slow
def test_a_command_that_waits_for_the_database_ends(tmp_path: Path) -> None:
    path = document(tmp_path, 3)
    home = Home(tmp_path / "home")
    with sqlite3.connect(home.root / DATABASE, isolation_level=None) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with running("ingest", str(path), *SCRIPTED, home=home.root) as process:
            process.until("bridges.md")
            time.sleep(0.5)
            process.interrupt()
            assert process.ended(BUSY) == 130
        holder.execute("ROLLBACK")
    whole(home.root)


@pytest.mark.slow
def test_the_workers_of_a_soak_end_with_it(tmp_path: Path) -> None:
    with running("soak", "--out", str(tmp_path / "out"), "--flips", "0", "--real-kills", "0", home=tmp_path) as process:
        process.until("killing")
        started = descendants(process.pid)
        assert len(started) >= 2  # the command and the fork server
        process.interrupt()
        assert process.ended(BUSY) == 130
    assert not alive(started)
    assert "run the same command to continue" in process.said


@pytest.mark.slow
def test_a_gateway_ends_while_a_request_is_open(tmp_path: Path, port: int) -> None:
    arguments = ["gateway", "start", "--port", str(port), *SCRIPTED]
    with running(*arguments, home=tmp_path, on_terminal=False) as process:
        process.until("Uvicorn running")
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"POST /v1/documents HTTP/1.1\r\nhost: here\r\ncontent-length: 100\r\n\r\n{")
            time.sleep(0.3)
            process.interrupt()
            assert process.ended(BUSY) == 130
    assert "queued texts are learned when it starts again" in process.said
