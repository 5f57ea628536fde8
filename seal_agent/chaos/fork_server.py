"""The parent's side of the fork server, which starts worker processes of the soak test (`workload`)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from seal_agent.chaos.workload import WorkloadPlan
from seal_agent.core import interruption
from seal_agent.core.errors import InputError


class ForkServer:
    """Starts worker processes on one data directory without importing anything again."""

    def __init__(self, root: Path, model: str, strategy: str) -> None:
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "seal_agent.chaos.workload", str(root), model, strategy],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **threads},
            start_new_session=True,  # Ctrl-C goes to the soak, which ends this process and its worker
        )
        interruption.owns(self._process.pid)
        self._is_alive = False  # whether the last worker is running

    def start(self, plan: WorkloadPlan) -> int:
        """Start a worker; returns its pid."""
        if self._process.stdin is None or self._process.poll() is not None:
            raise InputError("the fork server has ended; see its message above")
        self._process.stdin.write(json.dumps(asdict(plan)) + "\n")
        self._process.stdin.flush()
        self._is_alive = True
        return int(self._line())

    def ended(self) -> int:
        """Wait for the last worker; returns its exit code, negative for a signal."""
        code = int(self._line())
        self._is_alive = False
        return code

    def _line(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise InputError("the fork server has died; see its message above")
        return line

    def close(self) -> None:
        """End the fork server, and a worker that still runs."""
        if self._is_alive:
            os.killpg(self._process.pid, signal.SIGKILL)
        if self._process.stdin:
            self._process.stdin.close()
        if self._process.stdout:
            self._process.stdout.close()
        self._process.wait()
        interruption.lets_go(self._process.pid)
