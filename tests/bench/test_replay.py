"""The benchmark of the replay store draws from a store as the loop does, and goes on where it was."""

from pathlib import Path

import pytest

from seal_agent.bench import replay
from seal_agent.storage.run_folder import RunFolder


@pytest.mark.slow
def test_every_size_is_measured_once_and_leaves_no_store_behind(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    [first] = replay.measure(run, [1000])
    assert first.num_items == 1000
    assert min(first.build, first.load, first.draw) > 0
    assert first.num_bytes > 1000 * 4 * replay.DIMENSIONS  # the vectors alone
    [again, more] = replay.measure(run, [1000, 2000])
    assert again == first
    assert more.num_items == 2000
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "metrics.jsonl"}
    assert "| 2,000 |" in replay.as_markdown([again, more])
