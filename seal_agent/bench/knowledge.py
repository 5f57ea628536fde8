"""`seal-agent bench knowledge`: what does a model know of a passage after its edit, without the passage in view?

Knowledge incorporation after SEAL (arXiv 2506.10943, section 4.1). Arms: the untouched model, the passage in context
(the ceiling), general questions only (the gain of the short-answer form alone), the passage alone, each format, the
default edit, directives chosen by the model or by a trained policy, published self-edits, SEAL's recipe. One passage
per adapter, or n in one. Results are written at once, and a stopped run can be resumed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any

from seal_agent.bench.trained import learned
from seal_agent.core.backend import Backend, silent
from seal_agent.core.edits import Directives, SelfEdit
from seal_agent.core.episodes import Progress
from seal_agent.core.errors import EditFault, InputError
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.documents.datasets import Item
from seal_agent.learning.learner import LearnerConfig
from seal_agent.policy import grading
from seal_agent.policy.grading import is_right, num_words
from seal_agent.retention.general_knowledge import with_rehearsal
from seal_agent.storage.adapter_store import AdapterRegistry
from seal_agent.storage.run_folder import RunFolder
from seal_agent.writing.assembly import assemble
from seal_agent.writing.augmentations import AUGMENTATIONS
from seal_agent.writing.directives import CLOZE, DEFAULT, SEAL_PAPER, parse_directives
from seal_agent.writing.formats import FORMATS
from seal_agent.writing.formats.base import plain_row
from seal_agent.writing.formats.lists import lines_of
from seal_agent.writing.writer import write_self_edit

BASE, CONTEXT, FORM, TRAINED = "base", "context", "form only", "trained policy"
PUBLISHED = ("qwen2.5-7b", "seal-round2", "gpt-4.1")
GRADER = grading.NAME
MAX_ANSWER_TOKENS = 48
NUM_FORM_ROWS = 40
AS_SEAL = ("passage", "title")  # the passage appended, the title before it

Grade = Callable[[str, str], bool]
"""(gold answer, answer) -> right?"""


@dataclass(frozen=True)
class Answered:
    """One question under one arm: NLL of the gold answer in nats per token, and whether the reply is right.

    The texts are stored separately, in `answers.jsonl`, because the data's licence may not allow publishing them.
    """

    nll: float
    right: bool
    num_words: int
    question: str = field(default="", compare=False)
    gold: str = field(default="", compare=False)
    reply: str = field(default="", compare=False)

    @property
    def numbers(self) -> dict[str, Any]:
        """The fields that are not text."""
        return {"nll": self.nll, "right": self.right, "num_words": self.num_words}


@dataclass(frozen=True)
class Result:
    """One arm on one passage. `policy`: the adapters that wrote its edit.

    Passages that share an adapter share the tokens and seconds of its training equally.
    """

    arm: str
    item: int
    answers: tuple[Answered, ...]
    num_rows: int = 0
    num_tokens: int = 0
    write_seconds: float = 0.0
    train_seconds: float = 0.0
    fault: str = ""
    policy: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arm:
    """How the edit of an arm is made.

    `published` names the source of published self-edits to use; `is_rehearsed`: with rehearsal rows, as in a learner.
    """

    name: str
    directives: Directives | None = None
    published: str = ""
    is_rehearsed: bool = False


def arms() -> dict[str, Arm]:
    """All arms that train, by name, the most informative first."""
    as_seal = replace(CLOZE, formats=(), augmentations=AS_SEAL)
    formats = [name for name in FORMATS if name != "cloze"]
    in_seals_words = ("implications", "long-implications", "rewrite", "self-qa")
    listed = [
        Arm("default", DEFAULT, is_rehearsed=True),
        Arm("seal-paper, gpt-4.1's rows", replace(SEAL_PAPER, formats=()), "gpt-4.1"),
        Arm("seal-paper at our rate, gpt-4.1's rows", replace(SEAL_PAPER, formats=(), learning_rate=0.0), "gpt-4.1"),
        Arm("passage only", as_seal),
        Arm(FORM, CLOZE),
        *(Arm(f"{name}'s rows", as_seal, name) for name in reversed(PUBLISHED)),
        Arm("seal-paper, own implications", SEAL_PAPER),
        *(Arm(n, replace(CLOZE, formats=(n,), augmentations=AS_SEAL if n in in_seals_words else ())) for n in formats),
        Arm("mixed", replace(CLOZE, formats=("cloze", "chat-qa", "rewrite", "contrast")), is_rehearsed=True),
        Arm("own directives", None, is_rehearsed=True),
        Arm(TRAINED, None, is_rehearsed=True),
    ]
    return {arm.name: arm for arm in listed}


def arm_called(name: str) -> Arm:
    """The arm of that name; a JSON object means the default edit with those directives.

    Raises `InputError` for an unknown name.
    """
    if name.startswith("{"):
        try:
            return Arm(name, parse_directives(name, CLOZE), is_rehearsed=True)
        except EditFault as error:
            raise InputError(f"the arm {name}: {error}") from error
    known = arms()
    if name not in known:
        listed = ", ".join([BASE, CONTEXT, *known])
        raise InputError(f"there is no arm called {name!r}; choose {listed}, or give directives as JSON")
    return known[name]


class Run(RunFolder):
    """The results of one run: `metrics.jsonl`, `answers.jsonl`, `edits.jsonl`, by part."""

    def results(self) -> dict[tuple[str, int], Result]:
        """The stored results of all parts."""
        return {(result.arm, result.item): result for result in self.values("metrics", Result)}

    def add(self, result: Result, edit: SelfEdit | None) -> None:
        """Append one result and its edit."""
        self.append("metrics", {**asdict(result), "answers": [answer.numbers for answer in result.answers]})
        for answer in result.answers:
            self.append("answers", {"arm": result.arm, "item": result.item, **asdict(answer)})
        if edit:
            rows = [[row.source, row.question or row.prompt.text, row.answer] for row in edit.rows]
            dropped = [[entry.source, entry.reason, entry.text] for entry in edit.dropped]
            self.append("edits", {"arm": result.arm, "item": result.item, "rows": rows, "dropped": dropped})


def measure(
    backend: Backend,
    registry: AdapterRegistry,
    items: Sequence[Item],
    chosen: Sequence[str],
    run: Run,
    *,
    policy: AdapterStack | None = None,
    seed: int = 0,
    grade: Grade = is_right,
    progress: Progress = silent,
) -> dict[tuple[str, int], Result]:
    """Run every arm on every passage that `run` lacks, one passage per adapter; `policy` writes for its arm.

    Raises `InputError` for an arm that does not exist or has no policy, and for a run with another policy.
    """
    trial = _Trial(backend.with_stack(AdapterStack()), registry, policy or AdapterStack(), seed, grade)
    return _measure(trial, [[item] for item in items], chosen, run, progress)


def measure_together(
    backend: Backend,
    registry: AdapterRegistry,
    items: Sequence[Item],
    chosen: Sequence[str],
    run: Run,
    *,
    policy: AdapterStack | None = None,
    seed: int = 0,
    grade: Grade = is_right,
    progress: Progress = silent,
) -> dict[tuple[str, int], Result]:
    """Continued pretraining: all `items` in one adapter, with as many steps as they have alone. Else as `measure`."""
    trial = _Trial(backend.with_stack(AdapterStack()), registry, policy or AdapterStack(), seed, grade)
    return _measure(trial, [items], chosen, run, progress)


def _measure(
    trial: _Trial, groups: Sequence[Sequence[Item]], chosen: Sequence[str], run: Run, progress: Progress
) -> dict[tuple[str, int], Result]:
    """Run every arm on every group of passages that shares an adapter."""
    known = {name: arm_called(name) for name in chosen if name not in (BASE, CONTEXT)}
    if TRAINED in known and not trial.policy.entries:
        raise InputError(f"the arm {TRAINED!r} needs a policy; give --policy ADAPTER, or remove the arm")
    done = run.results()
    if TRAINED in known and any(r.policy != trial.policy.ids for r in done.values() if r.arm == TRAINED):
        raise InputError(f"{run.folder} holds results of another policy; give another --out")
    # Passage by passage, so that an interrupted run has every arm on the same passages.
    work = [(name, group) for group in groups for name in chosen]
    for number, (name, group) in enumerate(work):
        progress(name, number, len(work))
        if all((name, item.number) in done for item in group):
            continue
        for result, edit in trial.adapted(known[name], group) if name in known else trial.unadapted(name, group):
            run.add(result, edit)
            done[result.arm, result.item] = result
    return done


def answers(
    view: Backend, items: Sequence[Item], grade: Grade, *, in_context: bool = False
) -> list[tuple[Answered, ...]]:
    """Ask every question of `items` in the chat template; `in_context`: with the passage before it."""
    asked = [(item, question) for item in items for question in item.questions]
    prompts = [
        Prompt.user(q.question).after(f"{item.title}\n{item.passage}") if in_context else Prompt.user(q.question)
        for item, q in asked
    ]
    replies = [samples[0].strip() for samples in view.generate(prompts, max_new_tokens=MAX_ANSWER_TOKENS)]
    scores = view.score(prompts, [q.answer for _, q in asked])
    given = iter(
        Answered(round(-score.per_token, 4), grade(q.answer, reply), num_words(reply), q.question, q.answer, reply)
        for (_, q), reply, score in zip(asked, replies, scores, strict=True)
    )
    return [tuple(islice(given, len(item.questions))) for item in items]


def edit_of(backend: Backend, arm: Arm, item: Item, seed: int) -> SelfEdit:
    """The edit of one arm for one passage; raises `EditFault` if nothing usable was written."""
    if arm.name == FORM:
        empty = SelfEdit(item.title, item.passage, (), (), CLOZE)
        return with_rehearsal(empty, NUM_FORM_ROWS, seed)
    if not arm.published:
        edit = write_self_edit(backend, item.source, arm.directives, is_document=True, seed=seed)
        num_rehearsed = LearnerConfig().num_rehearsed(edit.directives, len(edit.rows)) if arm.is_rehearsed else 0
        return with_rehearsal(edit, num_rehearsed, seed)
    if arm.directives is None:
        raise InputError(f"the arm {arm.name!r} has no directives to learn published self-edits with")
    return edit_of_published(item, arm.published, arm.directives, seed)


def edit_of_published(item: Item, name: str, directives: Directives, seed: int) -> SelfEdit:
    """A published self-edit for `item`, one row per line; raises `InputError` if there is none."""
    published = item.self_edits.get(name)
    if not published:
        raise InputError(f"passage {item.number} has no self-edits of {name}; remove the arm that needs them")
    rows = [plain_row(line, name, item.passage) for line in lines_of(published[seed % len(published)])]
    for augmentation in directives.augmentations:
        rows = AUGMENTATIONS[augmentation](item.source, rows, seed)
    return assemble(rows, topic=item.title, passage=item.passage, directives=directives, seed=seed)


@dataclass(frozen=True)
class _Trial:
    """Runs one arm on one group of passages at a time; adapters are deleted afterwards."""

    base: Backend
    registry: AdapterRegistry
    policy: AdapterStack
    seed: int
    grade: Grade

    def unadapted(self, name: str, items: Sequence[Item]) -> list[tuple[Result, SelfEdit | None]]:
        """Ask the untouched model, with or without the passage in context."""
        given = answers(self.base, items, self.grade, in_context=name == CONTEXT)
        return [(Result(name, item.number, of), None) for item, of in zip(items, given, strict=True)]

    def adapted(self, arm: Arm, items: Sequence[Item]) -> list[tuple[Result, SelfEdit | None]]:
        """Write, train, ask. If the edit fails, the untouched model is asked."""
        written_with = self.policy if arm.name == TRAINED else AdapterStack()
        writer = self.base.with_stack(written_with)
        written: list[tuple[Result, SelfEdit | None]] = []
        for item in items:
            start = time.perf_counter()
            edit, fault = None, ""
            try:
                edit = edit_of(writer, arm, item, self.seed)
            except EditFault as error:
                fault = str(error)
            seconds = round(time.perf_counter() - start, 2)
            blank = Result(arm.name, item.number, (), write_seconds=seconds, fault=fault, policy=written_with.ids)
            written.append((blank, edit))
        edits = [edit for _, edit in written if edit]
        if not edits:
            given = answers(self.base, items, self.grade)
            return [(replace(result, answers=of), None) for (result, _), of in zip(written, given, strict=True)]
        with learned(self.base, self.registry, _joined(edits), self.seed) as now:
            given = answers(now.view, items, self.grade)
        return [
            (
                replace(
                    result,
                    answers=of,
                    num_rows=len(edit.rows) if edit else 0,
                    num_tokens=round(now.num_tokens / len(edits)) if edit else 0,
                    train_seconds=round(now.seconds / len(edits), 2) if edit else 0.0,
                ),
                edit,
            )
            for (result, edit), of in zip(written, given, strict=True)
        ]


def _joined(edits: Sequence[SelfEdit]) -> SelfEdit:
    """One edit with the rows of all, and as many steps as they have one by one."""
    if len(edits) == 1:
        return edits[0]
    first = edits[0]
    directives = replace(
        first.directives,
        min_steps=sum(edit.directives.min_steps for edit in edits),
        max_steps=sum(edit.directives.max_steps for edit in edits),
    )
    rows = tuple(dict.fromkeys(row for edit in edits for row in edit.rows))
    return replace(first, topic=f"{len(edits)} passages", rows=rows, directives=directives)
