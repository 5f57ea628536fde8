"""Texts submitted for learning, and their status, as the gateway's clients see them.

A text of any length is a group of jobs in the queue, one per passage; `background.worker.Worker` learns them. This
module only groups jobs, so submissions outlive the process.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Literal

from seal_agent.core.documents import MAX_PASSAGES, Passage
from seal_agent.core.errors import InputError, SealError
from seal_agent.core.messages import Message, kept_conversation
from seal_agent.core.outcomes import Outcome
from seal_agent.documents import files
from seal_agent.documents.passages import split_passages
from seal_agent.storage.documents import digest_of, digests_of
from seal_agent.storage.jobs import OPEN, REPLACED, Job, LearningQueue

Status = Literal["waiting for approval", "queued", "learning", "done", "failed", "rejected", "replaced"]
PREFIX = "job-"  # prefix of the queue's threads that are texts of a gateway


class BusyError(SealError):
    """Too many texts wait to be learned."""


@dataclass(frozen=True)
class Text:
    """One submitted text; `outcomes` are the reports of its finished passages, `fault` is the reason of a failure.

    `num_passages`: the number of its passages. In the answer to a submission, `left_out` lists parts that are not
    learned, and `note` is a remark about its name.
    """

    id: str
    title: str
    status: Status
    outcomes: tuple[Outcome, ...] = ()
    fault: str = ""
    num_passages: int = 0
    left_out: tuple[dict[str, str], ...] = ()
    note: str = ""


class Learning:
    """The texts that a model learns in one data directory; with `needs_approval` each waits for a person."""

    def __init__(
        self,
        queue: LearningQueue,
        model: str,
        *,
        max_waiting: int = 1000,
        max_passages: int = MAX_PASSAGES,
        needs_approval: bool = False,
    ) -> None:
        self._queue = queue
        self._model = model
        self._max_waiting = max_waiting
        self._max_passages = max_passages
        self._needs_approval = needs_approval
        self._lock = threading.Lock()

    def submit_document(
        self, namespace: str, text: str, *, title: str = "", source: str = "", content_type: str = ""
    ) -> Text:
        """Submit a document; raises `BusyError` if too many texts wait.

        It is identified by its `source`, else by its `title` (`files.document_of`), and replaces an earlier document of
        that name. `content_type` is its format; by default it is found by the name's ending or in the text. The
        returned text says what is left out, and has a remark about its name. Raises `InputError` for more than
        `max_passages`.
        """
        name = source or title
        reading = files.read(text, content_type, name or "the document")
        document = files.document_of(reading.text, name, left_out=reading.left_out)
        if not document.text.strip():
            raise InputError("the document is empty; give at least one sentence")
        read = files.divided(self._queue.home, namespace, document, title=title)
        if not read.passages:
            first = read.left_out[0]
            raise InputError(f"nothing in the document can be learned: {first.sentence[:80]!r}: {first.reason}")
        files.check_size(len(read.passages), name or "the document", self._max_passages)
        taken = self._submit(namespace, read.passages, digest_of(document.text))
        return replace(taken, left_out=tuple(asdict(each) for each in read.left_out), note=read.note)

    def submit_messages(self, namespace: str, conversation: Sequence[Message]) -> Text:
        """Submit the user's messages after the last reply in a conversation, including those before a failed reply.

        Raises `BusyError` if too many texts wait.
        """
        replies = (number for number, message in enumerate(conversation) if message.role in ("assistant", "tool"))
        begin = max(replies, default=-1) + 1
        passages = [
            passage
            for number, message in enumerate(conversation)
            if number >= begin and message.role == "user" and message.content.strip()
            for passage in split_passages(message.content, earlier=kept_conversation(conversation[:number]))
        ]
        return self._submit(namespace, passages)

    def _submit(self, namespace: str, passages: Sequence[Passage], version: str = "") -> Text:
        """Queue passages as one text; if the same text is queued already, return that one."""
        with self._lock:
            source = passages[0].source
            if source and (on_its_way := self._on_its_way(namespace, source, version)):
                return on_its_way
            num_texts = self._queue.num_texts(self._model)
            if num_texts >= self._max_waiting:
                raise BusyError(f"{num_texts} texts wait to be learned already; try again later")
            thread = f"{PREFIX}{uuid.uuid4().hex[:16]}"
            [first, *_] = self._queue.submit(
                passages,
                namespace,
                thread=thread,
                model=self._model,
                awaiting_approval=self._needs_approval,
                versions={source: digests_of(passages)} if source else {},
                document=version,
            )
            return self.text(namespace, self._queue.job(first).thread)

    def _on_its_way(self, namespace: str, source: str, version: str) -> Text | None:
        """The open text with exactly this version of a document, if no other version followed it."""
        jobs = [job for job in self._queue.jobs(namespace, OPEN) if job.passage.source == source]
        is_same = bool(jobs) and jobs[-1].document in (version, "")  # "": submitted by a release without versions
        return self.text(namespace, jobs[-1].thread) if is_same else None

    def texts(self, namespace: str, limit: int, *, after: str = "") -> list[Text]:
        """The last `limit` texts of a namespace, newest first; with `after`, those before that one."""
        threads = self._queue.threads(namespace, PREFIX, limit, before=after)
        found = {jobs[0].thread: jobs for jobs in _grouped(self._queue.jobs(namespace, threads=threads))}
        return [_text(found[thread]) for thread in threads if thread in found]

    def text(self, namespace: str, text_id: str) -> Text:
        """One text; raises `InputError` for an unknown id."""
        jobs = self._queue.jobs(namespace, threads=[text_id])
        if not jobs:
            raise InputError(f"there is no document {text_id!r} in this namespace; see /v1/documents")
        return _text(jobs)

    def held(self, namespace: str) -> list[tuple[Text, str]]:
        """The texts that wait for approval, each with its content."""
        return [
            (_text(jobs), "\n\n".join(job.passage.text for job in jobs if job.passage.text))
            for jobs in _grouped(self._queue.jobs(namespace, ("held",)))
        ]

    def decide(self, namespace: str, text_id: str, *, approve: bool) -> Text:
        """Approve or reject a held text; raises `InputError` if there is none of that id."""
        if not self._queue.resolve_held(namespace, text_id, approve=approve):
            raise InputError(f"nothing waits for approval as {text_id!r}; see /v1/approvals")
        return self.text(namespace, text_id)


def _grouped(jobs: Sequence[Job]) -> list[list[Job]]:
    """The jobs of every submitted text, grouped."""
    ours = sorted((job for job in jobs if job.thread.startswith(PREFIX)), key=lambda job: (job.created, job.thread))
    return [list(group) for _, group in groupby(ours, key=lambda job: job.thread)]


def _text(jobs: Sequence[Job]) -> Text:
    fault = next((job.note for job in jobs if job.state == "failed"), "")
    ended = tuple(job.report for job in jobs if job.state == "done")
    return Text(
        jobs[0].thread, jobs[0].passage.topic, _status(jobs), ended, fault, sum(job.keep is None for job in jobs)
    )


def _status(jobs: Sequence[Job]) -> Status:
    states = {job.state for job in jobs}
    if "held" in states:
        return "waiting for approval"
    if states & {"waiting", "running"}:
        return "queued" if states == {"waiting"} else "learning"
    if "failed" in states:
        return "failed"
    if any(job.note == REPLACED for job in jobs):
        return "replaced"
    return "rejected" if states == {"cancelled"} else "done"
