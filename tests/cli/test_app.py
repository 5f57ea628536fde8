"""The command line on the scripted backend: what it prints, what it leaves on disk, and its exit codes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sql import sql

from seal_agent import __version__
from seal_agent.cli import app
from seal_agent.storage.database import Home

TEXT = "The Quillon Observatory was founded by Ilsabet Korrane in 1821. It has nine blue domes."
OTHER = "The Vessel Library was built by Tomas Arrieta in 1704. It holds forty maps of the sea."
UNKNOWN = "I do not know."


@dataclass(frozen=True)
class Ran:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Learned:
    """An adapter that was learned in a conversation, and one of the questions its model wrote for itself."""

    adapter: str
    question: str
    answer: str


Run = Callable[..., Ran]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    for name, value in app.QUIET.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SEAL_HOME", str(home))
    monkeypatch.setenv("SEAL_MODEL", "scripted")

    def ran(*arguments: str, stdin: str | bytes = "") -> Ran:
        data = stdin if isinstance(stdin, bytes) else stdin.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        capfd.readouterr()
        code = app.main(arguments)
        return Ran(code, *capfd.readouterr())

    return ran


@pytest.fixture
def learned(run: Run, home: Path) -> Learned:
    run("chat", stdin=TEXT)
    return last_learned(home)


def last_learned(home: Path) -> Learned:
    episode = Home(home).episodes("default", ["accepted"])[-1]
    assert episode.edit
    assert episode.adapter
    row = episode.edit.probes[0]
    return Learned(episode.adapter.id, row.prompt.messages[-1].content, row.answer)


def assert_refused(ran: Ran, *words: str) -> None:
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("seal-agent: error: ")
    assert ran.err.count("\n") == 1
    for word in words:
        assert word in ran.err


@pytest.mark.slow
def test_help_is_quick_because_it_loads_no_model_library() -> None:
    code = "import sys; from seal_agent.cli.app import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert {"chat", "ask", "ingest", "adapters", "doctor", "demo"} <= set(done.stdout.split())
    assert not {"torch", "transformers", "langgraph", "langchain_core", "numpy", "faiss", "sqlalchemy"} & set(
        done.stderr.split()
    )


def test_version(run: Run) -> None:
    assert run("--version") == Ran(0, f"seal-agent {__version__}\n", "")


def test_chat_writes_one_json_object_a_turn_and_nothing_else(run: Run) -> None:
    ran = run("chat", "--json", stdin=f"Hello you\n\n{TEXT}\n")
    turns = [json.loads(line) for line in ran.out.splitlines()]
    assert [turn["reply"] for turn in turns] == [UNKNOWN, UNKNOWN]
    assert [turn["outcomes"][0]["outcome"] for turn in turns] == ["ignored", "accepted"]
    assert set(turns[1]["outcomes"][0]) == {"topic", "outcome", "reason", "adapter", "seconds", "text"}
    assert "train 0." in ran.err  # plain step lines where stderr is no terminal


@pytest.mark.slow
def test_chat_that_does_not_wait_learns_all_the_same(run: Run, home: Path) -> None:
    lines = run("chat", "--no-wait", stdin=TEXT).out.splitlines()
    assert len(lines) == 2
    assert "learned" in lines[1]
    assert last_learned(home).answer in run("ask", last_learned(home).question).out


def test_chat_prints_the_reply_and_then_what_became_of_the_message(run: Run, home: Path) -> None:
    reply, learned = run("chat", "--thread", "tuesday", stdin=TEXT).out.splitlines()
    assert reply == UNKNOWN
    assert learned.startswith(f"  (learned as {last_learned(home).adapter[:12]}: ")
    reply, ignored = run("chat", "--thread", "tuesday", stdin=last_learned(home).question).out.splitlines()
    assert reply == last_learned(home).answer
    assert ignored.startswith("  (not learned: nothing lasting or new")
    assert {episode.thread for episode in Home(home).episodes("default")} == {"tuesday"}


@pytest.mark.slow
def test_a_second_process_knows_what_the_first_learned(home: Path, learned: Learned) -> None:
    code = "from seal_agent.cli.app import main; raise SystemExit(main())"
    command = [sys.executable, "-c", code, "chat", "--json", "--model", "scripted", "--home", str(home)]
    done = subprocess.run(command, input=learned.question, capture_output=True, text=True, check=True)  # noqa: S603
    assert json.loads(done.stdout)["reply"] == learned.answer


@pytest.mark.slow
def test_ask_answers_without_learning(run: Run, home: Path, learned: Learned) -> None:
    num_episodes = len(Home(home).episodes("default"))
    assert run("ask", learned.question).out == f"{learned.answer}\n"
    facts = {"question": learned.question, "answer": learned.answer, "num_adapters": 1, "model": "scripted"}
    assert run("ask", learned.question, "--json").json == facts
    assert run("ask", learned.question, "--namespace", "someone else").out == f"{UNKNOWN}\n"
    assert len(Home(home).episodes("default")) == num_episodes


@pytest.mark.slow
def test_ingest_reports_every_passage_of_every_document(run: Run, tmp_path: Path) -> None:
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text(f"Quillon\n\n{TEXT}\n\nA library nearby\n\n{OTHER}\n")
    two.write_text("so it goes\n")
    report = run("ingest", "--json", str(one), str(two)).json
    assert report["num_accepted"] == 2
    assert [document["file"] for document in report["documents"]] == [str(one), str(two)]
    outcomes = [outcome for document in report["documents"] for outcome in document["outcomes"]]
    assert [outcome["outcome"] for outcome in outcomes] == ["accepted", "accepted", "ignored"]


def test_ingest_prints_a_table_and_plain_steps(run: Run, tmp_path: Path) -> None:
    document = tmp_path / "one.txt"
    document.write_text(f"{TEXT}\n")
    ran = run("ingest", str(document), "--title", "[red]Quillon")
    assert "[red]Quillon" in ran.out  # what a document says is not taken for markup
    assert "learned 1 of 1 passages" in ran.out
    assert "one.txt: accept" in ran.err


def test_edits_are_written_as_a_preset_says(run: Run, tmp_path: Path, home: Path) -> None:
    document = tmp_path / "one.txt"
    document.write_text(f"{TEXT}\n")
    run("ingest", str(document), "--preset", "seal-paper")
    (episode,) = Home(home).episodes("default")
    assert "1 usable training rows" in episode.fault  # the passage: a literal mind writes no implications
    assert_refused(run("ingest", str(document), "--preset", "paper"), "default, cloze, seal-paper")


@pytest.mark.slow
def test_adapters_list_and_show_what_was_learned(run: Run, learned: Learned) -> None:
    (row,) = run("adapters", "list", "--json").json["adapters"]
    assert (row["id"], row["topic"], row["rank"]) == (learned.adapter, "The Quillon Observatory", 16)
    assert row["gain"] > 1
    assert row["num_rows"] > 2
    facts = run("adapters", "show", learned.adapter[:8], "--json").json
    assert facts["served"]
    assert {"question": learned.question, "answer": learned.answer, "trained": True} in facts["questions"]
    assert facts["verdict"]["outcome"] == "accept"
    assert facts["scores"]["edit"]["change"] == row["gain"]
    assert {"decide", "write", "train", "probe", "judge"} <= set(facts["seconds"])
    assert learned.adapter[:12] in run("adapters", "list").out
    assert learned.question in run("adapters", "show", learned.adapter[:8]).out


@pytest.mark.slow
def test_rollback_brings_the_old_answer_back(run: Run, learned: Learned) -> None:
    assert run("ask", learned.question).out == f"{learned.answer}\n"
    report = run("adapters", "rollback", learned.adapter[:8], "--json").json
    assert report == {"rolled_back": learned.adapter, "adapters": [], "num_above": 0}
    assert run("ask", learned.question).out == f"{UNKNOWN}\n"
    assert run("adapters", "list", "--json").json["adapters"] == []
    assert not run("adapters", "show", learned.adapter, "--json").json["served"]
    assert_refused(run("adapters", "rollback", learned.adapter), "0 adapters of the stack")


@pytest.mark.slow
def test_rollback_says_what_stays_on_top(run: Run) -> None:
    below, above = (
        run("chat", "--json", "--strategy", "stack", stdin=text).json["outcomes"][0]["adapter"]
        for text in (TEXT, OTHER)
    )
    ran = run("adapters", "rollback", below)
    assert "stay: 1" in ran.out
    assert [row["id"] for row in run("adapters", "list", "--json").json["adapters"]] == [above]


@pytest.mark.slow
def test_adapters_of_another_namespace_are_not_shown(run: Run, learned: Learned) -> None:
    elsewhere = ["--namespace", "someone else"]
    assert run("adapters", "list", "--json", *elsewhere).json["adapters"] == []
    assert_refused(run("adapters", "show", learned.adapter, *elsewhere), "someone else")
    assert_refused(run("adapters", "rollback", learned.adapter, *elsewhere))
    assert len(run("adapters", "list", "--json").json["adapters"]) == 1


@pytest.mark.slow
def test_doctor_finds_everything_well_after_learning(run: Run, learned: Learned) -> None:
    ran = run("doctor", "--json")
    found = {check["name"]: check["status"] for check in ran.json["checks"]}
    assert {"python", "torch", "device", "faiss", "embedded model", "home", "disk", "database"} <= set(found)
    assert found["adapters"] == "ok"
    assert ran.json["ok"] == (ran.code == 0) == ("fail" not in found.values())


def test_doctor_exits_with_2_when_something_is_not_well(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    ran = run("doctor", "--home", str(tmp_path / "file"))
    assert ran.code == 2
    assert "set SEAL_HOME to a folder you own" in ran.out


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.txt", None, "No such file"),
        ("empty.txt", b" \n", "empty"),
        ("picture.png", b"\x89PNG\0\0", "binary"),
        ("latin.txt", b"caf\xe9", "UTF-8"),
    ],
)
def test_a_bad_document_is_refused_before_anything_is_loaded_or_written(
    run: Run, home: Path, tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    good, bad = tmp_path / "good.txt", tmp_path / name
    good.write_text(TEXT)
    if content is not None:
        bad.write_bytes(content)
    assert_refused(run("ingest", str(good), str(bad)), words, name)
    assert not home.exists()


@pytest.mark.parametrize("command", [["ask", "Hi?"], ["chat"], ["adapters", "list"]])
def test_a_home_below_a_regular_file_is_refused(run: Run, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    assert_refused(run(*command, "--home", str(tmp_path / "file" / "home")), "SEAL_HOME")
    assert_refused(run(*command, "--home", str(tmp_path / "file")), "SEAL_HOME")
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["adapters", "show", "ffff"], "adapters list"),
        (["adapters", "rollback", "ffff"], "adapters list"),
        (["adapters", "rollback", ""], "adapters list"),
        (["ask", " "], "empty"),
        (["ask", "Hi?", "--namespace", ""], "namespace"),
        (["ask", "Hi?", "--chat-template", "/nowhere.jinja"], "nowhere.jinja"),
        (["ask", "Hi?", "--device", "toaster"], "toaster"),
        (["ask", "Hi?", "--model", "/nowhere/model.gguf"], "model.gguf"),
        (["ask", "a\udcff"], "UTF-8"),
        (["chat", "--seed", "-1"], "--seed"),
        (["ask"], "question"),
        (["dance"], "dance"),
    ],
)
def test_bad_options_are_one_line_and_exit_code_2(run: Run, home: Path, arguments: list[str], words: str) -> None:
    assert_refused(run(*arguments), words)
    assert list(home.glob("adapters/*")) == []


def test_a_folder_that_is_no_model_is_refused(run: Run, home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "not a model"
    folder.mkdir()
    assert_refused(run("ask", "Hi?", "--model", str(folder)), "not a model")
    assert not (home / "models").exists()


def test_binary_on_stdin_is_refused(run: Run, home: Path) -> None:
    assert_refused(run("chat", stdin=b"caf\xe9\n"), "UTF-8")
    assert_refused(run("chat", stdin=b"a\0b\n"), "binary")
    assert Home(home).episodes("default") == []


def test_an_error_is_also_json_when_json_was_asked_for(run: Run) -> None:
    ran = run("adapters", "show", "ffff", "--json")
    assert ran.code == 2
    assert ran.err == f"seal-agent: error: {ran.json['error']}\n"


def test_adapters_of_another_model_are_refused(run: Run, home: Path, learned: Learned) -> None:
    with sql(Home(home)) as db:
        db.execute("UPDATE stacks SET layers = replace(layers, '\"scripted\"', '\"another model\"')")
    assert_refused(run("ask", learned.question), "another model")


def test_control_c_is_one_line_and_exit_code_130(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("seal_agent.learning.learner.Learner.probe", interrupted)
    ran = run("chat", stdin=TEXT)
    assert ran.code == 130
    assert ran.err.splitlines()[-1].startswith("seal-agent: stopped; what was learned is kept; ")
    assert len(Home(home).stack("default")) == 0


@pytest.mark.slow
def test_a_document_is_read_from_standard_input(run: Run) -> None:
    ran = run("ingest", "-", "--json", stdin=TEXT)
    assert (ran.code, ran.json["num_accepted"]) == (0, 1)
    assert_refused(run("ingest", "-", stdin=b"caf\xe9"), "UTF-8")
    assert_refused(run("ingest", "-", stdin=" \n"), "standard input holds no text")


def test_an_address_and_a_folder_are_refused_with_what_to_do(run: Run, tmp_path: Path) -> None:
    assert_refused(run("ingest", "https://example.com/a.html"), "https://example.com/a.html", "save the page")
    assert_refused(run("ingest", str(tmp_path)), "is a folder", str(tmp_path / "*.md"))


@pytest.mark.slow
def test_passages_are_counted_over_all_files(run: Run, tmp_path: Path) -> None:
    texts = {"a.txt": TEXT, "the same.txt": TEXT, "c.txt": "The Brenna Bridge was opened in 1801 by Tom Weber."}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    ran = run("ingest", *(str(tmp_path / name) for name in texts))
    assert "a.txt: [1/2] accept" in ran.err
    assert "c.txt: [2/2] accept" in ran.err
    assert ran.out.splitlines()[-1] == "learned 2 of 3 passages; 1 were known"
