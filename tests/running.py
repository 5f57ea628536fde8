"""A command of ours in a process of its own, on a terminal or in a pipe: what it says, and how it ends."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
COMMAND = (sys.executable, "-m", "seal_agent")


class Running:
    """A process whose output comes out of the file `handle`."""

    def __init__(self, process: subprocess.Popen[bytes], handle: int, *, is_on_terminal: bool) -> None:
        self.pid = process.pid
        self._process = process
        self.said = ""
        self._handle = handle
        self._is_on_terminal = is_on_terminal

    def until(self, text: str, seconds: float = 60.0) -> None:
        """Read until it has said `text`."""
        end = time.monotonic() + seconds
        while text not in self.said:
            assert time.monotonic() < end, f"{text!r} was not said in {seconds:g} s but {self.said[-500:]!r}"
            if not self._read(0.05) and text not in self.said:
                raise AssertionError(f"it ended without saying {text!r}: {self.said[-500:]!r}")

    def type(self, line: str) -> None:
        """Type a line at its terminal."""
        os.write(self._handle, f"{line}\n".encode())

    def interrupt(self) -> None:
        """Press Ctrl-C, or send what a shell would send."""
        if self._is_on_terminal:
            os.write(self._handle, b"\x03")
        else:
            os.kill(self.pid, signal.SIGINT)

    def ended(self, seconds: float) -> int:
        """Its exit code, negative for a signal; fails if it has not ended by then."""
        end = time.monotonic() + seconds
        while self._process.poll() is None:
            self._read(0.02)
            assert time.monotonic() < end, f"it still runs after {seconds:g} s: {self.said[-500:]!r}"
        while select.select([self._handle], [], [], 0.1)[0] and self._read(0.1):
            pass
        return int(self._process.returncode)

    def _read(self, seconds: float) -> bool:
        """Whether there may be more to read."""
        if not select.select([self._handle], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._handle, 65536)
        except OSError:  # a terminal whose last process has ended
            data = b""
        self.said += data.decode(errors="replace")
        if not data:
            time.sleep(seconds)
        return bool(data)


@contextmanager
def running(*arguments: str, home: Path, on_terminal: bool = True) -> Iterator[Running]:
    """`seal-agent` with `arguments` and a home of its own; killed in the end if it still runs.

    Without a terminal its standard input is a pipe that nobody writes into.
    """
    environment = {**os.environ, "SEAL_HOME": str(home), "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    ours, theirs = pty.openpty() if on_terminal else os.pipe()
    first = [sys.executable, "-c", TAKE_TERMINAL] if on_terminal else []
    reading, _writing = (theirs, ours) if on_terminal else os.pipe()
    started = subprocess.Popen(  # noqa: S603
        [*first, *COMMAND, *arguments],
        stdin=reading,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=on_terminal,
    )
    os.close(theirs)
    try:
        yield Running(started, ours, is_on_terminal=on_terminal)
    finally:
        started.kill()
        started.wait()
        os.close(ours)
        if not on_terminal:
            os.close(reading)
            os.close(_writing)


def alive(pids: list[int], seconds: float = 1.0) -> list[int]:
    """Those of the processes that still run after so long; one that has ended and was not waited for does not."""
    end = time.monotonic() + seconds
    while (left := [pid for pid in pids if (status := _status(pid)) and "State:\tZ" not in status]) and (
        time.monotonic() < end
    ):
        time.sleep(0.02)
    return left


def descendants(pid: int) -> list[int]:
    """The processes that `pid` has started, and those that they have started."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *descendants(child)]
    return found


def _status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return ""
