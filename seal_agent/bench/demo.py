"""The demo: small talk is not learned, a document is; questions before and after; then a rollback.

It runs on the real model in a temporary data directory (only the model cache is shared), and reports every result. The
document is invented, so no model can know it; its questions are used for nothing else.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from seal_agent.core.episodes import Verdict
from seal_agent.core.messages import Message
from seal_agent.core.models import EMBEDDED
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.policy.grading import is_right
from seal_agent.storage.database import Home

MAX_ANSWER_TOKENS = 64  # an answer may begin with the sentence before the relevant one
OnEvent = Callable[[str, Mapping[str, Any]], None]
"""Called with the kind of event ("model", "turn", "step", "learned", "asked") and its facts."""


@dataclass(frozen=True)
class Question:
    """One question, its accepted answers, and the model's answers before, after, and after the rollback."""

    question: str
    gold: tuple[str, ...]
    before: str
    after: str
    restored: str
    correct_before: bool
    correct_after: bool


@dataclass(frozen=True)
class DemoResult:
    """The result of the demo; NLLs are means over the questions in nats per token of the gold answer."""

    model: str
    seed: int
    num_correct_before: int
    num_correct_after: int
    num_questions: int
    nll_before: float
    nll_after: float
    verdict: str
    reason: str
    seconds: float
    small_talk: Mapping[str, str]
    retention: Mapping[str, Any]
    num_rows: int
    steps: Mapping[str, float]
    restored: bool
    questions: tuple[Question, ...]


def run_demo(
    *,
    seed: int = 0,
    model: str = EMBEDDED,
    home: Path | None = None,
    device: str = "auto",
    server: str = "",
    on_event: OnEvent,
) -> DemoResult:
    """Run the demo on `model`, in this process or behind a `server` of vLLM (`open_backend`).

    About two minutes on two cores with the embedded model.
    """
    from seal_agent.factory import open_backend

    start = time.perf_counter()
    shared = Home(home)
    script = _script()
    with tempfile.TemporaryDirectory(prefix=".tmp-demo-", dir=shared.root) as folder:
        own = Home(Path(folder))
        backend = open_backend(shared, model, device=device, adapters=own.root, server=server)
        learner = Learner(backend, own, "demo", LearnerConfig(seed=seed, max_reply_tokens=MAX_ANSWER_TOKENS))
        on_event("model", {"model": backend.model, "seconds": time.perf_counter() - start})

        small_talk = _say(learner, script["small_talk"], on_event)
        before, nll_before = _ask(learner, script, on_event)
        learned = _say(learner, script["text"], on_event)
        after, nll_after = _ask(learner, script, on_event)
        episode = learner.home.episodes("demo")[-1]
        if learner.stack.ids:
            learner.rollback(learner.stack.ids[-1])
        restored, nll_restored = _ask(learner, script, on_event)

    questions = tuple(
        Question(question, tuple(gold), was, now, again, _is_right(was, gold), _is_right(now, gold))
        for (question, gold), was, now, again in zip(script["questions"], before, after, restored, strict=True)
    )
    return DemoResult(
        model=backend.model,
        seed=seed,
        num_correct_before=sum(q.correct_before for q in questions),
        num_correct_after=sum(q.correct_after for q in questions),
        num_questions=len(questions),
        nll_before=round(nll_before, 4),
        nll_after=round(nll_after, 4),
        verdict=learned["outcome"],
        reason=learned["reason"],
        seconds=round(time.perf_counter() - start, 1),
        small_talk=small_talk,
        retention=_retention(episode.verdict),
        num_rows=len(episode.edit.rows) if episode.edit else 0,
        steps=dict(episode.seconds),
        restored=restored == before and nll_restored == nll_before,
        questions=questions,
    )


def _retention(verdict: Verdict | None) -> dict[str, Any]:
    """The figures of the verdict on earlier knowledge."""
    if verdict is None:
        return {}
    return {
        "change": round(verdict.change, 4),
        "low": round(verdict.low, 4),
        "num_probes": verdict.num_probes,
        "num_lost": verdict.num_lost,
        "by_stratum": dict(verdict.by_stratum),
    }


def _is_right(answer: str, gold: Sequence[str]) -> bool:
    """Whether `answer` is right by one of the accepted answers."""
    return any(is_right(accepted, answer) for accepted in gold)


def document() -> tuple[str, str]:
    """The title and the text of the invented document."""
    script = _script()
    return script["title"], script["text"]


def _script() -> dict[str, Any]:
    text = resources.files("seal_agent").joinpath("data", "demo.json").read_text(encoding="utf-8")
    script: dict[str, Any] = json.loads(text)
    return script


def _say(learner: Learner, text: str, on_event: OnEvent) -> dict[str, str]:
    """One turn of the conversation through the chat graph; returns the reply and the outcome."""
    from seal_agent.graphs.chat import create_chat_graph

    graph = create_chat_graph(learner).compile()
    reply, outcome = "", {}
    turn: Any = {"messages": [{"role": "user", "content": text}]}
    stream: Iterator[Any] = graph.stream(turn, stream_mode=["updates", "custom"])
    for mode, chunk in stream:
        if mode == "custom":
            on_event("step", chunk)
            continue
        for update in chunk.values():
            if update.get("messages"):
                reply = str(update["messages"][-1].text)
                on_event("turn", {"message": text, "reply": reply})
            if update.get("outcomes"):
                outcome = update["outcomes"][-1]
    on_event("learned", outcome)
    return {"message": text, "reply": reply, "outcome": str(outcome["outcome"]), "reason": str(outcome["reason"])}


def _ask(learner: Learner, script: Mapping[str, Any], on_event: OnEvent) -> tuple[list[str], float]:
    """Ask every question in a new thread, without the document; returns the answers and the gold answers' NLL."""
    questions = [question for question, _ in script["questions"]]
    answers = learner.answer([[Message("user", question)] for question in questions])
    nll = learner.state.nll(questions, [gold[0] for _, gold in script["questions"]])
    on_event("asked", {"questions": questions, "answers": answers, "nll": nll})
    return answers, nll
