"""Former words of the command line."""

import pytest

from seal_agent.cli import app
from seal_agent.cli.renames import in_todays_words


@pytest.mark.parametrize(
    ("given", "today"),
    [
        ("bench knowledge --part 1/2 --together", "bench knowledge --shard 1/2 --single-adapter"),
        ("bench routing --keys=4", "bench routing --num-adapters=4"),
        ("serve --max-kept 9 --vllm --foo", "serve --max-cpu-loras 9 --vllm-arg --foo"),
        ("improve --after-episodes 5", "improve --min-new-episodes 5"),
        ("bench policy --rewards r.json", "bench selection --rewards r.json"),
        ("bench policy --data d.json", "bench policy --data d.json"),
        ("gateway keys list", "gateway keys list"),
        ("ask --part", "ask --part"),
    ],
)
def test_a_former_word_becomes_that_of_today(given: str, today: str) -> None:
    assert in_todays_words(given.split())[0] == today.split()


def test_a_former_word_is_taken_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["improve", "--after-episodes", "-1", "--model", "scripted"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == "seal-agent: warning: the option --after-episodes is now --min-new-episodes"
    assert "--min-new-episodes" in second
