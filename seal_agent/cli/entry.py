"""The entry point of `seal-agent`: a child process runs the command, and this small parent makes sure that it ends.

A Python process cannot guarantee that by itself: signal handlers wait for the interpreter lock, and loading torch or
transformers from a cold disk holds that lock for up to eight seconds. So the parent passes the first signal on; after a
second signal, or `PATIENCE`, it kills the child, which is safe at any moment (`soak` tests it), and prints the line
that the child did not print.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

from seal_agent.core import interruption

PATIENCE = 1.2  # seconds from the first signal to the kill; at most two are promised
PR_SET_PDEATHSIG = 1  # option of Linux's prctl


def main() -> int:
    """Run the command line; returns its exit code, or 128 plus the number of the signal that stopped it."""
    if not hasattr(os, "fork"):
        from seal_agent.cli.app import main as work

        return work()
    signal.pthread_sigmask(signal.SIG_BLOCK, interruption.SIGNALS)  # blocked until both processes have handlers
    worker = os.fork()
    if not worker:
        _work()
    return _Watch(worker).until_it_ends()


def _work() -> NoReturn:
    """Run the command. Ctrl-C reaches it through the parent only, so that it comes once."""
    _die_with(os.getppid())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [each for each in interruption.SIGNALS if each != signal.SIGINT])
    from seal_agent.cli.app import main as work

    code = interruption.EXIT_STOPPED
    with suppress(KeyboardInterrupt):  # from a signal at the very end
        code = work()
    if interruption.is_asked():
        interruption.end(code, as_json="--json" in sys.argv)  # other threads may still be running
    sys.exit(code)


def _die_with(parent: int) -> None:
    """Have this process killed when `parent` dies."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(interruption.EXIT_STOPPED)
    else:
        interruption.end_with_parent()


class _Watch:
    """Waits for the process `worker`, passes the first signal on, and kills it after another or `PATIENCE`."""

    def __init__(self, worker: int) -> None:
        self._worker = worker
        self._asked = 0
        self._terminal = _terminal_settings()

    def until_it_ends(self) -> int:
        """Wait for the child, and return its exit code."""
        for number in interruption.SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._on_signal)
        signal.signal(signal.SIGALRM, lambda *_: self._kill())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, interruption.SIGNALS)
        _, status = os.waitpid(self._worker, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        code = os.waitstatus_to_exitcode(status)
        if not self._asked:
            return code if code >= 0 else _ended_by(-code)
        if 0 <= code < 128:
            return code  # it had ended before the signal came
        interruption.kill_owned()
        if code < 0:
            self._tidy()
        interruption.say(as_json="--json" in sys.argv)
        return 128 + self._asked

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._asked:
            self._kill()
            return
        self._asked = number
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        with suppress(ProcessLookupError):
            os.kill(self._worker, signal.SIGTERM)

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._worker, signal.SIGKILL)

    def _tidy(self) -> None:
        """Restore the terminal: its settings, and a visible cursor."""
        if self._terminal is not None:
            import termios

            with suppress(termios.error):
                termios.tcsetattr(sys.stdin, termios.TCSANOW, self._terminal)
        if sys.stderr.isatty():
            sys.stderr.write("\x1b[?25h")


def _terminal_settings() -> list[Any] | None:
    try:
        import termios

        return termios.tcgetattr(sys.stdin)
    except (ImportError, OSError, ValueError, AttributeError):
        return None
    except termios.error:
        return None


def _ended_by(number: int) -> int:
    """End this process by the same signal, so that its parent sees the cause."""
    signal.signal(number, signal.SIG_DFL) if number not in (signal.SIGKILL, signal.SIGSTOP) else None
    os.kill(os.getpid(), number)
    return 128 + number
