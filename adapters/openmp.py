"""Release the OpenMP workers of a thread when it is done with the model.

libgomp keeps a team of workers for every thread that ever computed. If there are more teams and threads than cores, it
parks workers between two operations instead of letting them spin, and a training step takes 1.5 to 2 times as long
(docs/log/speed.md). A graph, a server, a stream and the learning worker each use the model from their own threads.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch

SOFT = 1  # omp_pause_soft: settings are kept, threads end


def give_up_team() -> None:
    """End the workers of the calling thread; its next operation starts new ones in about 0.1 ms.

    Does nothing if torch does not use libgomp, or if there are no workers.
    """
    if pause := _pause():
        pause(SOFT)


@cache
def _pause() -> Callable[[int], int] | None:
    """`omp_pause_resource_all` (OpenMP 5.0, section 3.2.44) of the libgomp that torch has loaded."""
    if sys.platform == "linux":
        for path in sorted((Path(torch.__file__).parent / "lib").glob("libgomp*")):
            try:
                library = ctypes.CDLL(str(path), mode=ctypes.DEFAULT_MODE | os.RTLD_NOLOAD)
                found: Callable[[int], int] = library.omp_pause_resource_all
            except (OSError, AttributeError):  # not the one in use, or older than OpenMP 5.0
                continue
            return found
    return None
