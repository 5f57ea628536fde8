"""Readings of labelled turns on disk, so that fitting a head can be resumed.

One file for each model and set of turns. It has records of one size that are appended in single writes, so a killed
process loses nothing. A record that is incomplete or damaged is read again.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seal_agent.core.errors import StorageError
from seal_agent.storage.files import HINT, writable

NUM_EXACT = 5  # numbers at the end of a row that need float64; the states before them are float32
MAX_DIFFERENCE = 0.1  # relative to a row's norm: another precision differs by less, other weights by more

Matrix = NDArray[np.float64]


class KeptReadings:
    """The stored rows of features, by the number of the turn; `first` is a new row of turn 0.

    If the file holds a different row for turn 0, it is of other weights under the same name, and is started anew.
    """

    def __init__(self, path: Path, first: Matrix) -> None:
        self._path = path
        self._kind = _kind(len(first) - NUM_EXACT)
        self.rows: dict[int, Matrix] = self._read()
        if 0 in self.rows and _differ(self.rows[0], first):
            self.rows = {}
            path.unlink()
        if 0 not in self.rows:
            self.add(0, first)

    def add(self, number: int, row: Matrix) -> None:
        """Store the row of one turn."""
        record = np.zeros(1, dtype=self._kind)
        record["number"], record["state"], record["rest"] = number, row[:-NUM_EXACT], row[-NUM_EXACT:]
        record["sum"] = _sum_of(record[0])
        try:
            handle = os.open(writable(self._path.parent) / self._path.name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            try:
                os.write(handle, record.tobytes())
            finally:
                os.close(handle)
        except OSError as error:
            raise StorageError(f"cannot write {self._path}: {error.strerror or error}; {HINT}") from error
        self.rows[number] = row

    def _read(self) -> dict[int, Matrix]:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StorageError(f"cannot read {self._path}: {error.strerror or error}; delete it") from error
        whole = len(data) - len(data) % self._kind.itemsize
        if whole < len(data):
            os.truncate(self._path, whole)
        records = np.frombuffer(data[:whole], dtype=self._kind)
        sound = [record for record in records if record["sum"] == _sum_of(record)]
        return {int(r["number"]): np.concatenate([r["state"].astype(np.float64), r["rest"]]) for r in sound}


def num_kept(path: Path, num_states: int) -> int:
    """The number of stored readings of width `num_states`."""
    return path.stat().st_size // _kind(num_states).itemsize if path.exists() else 0


def _kind(num_states: int) -> np.dtype[np.void]:
    return np.dtype([("number", "<u4"), ("sum", "<u4"), ("state", "<f4", num_states), ("rest", "<f8", NUM_EXACT)])


def _sum_of(record: np.void) -> int:
    return zlib.crc32(record["state"].tobytes() + record["rest"].tobytes(), int(record["number"]))


def _differ(a: Matrix, b: Matrix) -> bool:
    return float(np.linalg.norm(a - b)) > MAX_DIFFERENCE * float(np.linalg.norm(b))
