"""The folder of a run: what was written is there, what was cut off is not, and other settings are refused."""

from __future__ import annotations

import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from seal_agent.bench.machine import described
from seal_agent.core.errors import InputError, StorageError
from seal_agent.storage.run_folder import Machine, RunFolder, code_digest, recorded, share_of


@dataclass(frozen=True)
class Inner:
    value: int


@dataclass(frozen=True)
class Line:
    inner: Inner
    name: str


@pytest.mark.parametrize("num_lost", [1, 3, 12])  # without its end, in the middle, after an inner brace
def test_half_a_line_is_written_again_whole(tmp_path: Path, num_lost: int) -> None:
    run, path = RunFolder(tmp_path), tmp_path / "lines.jsonl"
    lines = [Line(Inner(number), "a") for number in range(3)]
    for line in lines[:2]:
        run.append("lines", asdict(line))
    path.write_bytes(path.read_bytes()[:-num_lost])
    assert run.values("lines", Line) == lines[:1]
    for line in lines[1:]:
        run.append("lines", asdict(line))
    assert run.values("lines", Line) == lines


def test_parts_write_apart_and_read_together(tmp_path: Path) -> None:
    for part in ("1/2", "2/2"):
        RunFolder(tmp_path, part).append("lines", asdict(Line(Inner(0), part)))
    assert [line.name for line in recorded(tmp_path, "lines", Line)] == ["1/2", "2/2"]
    assert share_of([1, 2, 3], "1/2") == [1, 3]


def test_another_runs_folder_is_refused_and_reading_writes_nothing(tmp_path: Path) -> None:
    assert recorded(tmp_path, "lines", Line) == []
    assert list(tmp_path.iterdir()) == []
    RunFolder(tmp_path, config={"seed": 0})
    with pytest.raises(InputError, match="seed differ"):
        RunFolder(tmp_path, config={"seed": 1})
    (tmp_path / "lines.jsonl").write_text('{"name": "b"}\n')
    with pytest.raises(StorageError, match=r"lines\.jsonl"):
        recorded(tmp_path, "lines", Line)


def test_a_run_whose_folder_was_taken_away_says_so(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    shutil.rmtree(run.folder)
    with pytest.raises(StorageError, match=r"run is gone: .* begin another run"):
        run.append("lines", {})


def test_a_run_names_every_code_it_was_computed_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RunFolder(tmp_path).append("machines", {"name": "before it was told apart"})
    for code in (code_digest(), "0123abcd", "0123abcd"):
        monkeypatch.setattr("seal_agent.storage.run_folder.code_digest", lambda code=code: code)
        RunFolder(tmp_path).note_machine("cpu")
    assert [machine.code for machine in recorded(tmp_path, "machines", Machine)] == ["", code_digest(), "0123abcd"]
    assert re.fullmatch("[0-9a-f]{8}", code_digest())


def test_a_run_names_every_machine_it_was_computed_on_once(tmp_path: Path) -> None:
    for part in ("1/2", "2/2", "1/2"):
        RunFolder(tmp_path, part).note_machine(described("cpu"))
    RunFolder(tmp_path, "2/2").note_machine("another machine")
    names = [machine.name for machine in recorded(tmp_path, "machines", Machine)]
    assert len(names) == 2
    assert names[1] == "another machine"
    assert re.fullmatch(r".+, \d+ cores, (bfloat16|float32)", names[0])
    assert described().startswith(names[0].rpartition(",")[0])


def test_the_digest_of_the_code_is_of_every_room(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    whole = Path.read_bytes

    def note(path: Path) -> bytes:
        read.append(path.parent.name)
        return whole(path)

    monkeypatch.setattr(Path, "read_bytes", note)
    code_digest.__wrapped__()
    assert {"core", "storage", "adapters", "graphs", "learning", "english"} <= set(read)
