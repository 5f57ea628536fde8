"""Attachments of chat messages: content blocks with a file or a text, read like documents.

The replying model sees only their names; their content is learned. Images and audio are ignored, and so are files given
by an address only.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AnyMessage

from seal_agent.core.documents import Passage
from seal_agent.core.errors import InputError
from seal_agent.documents import files
from seal_agent.documents.files import TEXT, Document
from seal_agent.documents.markup import Reading
from seal_agent.language.values import LeftOut
from seal_agent.learning.learner import Learner
from seal_agent.storage import documents as known_documents

KINDS = ("file", "text-plain")
UNNAMED = "a file"
UNSAID = "application/octet-stream"


def said_by(message: AnyMessage) -> str:
    """The text of a message and the names of its attachments."""
    names = [f"[attached: {_name(block) or UNNAMED}]" for block in _blocks(message)]
    return "\n".join([part for part in (str(message.text), *names) if part])


@dataclass(frozen=True)
class Attached:
    """The attachments of messages: passages that are not known yet, and the documents they belong to.

    `versions`: digests of the passages that each document holds now; `changed`: documents that held others before.
    `left_out`: parts of the files that are not learned; `notes`: remarks on their names.
    """

    fresh: tuple[Passage, ...] = ()
    versions: Mapping[str, list[str]] = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


def attached(*messages: AnyMessage) -> list[Document]:
    """The texts attached to messages; raises `InputError` for a file that cannot be read.

    A file is identified by its name (`documents.document_of`): an edited file that is attached again replaces what was
    learned from it.
    """
    found: dict[str, Document] = {}
    for block in (block for message in messages for block in _blocks(message)):
        reading = _reading(block)
        if reading.text.strip():
            document = files.document_of(reading.text, _name(block), left_out=reading.left_out)
            first = found.get(document.source)
            found[document.source] = files.together(first, document, "\n\n") if first else document
    return list(found.values())


def attached_passages(learner: Learner, *messages: AnyMessage) -> Attached:
    """The passages attached to messages, compared with what is known of their documents.

    Raises `InputError` for a document with more than `max_passages` new passages.
    """
    learns = not learner.config.dry_run
    left_out: list[LeftOut] = []
    notes: list[str] = []
    fresh: list[Passage] = []
    versions: dict[str, list[str]] = {}
    changed: list[str] = []
    for document in attached(*messages):
        read = files.divided(learner.home, learner.namespace, document, keeps_name=learns)
        if learns:
            known_documents.adopt(learner.home, learner.namespace, read.source)
        difference = known_documents.compare(
            learner.home, learner.namespace, learner.stack.learned, read.source, read.passages
        )
        files.check_size(len(difference.fresh), document.source, learner.config.max_passages)
        if learns:
            known_documents.add_source(learner.home, learner.namespace, difference.known)
        fresh += difference.fresh
        left_out += read.left_out
        notes += [read.note] * bool(read.note)
        versions[read.source] = known_documents.digests_of(read.passages)
        changed += [read.source] * bool(difference.num_gone)
    return Attached(tuple(fresh), versions, tuple(changed), tuple(left_out), tuple(notes))


def _blocks(message: AnyMessage) -> list[Mapping[str, Any]]:
    if isinstance(message.content, str):
        return []
    return [block for block in message.content_blocks if block["type"] in KINDS and _has_content(block)]


def _has_content(block: Mapping[str, Any]) -> bool:
    return bool(block.get("text") or block.get("base64"))


def _name(block: Mapping[str, Any]) -> str:
    """The name of a file; "" if the block has none."""
    extras = {**block.get("extras", {}), **block.get("metadata", {})}
    return str(block.get("title") or block.get("filename") or extras.get("filename") or extras.get("name") or "")


def _reading(block: Mapping[str, Any]) -> Reading:
    """Read a file; one sent as plain text is read as Markdown if its name says so."""
    name, kind = _name(block) or UNNAMED, str(block.get("mime_type") or "")
    kind = "" if kind.partition(";")[0].strip() in (TEXT, UNSAID) else kind
    if block.get("text"):
        return files.read(str(block["text"]), kind, name)
    try:
        data = base64.b64decode(block["base64"], validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise InputError(f"{name} is not base64: {error}; encode the file's bytes") from error
    return files.read(data, kind, name)
