"""Ending a command early: the signals that ask for it, and the line that says what was saved.

`obeying` turns the first signal into `KeyboardInterrupt` in the main thread; long work in other threads calls `check`
between two steps. `cli.entry` watches the process from outside and kills it if it does not end by itself.
Both processes share a block of memory: the sentence of the line, whether it was printed, and the ids of the processes
that must end with this one.
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
LOOK_SECONDS = 0.5  # between two checks that the parent process is alive

MAX_PROCESSES = 32
_PROCESSES = struct.Struct(f"{MAX_PROCESSES}i")
_PRINTED, _PLACES, _SENTENCE, _SIZE = 0, 8, 8 + _PROCESSES.size, 4096
_board = mmap.mmap(-1, _SIZE)
_lock = threading.Lock()
_asked = threading.Event()


class Stopped(KeyboardInterrupt):
    """This process was asked to end."""


def keeps(sentence: str) -> None:
    """Set the sentence printed when the command is stopped: what is saved, and how to go on."""
    encoded = sentence.encode()[: _SIZE - _SENTENCE - 1]
    _board[_SENTENCE:_SIZE] = encoded.ljust(_SIZE - _SENTENCE, b"\0")


def kept() -> str:
    """The sentence set last."""
    return _board[_SENTENCE:_SIZE].split(b"\0")[0].decode(errors="replace") or NOTHING_LOST


def is_asked() -> bool:
    """Whether this process was asked to end."""
    return _asked.is_set()


def check() -> None:
    """Raise `Stopped` if this process was asked to end; called between two steps of long work, in any thread."""
    if _asked.is_set():
        raise Stopped


def owns(process: int) -> None:
    """Register a process, or the leader of a process group, that must end with this one."""
    with _lock:
        _write([process, *(each for each in _owned() if each != process)])


def lets_go(process: int) -> None:
    """Undo `owns` for a process that has ended."""
    with _lock:
        _write([each for each in _owned() if each != process])


def kill_owned() -> None:
    """Kill every registered process, with its group if it leads one."""
    for process in _owned():
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process, signal.SIGKILL)


def say(*, as_json: bool) -> None:
    """Print the line on stderr, and as JSON on stdout if `as_json`; only the first call prints."""
    with _lock:
        if _board[_PRINTED]:
            return
        _board[_PRINTED] = 1
    line = f"stopped; {kept()}"
    with suppress(OSError, ValueError, RuntimeError):  # stderr may be closed, or the write interrupted
        if as_json:
            sys.stdout.write(json.dumps({"error": line}) + "\n")
            sys.stdout.flush()
        begin = "\n" if sys.stderr.isatty() else ""  # the cursor stands behind a prompt or ^C
        sys.stderr.write(f"{begin}seal-agent: {line}\n")
        sys.stderr.flush()


def reset() -> None:
    """Clear signals and sentences of an earlier command."""
    _asked.clear()
    keeps("")
    _board[_PRINTED] = 0


@contextmanager
def obeying() -> Iterator[None]:
    """Inside the block, a first signal raises `Stopped` in the main thread, and a second ends the process at once.

    A signal that was ignored before, as in a background job of a shell, stays ignored.
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
    """Print the line, kill the owned processes and end this process at once, whatever its threads are doing."""
    say(as_json=as_json)
    kill_owned()
    os._exit(code)


def end_with_parent() -> None:
    """From now on, end this process within a second after its parent has ended."""
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
