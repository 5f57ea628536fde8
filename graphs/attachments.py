"""Attachments of chat messages: content blocks that hold a file or a text, read like documents.

A model is told only their names; what stands in them is learned. Pictures and sound are passed over, and so is a file
of which the message holds no more than an address.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from langchain_core.messages import AnyMessage

from seal_agent import documents
from seal_agent.documents import TEXT, Document
from seal_agent.errors import InputError
from seal_agent.learner import Learner
from seal_agent.passages import Passage, split_passages

KINDS = ("file", "text-plain")


def said_by(message: AnyMessage) -> str:
    """What a message says, and the names of what is attached to it."""
    names = [f"[attached: {_name(block)}]" for block in _blocks(message)]
    return "\n".join([part for part in (str(message.text), *names) if part])


def attached(message: AnyMessage) -> list[Document]:
    """The texts attached to a message; raises `InputError` for a file that cannot be read.

    Files of one name in two conversations need not be versions of one document: the content is part of the source.
    """
    found = []
    for block in _blocks(message):
        text = _text(block)
        if text.strip():
            found.append(documents.named(text, f"attachment {_name(block)}"))
    return found


def attached_passages(learner: Learner, message: AnyMessage) -> list[Passage]:
    """The passages attached to a message that are not known yet."""
    fresh: list[Passage] = []
    for document in attached(message):
        difference = documents.compare(learner, document.source, split_passages(document.text))
        documents.claim(learner, difference.known)
        fresh += difference.fresh
    return fresh


def _blocks(message: AnyMessage) -> list[Mapping[str, Any]]:
    if isinstance(message.content, str):
        return []
    return [block for block in message.content_blocks if block["type"] in KINDS and _has_content(block)]


def _has_content(block: Mapping[str, Any]) -> bool:
    return bool(block.get("text") or block.get("base64"))


def _name(block: Mapping[str, Any]) -> str:
    extras = {**block.get("extras", {}), **block.get("metadata", {})}
    return str(block.get("title") or block.get("filename") or extras.get("filename") or extras.get("name") or "a file")


def _text(block: Mapping[str, Any]) -> str:
    if block.get("text"):
        return str(block["text"])
    try:
        data = base64.b64decode(block["base64"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"{_name(block)} is not base64: {error}; encode the file's bytes") from error
    return documents.text_of(data, str(block.get("mime_type") or TEXT), _name(block))
