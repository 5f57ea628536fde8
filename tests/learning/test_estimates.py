"""What is said before something long begins, and while it lasts."""

import time
from pathlib import Path

import pytest

from seal_agent.cli.ingest import Planned, announce
from seal_agent.cli.loading import announce_head, begin_loading
from seal_agent.cli.progress import Display
from seal_agent.core.documents import Passage
from seal_agent.documents.files import Document
from seal_agent.learning import estimates
from seal_agent.learning.estimates import EditCost
from seal_agent.learning.learner import Learner
from seal_agent.learning.loop import run

TOWER = Passage("Tower of Karlov", "The Tower of Karlov was built in 1911 by Anna Reel. It holds nine brass bells.")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "less than 1 s"),
        (7.4, "about 7 s"),
        (23, "about 25 s"),
        (200, "about 3 minutes"),
        (5400, "about 1.5 hours"),
        (99_999, "about 28 hours"),
    ],
)
def test_seconds_are_rounded_as_an_estimate_is(seconds: float, said: str) -> None:
    assert estimates.duration(seconds) == said


def test_documents_are_announced_for_each_passage_and_in_all() -> None:
    cost = EditCost(25, 10)
    assert estimates.documents(12, 3, 0, cost) == (
        "12 passages in 3 files: about 25 s and 10 MB each, about 5 minutes and 120 MB in all"
    )
    assert estimates.documents(169, 1, 4, cost) == (
        "169 passages, 4 known already, 165 to go: about 25 s and 10 MB each, about 69 minutes and 1.6 GB in all"
    )
    assert (
        estimates.waiting(2, cost)
        == "2 texts wait to be learned: about 25 s and 10 MB each, about 50 s and 20 MB in all"
    )
    assert estimates.documents(1, 1, 0, cost) == "1 passage: about 25 s and 10 MB"


def test_what_edits_took_in_this_home_says_what_the_next_will_take(learner: Learner) -> None:
    guessed = estimates.cost_of_an_edit(learner.home, learner.backend)
    run(learner, learner.begin(TOWER))
    [episode] = learner.home.episodes("default")
    assert episode.adapter
    found = estimates.cost_of_an_edit(learner.home, learner.backend)
    size = sum(path.stat().st_size for path in Path(episode.adapter.path).iterdir())
    assert found.megabytes == pytest.approx(size / 1e6)
    assert found.seconds == pytest.approx(sum(v for k, v in episode.seconds.items() if k != "decide"))
    assert found != guessed


def test_a_long_ingest_is_announced_and_a_short_one_is_not(
    learner: Learner, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = [Planned("a.md", Document("", "a"), 7, 1), Planned("b.md", Document("", "b"), 2, 0)]
    announce(Display(), learner, plan)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(estimates, "cost_of_an_edit", lambda *_: EditCost(30, 10))
    announce(Display(), learner, plan)
    assert capsys.readouterr().err.startswith("10 passages in 2 files, 1 known already, 9 to go: about 30 s and 10 MB")


def test_the_head_of_a_new_model_is_announced_with_what_was_read_already(
    learner: Learner, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    announce_head(Display(), learner.backend, learner.home)
    assert capsys.readouterr().err == ""  # it has one
    said = estimates.fitting_notice(4466, 133, 0.2)
    assert "4,466 labelled turns are read, once for this model, 133 of them read already: about 14 minutes; " in said


def test_converting_a_model_is_announced_until_it_was_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gguf = tmp_path / "small.gguf"
    gguf.write_bytes(b"GGUF" * 1_000_000)
    with Display() as display:
        begin_loading(display, str(gguf), tmp_path)
    assert capsys.readouterr().err == "small.gguf is converted to safetensors first, once: about 1 s and 12 MB\n"
    (tmp_path / "models" / "small-0123456789abcdef").mkdir(parents=True)
    with Display() as display:
        begin_loading(display, str(gguf), tmp_path)
    assert capsys.readouterr().err == ""


def test_without_a_terminal_long_work_says_now_and_then_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with Display(beat=0.02) as display:
        display.busy("loading the model")
        time.sleep(0.06)
        assert "loading the model (0 s)\n" in capsys.readouterr().err
        display.progress("reading", 30, 100)
        time.sleep(0.06)
        assert "reading 30/100 (0 s)\n" in capsys.readouterr().err
        display.clear()
        time.sleep(0.06)
        capsys.readouterr()
        time.sleep(0.06)
    assert capsys.readouterr().err == ""


def test_what_is_left_is_told_from_what_was_done_since_it_began_and_not_from_what_was_kept(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = [0.0]
    with Display(beat=0.02, clock=lambda: now[0]) as display:
        display.progress("reading", 133, 333)
        now[0] = 10.0
        display.progress("reading", 153, 333)
        time.sleep(0.06)
    assert "reading 153/333, about 90 s left (10 s)\n" in capsys.readouterr().err
