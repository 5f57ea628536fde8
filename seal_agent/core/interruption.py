"""How a command ends before its time: the signals that ask for it, and the one line that says what was kept.

`obeying` turns the first signal into `KeyboardInterrupt` in the main thread; long work in other threads calls `check`
between two steps. `entry` watches the process from outside and kills it where it does not end by itself.
What both need is on a board of shared memory: the sentence of the line, whether it was printed, and the processes that
must not outlive this one.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
EXIT_STOPPED = 130  # a shell's code for a program that Ctrl-C ended; 128 and the number of the signal
NOTHING_LOST = "nothing half-learned is served"
LOOK_SECONDS = 0.5  # between two looks at whether the parent process is still there

MAX_PROCESSES = 32
_PROCESSES = struct.Struct(f"{MAX_PROCESSES}i")
_PRINTED, _PLACES, _SENTENCE, _SIZE = 0, 8, 8 + _PROCESSES.size, 4096
_board = mmap.mmap(-1, _SIZE)
_lock = threading.Lock()
_asked = threading.Event()


class Stopped(KeyboardInterrupt):
    """This process was asked to end."""


def keeps(sentence: str) -> None:
    """What the line says from now on, if the command is stopped: what is kept, and how to go on."""
    encoded = sentence.encode()[: _SIZE - _SENTENCE - 1]
    _board[_SENTENCE:_SIZE] = encoded.ljust(_SIZE - _SENTENCE, b"\0")


def kept() -> str:
    """What `keeps` was told last."""
    return _board[_SENTENCE:_SIZE].split(b"\0")[0].decode(errors="replace") or NOTHING_LOST


def is_asked() -> bool:
    """Whether this process was asked to end."""
    return _asked.is_set()


def check() -> None:
    """Raise `Stopped` where this process was asked to end; called between two steps of long work, in any thread."""
    if _asked.is_set():
        raise Stopped


def owns(process: int) -> None:
    """Name a process, or the leader of a process group, that must not outlive this one."""
    with _lock:
        _write([process, *(each for each in _owned() if each != process)])


def lets_go(process: int) -> None:
    """Take back `owns`: the process has ended."""
    with _lock:
        _write([each for each in _owned() if each != process])


def kill_owned() -> None:
    """Kill every process that `owns` named, with its group where it leads one."""
    for process in _owned():
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process, signal.SIGKILL)


def say(*, as_json: bool) -> None:
    """Print the line on stderr, and as JSON on stdout if asked for; whoever comes second prints nothing."""
    with _lock:
        if _board[_PRINTED]:
            return
        _board[_PRINTED] = 1
    line = f"stopped; {kept()}"
    with suppress(OSError, ValueError, RuntimeError):  # nobody may be left to read it, or a write be interrupted
        if as_json:
            sys.stdout.write(json.dumps({"error": line}) + "\n")
            sys.stdout.flush()
        begin = "\n" if sys.stderr.isatty() else ""  # the prompt, or ^C, stands on this line
        sys.stderr.write(f"{begin}seal-agent: {line}\n")
        sys.stderr.flush()


def reset() -> None:
    """Forget what was said and asked before: another command begins."""
    _asked.clear()
    keeps("")
    _board[_PRINTED] = 0


@contextmanager
def obeying() -> Iterator[None]:
    """While it lasts, a signal raises `Stopped` in the main thread, and a second one ends the process at once.

    A signal that was ignored before, as those of a job in the background are, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    heard = [number for number, action in before.items() if action not in (signal.SIG_IGN, None)]
    for number in heard:
        signal.signal(number, _on_signal)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


def _on_signal(number: int, _frame: FrameType | None) -> None:
    if _asked.is_set():
        end(128 + number, as_json="--json" in sys.argv)
    _asked.set()
    raise Stopped


def end(code: int, *, as_json: bool) -> None:
    """End this process now, whatever its threads are at, and the processes it owns; the line is printed before."""
    say(as_json=as_json)
    kill_owned()
    os._exit(code)


def end_with_parent() -> None:
    """From now on this process ends within a second when its parent has ended."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_SECONDS)
        os._exit(EXIT_STOPPED)

    threading.Thread(target=watch, name="seal-agent-parent", daemon=True).start()


def _owned() -> list[int]:
    return [each for each in _PROCESSES.unpack_from(_board, _PLACES) if each]


def _write(processes: list[int]) -> None:
    _PROCESSES.pack_into(_board, _PLACES, *(processes + [0] * MAX_PROCESSES)[:MAX_PROCESSES])
