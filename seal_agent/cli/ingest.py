"""`seal-agent ingest`: learn documents passage by passage, with an estimate first; it can be stopped and resumed."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seal_agent.cli.loading import announce_head, load_learner, server_named
from seal_agent.cli.options import (
    AsJson,
    ChatTemplate,
    Device,
    HomeFolder,
    Model,
    Namespace,
    Preset,
    Recall,
    Seed,
    Strategy,
    Writer,
    write_json,
    write_table,
)
from seal_agent.cli.progress import Display, follow
from seal_agent.core import interruption
from seal_agent.core.documents import MAX_PASSAGES
from seal_agent.core.errors import InputError
from seal_agent.core.models import EMBEDDED
from seal_agent.learning import estimates

if TYPE_CHECKING:
    from seal_agent.documents.files import Document
    from seal_agent.language.values import LeftOut
    from seal_agent.learning.learner import Learner

STANDARD_INPUT = Path("-")
MAX_REASONS = 3  # reasons for leaving text out that the summary lists
_ADDRESS = re.compile(r"^(https?|ftp):/+")


@dataclass(frozen=True)
class Planned:
    """A document under its displayed name, with counts of its new and known passages.

    `needs_head`: whether the classifier decides about one of them. `left_out`: parts that are not learned; `note`: a
    remark about its name.
    """

    name: str
    document: Document
    num_fresh: int
    num_known: int
    needs_head: bool = False
    left_out: tuple[LeftOut, ...] = ()
    note: str = ""


def ingest(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help='Text, Markdown, HTML or PDF, of any length; "-" is standard input.'),
    ],
    title: Annotated[str, typer.Option("--title", help="The topic, if the text does not begin with it.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Train nothing; show what would be learned.")] = False,
    max_passages: Annotated[
        int, typer.Option("--max-passages", min=1, help="Refuse a document with more new passages.")
    ] = MAX_PASSAGES,
    seed: Seed = 0,
    strategy: Strategy = "route",
    preset: Preset = "default",
    recall: Recall = "weights",
    writer: Writer = None,
    model: Model = EMBEDDED,
    home: HomeFolder = None,
    namespace: Namespace = "default",
    device: Device = "auto",
    chat_template: ChatTemplate = None,
    as_json: AsJson = False,
) -> None:
    """Learn documents, passage by passage; passages read before are not learned again."""
    read = [(path.name, document_at(path)) for path in files]
    interruption.keeps("nothing was learned yet; run the same command to continue")
    with Display(lines=True) as display:
        from seal_agent.learning.config import LearnerConfig
        from seal_agent.writing.directives import preset as directives_of

        config = LearnerConfig(
            directives_of(preset),
            strategy=strategy,
            seed=seed,
            dry_run=dry_run,
            max_passages=max_passages,
            recall=recall,  # type: ignore[arg-type]  # checked by the option
            writer=writer,
        )
        learner = load_learner(display, model, home, namespace, device, chat_template, config, server=server_named())
        plan = planned(learner, read, title)
        if not dry_run:
            announce(display, learner, plan)
        learned = learn_all(learner, plan, title, display)
    num_accepted = sum(outcome["outcome"] == "accepted" for found in learned for outcome in found)
    if as_json:
        told = [
            {
                "file": str(path),
                "outcomes": found,
                "left_out": [asdict(left) for left in each.left_out],
                "note": each.note,
            }
            for path, each, found in zip(files, plan, learned, strict=True)
        ]
        write_json({"documents": told, "num_accepted": num_accepted})
    else:
        _show(plan, learned, num_accepted)


def _show(plan: Sequence[Planned], learned: Sequence[Sequence[dict[str, Any]]], num_accepted: int) -> None:
    """Print what became of every passage, and the counts."""
    outcomes = [(each.name, outcome) for each, found in zip(plan, learned, strict=True) for outcome in found]
    rows = [
        [name, o["topic"], o["outcome"], o["reason"], o["adapter"][:12], f"{o['seconds']:.1f}"] for name, o in outcomes
    ]
    write_table(["file", "topic", "outcome", "reason", "adapter", "s"], rows)
    num_passages = sum(o["outcome"] != "forgotten" for _, o in outcomes)
    num_known = sum(o["outcome"] == "known" for _, o in outcomes)
    print(f"learned {num_accepted} of {num_passages} passages" + (f"; {num_known} were known" if num_known else ""))
    for line in besides(plan):
        print(line)


def besides(plan: Sequence[Planned]) -> list[str]:
    """Remarks on documents: their names, and how much of them is not learned, with reasons."""
    lines = [each.note for each in plan if each.note]
    reasons = Counter(left.reason for each in plan for left in each.left_out)
    if reasons:
        most = "; ".join(f"{num} because {reason}" for reason, num in reasons.most_common(MAX_REASONS))
        more = "; and others" if len(reasons) > MAX_REASONS else ""
        lines.append(f"not learned: {sum(reasons.values())} pieces: {most}{more} (--json lists them)")
    return lines


def document_at(path: Path) -> Document:
    """The document of a file, or of standard input; raises `InputError` for an address or a folder."""
    from seal_agent.documents import files as documents

    if path == STANDARD_INPUT:
        return _piped()
    if address := _ADDRESS.match(str(path)):
        given = _ADDRESS.sub(f"{address[1]}://", str(path))
        raise InputError(f"{given} is an address, and addresses are not fetched; save the page and give its file")
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the files in it, such as {path / '*.md'}")
    return documents.read_file(path)


def _piped() -> Document:
    from seal_agent.documents import files as documents

    reading = documents.read(sys.stdin.buffer.read(), "", "standard input")
    if "\0" in reading.text or not reading.text.strip():
        raise InputError("standard input holds no text; pipe a document with at least one sentence")
    return documents.document_of(reading.text, left_out=reading.left_out)


def planned(learner: Learner, read: Sequence[tuple[str, Document]], title: str) -> list[Planned]:
    """The plan for every document; a passage in two of them counts as known in the second."""
    from seal_agent.deciding import decide as decision
    from seal_agent.documents import files as documents
    from seal_agent.storage.documents import compare, digests_of

    seen: set[str] = set()
    plan = []
    for name, document in read:
        divided = documents.divided(learner.home, learner.namespace, document, title=title, keeps_name=False)
        difference = compare(learner.home, learner.namespace, learner.stack.learned, divided.source, divided.passages)
        documents.check_size(len(difference.fresh), name, learner.config.max_passages)
        fresh = set(digests_of(difference.fresh))
        num_known = len(difference.known) + len(fresh & seen)
        needs_head = any(decision.needs_head(passage.text, is_document=True) for passage in difference.fresh)
        plan.append(Planned(name, document, len(fresh - seen), num_known, needs_head, divided.left_out, divided.note))
        seen |= fresh
    return plan


def announce(display: Display, learner: Learner, plan: Sequence[Planned]) -> None:
    """Print the estimated cost, unless it is small."""
    num_fresh, num_known = (sum(getattr(each, name) for each in plan) for name in ("num_fresh", "num_known"))
    if not num_fresh:
        return
    if any(each.needs_head for each in plan):
        announce_head(display, learner.backend, learner.home)
    cost = estimates.cost_of_an_edit(learner.home, learner.backend)
    if num_fresh * cost.seconds > estimates.WORTH_SAYING:
        display.line(estimates.documents(num_fresh + num_known, len(plan), num_known, cost))


def learn_all(learner: Learner, plan: Sequence[Planned], title: str, display: Display) -> list[list[dict[str, Any]]]:
    """Run every document through the graph; one report per passage. The line for stopping has the progress."""
    num_passages = sum(each.num_fresh + each.num_known for each in plan)
    num_fresh = sum(each.num_fresh for each in plan)
    all_outcomes: list[list[dict[str, Any]]] = []
    num_ended = 0
    for number, each in enumerate(plan):
        display.place(sum(earlier.num_fresh for earlier in plan[:number]), num_fresh)
        outcomes: list[dict[str, Any]] = []
        for outcomes in _learned(learner, each, title, display):
            ended = num_ended + sum(outcome["outcome"] != "forgotten" for outcome in outcomes)
            interruption.keeps(
                f"{ended} of {num_passages} passages are done and saved; run the same command to continue"
            )
        num_ended += sum(outcome["outcome"] != "forgotten" for outcome in outcomes)
        all_outcomes.append(outcomes)
    return all_outcomes


def _learned(learner: Learner, planned: Planned, title: str, display: Display) -> Any:
    """The reports of a document, after every passage."""
    display.busy(f"{planned.name}: reading")
    from seal_agent.documents.files import TEXT
    from seal_agent.graphs.ingest import create_ingest_graph

    graph = create_ingest_graph(learner).compile()
    document = planned.document
    state = {"document": document.text, "source": document.source, "title": title, "content_type": TEXT}
    for update in follow(graph, state, display, thread=planned.name, document=planned.name):
        if "outcomes" in update:
            yield update["outcomes"]
    display.clear()
