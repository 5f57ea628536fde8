"""A process that starts lives of the soak without importing anything again: the parent's side of `soak_life`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from seal_agent.errors import InputError
from seal_agent.soak_life import LifePlan


class Zygote:
    """A process that starts lives in one home without importing anything again."""

    def __init__(self, root: Path, model: str, strategy: str) -> None:
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "seal_agent.soak_life", str(root), model, strategy],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **threads},
        )

    def start(self, plan: LifePlan) -> int:
        """The pid of a new life."""
        if self._process.stdin is None or self._process.poll() is not None:
            raise InputError("the process that starts lives has ended; see its message above")
        self._process.stdin.write(json.dumps(asdict(plan)) + "\n")
        self._process.stdin.flush()
        return int(self._line())

    def ended(self) -> int:
        """Wait for the life that was started; its exit code, negative for a signal."""
        return int(self._line())

    def _line(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise InputError("the process that starts lives has died; see its message above")
        return line

    def close(self) -> None:
        """End it; a life that still runs was killed before."""
        if self._process.stdin:
            self._process.stdin.close()
        if self._process.stdout:
            self._process.stdout.close()
        self._process.wait()
