"""The machine in words, for whoever reads a figure."""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path

from seal_agent.adapters.loading import pick_device


def described(device: str = "") -> str:
    """The processor or GPU that `device` ("auto", "cpu", "cuda:N") is here, and what its model computes in.

    The processor alone where no device, and so no model, is named.
    """
    processor = f"{_processor()}, {os.cpu_count()} cores"
    if not device:
        return processor
    import torch

    chosen, dtype = pick_device(device)
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else processor
    return f"{name}, {str(dtype).removeprefix('torch.')}"


def _processor() -> str:
    """Linux says "x86_64" to whoever asks the platform module."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
