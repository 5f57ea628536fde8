"""Measurement of matrix speed, arithmetic, seconds and peak memory.

It knows nothing of models or training; `rig` applies it to them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

SIDE = {"cpu": 1024, "cuda": 8192}  # of the timed matrices: large enough for full speed
NUM_PRODUCTS = 4
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # of resident memory (Linux, proc(5))
MIB = 1 << 20


@dataclass(frozen=True)
class Cost:
    """The cost of one piece of work; `peak_mib` beyond what was held before, -1 if it cannot be measured."""

    seconds: float
    peak_mib: float


Clock = Callable[[], float]
"""Returns seconds since some fixed moment."""


def clock_of(device: torch.device, *, is_shared: bool = False) -> Clock:
    """A clock that first waits for all work on the device.

    `is_shared`: the processor is shared with other processes, so the process's own CPU seconds per thread are counted.
    """

    def wall() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    def processor() -> float:
        return time.process_time() / torch.get_num_threads()

    return processor if is_shared and device.type == "cpu" else wall


def cost_of(work: Callable[[], object], device: torch.device, clock: Clock) -> Cost:
    """Run `work` once and measure it."""
    before = _held(device)
    can_tell = _forget_peak(device)
    start = clock()
    work()
    seconds = clock() - start
    return Cost(seconds, round(_peak(device) - before, 1) if can_tell else -1.0)


def arithmetic_of(work: Callable[[], object]) -> float:
    """The floating-point operations of the matrix products in `work`, attention left out."""
    with FlopCounterMode(display=False) as counter:
        work()
    counts = counter.get_flop_counts().get("Global", {})
    return float(sum(n for operation, n in counts.items() if "attention" not in str(operation)))


def matrix_speed(device: torch.device, dtype: torch.dtype, clock: Clock) -> float:
    """The current operations per second of a large square matrix product in that dtype."""
    side = SIDE.get(device.type, 1024)
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    a @ b
    start = clock()
    for _ in range(NUM_PRODUCTS):
        a @ b
    return NUM_PRODUCTS * 2 * side**3 / (clock() - start)


def _held(device: torch.device) -> float:
    """MiB in use now; of the process, on a CPU."""
    return torch.cuda.memory_allocated(device) / MIB if device.type == "cuda" else _resident("VmRSS")


def _peak(device: torch.device) -> float:
    """Peak MiB since `_forget_peak`."""
    return torch.cuda.max_memory_allocated(device) / MIB if device.type == "cuda" else _resident("VmHWM")


def _forget_peak(device: torch.device) -> bool:
    """Reset the peak; False if the system cannot."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    try:
        CLEAR.write_text(RESET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


def _resident(name: str) -> float:
    """A memory figure of this process in MiB, from Linux; 0 elsewhere."""
    if not STATUS.exists():
        return 0.0
    found = re.search(rf"{name}:\s+(\d+) kB", STATUS.read_text(encoding="utf-8", errors="replace"))
    return int(found[1]) / 1024 if found else 0.0
