"""Ctrl-C on the real model: while it loads, reads labelled turns, trains, or learns behind a chat or a gateway."""

import json
import re
import time
import urllib.request
from pathlib import Path

import pytest
from running import running
from stand_in_server import port

from seal_agent.adapters.loading import find_model
from seal_agent.cli.app import main
from seal_agent.core.models import EMBEDDED
from seal_agent.deciding.classifier import HEADS_FOLDER, num_read
from seal_agent.storage.database import Home
from seal_agent.storage.jobs import Job, LearningQueue

pytestmark = pytest.mark.integration
__all__ = ["port"]
PROMISED = 2.0  # seconds, on a machine that has nothing else to do
BUSY = 2 * PROMISED  # on one that runs other tests beside this one
TOLD = (
    "The Amber Lighthouse was built in 1873 by the engineer Odile Fransk. "
    "Its keeper is called Bartho Veen. The door of the lighthouse is painted purple."
)
STATES = 1152  # of one reading by the embedded model


@pytest.fixture
def home(tmp_path: Path, cache: Path) -> Path:
    find_model(EMBEDDED, cache)
    (tmp_path / "models").symlink_to(cache)
    return tmp_path


def whole(home: Path) -> None:
    assert main(["doctor", "--home", str(home)]) == 0


def begun(home: Path, step: str, seconds: float = 180.0) -> Job:
    """The one job, once its worker is at `step`."""
    queue = LearningQueue(Home(home))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        jobs = queue.jobs(states=())
        if jobs and (jobs[0].state, jobs[0].step) == ("running", step):
            return jobs[0]
        time.sleep(0.1)
    raise AssertionError(f"no job is at {step}: {queue.jobs(states=())}")


def test_a_document_can_be_stopped_at_every_step_and_is_learned_in_the_end(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = home / "lighthouse.txt"
    path.write_text(TOLD)
    for moment in ("loading the model", "deciding", "writing", "training an adapter: training", "probing"):
        with running("ingest", str(path), home=home) as process:
            process.until(moment, 240)
            time.sleep(0.3)
            process.interrupt()
            assert process.ended(BUSY) == 130
        assert "run the same command to continue" in process.said
        assert "Traceback" not in process.said
    whole(home)
    capsys.readouterr()
    assert main(["ingest", str(path), "--home", str(home)]) == 0
    assert "learned 1 of 1 passages" in capsys.readouterr().out
    whole(home)


def test_reading_turns_for_a_new_model_is_announced_and_goes_on_where_it_was_stopped(home: Path, cache: Path) -> None:
    _, model = find_model(EMBEDDED, cache)  # as a folder it has another name, and no head
    path = home / "welcome.txt"
    path.write_text("welcome to our small page about the town")  # names nothing: the head decides about it

    def stopped(num_more: int) -> int:
        before = num_read(model, home / HEADS_FOLDER, STATES)
        with running("ingest", str(path), "--model", model, home=home) as process:
            process.until("labelled turns are read, once for this model", 240)
            assert "the turns read so far are kept" in process.said
            assert (f"{before} of them read already" in process.said) == bool(before)
            process.until(f"{before + num_more}/975", 240)
            process.interrupt()
            assert process.ended(BUSY) == 130
            shown = [int(n) for n in re.findall(r"(\d+)/975", process.said)]
            assert shown[0] >= before
        return num_read(model, home / HEADS_FOLDER, STATES)

    first = stopped(9)
    assert first >= 9
    assert stopped(5) >= first + 5


def test_a_chat_is_left_while_it_learns_behind_the_replies(home: Path) -> None:
    with running("chat", home=home) as process:
        process.until("> ", 240)
        process.type(TOLD)
        begun(home, "train")
        time.sleep(0.5)
        process.interrupt()
        assert process.ended(BUSY) == 130
    assert "the next `chat` or `queue work` learns them" in process.said
    assert "Traceback" not in process.said
    whole(home)
    assert main(["queue", "work", "--home", str(home)]) == 0
    [job] = LearningQueue(Home(home)).jobs(states=())
    assert job.outcome == "accepted"


def test_a_gateway_is_stopped_while_it_learns(home: Path, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["gateway", "keys", "add", "laptop", "--home", str(home)]) == 0
    key = capsys.readouterr().out.strip()
    with running("gateway", "start", "--port", str(port), home=home, on_terminal=False) as process:
        process.until("Uvicorn running", 240)
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/documents",
            data=json.dumps({"text": TOLD}).encode(),
            headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            assert answer.status == 202
        begun(home, "train")
        process.interrupt()
        assert process.ended(BUSY) == 130
    assert "queued texts are learned when it starts again" in process.said
    whole(home)
