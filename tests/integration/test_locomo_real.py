"""`bench locomo` on the embedded model: three turns are recalled as text, and its questions answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from seal_agent.adapters.huggingface import TransformersBackend
from seal_agent.bench.locomo.data import Conversation, Question, Said
from seal_agent.bench.locomo.replay import AnswerResult, TurnResult, measure
from seal_agent.storage.run_folder import RunFolder

pytestmark = pytest.mark.integration
CONVERSATION = Conversation(
    "7",
    (
        Said("D1:1", 1, "2024-03-03", "Ada: Hey Bo!"),
        Said("D1:2", 1, "2024-03-03", "Bo: I opened a bakery in Karlov yesterday."),
        Said("D2:1", 2, "2024-07-14", "Ada: My dog is called Pickle. Ada shared a photo of a dog on a sofa."),
    ),
    (
        Question("q0", 4, "What is Ada's dog called?", "Pickle", ("D2:1",)),
        Question("q1", 5, "What is Bo's dog called?", "", ("D2:1",)),
    ),
)


def test_three_turns_are_recalled_by_the_embedded_model(real_backend: TransformersBackend, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run", config={})
    measure(real_backend, run, [CONVERSATION], ["nothing", "text"], learn_all=True)
    assert [turn.learned for turn in run.values("turns", TurnResult)] == [True, True, True]
    answers = {(each.arm, each.id): each for each in run.values("answers", AnswerResult)}
    assert len(answers) == 4
    assert "Pickle" in answers["text", "q0"].reply
    assert "Pickle" not in answers["nothing", "q0"].reply
