"""The benchmark of deciding: its labels, its arithmetic, its resuming, over the scripted backend."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.bench.decide import CHUNK, Measured, features, measure, report, turns
from seal_agent.core.errors import StorageError
from seal_agent.deciding.classifier import Turn
from seal_agent.deciding.own_classifier import OwnClassifier
from seal_agent.storage.run_folder import RunFolder


@pytest.fixture
def own(backend: ScriptedBackend, tmp_path: Path) -> OwnClassifier:
    return OwnClassifier(backend, tmp_path)


def test_the_labelled_turns_are_enough_and_balanced_over_the_halves() -> None:
    labelled = turns()
    assert len({turn.text for turn in labelled}) == len(labelled) >= 200
    halves = Counter((turn.kind, turn.split) for turn in labelled)
    assert all(abs(halves[kind, "choose"] - halves[kind, "report"]) <= 1 for kind, _ in halves)
    assert sum(turn.split == "fresh" for turn in labelled) == 260
    assert sum(turn.split == "short" for turn in labelled) == 160
    assert len({turn.learn for turn in labelled if turn.kind == "document"}) == 1


def test_a_run_that_was_stopped_goes_on_where_it_was(
    backend: ScriptedBackend, own: OwnClassifier, tmp_path: Path
) -> None:
    labelled, run, out = turns()[:6], RunFolder(tmp_path), tmp_path / "decisions.jsonl"
    first = measure(backend, own, labelled[:3], run)
    out.write_text(out.read_text()[:-9])  # cut off in the middle of its last line
    whole = measure(backend, own, labelled, run)
    assert whole[:2] == first[:2]
    assert [json.loads(line)["id"] for line in out.read_text().splitlines() if line.endswith("}")] == [0, 1, 2, 3, 4, 5]


def test_a_file_that_holds_something_else_is_refused(
    backend: ScriptedBackend, own: OwnClassifier, tmp_path: Path
) -> None:
    (tmp_path / "decisions.jsonl").write_text('{"other": 1}\n')
    with pytest.raises(StorageError, match="delete the file to begin again"):
        measure(backend, own, turns()[:2], RunFolder(tmp_path))


def test_readings_are_kept_and_not_made_again(
    backend: ScriptedBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labelled = turns()[: CHUNK + 20]
    first = features(backend, labelled, tmp_path / "r")
    assert first.shape[0] == len(labelled)
    monkeypatch.setattr(backend, "read", lambda *_: pytest.fail("read again"))
    assert np.allclose(features(backend, labelled, tmp_path / "r"), first)
    with pytest.raises(StorageError, match="holds 20 readings, not 10"):
        features(backend, labelled[:-10], tmp_path / "r")


def test_thresholds_are_chosen_on_one_half_and_reported_on_the_other() -> None:
    labelled = [
        Turn(i, "fact" if i % 2 else "joke", bool(i % 2), "choose" if i < 20 else "report", "") for i in range(40)
    ]
    # Novelty tells facts from jokes perfectly on the chosen half, and with two mistakes on the reported one.
    nats = [(100.0 if turn.learn else 10.0) for turn in labelled]
    nats[21], nats[22] = 5.0, 200.0
    measured = [
        Measured(t.id, t.learn, "", 1.0 if t.learn else -1.0, n, 5, 1.0) for t, n in zip(labelled, nats, strict=True)
    ]
    states = [2.0 if turn.learn else -2.0 for turn in labelled]
    arms = {result.arm: result for result in report(labelled, measured, states, 1.0)}
    assert (arms["never"].precision, arms["never"].recall) == (0.0, 0.0)
    assert (arms["always"].precision, arms["always"].recall) == (0.5, 1.0)
    assert (arms["novelty only"].precision, arms["novelty only"].recall) == (0.9, 0.9)
    assert arms["novelty only"].wrong_by_kind == {"joke": "1/10", "fact": "1/10"}
    assert (arms["model only"].precision, arms["model only"].recall) == (1.0, 1.0)
    assert arms["model only"].recall_low < 0.9  # ten hits of ten do not prove nine in ten
    assert arms["both (default)"].num_turns == 20
