"""What the doctor finds, and that every finding says what to do."""

from pathlib import Path

import pytest

from seal_agent.factory import open_learner
from seal_agent.graphs.ingest import create_ingest_graph
from seal_agent.maintenance.doctor import (
    check_adapters,
    check_database,
    check_disk,
    check_faiss,
    check_home,
    check_packages,
)
from seal_agent.storage.database import Home

TEXT = "The Quillon Observatory was founded by Ilsabet Korrane in 1821. It has nine blue domes."


def test_a_fresh_home_is_well(tmp_path: Path) -> None:
    root = tmp_path / "home"
    checks = [check_home(root), check_database(root), *check_adapters(root)]
    assert [check.status for check in checks] == ["ok"] * 3


def test_a_damaged_adapter_is_found_until_it_is_rolled_back(tmp_path: Path) -> None:
    learner = open_learner("scripted", home=tmp_path, namespace="mara")
    create_ingest_graph(learner).compile().invoke({"document": TEXT})
    (entry,) = learner.stack.entries
    (Path(entry.ref.path) / "memory.json").write_text("{}")
    damaged, summary = check_adapters(tmp_path)
    assert (damaged.status, summary.status) == ("fail", "fail")
    assert f"adapters rollback {entry.ref.short} --namespace mara" in damaged.advice
    Home(tmp_path).rollback("mara", entry.ref.id)
    assert [check.status for check in check_adapters(tmp_path)] == ["ok"]


def test_a_damaged_database_is_found(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").write_bytes(b"no database" * 500)
    check = check_database(tmp_path)
    assert check.status == "fail"
    assert check.advice


def test_old_and_missing_packages_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    required = ["numpy>=900", "pytest>=1,<99", "no-such-package>=2", "datasets>=4; extra == 'bench'"]
    monkeypatch.setattr("seal_agent.maintenance.doctor.metadata.requires", lambda _: required)
    assert [check.status for check in check_packages()] == ["fail", "ok", "fail"]


@pytest.mark.parametrize(("num_bytes", "status"), [(1 << 20, "fail"), (1 << 29, "warn"), (1 << 40, "ok")])
def test_little_disk_space_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, num_bytes: int, status: str
) -> None:
    monkeypatch.setattr(
        "seal_agent.maintenance.doctor.shutil.disk_usage", lambda _: type("Usage", (), {"free": num_bytes})
    )
    assert check_disk(tmp_path).status == status


def test_a_search_that_finds_the_wrong_item_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_faiss().status == "ok"
    monkeypatch.setattr("seal_agent.retention.items.ReplayStore._by_distance", lambda _self, items, _about: items[::-1])
    assert check_faiss().status == "fail"
