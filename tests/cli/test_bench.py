"""The benchmarks from the command line, on the scripted backend."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seal_agent.cli import app


@pytest.mark.slow
def test_the_gate_is_measured_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["bench", "gate", "--edits", "20", "--json"]) == 0
    assert {"seed", "rows"} <= set(json.loads(capsys.readouterr().out))


@pytest.mark.slow
def test_the_continual_benchmark_runs_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data.json"
    passage = "The Tower of Karlov was built in {} by Anna Reel. It holds nine brass bells."
    entries = [
        {
            "title": f"Tower {n}",
            "context": passage.format(n),
            "questions": [{"question": "Who?", "answer": "Anna Reel"}],
        }
        for n in (1911, 1912, 1913)
    ]
    data.write_text(json.dumps(entries))
    options = ["--data", str(data), "--sequences", "2", "--length", "2", "--out", str(tmp_path / "run")]
    options += ["--model", "scripted", "--home", str(tmp_path / "home"), "--arm", "route", "--arm", "nothing learned"]
    assert app.main(["bench", "continual", *options, "--json"]) == 0
    arms = json.loads(capsys.readouterr().out)["arms"]
    assert [(arm["arm"], arm["num_sequences"]) for arm in arms] == [("route", 2), ("nothing learned", 2)]
    text = (tmp_path / "run" / "report.md").read_text()
    assert text.startswith("# Continual learning")
    assert " cores, " in text  # the machine


def test_an_arm_that_does_not_exist_is_refused_before_a_model_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = {"title": "A", "context": "B is 2 m high.", "questions": [{"question": "How high?", "answer": "2 m"}]}
    (tmp_path / "data.json").write_text(json.dumps([entry, {**entry, "title": "C"}]))
    options = ["--data", str(tmp_path / "data.json"), "--length", "2", "--out", str(tmp_path / "run")]
    options += ["--home", str(tmp_path / "home"), "--model", "no/such-model"]
    assert app.main(["bench", "continual", *options, "--arm", "pile"]) == 2
    assert "no arm called 'pile'" in capsys.readouterr().err


def test_an_unknown_strategy_is_refused_before_a_model_is_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["ingest", "nothing.txt", "--strategy", "pile"]) == 2
    assert "choose stack, route, merge, rebuild" in capsys.readouterr().err


@pytest.mark.slow
def test_the_speed_benchmark_reports_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a model: what is there is reported, and another model is another run."""
    options = ["bench", "speed", "--report", "--out", str(tmp_path)]
    metrics = {"part": "loading", "arm": "ours", "number": 0, "round": 0, "values": {"seconds": 1.5}}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(metrics) + "\n")
    assert app.main([*options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["arms"][0]["loading"] == 1.5
    assert "1.50 s" in (tmp_path / "report.md").read_text()
    assert app.main([*options, "--random", "1b"]) == 2
    assert "model differ" in capsys.readouterr().err


@pytest.mark.slow
def test_the_locomo_benchmark_needs_data_and_knows_its_arms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = [{"speaker": "Ada", "dia_id": "D1:1", "text": "My dog is Pickle."}]
    asked = [{"question": "Who is Ada's dog?", "answer": "Pickle", "evidence": ["D1:1"], "category": 4}]
    talk = {"session_1_date_time": "9:05 am on 3 March, 2024", "session_1": said, "qa": asked}
    (tmp_path / "7.json").write_text(json.dumps(talk))
    options = ["--data", str(tmp_path / "7.json"), "--out", str(tmp_path / "run"), "--home", str(tmp_path / "home")]
    assert app.main(["bench", "locomo"]) == 2
    assert "--data" in capsys.readouterr().err
    assert app.main(["bench", "locomo", *options, "--arm", "memory", "--model", "no/such-model"]) == 2
    assert "no arm called 'memory'" in capsys.readouterr().err
    for again in ((), ("--report",)):
        assert app.main(["bench", "locomo", *options, "--model", "scripted", "--arm", "nothing", "--json", *again]) == 0
        [arm] = json.loads(capsys.readouterr().out)["arms"]
        assert (arm["arm"], arm["num"]) == ("nothing", {"one fact": 1, "1 to 4": 1})
    assert (tmp_path / "run" / "report.md").read_text().startswith("# LoCoMo")
