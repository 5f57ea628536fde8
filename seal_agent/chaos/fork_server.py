"""A process that starts lives of the soak without importing anything again: the parent's side of `soak_life`."""

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
    """A process that starts lives in one home without importing anything again."""

    def __init__(self, root: Path, model: str, strategy: str) -> None:
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "seal_agent.chaos.workload", str(root), model, strategy],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **threads},
            start_new_session=True,  # Ctrl-C is for the soak, which ends this process and the life it has started
        )
        interruption.owns(self._process.pid)
        self._is_alive = False  # the life that was started last

    def start(self, plan: WorkloadPlan) -> int:
        """The pid of a new life."""
        if self._process.stdin is None or self._process.poll() is not None:
            raise InputError("the process that starts lives has ended; see its message above")
        self._process.stdin.write(json.dumps(asdict(plan)) + "\n")
        self._process.stdin.flush()
        self._is_alive = True
        return int(self._line())

    def ended(self) -> int:
        """Wait for the life that was started; its exit code, negative for a signal."""
        code = int(self._line())
        self._is_alive = False
        return code

    def _line(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise InputError("the process that starts lives has died; see its message above")
        return line

    def close(self) -> None:
        """End it, and a life that still runs."""
        if self._is_alive:
            os.killpg(self._process.pid, signal.SIGKILL)
        if self._process.stdin:
            self._process.stdin.close()
        if self._process.stdout:
            self._process.stdout.close()
        self._process.wait()
        interruption.lets_go(self._process.pid)
