"""A description of the machine, for benchmark reports."""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path

from seal_agent.adapters.loading import pick_device


def described(device: str = "") -> str:
    """The processor or GPU behind `device` ("auto", "cpu", "cuda:N"), and the precision of the model on it.

    Without a device, the processor alone.
    """
    processor = f"{_processor()}, {os.cpu_count()} cores"
    if not device:
        return processor
    import torch

    chosen, dtype = pick_device(device)
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else processor
    return f"{name}, {str(dtype).removeprefix('torch.')}"


def _processor() -> str:
    """The processor's name; on Linux the platform module gives only "x86_64"."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
